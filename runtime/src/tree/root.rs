//! What stands at the root of a tree: a task, or a thread in `block_on`.
#![expect(unsafe_code, reason = "a hand-made virtual table: frames of every root share one pointer type")]

use std::ptr::NonNull;
use std::task::{RawWakerVTable, Waker};

use super::Tree;
use crate::executor::Transfer;
use crate::task::Id;

/// A borrowed root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RootRef {
    data: NonNull<()>,
    vtable: &'static RootVtable,
}

/// What a root can do.
#[derive(Debug)]
pub(crate) struct RootVtable {
    /// The table of the root's own waker, whose data is the root's.
    pub(crate) waker: &'static RawWakerVTable,
    /// Whether everything below the root is polled and dropped on one thread.
    pub(crate) is_thread_bound: bool,
    /// The task's id, if it is one.
    pub(crate) id: unsafe fn(NonNull<()>) -> Option<Id>,
    /// The root's tree, made if there is none. Called by whoever runs the root.
    pub(crate) tree: unsafe fn(NonNull<()>) -> NonNull<Tree>,
    /// Adds a reference to the root's memory.
    pub(crate) retain: unsafe fn(NonNull<()>),
    /// Releases one.
    pub(crate) release: unsafe fn(NonNull<()>),
    /// How many runs of the root have ended, if that is counted.
    pub(crate) polls: unsafe fn(NonNull<()>) -> u32,
    /// Whether the root may be run on another executor for a while.
    pub(crate) is_movable: unsafe fn(NonNull<()>) -> bool,
    /// The address of the executor that runs the root, if transfers to it make sense.
    pub(crate) executor: unsafe fn(NonNull<()>) -> Option<NonNull<()>>,
    /// As `schedule`, but gives the right to run the root to the caller, if it stands in no queue.
    pub(crate) claim: unsafe fn(NonNull<()>) -> Option<Transfer>,
    /// Has the root's tree run soon. The root's own future has not been woken by that.
    pub(crate) schedule: unsafe fn(NonNull<()>),
}

impl RootRef {
    /// Names the root behind `data`.
    ///
    /// # Safety
    ///
    /// As long as the value is used, the root is held by a reference, or run by the caller.
    #[inline]
    pub(crate) const unsafe fn new(data: NonNull<()>, vtable: &'static RootVtable) -> Self {
        Self { data, vtable }
    }

    #[inline]
    pub(super) fn is_waker(self, waker: &Waker) -> bool {
        waker.data() == self.data.as_ptr().cast_const() && std::ptr::eq(waker.vtable(), self.vtable.waker)
    }

    #[inline]
    pub(super) fn is_thread_bound(self) -> bool {
        self.vtable.is_thread_bound
    }

    pub(super) fn id(self) -> Option<Id> {
        // SAFETY: the table belongs to the data (see `new`), which is held.
        unsafe { (self.vtable.id)(self.data) }
    }

    pub(super) fn tree(self) -> NonNull<Tree> {
        // SAFETY: as above; callers run the root.
        unsafe { (self.vtable.tree)(self.data) }
    }

    pub(super) fn retain(self) {
        // SAFETY: the table belongs to the data (see `new`), which is held.
        unsafe { (self.vtable.retain)(self.data) }
    }

    pub(super) fn release(self) {
        // SAFETY: as above; the caller gives up a reference.
        unsafe { (self.vtable.release)(self.data) }
    }

    pub(super) fn schedule(self) {
        // SAFETY: the table belongs to the data (see `new`), which is held.
        unsafe { (self.vtable.schedule)(self.data) }
    }

    pub(super) fn polls(self) -> u32 {
        // SAFETY: as above.
        unsafe { (self.vtable.polls)(self.data) }
    }

    pub(super) fn is_movable(self) -> bool {
        // SAFETY: as above.
        unsafe { (self.vtable.is_movable)(self.data) }
    }

    pub(super) fn executor(self) -> Option<NonNull<()>> {
        // SAFETY: as above.
        unsafe { (self.vtable.executor)(self.data) }
    }

    pub(super) fn claim(self) -> Option<Transfer> {
        // SAFETY: as above.
        unsafe { (self.vtable.claim)(self.data) }
    }

    /// Wakes the root's own future.
    pub(super) fn wake(self) {
        // SAFETY: the table belongs to the data (see `new`), which is held; the waker is not dropped.
        let waker = std::mem::ManuallyDrop::new(unsafe { Waker::new(self.data.as_ptr(), self.vtable.waker) });
        waker.wake_by_ref();
    }
}
