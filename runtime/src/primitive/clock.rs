//! The present; in a model it stands still, since a model has to take the same course each time it is replayed.

use std::time::Instant;

/// The present.
#[cfg(not(tress_loom))]
#[inline]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The one moment that there is.
#[cfg(tress_loom)]
pub(crate) fn now() -> Instant {
    static NOW: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    *NOW
}
