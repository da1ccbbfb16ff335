//! The parent's side of a server child.

use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::cli::SERVE;
use crate::peer::Peer;
use crate::server::Service;

/// A server child; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct ServerProcess {
    child: Child,
    /// `None` only while dropping: closing it is what ends the child.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl ServerProcess {
    pub(super) fn start(service: Service, peer: Peer) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([SERVE, service.name(), peer.name()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        peer.prepare(&mut command);
        let mut child = command.spawn()?;
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().expect("the child's output is a pipe"));
        let address = read_answer(&mut output, "ready")?.parse().map_err(io::Error::other)?;
        Ok(Self { child, input, output, address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// CPU time that the server says it has used.
    pub(super) fn cpu(&mut self) -> io::Result<Duration> {
        let answer = self.ask("cpu")?;
        Ok(Duration::from_nanos(answer.parse().map_err(io::Error::other)?))
    }

    /// Forgets what the timers of the hostage service recorded.
    pub(super) fn reset_timers(&mut self) -> io::Result<()> {
        self.ask("reset").map(drop)
    }

    /// Microseconds by which the timers of the hostage service were late.
    pub(super) fn late_timers_us(&mut self) -> io::Result<Vec<u64>> {
        let answer = self.ask("timers")?;
        answer.split_ascii_whitespace().map(|late| late.parse().map_err(io::Error::other)).collect()
    }

    fn ask(&mut self, question: &str) -> io::Result<String> {
        let input = self.input.as_mut().expect("the pipe is open until the drop");
        writeln!(input, "{question}")?;
        read_answer(&mut self.output, question)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        drop(self.input.take());
        // It has its own time limit, so this ends.
        let _status = self.child.wait();
    }
}

/// Reads the line that starts with `name` and returns the rest of it.
fn read_answer(output: &mut impl BufRead, name: &str) -> io::Result<String> {
    let mut line = String::new();
    if output.read_line(&mut line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server ended early"));
    }
    let rest = line.trim_end().strip_prefix(name);
    rest.map(|rest| rest.trim_start().to_owned())
        .ok_or_else(|| io::Error::other(format!("expected `{name}`: {line}")))
}
