//! What the current thread is to a runtime.

use crate::primitive::sync::Arc;
use crate::reactor::Reactor;
use crate::time::TimeDriver;

/// The reactor that a new registration made on this thread belongs to.
pub(crate) fn current_reactor() -> Option<Arc<Reactor>> {
    None
}

/// The wheel that a timer first polled on this thread belongs to.
pub(crate) fn current_time_driver() -> Option<Arc<TimeDriver>> {
    None
}
