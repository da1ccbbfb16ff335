//! The unit that executors run.
#![expect(
    unsafe_code,
    reason = "a hand-made virtual table: a trait object would need two words and an allocation"
)]

use std::fmt;
use std::mem;
use std::ptr::NonNull;

use crate::primitive::sync::atomic::{AtomicPtr, AtomicUsize};
use crate::{context, coop, run};

/// An owned unit of work: what an [`Executor`](super::Executor) is given to run once.
///
/// It stands for the right to poll one task once. [Running](Self::run) it uses it up; dropping it cancels the task: its future is dropped,
/// and its handle gives an error for which [`is_aborted`](crate::task::JoinError::is_aborted) holds. So an executor that refuses what it is
/// given, or ends before it has run it, just drops it.
///
/// It is one pointer: a queue slot is one word.
///
/// # Examples
///
/// See [`Executor`](super::Executor).
// A thin pointer: the virtual table and the intrusive link stand at the head of what it points to.
#[must_use = "dropping it cancels the task"]
pub struct Runnable {
    header: NonNull<Header>,
}

/// The head of everything that can be run.
///
/// `state` is the first word, because the frame pool promises that the first word of a task's slot is always a valid
/// atomic, also while the slot is free; `link` is the second, because the pool keeps its free list there.
#[doc(hidden)]
#[repr(C)]
#[derive(Debug)]
pub struct Header {
    /// The owner's state word; what its bits mean is the owner's business.
    pub state: AtomicUsize,
    /// Links the runnable into at most one intrusive list; written by whoever owns the runnable.
    pub link: AtomicPtr<Header>,
    /// How to run it and how to cancel it.
    pub vtable: NonNull<RunnableVtable>,
}

/// What can be done with a runnable.
#[doc(hidden)]
#[repr(C)]
#[derive(Debug)]
pub struct RunnableVtable {
    /// Runs it once. The pointer is owned by the call.
    pub run: unsafe fn(NonNull<Header>) -> Option<Transfer>,
    /// Drops or cancels what it holds. The pointer is owned by the call.
    pub cancel: unsafe fn(NonNull<Header>),
}

/// A continuation that is ready: the worker's loop runs it next, without a trip through a queue.
///
/// Dropped, it is put on its executor's queue instead: forgetting it is slow, never a hang.
#[doc(hidden)]
#[derive(Debug)]
pub struct Transfer {
    runnable: Option<Runnable>,
    requeue: fn(Runnable),
}

// SAFETY: a runnable is an exclusive right to run what it points to, and what is pointed to is required to be runnable
// on any thread (see `Runnable::from_raw`).
unsafe impl Send for Runnable {}

impl Runnable {
    /// Takes ownership of a pointer.
    ///
    /// # Safety
    ///
    /// `header` is valid until the runnable has been run or cancelled, may be run on any thread, and no other
    /// `Runnable` for it exists.
    #[doc(hidden)]
    #[inline]
    pub unsafe fn from_raw(header: NonNull<Header>) -> Self {
        Self { header }
    }

    /// Gives the pointer back without running or cancelling it.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn into_raw(self) -> NonNull<Header> {
        let header = self.header;
        mem::forget(self);
        header
    }

    /// Runs it, on the calling thread: polls the task once. A panic of the task does not get here.
    ///
    /// The task has its own environment and allocator, whatever is polled around this call.
    pub fn run(self) {
        context::apart(|| {
            let _run = run::begin();
            let _budget = coop::enter(Some(coop::BUDGET_PER_POLL));
            // Whoever is handed over to takes its turn in its queue.
            drop(self.execute());
        });
    }

    /// The head of what it would run; it stays the runnable's.
    #[doc(hidden)]
    #[must_use]
    pub fn header(&self) -> NonNull<Header> {
        self.header
    }

    /// Runs it, and says what to run next if control is to be handed on.
    #[inline]
    pub(crate) fn execute(self) -> Option<Transfer> {
        let header = self.into_raw();
        // SAFETY: the runnable owned `header`, which is therefore valid, and its table never changes.
        let vtable = unsafe { header.as_ref() }.vtable;
        // SAFETY: tables are statics.
        let vtable = unsafe { vtable.as_ref() };
        // SAFETY: ownership of `header` passes to the call.
        unsafe { (vtable.run)(header) }
    }
}

impl Drop for Runnable {
    /// Cancels what it holds. Panics of that end there.
    fn drop(&mut self) {
        // SAFETY: the runnable owns `header`, which is therefore valid, and its table never changes.
        let vtable = unsafe { self.header.as_ref() }.vtable;
        // SAFETY: tables are statics.
        let vtable = unsafe { vtable.as_ref() };
        // SAFETY: ownership of `header` passes to the call.
        unsafe { (vtable.cancel)(self.header) }
    }
}

impl fmt::Debug for Runnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Runnable").field(&self.header).finish()
    }
}

impl Transfer {
    /// Hands `runnable` on; `requeue` is where it goes if nobody takes it.
    pub(crate) fn new(runnable: Runnable, requeue: fn(Runnable)) -> Self {
        Self { runnable: Some(runnable), requeue }
    }

    /// Takes the runnable in order to run it.
    pub(crate) fn into_runnable(mut self) -> Runnable {
        self.runnable.take().expect("a transfer holds its runnable until it is consumed")
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if let Some(runnable) = self.runnable.take() {
            (self.requeue)(runnable);
        }
    }
}
