//! What a pool is built with.

use std::fmt;
use std::time::Duration;

use crate::containment::contain_panic;
use crate::frame::AllocatorRef;
use crate::primitive::sync::PlainArc;

/// A function that the pool calls at some moment of a thread's life.
pub(crate) type Hook = PlainArc<dyn Fn() + Send + Sync>;

/// The settings of a pool, checked by the builder.
///
/// Nothing of the user's is in here: a pool's memory may be freed late, and on any thread.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) workers: usize,
    pub(crate) pin: bool,
    pub(crate) stack_size: Option<usize>,
    pub(crate) queue_interval: u32,
    pub(crate) event_interval: u32,
    pub(crate) max_blocking_threads: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) measure_tasks: bool,
}

/// What is the user's own: functions to be called, and where frames come from.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) on_start: Option<Hook>,
    pub(crate) on_stop: Option<Hook>,
    pub(crate) on_park: Option<Hook>,
    pub(crate) on_unpark: Option<Hook>,
    /// Where the runtime's frames come from; `None` is the pool.
    pub(crate) frames: Option<AllocatorRef>,
}

impl Hooks {
    /// Calls a hook, if there is one. Its panic is reported by the panic hook and ends there.
    #[inline]
    pub(crate) fn call(hook: Option<&Hook>) {
        if let Some(hook) = hook {
            contain_panic(|| hook());
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}
