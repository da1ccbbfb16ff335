//! A task without its type.
#![expect(unsafe_code, reason = "tasks of every type share one pointer type and one table of functions")]

use std::ptr::NonNull;
use std::task::Waker;

use super::annex::{Annex, Particulars};
use super::header::{TaskHeader, TaskVtable};
use super::state::{Snapshot, State, ToScheduled, ToShutdown};
use super::{Id, context, root};
use crate::executor::{RawExecutor, Reason, Runnable};
use crate::primitive::coarse::Moment;
use crate::primitive::epoch;
use crate::primitive::sync::atomic::Ordering;

/// A pointer to a task's frame. Copying it does not count; whoever uses it holds a reference in one of the ways that
/// the module's README lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawTask(NonNull<TaskHeader>);

impl RawTask {
    /// Names the task whose frame is at `header`.
    ///
    /// # Safety
    ///
    /// As long as the value is used, the frame is held by a reference, or is being run by the caller.
    #[inline]
    pub(crate) const unsafe fn from_ptr(header: NonNull<TaskHeader>) -> Self {
        Self(header)
    }

    /// The frame's address.
    #[inline]
    pub(crate) const fn as_ptr(self) -> NonNull<TaskHeader> {
        self.0
    }

    #[inline]
    pub(super) fn header(&self) -> &TaskHeader {
        // SAFETY: the frame is held while the value is used (see `from_ptr`), and the header is only shared.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(crate) fn state(&self) -> &State {
        self.header().state()
    }

    #[inline]
    pub(crate) fn id(&self) -> Id {
        self.header().id
    }

