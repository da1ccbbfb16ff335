//! Waiting with the selector's own precision, where nothing better is known.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use mio::Registry;

/// How to wait next; here always in one step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// In the selector, and look at the clock again.
    #[expect(dead_code, reason = "one step is all there is")]
    Coarse(Duration),
    /// With [`wait`].
    #[expect(dead_code, reason = "one step is all there is")]
    Precise(Infallible),
    /// In the selector.
    Last(Duration),
}

impl Step {
    /// The step to take with this much time left.
    pub(super) const fn towards(left: Duration) -> Self {
        Self::Last(left)
    }
}

/// Never called.
pub(super) fn wait(_: &Registry, left: Infallible) -> io::Result<bool> {
    match left {}
}
