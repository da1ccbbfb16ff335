//! Waiting for less than a millisecond on Linux.
//!
//! mio hands whole milliseconds to `epoll_wait`, rounded up. So a deadline is approached in steps: whole milliseconds
//! in the selector, then the rest in `ppoll` on the selector's descriptor, which takes nanoseconds.

use std::io;
use std::time::Duration;

use mio::Registry;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How to wait next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// In the selector, and look at the clock again.
    Coarse(Duration),
    /// With [`wait`].
    Precise(Duration),
}

impl Step {
    /// The step to take with this much time left.
    pub(super) fn towards(left: Duration) -> Self {
        if left < COARSE_FROM {
            Self::Precise(left)
        } else {
            // The selector is late by up to its unit.
            let whole = (left - SELECTOR_UNIT).as_millis();
            Self::Coarse(Duration::from_millis(u64::try_from(whole).unwrap_or(u64::MAX)))
        }
    }
}

/// Waits until the selector has events or the time is over; tells whether it may have some.
pub(super) fn wait(registry: &Registry, left: Duration) -> io::Result<bool> {
    let timeout = Timespec {
        tv_sec: left.as_secs().try_into().expect("only short times are waited for precisely"),
        tv_nsec: left.subsec_nanos().into(),
    };
    match poll(&mut [PollFd::new(registry, PollFlags::IN)], Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// From here on a step in the selector leaves time for a precise one.
const COARSE_FROM: Duration = Duration::from_millis(2);

/// What the selector rounds to.
const SELECTOR_UNIT: Duration = Duration::from_millis(1);