    #[inline]
    pub(super) fn vtable(&self) -> &'static TaskVtable {
        // SAFETY: tasks are made with the address of a whole `TaskVtable`, of which the runnable's is the first field.
        unsafe { self.header().head.vtable.cast::<TaskVtable>().as_ref() }
    }

    #[inline]
    pub(super) fn executor(&self) -> &RawExecutor {
        &self.header().executor
    }

    /// The address that tells which executor the task belongs to.
    pub(crate) fn executor_data(self) -> NonNull<()> {
        self.header().executor.data()
    }

    /// Whether it has an executor of its own: then nobody else may poll it.
    pub(crate) fn is_placed(self) -> bool {
        self.vtable().executor.is_some()
    }

    /// Whether it may be polled on one thread only.
    pub(crate) fn is_bound(self) -> bool {
        self.vtable().is_bound
    }

    /// Wakes through a waker that stays.
    #[inline]
    pub(crate) fn wake_by_ref(self) {
        if self.state().transition_to_scheduled_by_ref() == ToScheduled::Submit {
            self.submit_from_anywhere(Reason::Woken);
        }
    }

    /// Wakes through a waker that is used up.
    #[inline]
    pub(crate) fn wake_by_value(self) {
        match self.state().transition_to_scheduled_by_value() {
            ToScheduled::Nothing => {}
            ToScheduled::Submit => self.submit_from_anywhere(Reason::Woken),
            ToScheduled::Free => self.free(),
        }
    }

    /// Has the frames below the task run that were woken.
    pub(super) fn schedule_frames(self) {
        if self.state().transition_to_scheduled_for_frames() == ToScheduled::Submit {
            self.submit_from_anywhere(Reason::Woken);
        }
    }

    /// Asks for the task to be dropped at its next await.
    pub(crate) fn abort(self) {
        if self.state().transition_to_aborted() == ToScheduled::Submit {
            self.submit_from_anywhere(Reason::Woken);
        }
    }

    /// Drops the task if it is parked; otherwise marks it, so that it is dropped when it is taken or its poll ends.
    pub(crate) fn shut_down(self) -> ToShutdown {
        let outcome = self.state().transition_to_shutdown();
        if outcome == ToShutdown::Cancel {
            // SAFETY: the transition made the caller the one who runs the task.
            unsafe { (self.vtable().cancel_running)(self.0) };
        }
        outcome
    }

    /// Hands the task to its executor, from a thread that need not be one of the executor's.
    #[inline]
    pub(super) fn submit_from_anywhere(self, reason: Reason) {
        let _alive = ExecutorAlive::new(self);
        self.submit(reason);
    }

    /// The task's only runnable, if the task is idle: for somebody who wants to see what it waits for, and runs it at once, on
    /// this thread. The caller keeps the executor alive meanwhile.
    ///
    /// # Errors
    ///
    /// What the task does instead of being idle.
    pub(crate) fn claim(self) -> Result<Runnable, Snapshot> {
        self.state().transition_to_scheduled_for_trace()?;
        // SAFETY: the task is scheduled: it stays alive until the runnable is run or cancelled, and this is the only one,
        // since only one transition from idle to scheduled succeeds.
        Ok(unsafe { Runnable::from_raw(self.0.cast()) })
    }

    /// Keeps what is known of a new task, which nobody has run yet.
    pub(crate) fn annotate(self, particulars: Particulars) {
        root::annotate(self, particulars);
    }

    /// What is known of a task beyond its header, if anything is.
    pub(crate) fn annex(&self) -> Option<&Annex> {
        root::annex(self)
    }

    /// How many runs of the task have ended pending, dumps not counted.
    pub(crate) fn polls(self) -> u32 {
        self.header().polls.load(Ordering::Relaxed)
    }

    /// When the task was spawned, more or less.
    pub(crate) fn born(self) -> Moment {
        Moment::from_compact(self.header().born.load(Ordering::Relaxed))
    }

    /// The name of its future's type.
    pub(crate) fn future_name(self) -> &'static str {
        (self.vtable().future_name)()
    }

    /// Hands the task to its executor.
    ///
    /// The caller has just made the transition that calls for it, which is what makes the runnable the only one.
    #[inline]
    pub(super) fn submit(self, reason: Reason) {
        // SAFETY: the task is scheduled: it stays alive until the runnable is run or cancelled, and this is the only
        // one, since only one transition from idle to scheduled succeeds.
        let runnable = unsafe { Runnable::from_raw(self.0.cast()) };
        let executor = *self.executor();
        // SAFETY: callers hold an `ExecutorAlive`, or run on the executor.
        unsafe { executor.schedule(runnable, reason) };
    }

    /// Releases a reference, and the frame with the last one.
    #[inline]
    pub(crate) fn release(self) {
        if self.state().ref_dec() {
            self.free();
        }
    }

    #[inline]
    pub(super) fn free(self) {
        // SAFETY: the caller has released the last reference.
        unsafe { (self.vtable().free)(self.0) };
    }

    /// Writes the join waker's cell.
    ///
    /// # Safety
    ///
    /// The caller owns the cell now, by the table at `TaskHeader`.
    pub(super) unsafe fn replace_join_waker(self, waker: Option<Waker>) -> Option<Waker> {
        self.header().join_waker.with_mut(|cell| {
            // SAFETY: the caller owns the cell.
            unsafe { cell.replace(waker) }
        })
    }
}

/// Keeps the executor of a task in memory while a task that has just been scheduled is handed over to it.
///
/// The header's pointer to the executor is not counted: counting it would put a line shared by all workers on the path
/// of every spawn. A thread that belongs to the executor keeps it alive anyway. Another one relies on the task first, then
/// on a pin: an executor is retired only *after* each of its tasks has completed, and a scheduled task cannot complete
/// before its runnable has been handed over. The thread pins itself *before* it hands the runnable over, so the pin comes
/// before whatever retires the executor, and lasts until the thread has left the executor's code.
struct ExecutorAlive {
    _pin: Option<epoch::Guard>,
}

impl ExecutorAlive {
    #[inline]
    fn new(task: RawTask) -> Self {
        let own = context::is_current_pool(task.executor_data());
        Self { _pin: if own { None } else { Some(epoch::pin()) } }
    }
}
