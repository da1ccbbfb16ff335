//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

/// What to do.
pub(crate) enum Parsed {
    Help,
    Run(Options),
}

/// How to serve.
pub(crate) struct Options {
    pub(crate) address: String,
    pub(crate) workers: Option<usize>,
    /// With symlinks resolved.
    pub(crate) directory: Option<PathBuf>,
}

const USAGE: &str = "usage: http_server [--addr HOST:PORT] [--workers N] [--dir DIRECTORY]";

/// How long requests may go on after somebody wanted to stop.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// What `--help` prints.
pub(crate) fn help() -> String {
    let seconds = SHUTDOWN_TIMEOUT.as_secs();
    format!(
        "{USAGE}

  --addr HOST:PORT  where to listen (127.0.0.1:8080; port 0 for any that is free)
  --workers N       how many threads (as many as there are CPUs)
  --dir DIRECTORY   serve its files, as /files/PATH

Ctrl-c, or SIGTERM, finishes what is in flight, for at most {seconds} s, and stops; requests that take longer are cut
off, and the exit code says so. A second one stops at once."
    )
}

/// Reads the arguments; the error is one line that names the argument.
pub(crate) fn parse() -> Result<Parsed, String> {
    let mut options = Options { address: "127.0.0.1:8080".to_owned(), workers: None, directory: None };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next().map_err(one_line)? {
        match argument {
            Long("addr") => {
                options.address = arguments.value().and_then(|value| value.string()).map_err(one_line)?
            }
            Long("workers") => {
                let value = arguments.value().and_then(|value| value.string()).map_err(one_line)?;
                options.workers = Some(workers(&value)?);
            }
            Long("dir") => options.directory = Some(directory(arguments.value().map_err(one_line)?.into())?),
            Short('h') | Long("help") => return Ok(Parsed::Help),
            other => return Err(format!("{}; {USAGE}", other.unexpected())),
        }
    }
    Ok(Parsed::Run(options))
}

fn workers(value: &str) -> Result<usize, String> {
    match value.parse() {
        Ok(workers @ 1..=MOST_WORKERS) => Ok(workers),
        _ => Err(format!("--workers {value:?} is not a number from 1 to {MOST_WORKERS}")),
    }
}

fn directory(path: PathBuf) -> Result<PathBuf, String> {
    let resolved = path.canonicalize().map_err(|error| format!("--dir {path:?}: {error}"))?;
    if !resolved.is_dir() {
        return Err(format!("--dir {path:?} is not a directory"));
    }
    Ok(resolved)
}

fn one_line(error: lexopt::Error) -> String {
    error.to_string().replace('\n', " ")
}

const MOST_WORKERS: usize = 1024;
