//! An executor that runs what its owner says, when its owner says it.

use crate::primitive::sync::PlainArc as Arc;
use std::fmt;

use super::queue::{Queue, QueueHandle};

/// An executor under somebody's control: it runs one task at a time, when it is told to.
///
/// For tests of code that depends on who runs first. What is launched on it waits in the order in which it was woken. Dropped, it drops its
/// tasks, on the thread that drops it.
///
/// # Examples
///
/// ```
/// use tress::executor::{Manual, launch};
/// use tress::task::yield_now;
///
/// let manual = Manual::new();
/// let task = launch(manual.executor()).spawn(async { yield_now().await });
/// assert!(manual.run_one());
/// assert!(!task.is_finished());
/// assert!(manual.run_one());
/// assert!(task.is_finished());
/// assert!(!manual.run_one());
/// ```
#[derive(Default)]
pub struct Manual {
    queue: Arc<Queue>,
}

impl Manual {
    /// An executor that nothing waits for.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Its handle, to launch tasks with.
    #[must_use]
    pub fn executor(&self) -> QueueHandle {
        QueueHandle(Arc::clone(&self.queue))
    }

    /// How many tasks wait to be run.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether no task waits to be run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Runs the first that waits, once. False if none does.
    pub fn run_one(&self) -> bool {
        self.queue.run_one()
    }

    /// Runs those that wait by now, once each, and not those that they wake. Returns how many that were.
    pub fn run_queued(&self) -> usize {
        self.queue.run_queued()
    }

    /// Runs until none waits, or this many have been run. Returns how many that were.
    pub fn run_until_idle(&self, limit: usize) -> usize {
        (0..limit).take_while(|_| self.run_one()).count()
    }
}

impl Drop for Manual {
    fn drop(&mut self) {
        self.queue.end();
    }
}

impl fmt::Debug for Manual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manual").field("queued", &self.len()).finish_non_exhaustive()
    }
}
