//! A task as the root of a tree of frames.
#![expect(
    unsafe_code,
    reason = "the functions behind the root's table; the tree lies in memory of its own that the task owns"
)]

use std::alloc::Layout;
use std::ops::Range;
use std::ptr::{self, NonNull};

use super::annex::{Annex, Particulars};
use super::raw::RawTask;
use super::{Id, handover, waker};
use crate::executor::Transfer;
use crate::frame::{self, Kind};
use crate::primitive::sync::atomic::{AtomicPtr, Ordering};
use crate::tree::{Current, LeftBehind, RootRef, RootVtable, Tree};

static VTABLE: RootVtable = RootVtable {
    waker: &waker::VTABLE,
    is_thread_bound: false,
    id,
    tree,
    retain,
    release,
    polls,
    is_movable,
    executor,
    claim,
    schedule,
};

/// A run of a task, whose future lies at `body`. The caller runs the task.
#[inline]
pub(super) fn current(task: RawTask, body: Range<usize>) -> Current {
    // Relaxed: whoever runs the task sees what was written by those who ran it before.
    let annex = task.header().annex.load(Ordering::Relaxed);
    // An annex begins with its tree.
    Current::new(root(task), body, annex.cast_const().cast())
}

/// The annex, for somebody who holds a reference to the task.
pub(super) fn annex(task: &RawTask) -> Option<&Annex> {
    // Acquire: partner is the Release in `put`.
    let annex = task.header().annex.load(Ordering::Acquire);
    // SAFETY: null, or the task's annex, which stays until the task is freed.
    unsafe { annex.as_ref() }
}

/// Keeps what is known of a task that nobody has run yet.
pub(super) fn annotate(task: RawTask, particulars: Particulars) {
    let is_measured = particulars.is_measured;
    put(task, Annex::new(root(task), Some(particulars)));
    if is_measured {
        task.state().transition_to_measured();
    }
}

/// Whether somebody in the task wants it to be elsewhere. The caller runs it, or has just done so and is about to hand it on.
#[inline(always)]
pub(super) fn has_asks(task: RawTask) -> bool {
    // Relaxed: as in `current`.
    let annex = task.header().annex.load(Ordering::Relaxed);
    // SAFETY: null, or the task's annex, which stays until the task is freed.
    unsafe { annex.as_ref() }.is_some_and(|annex| !annex.tree.asks().is_empty())
}

/// Whom the task, whose future is gone, has to wait for before it is complete. The caller runs it.
#[inline(always)]
pub(super) fn take_outlived(task: RawTask) -> Option<LeftBehind> {
    // Relaxed: as in `current`.
    let annex = task.header().annex.load(Ordering::Relaxed);
    // SAFETY: null, or the task's annex, which stays until the task is freed.
    unsafe { annex.as_ref() }.and_then(|annex| annex.tree.take_outlived())
}

fn put(task: RawTask, annex: Annex) -> NonNull<Annex> {
    let memory = frame::alloc(ANNEX_LAYOUT, Kind::Raw).cast::<Annex>();
    // SAFETY: it has an annex's layout, and is this annex's alone.
    unsafe { memory.write(annex) };
    let place = &task.header().annex;
    debug_assert!(ptr::eq(place.load(Ordering::Relaxed), ptr::null_mut()), "one thread runs the task");
    // Release: partner is the Acquire of whoever looks at the annex without running the task.
    place.store(memory.as_ptr(), Ordering::Release);
    memory
}

#[inline]
fn root(task: RawTask) -> RootRef {
    // SAFETY: the task is run, or held by whoever asks; its frame's address is the data that the table is for.
    unsafe { RootRef::new(task.as_ptr().cast(), &VTABLE) }
}

/// Frees the annex of a task that is being freed.
///
/// # Safety
///
/// Nobody else refers to the task, and the annex is not freed twice.
#[inline]
pub(super) unsafe fn free_annex(annex: *const AtomicPtr<Annex>) {
    // SAFETY: the caller says that the task's header is still there.
    let annex = unsafe { &*annex }.load(Ordering::Relaxed);
    if let Some(annex) = NonNull::new(annex) {
        // SAFETY: `put` made it, and nobody refers to it.
        unsafe { drop_annex(annex) };
    }
}

/// Drops an annex and frees its memory.
///
/// # Safety
///
/// `put` made it; nobody refers to it, nor does so again.
#[cold]
unsafe fn drop_annex(annex: NonNull<Annex>) {
    // SAFETY: the caller's promise. Nothing in it is a user's, so that this does not panic.
    unsafe { annex.drop_in_place() };
    // SAFETY: `put` has it from `alloc`, with this layout and kind, and as this pointer.
    unsafe { frame::free(annex.cast(), ANNEX_LAYOUT, Kind::Raw) };
}

const ANNEX_LAYOUT: Layout = Layout::new::<Annex>();

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
    let annex = NonNull::new(task.header().annex.load(Ordering::Relaxed));
    let annex = annex.unwrap_or_else(|| put(task, Annex::new(root(task), None)));
    // An annex begins with its tree.
    annex.cast()
}

unsafe fn retain(data: NonNull<()>) {
    // SAFETY: called through a root.
    unsafe { task(data) }.state().ref_inc();
}

unsafe fn release(data: NonNull<()>) {
    // SAFETY: called through a root.
    unsafe { task(data) }.release();
}

unsafe fn polls(data: NonNull<()>) -> u32 {
    // SAFETY: called through a root.
    unsafe { task(data) }.polls()
}

unsafe fn schedule(data: NonNull<()>) {
    // SAFETY: called through a root.
    unsafe { task(data) }.schedule_frames();
}

unsafe fn executor(data: NonNull<()>) -> Option<NonNull<()>> {
    // SAFETY: called through a root.
    let task = unsafe { task(data) };
    task.executor().hands_over().then(|| task.executor_data())
}

unsafe fn is_movable(data: NonNull<()>) -> bool {
    // SAFETY: called through a root.
    let task = unsafe { task(data) };
    // A call that blocks has its thread.
    !task.is_bound() && (task.is_placed() || task.executor().hands_over())
}

unsafe fn claim(data: NonNull<()>) -> Option<Transfer> {
    // SAFETY: called through a root.
    handover::claim_for_frames(unsafe { task(data) })
}
