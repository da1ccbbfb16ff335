//! Runs an example as a process of its own.
#![allow(dead_code, reason = "each test uses the part that it needs")]

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

/// Where cargo has put `http_server`.
pub(crate) fn path() -> PathBuf {
    path_of("http_server")
}

/// Where cargo has put an example: `cargo test` builds them along with the tests.
pub(crate) fn path_of(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("tests are in the `deps` of a profile");
    let path = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "run `cargo build --example {name}` first: there is no {}", path.display());
    path
}

/// `examples/http_server`, or another one that prints where it listens; dropping it kills it.
pub(crate) struct HttpServer {
    pub(crate) address: SocketAddr,
    pub(crate) child: Child,
    stdout: BufReader<ChildStdout>,
}

impl HttpServer {
    /// Starts it with `--addr 127.0.0.1:0` and these arguments.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(path());
        command.args(arguments);
        Self::start_command(command)
    }

    /// Starts it through a command that has it as its last words.
    pub(crate) fn start_command(mut command: Command) -> Self {
        command.args(["--addr", "127.0.0.1:0"]);
        Self::start_other(command)
    }

    /// Starts a server that listens where the command says.
    pub(crate) fn start_other(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the example starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the example prints its address");
        let address = line.trim().strip_prefix("listening on ").expect("the line names the address");
        let address = address.strip_prefix("http://").unwrap_or(address);
        Self { address: address.parse().expect("it is an address"), child, stdout }
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// The rest of what it prints, once it has ended by itself.
    pub(crate) fn wait(&mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("it prints text");
        (self.child.wait().expect("it ends").code(), rest)
    }

    /// Processor time used so far, in clock ticks (Linux: hundredths of a second).
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        let fields: Vec<&str> = stat[stat.rfind(')').expect("the name ends") + 2..].split(' ').collect();
        let tick = |field: usize| fields[field].parse::<u64>().expect("times are numbers");
        tick(11) + tick(12)
    }

    /// Descriptors that are open.
    pub(crate) fn open_descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs").count()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
