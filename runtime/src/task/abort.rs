//! The handle that can abort a task but not join it.
#![expect(unsafe_code, reason = "the handle owns a reference to the frame, which may be used on any thread")]

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::Id;
use super::raw::RawTask;

/// Aborts a task from anywhere.
///
/// It keeps the task's memory, not the task: it does not hold up a shutdown and is harmless after one.
///
/// # Examples
///
/// ```
/// let runtime = tress::Runtime::new()?;
/// let task = runtime.spawn(std::future::pending::<()>());
/// let abort = task.abort_handle();
/// abort.abort();
/// assert!(runtime.block_on(task).unwrap_err().is_aborted());
/// assert!(abort.is_finished());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct AbortHandle {
    task: RawTask,
}

// SAFETY: the handle only uses the state word and the frame's free function, which may run anywhere.
unsafe impl Send for AbortHandle {}
// SAFETY: as above.
unsafe impl Sync for AbortHandle {}
impl UnwindSafe for AbortHandle {}
impl RefUnwindSafe for AbortHandle {}

impl AbortHandle {
    /// Adds a reference for the new handle; the caller holds one.
    pub(super) fn new(task: RawTask) -> Self {
        task.state().ref_inc();
        Self { task }
    }

    /// The task itself, for as long as the handle holds it.
    #[cfg(all(test, tress_loom))]
    pub(super) fn raw(&self) -> RawTask {
        self.task
    }

    /// Asks for the task to be dropped at its next await.
    pub fn abort(&self) {
        self.task.abort();
    }

    /// Whether the task has finished, was dropped, or never started.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.state().load().is_complete()
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.task.id()
    }
}

impl Clone for AbortHandle {
    fn clone(&self) -> Self {
        Self::new(self.task)
    }
}

impl Drop for AbortHandle {
    fn drop(&mut self) {
        self.task.release();
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").field("id", &self.id()).field("finished", &self.is_finished()).finish()
    }
}
