//! Handing a worker over to whoever waits for what has just ended.
#![expect(unsafe_code, reason = "takes wakers apart, whose tables it knows")]

use std::mem;
use std::ptr::{self, NonNull};
use std::task::Waker;

use super::header::TaskHeader;
use super::raw::RawTask;
use super::state::ToScheduled;
use super::{context, waker};
use crate::executor::{RawExecutor, Reason, Runnable, Transfer};
use crate::tree;

/// Wakes whom the waker names. If that is a task that has nothing else to wait for, belongs to the executor that this thread
/// runs tasks of, and stands in no queue, the right to run it is returned instead of being queued.
pub(super) fn wake(waker: Waker, executor: &RawExecutor) -> Option<Transfer> {
    if !executor.hands_over() || !context::is_current_pool(executor.data()) {
        waker.wake();
        return None;
    }
    if ptr::eq(waker.vtable(), &raw const waker::VTABLE) {
        let header = NonNull::new(waker.data().cast_mut().cast::<TaskHeader>());
        let header = header.expect("a task's waker has its frame's address");
        // SAFETY: the waker holds a reference.
        let task = unsafe { RawTask::from_ptr(header) };
        if !executor.hands_over_to(task.executor()) {
            waker.wake();
            return None;
        }
        // Its reference goes with the transition.
        mem::forget(waker);
        return match task.state().transition_to_scheduled_by_value() {
            ToScheduled::Nothing => None,
            ToScheduled::Submit => Some(transfer(task)),
            ToScheduled::Free => {
                task.free();
                None
            }
        };
    }
    match tree::wake_without_scheduling(waker)? {
        root if root.executor() == Some(executor.data()) => root.claim(),
        root => {
            root.schedule();
            None
        }
    }
}

/// The right to run a task for the sake of frames that were woken, if it stands in no queue.
pub(super) fn claim_for_frames(task: RawTask) -> Option<Transfer> {
    match task.state().transition_to_scheduled_for_frames() {
        ToScheduled::Submit => Some(transfer(task)),
        ToScheduled::Nothing | ToScheduled::Free => None,
    }
}

/// Makes a transfer of a task that the caller has just scheduled.
fn transfer(task: RawTask) -> Transfer {
    // SAFETY: the caller made the transition that calls for a runnable, so this is the only one; a scheduled task stays alive.
    let runnable = unsafe { Runnable::from_raw(task.as_ptr().cast()) };
    Transfer::new(runnable, requeue)
}

/// Where a transfer goes that nobody takes.
fn requeue(runnable: Runnable) {
    let header = runnable.into_raw();
    // SAFETY: transfers are made of tasks' runnables; a scheduled task stays alive.
    let task = unsafe { RawTask::from_ptr(header.cast()) };
    task.submit(Reason::Yielded);
}
