//! How a task names its executor.
#![expect(unsafe_code, reason = "a hand-made virtual table: two words, comparable, without an allocation")]

use std::ptr::NonNull;

use super::{Reason, Runnable};

/// A borrowed executor: a data pointer and a static table.
///
/// Two of them are equal if they name the same executor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExecutorRef {
    data: NonNull<()>,
    vtable: &'static ExecutorVtable,
}

/// What an executor can do.
#[derive(Debug)]
pub(crate) struct ExecutorVtable {
    /// Takes a runnable in order to run it soon.
    pub(crate) schedule: unsafe fn(NonNull<()>, Runnable, Reason),
    /// Counts a task that is ending on a thread that runs nothing of this executor.
    pub(crate) count_completed: unsafe fn(NonNull<()>),
}

// SAFETY: `ExecutorRef::new` requires that the executor may be used from any thread.
unsafe impl Send for ExecutorRef {}
// SAFETY: as above.
unsafe impl Sync for ExecutorRef {}

impl ExecutorRef {
    /// Names the executor behind `data`.
    ///
    /// # Safety
    ///
    /// The functions of the table may be called with `data` from any thread.
    pub(crate) const unsafe fn new(data: NonNull<()>, vtable: &'static ExecutorVtable) -> Self {
        Self { data, vtable }
    }

    /// The address that tells one executor from another.
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

impl PartialEq for ExecutorRef {
    fn eq(&self, other: &Self) -> bool {
        self.data == other.data
    }
}

impl Eq for ExecutorRef {}
