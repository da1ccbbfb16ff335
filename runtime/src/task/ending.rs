//! Tasks that have ended, and are complete only when tasks that they have left behind are gone.
#![expect(
    unsafe_code,
    reason = "the right to complete a task goes to whoever is the last one to let go of it"
)]

use std::task::{Context, Wake, Waker};

use super::group::Member;
use super::raw::RawTask;
use crate::primitive::sync::PlainArc;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};
use crate::tree::LeftBehind;

/// The right to complete a task, for as long as there is somebody to wait for. It is a waker, which each of these wakes once.
struct Ending {
    task: RawTask,
    /// Completes a task that is ending.
    complete: unsafe fn(RawTask),
    /// Values: for how many there is to wait, and one for whoever is still counting them. Whoever makes it zero completes the task; what the others
    /// did is published by that.
    left: AtomicUsize,
    /// What the task is a member of, until it is complete.
    _members: Vec<Member>,
}

// SAFETY: the right to complete a task that is ending may be used on any thread: neither its future nor its output is touched.
unsafe impl Send for Ending {}
// SAFETY: only one call uses the right: the one that finds the last of the count.
unsafe impl Sync for Ending {}

/// Completes a task when nobody is in these groups any more: now, or from wherever the last one goes.
///
/// # Safety
///
/// The caller runs the task, which is ending, and gives that up; `complete` may be called by whoever has that right.
pub(super) unsafe fn complete_after(task: RawTask, left: LeftBehind, complete: unsafe fn(RawTask)) {
    let LeftBehind { groups, members } = left;
    let left = AtomicUsize::new(groups.len() + 1);
    let ending = PlainArc::new(Ending { task, complete, left, _members: members });
    let waker = Waker::from(PlainArc::clone(&ending));
    for group in groups {
        if group.poll_end(&Context::from_waker(&waker)).is_ready() {
            ending.count_down();
        }
    }
    drop(waker);
    ending.count_down();
}

impl Ending {
    fn count_down(&self) {
        // AcqRel: what members did before they went comes before the completion.
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: nobody else finds that count, and so the right is this call's.
            unsafe { (self.complete)(self.task) }
        }
    }
}

impl Wake for Ending {
    fn wake(self: PlainArc<Self>) {
        self.count_down();
    }

    fn wake_by_ref(self: &PlainArc<Self>) {
        self.count_down();
    }
}
