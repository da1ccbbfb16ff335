//! Asio's strands, in a C++ program that is built where its headers are, and run for each sample.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

use crate::clock::{Sample, Window};
use crate::sample;
use crate::serial::Totals;

/// The program `benches/asio/main.cpp`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asio;

impl Asio {
    /// Why it cannot be had here, if so. Builds it if that has to be.
    pub(crate) fn missing() -> Option<String> {
        program().as_ref().err().cloned()
    }

    /// Tasks, calls of each, those of each in the warm-up, rounds inside and outside of a call. Also gives what the table comes to after the
    /// warm-up.
    pub(crate) fn shared(plan: [u64; 5], has_tail: bool, window: Window) -> Result<(Sample, Totals), String> {
        let numbers = plan.into_iter().chain([u64::from(has_tail)]).chain(millis(window));
        let output = run("shared", numbers.map(|number| number.to_string()))?;
        let totals = || {
            let line = output.lines().find_map(|line| line.strip_prefix("table "))?;
            let (updates, checksum) = line.split_once(' ')?;
            Some(Totals { updates: updates.parse().ok()?, checksum: checksum.parse().ok()? })
        };
        Ok((figures(&output)?, totals().ok_or_else(|| no_figures(&output))?))
    }

    pub(crate) fn strand_post(variant: &str, window: Window) -> Result<Sample, String> {
        let numbers = millis(window).map(|number| number.to_string());
        figures(&run("strand_post", [variant.to_owned()].into_iter().chain(numbers))?)
    }

    pub(crate) fn strand_neighbour(
        variant: &str,
        items: u64,
        runs: u64,
        rounds: u32,
    ) -> Result<Sample, String> {
        let numbers = [items, runs, rounds.into()].map(|number| number.to_string());
        figures(&run("strand_neighbour", [variant.to_owned()].into_iter().chain(numbers))?)
    }
}

fn millis(window: Window) -> [u64; 2] {
    [window.warm_up, window.measure].map(|duration| duration.as_millis() as u64)
}

fn run(workload: &str, words: impl Iterator<Item = String>) -> Result<String, String> {
    let program = program().as_ref().map_err(Clone::clone)?;
    let mut command = Command::new(program);
    command.arg(workload).args(words).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", program.display(), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn figures(output: &str) -> Result<Sample, String> {
    sample::parse(output).ok_or_else(|| no_figures(output))
}

fn no_figures(output: &str) -> String {
    format!("Asio's program printed no figures: {output}")
}

/// Where the program is, or why it is nowhere. Looked for, and built, once in a process.
fn program() -> &'static Result<PathBuf, String> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PROGRAM.get_or_init(find_or_build)
}

fn find_or_build() -> Result<PathBuf, String> {
    let ours = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let program = ours.with_file_name("peers-asio");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("asio");
    let changed = last_change(&source).ok_or_else(|| format!("{} is gone", source.display()))?;
    if modified(&program).is_some_and(|built| built >= changed) {
        return Ok(program);
    }
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| OsString::from("g++"));
    if !has_header(&compiler)? {
        return Err("no asio.hpp (Debian's libasio-dev)".to_owned());
    }
    // Beside it first: a compiler that is interrupted leaves nothing that looks as if it were whole.
    let unfinished = ours.with_file_name(format!("peers-asio-{}", std::process::id()));
    let mut command = Command::new(&compiler);
    command.args(FLAGS).arg(source.join("main.cpp")).arg("-o").arg(&unfinished);
    let status = command.status().map_err(|error| format!("cannot start {}: {error}", compiler.display()))?;
    if !status.success() {
        return Err(format!("its program does not compile ({status})"));
    }
    fs::rename(&unfinished, &program).map_err(|error| format!("cannot move its program: {error}"))?;
    Ok(program)
}

/// Whether the compiler finds Asio.
fn has_header(compiler: &OsString) -> Result<bool, String> {
    let mut preprocessor = Command::new(compiler)
        .args(["-x", "c++", "-std=c++20", "-E", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("no C++ compiler ({}: {error})", compiler.display()))?;
    let mut input = preprocessor.stdin.take().expect("the compiler's input is a pipe");
    // One that ends without reading says so by its status.
    let _written = input.write_all(b"#if !__has_include(<asio.hpp>)\n#error\n#endif\n");
    drop(input);
    preprocessor.wait().map(|status| status.success()).map_err(|error| error.to_string())
}

/// When the youngest file of a directory was changed.
fn last_change(directory: &Path) -> Option<SystemTime> {
    let files = fs::read_dir(directory).ok()?;
    files.filter_map(|file| modified(&file.ok()?.path())).max()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

const FLAGS: &[&str] =
    &["-std=c++20", "-O3", "-DNDEBUG", "-Wall", "-Wextra", "-pthread", "-DASIO_STANDALONE"];
