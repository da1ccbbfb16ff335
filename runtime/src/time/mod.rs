//! Timers.

/// A worker's timers.
#[derive(Debug)]
pub(crate) struct TimeDriver {}
