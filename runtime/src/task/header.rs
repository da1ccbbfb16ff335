//! What every task's frame begins with.

use std::ptr::NonNull;
use std::task::Waker;

use super::Id;
use super::annex::Annex;
use super::state::State;
use crate::executor::{AnyExecutor, Header, RawExecutor, RunnableVtable};
use crate::primitive::cell::UnsafeCell;
use crate::primitive::coarse;
use crate::primitive::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The part of a frame that does not depend on its future.
///
/// | field | who may touch it, when |
/// |---|---|
/// | `head.state` | anybody who holds a reference or scans the frame pool |
/// | `head.link` | the frame pool while the frame is free |
/// | `executor`, `id`, `head.vtable` | read by anybody who holds a reference; never written after the task was made |
/// | `annex` | read by anybody who holds a reference; written once, by whoever spawns the task or by whoever runs it |
/// | `polls`, `born` | read by anybody who holds a reference; written by whoever runs the task |
/// | `join_waker` | the join handle while `JOIN_WAKER` is clear and the task is not complete; the completing worker once `COMPLETE` and `JOIN_WAKER` are set |
#[repr(C)]
#[derive(Debug)]
pub(crate) struct TaskHeader {
    pub(crate) head: Header,
    pub(crate) executor: RawExecutor,
    pub(crate) id: Id,
    pub(crate) join_waker: UnsafeCell<Option<Waker>>,
    /// Values: null, or what most tasks have no need of, in memory that the task owns. Written once, by whoever spawns the
    /// task or by whoever runs it; publishes the annex.
    pub(crate) annex: AtomicPtr<Annex>,
    /// How many runs have ended pending, dumps not counted; modulo what 32 bits hold. Written by whoever runs the task.
    pub(crate) polls: AtomicU32,
    /// A compact [`Moment`](coarse::Moment): when the task was spawned or, if that was on a thread that knows no time, first polled.
    /// Written by whoever runs the task.
    pub(crate) born: AtomicU32,
}

/// What can be done with a task whose future's type is not known.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct TaskVtable {
    /// First, so that a pointer to this table is one to a `RunnableVtable`.
    pub(crate) runnable: RunnableVtable,
    /// Drops the future of a task that the caller runs, and completes it as aborted.
    pub(crate) cancel_running: unsafe fn(NonNull<TaskHeader>),
    /// Moves the output of a complete task to the address.
    pub(crate) take_output: unsafe fn(NonNull<TaskHeader>, NonNull<()>),
    /// Drops the output of a complete task, if it is still there.
    pub(crate) drop_output: unsafe fn(NonNull<TaskHeader>),
    /// Frees the frame.
    pub(crate) free: unsafe fn(NonNull<TaskHeader>),
    /// The name of the future's type.
    pub(crate) future_name: fn() -> &'static str,
    /// Whether the future may be polled on one thread only: on that of its own executor.
    pub(crate) is_bound: bool,
    /// Of a task that has an executor of its own: where that lies in the frame. Called by whoever may touch the future, which has not ended.
    pub(crate) executor: Option<unsafe fn(NonNull<TaskHeader>) -> NonNull<AnyExecutor>>,
}

impl TaskHeader {
    /// The state word.
    #[inline]
    pub(crate) fn state(&self) -> &State {
        State::from_word(&self.head.state)
    }

    /// Counts a run that has ended pending. By whoever runs the task.
    #[inline]
    pub(super) fn count_poll(&self) {
        self.polls.store(self.polls.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        if self.born.load(Ordering::Relaxed) == 0 {
            self.set_born();
        }
    }

    #[cold]
    fn set_born(&self) {
        self.born.store(coarse::now().compact(), Ordering::Relaxed);
    }
}
