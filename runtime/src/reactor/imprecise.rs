//! Waiting with the selector's own precision, where nothing better is known.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use mio::Registry;

/// How to wait next; here always in the selector.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// In the selector, and look at the clock again.
    Coarse(Duration),
    /// With [`wait`].
    #[expect(dead_code, reason = "there is no better way here")]
    Precise(Infallible),
}

impl Step {
    /// The step to take with this much time left.
    pub(super) const fn towards(left: Duration) -> Self {
        Self::Coarse(left)
    }
}

/// Never called.
pub(super) fn wait(_: &Registry, left: Infallible) -> io::Result<bool> {
    match left {}
}
