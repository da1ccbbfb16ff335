//! One reactor a worker.

/// A worker's source of I/O events.
#[derive(Debug)]
pub(crate) struct Reactor {}
