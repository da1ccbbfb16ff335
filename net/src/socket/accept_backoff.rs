//! What `accept` does about an error: sans-I/O, a decision for each error.
//!
//! Three kinds: the error was the connection's (the client went away before it was accepted), so the next one may be
//! fine; the process or machine is out of descriptors or memory, so trying again at once would spin; or the listener
//! itself is unusable.

use std::io;
use std::time::Duration;

#[cfg(unix)]
use rustix::io::Errno;

/// The pauses between attempts while resources are short.
#[derive(Debug)]
pub(crate) struct AcceptBackoff {
    next: Duration,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum AfterError {
    /// Try again at once.
    Retry,
    /// Try again after a pause.
    Pause(Duration),
    /// Hand the error to the caller.
    Fail,
}

impl AcceptBackoff {
    pub(crate) const fn new() -> Self {
        Self { next: FIRST_PAUSE }
    }

    pub(crate) fn after(&mut self, error: &io::Error) -> AfterError {
        if is_the_connections(error) {
            AfterError::Retry
        } else if is_short_of_resources(error) {
            let pause = self.next;
            self.next = (pause * 2).min(LONGEST_PAUSE);
            AfterError::Pause(pause)
        } else {
            AfterError::Fail
        }
    }
}

/// On Linux, `accept` also passes on errors that were already pending on the new socket; accept(2) says to treat these
/// like a retry.
fn is_the_connections(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::ConnectionRefused
            | Kind::Interrupted
            | Kind::TimedOut
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
    ) || PER_CONNECTION.iter().any(|&code| error.raw_os_error() == Some(code))
}

fn is_short_of_resources(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
        || RESOURCES.iter().any(|&code| error.raw_os_error() == Some(code))
}

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The rest of the list in accept(2).
#[cfg(unix)]
const PER_CONNECTION: &[i32] = &[
    Errno::PROTO.raw_os_error(),
    Errno::NOPROTOOPT.raw_os_error(),
    Errno::HOSTDOWN.raw_os_error(),
    Errno::OPNOTSUPP.raw_os_error(),
    #[cfg(target_os = "linux")]
    Errno::NONET.raw_os_error(),
];
#[cfg(unix)]
const RESOURCES: &[i32] = &[
    Errno::NFILE.raw_os_error(),
    Errno::MFILE.raw_os_error(),
    Errno::NOBUFS.raw_os_error(),
    Errno::NOMEM.raw_os_error(),
    // Of epoll_ctl(2) for the new socket: too many are watched.
    Errno::NOSPC.raw_os_error(),
];

#[cfg(windows)]
const PER_CONNECTION: &[i32] = &[];
/// WSAEMFILE, WSAENOBUFS.
#[cfg(windows)]
const RESOURCES: &[i32] = &[10024, 10055];

#[cfg(test)]
mod tests;
