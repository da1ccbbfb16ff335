//! How a task names its executor.
#![expect(unsafe_code, reason = "a hand-made virtual table: two words, comparable, without an allocation")]

use std::ptr::NonNull;

use super::{Reason, Runnable};

/// A borrowed executor: a data pointer and a static table.
///
/// The data names whoever's end is the end of the tasks: the pool, if there is one. Two of them with the same table and data may
/// yet schedule differently, if the table does not hand over: then it is the task that knows its executor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawExecutor {
    data: NonNull<()>,
    vtable: &'static RawExecutorVtable,
}

/// What an executor can do.
#[derive(Debug)]
pub(crate) struct RawExecutorVtable {
    /// Takes a runnable in order to run it soon.
    pub(crate) schedule: unsafe fn(NonNull<()>, Runnable, Reason),
    /// Counts a task that is ending on a thread that runs nothing of this executor.
    pub(crate) count_completed: unsafe fn(NonNull<()>),
    /// Whether a thread that has run one of its tasks may run another next, past its queue.
    pub(crate) hands_over: bool,
}

// SAFETY: `RawExecutor::new` requires that the executor may be used from any thread.
unsafe impl Send for RawExecutor {}
// SAFETY: as above.
unsafe impl Sync for RawExecutor {}

impl RawExecutor {
    /// Names the executor behind `data`.
    ///
    /// # Safety
    ///
    /// The functions of the table may be called with `data` from any thread.
    pub(crate) const unsafe fn new(data: NonNull<()>, vtable: &'static RawExecutorVtable) -> Self {
        Self { data, vtable }
    }

    /// Whether a task of this executor may be run after one of that, past the queue.
    #[inline]
    pub(crate) fn hands_over_to(&self, other: &Self) -> bool {
        self.vtable.hands_over && other.vtable.hands_over && self.data == other.data
    }

    /// Whether what ends here may hand over at all.
    #[inline]
    pub(crate) fn hands_over(&self) -> bool {
        self.vtable.hands_over
    }

    /// The address of whoever's end is the end of the tasks.
    #[inline]
    pub(crate) const fn data(&self) -> NonNull<()> {
        self.data
    }

    /// Hands a runnable over.
    ///
    /// # Safety
    ///
    /// The executor is alive until the call returns.
    #[inline]
    pub(crate) unsafe fn schedule(&self, runnable: Runnable, reason: Reason) {
        // SAFETY: the caller keeps the executor alive; the table belongs to the data (see `new`).
        unsafe { (self.vtable.schedule)(self.data, runnable, reason) }
    }

    /// Counts a task that is ending on a thread that runs nothing of this executor.
    ///
    /// # Safety
    ///
    /// The executor is alive until the call returns.
    #[cold]
    pub(crate) unsafe fn count_completed(&self) {
        // SAFETY: the caller keeps the executor alive; the table belongs to the data (see `new`).
        unsafe { (self.vtable.count_completed)(self.data) }
    }
}
