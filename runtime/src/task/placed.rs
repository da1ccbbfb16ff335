//! Tasks that have an executor of their own.
//!
//! The executor lies in front of the future, in the same frame, and is dropped with it: while the task can be scheduled, it is there. The
//! header's [`RawExecutor`] names whoever ends the task: the pool that the executor stands on, or a queue.
#![expect(unsafe_code, reason = "finds the executor in a frame whose future's type is not known")]

use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::cell::{Stage, TaskCell};
use super::header::{TaskHeader, TaskVtable};
use super::raw::RawTask;
use super::{Id, JoinHandle};
use crate::containment::contain_panic;
use crate::executor::{AnyExecutor, Executor, LaunchedOn, RawExecutor, Reason, Runnable};

pin_project! {
    /// A future, and the executor that polls it.
    pub(crate) struct Placed<F> {
        #[pin]
        future: F,
        executor: AnyExecutor,
        launched: Option<LaunchedOn>,
    }
}

impl<F: Future> Future for Placed<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

impl<F: Future> TaskCell<Placed<F>> {
    const PLACED_VTABLE: TaskVtable =
        TaskVtable { future_name: std::any::type_name::<F>, executor: Some(Self::executor), ..Self::VTABLE };
    const BOUND_VTABLE: TaskVtable = TaskVtable { is_bound: true, ..Self::PLACED_VTABLE };

    /// # Safety
    ///
    /// The caller may touch the future, which is there.
    unsafe fn executor(task: NonNull<TaskHeader>) -> NonNull<AnyExecutor> {
        let find = |stage: *mut Stage<Placed<F>>| {
            // SAFETY: the caller may touch the stage. Shared: nothing of the future is touched.
            let Stage::Future(placed) = (unsafe { &*stage }) else {
                unreachable!("a task that is scheduled has a future")
            };
            NonNull::from(&placed.executor)
        };
        // SAFETY: as above.
        unsafe { Self::with_stage(task, find) }
    }
}

/// Makes a task that has an executor of its own, as [`new`](super::new) does; `end` names whoever ends it, `is_bound` says that it must not run
/// anywhere else.
///
/// # Safety
///
/// That of [`new`](super::new), for both executors.
pub(crate) unsafe fn new_placed<F: Future>(
    end: RawExecutor,
    (executor, launched): (AnyExecutor, Option<LaunchedOn>),
    is_bound: bool,
    future: F,
    prepare: impl FnOnce(RawTask),
) -> Result<(Runnable, JoinHandle<F::Output>), F> {
    let vtable = match is_bound {
        false => const { &TaskCell::<Placed<F>>::PLACED_VTABLE },
        true => const { &TaskCell::<Placed<F>>::BOUND_VTABLE },
    };
    let placed = Placed { future, executor, launched };
    let task = match TaskCell::allocate_with(vtable, placed, end, Id::next()) {
        Ok(task) => task,
        Err(placed) => return Err(placed.future),
    };
    prepare(task);
    // SAFETY: a new task is scheduled, and this is its only runnable.
    let runnable = unsafe { Runnable::from_raw(task.as_ptr().cast()) };
    // SAFETY: a new task counts one reference for its only join handle.
    let handle = unsafe { JoinHandle::new(task) };
    Ok((runnable, handle))
}

/// Hands a task to the executor of its own.
///
/// # Safety
///
/// The runnable is that of a task which [`new_placed`] has made.
pub(crate) unsafe fn schedule_placed(_end: NonNull<()>, runnable: Runnable, reason: Reason) {
    let header = runnable.header().cast::<TaskHeader>();
    // SAFETY: the runnable keeps the frame.
    let task = unsafe { RawTask::from_ptr(header) };
    let executor = task.vtable().executor.expect("the caller's promise");
    // The executor's own code may panic; the runnable is dropped then.
    contain_panic(|| {
        // SAFETY: the task is scheduled: whoever has the runnable is the one who may touch the future, which has not ended.
        let executor = unsafe { executor(header) };
        // SAFETY: it is there until the runnable is handed over, in a frame that may be gone from then on.
        unsafe { AnyExecutor::hand_over(executor.as_ptr(), runnable, reason == Reason::Yielded) }
    });
}
