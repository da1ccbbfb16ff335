//! Ends a test that hangs.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Ends the process with an error if it is not dropped in time.
#[must_use]
pub(crate) struct Watchdog {
    _alive: mpsc::Sender<()>,
}

/// Gives the test this long.
pub(crate) fn watchdog(limit: Duration) -> Watchdog {
    let (alive, ended) = mpsc::channel();
    let test = thread::current().name().unwrap_or("a test").to_owned();
    thread::spawn(move || {
        if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{test} has not ended within {limit:?}");
            std::process::abort();
        }
    });
    Watchdog { _alive: alive }
}
