//! Tasks that have ended, and are complete only when tasks that they have left behind are gone.
#![expect(
    unsafe_code,
    reason = "the right to complete a task goes to whoever is the last one to let go of it"
)]

use std::cell::RefCell;
use std::mem;
use std::task::{Wake, Waker};

use super::group::Member;
use super::raw::RawTask;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};
use crate::primitive::sync::{Mutex, PlainArc};
use crate::primitive::thread::thread_local;
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
    members: Mutex<Vec<Member>>,
}

thread_local! {
    /// The tasks that are to be completed by a call further up on this stack, which is letting go of what a task was a member of; `None` if there is no
    /// such call.
    static DUE: RefCell<Option<Vec<PlainArc<Ending>>>> = const { RefCell::new(None) };
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
    let ending = PlainArc::new(Ending { task, complete, left, members: Mutex::new(members) });
    let waker = Waker::from(PlainArc::clone(&ending));
    for group in groups {
        if !group.wakes_at_end(&waker) {
            ending.count_down();
        }
    }
    drop(waker);
    ending.count_down();
}

impl Ending {
    fn count_down(self: &PlainArc<Self>) {
        // AcqRel: what members did before they went comes before the completion.
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            complete(PlainArc::clone(self));
        }
    }
}

/// Completes a task, whose count has just become zero, and those that wait for it alone, and so on: one after the other, however many they are.
fn complete(ending: PlainArc<Ending>) {
    let mut due = vec![ending];
    let is_left_to_another = DUE.try_with(|others| match &mut *others.borrow_mut() {
        Some(others) => {
            others.append(&mut due);
            true
        }
        None => false,
    });
    if is_left_to_another.unwrap_or(false) {
        return;
    }
    while let Some(ending) = due.pop() {
        // Its joiner may be anybody, and may wait for other tasks on this thread: these are completed further down on this stack.
        // SAFETY: nobody else has found that count, and so the right is this call's.
        unsafe { (ending.complete)(ending.task) };
        let members = mem::take(&mut *ending.members.lock());
        if !members.is_empty() {
            due.append(&mut collect(|| drop(members)));
        }
    }
}

/// The tasks that `f` makes the last count of zero, which unwinds no more than wakers do: not at all.
fn collect(f: impl FnOnce()) -> Vec<PlainArc<Ending>> {
    let _ = DUE.try_with(|due| due.replace(Some(Vec::new())));
    f();
    // Where the thread is about to end, and has no list any more, each has been completed further down on this stack.
    DUE.try_with(|due| due.replace(None)).ok().flatten().unwrap_or_default()
}

impl Wake for Ending {
    fn wake(self: PlainArc<Self>) {
        self.count_down();
    }

    fn wake_by_ref(self: &PlainArc<Self>) {
        self.count_down();
    }
}
