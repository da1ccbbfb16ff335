//! A task as the root of a tree of frames.
#![expect(
    unsafe_code,
    reason = "the functions behind the root's table; the tree lies in a box that the task owns"
)]

use std::ops::Range;
use std::ptr::{self, NonNull};

use super::raw::RawTask;
use super::{Id, handover, waker};
use crate::executor::Transfer;
use crate::primitive::sync::atomic::{AtomicPtr, Ordering};
use crate::tree::{Current, RootRef, RootVtable, Tree};

static VTABLE: RootVtable = RootVtable {
    waker: &waker::VTABLE,
    is_thread_bound: false,
    id,
    tree,
    retain,
    release,
    executor,
    claim,
    schedule,
};

/// A run of a task, whose future lies at `body`. The caller runs the task.
#[inline]
pub(super) fn current(task: RawTask, body: Range<usize>) -> Current {
    // Relaxed: whoever runs the task sees what was written by those who ran it before.
    let tree = task.header().tree.load(Ordering::Relaxed);
    Current::new(root(task), body, tree)
}

#[inline]
fn root(task: RawTask) -> RootRef {
    // SAFETY: the task is run, or held by whoever asks; its frame's address is the data that the table is for.
    unsafe { RootRef::new(task.as_ptr().cast(), &VTABLE) }
}

/// Frees the tree of a task that is being freed.
///
/// # Safety
///
/// Nobody else refers to the task, and the tree is not freed twice.
pub(super) unsafe fn free_tree(tree: *const AtomicPtr<Tree>) {
    // SAFETY: the caller says that the task's header is still there.
    let tree = unsafe { &*tree }.load(Ordering::Relaxed);
    if !tree.is_null() {
        // SAFETY: it is from the box that `tree` made, and nobody refers to it.
        drop(unsafe { Box::from_raw(tree) });
    }
}

/// Names the task behind a root.
///
/// # Safety
///
/// The data is that of a root made by this module, which is held.
unsafe fn task(data: NonNull<()>) -> RawTask {
    // SAFETY: the data is the address of a task's frame, which is held.
    unsafe { RawTask::from_ptr(data.cast()) }
}

#[expect(clippy::unnecessary_wraps, reason = "other roots have none")]
unsafe fn id(data: NonNull<()>) -> Option<Id> {
    // SAFETY: called through a root.
    Some(unsafe { task(data) }.id())
}

unsafe fn tree(data: NonNull<()>) -> NonNull<Tree> {
    // SAFETY: called through a root.
    let task = unsafe { task(data) };
    let place = &task.header().tree;
    if let Some(tree) = NonNull::new(place.load(Ordering::Relaxed)) {
        return tree;
    }
    let tree = NonNull::from(Box::leak(Box::new(Tree::new(root(task)))));
    debug_assert!(ptr::eq(place.load(Ordering::Relaxed), ptr::null_mut()), "one thread runs the task");
    // Release: partner is the Acquire of whoever looks at the tree without running the task.
    place.store(tree.as_ptr(), Ordering::Release);
    tree
}

unsafe fn retain(data: NonNull<()>) {
    // SAFETY: called through a root.
    unsafe { task(data) }.state().ref_inc();
}

unsafe fn release(data: NonNull<()>) {
    // SAFETY: called through a root.
    unsafe { task(data) }.release();
}

unsafe fn schedule(data: NonNull<()>) {
    // SAFETY: called through a root.
    unsafe { task(data) }.schedule_frames();
}

#[expect(clippy::unnecessary_wraps, reason = "other roots have none")]
unsafe fn executor(data: NonNull<()>) -> Option<NonNull<()>> {
    // SAFETY: called through a root.
    Some(unsafe { task(data) }.executor_data())
}

unsafe fn claim(data: NonNull<()>) -> Option<Transfer> {
    // SAFETY: called through a root.
    handover::claim_for_frames(unsafe { task(data) })
}
