//! Wakers that name a frame.
#![expect(unsafe_code, reason = "std's raw waker interface")]

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::raw::{FrameHeader, RawFrame};
use super::root::RootRef;
use crate::executor::Transfer;

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);

/// A waker lent for one poll; it holds no reference of its own.
#[derive(Debug)]
pub(super) struct WakerRef<'a> {
    waker: ManuallyDrop<Waker>,
    _frame: PhantomData<&'a RawFrame>,
}

impl<'a> WakerRef<'a> {
    /// Lends the waker of a frame that the caller polls.
    #[inline(always)]
    pub(super) fn new(frame: &'a RawFrame) -> Self {
        // SAFETY: the table's functions keep the contract of raw wakers. The reference that this waker should own is
        // not counted and, since the waker is never dropped, not released either.
        let waker = unsafe { Waker::from_raw(raw(*frame)) };
        Self { waker: ManuallyDrop::new(waker), _frame: PhantomData }
    }
}

impl Deref for WakerRef<'_> {
    type Target = Waker;

    #[inline(always)]
    fn deref(&self) -> &Waker {
        &self.waker
    }
}

/// A frame that was woken and pushed, whose root has yet to be scheduled.
#[must_use = "the root has to be scheduled, or claimed"]
#[derive(Debug)]
pub(crate) struct Roused(RawFrame);

impl Roused {
    /// The address of the root's executor, if control can be handed to the root.
    pub(crate) fn executor(&self) -> Option<NonNull<()>> {
        self.root().executor()
    }

    /// Schedules the root, and gives the right to run it to the caller if it stands in no queue.
    pub(crate) fn claim(self) -> Option<Transfer> {
        self.root().claim()
    }

    /// Schedules the root.
    pub(crate) fn schedule(self) {
        self.root().schedule();
    }

    fn root(&self) -> RootRef {
        self.0.tree().root
    }
}

impl Drop for Roused {
    fn drop(&mut self) {
        // Only now: whoever runs the frame may have let go of it, and of its root with it.
        self.0.release();
    }
}

/// Wakes, but leaves it to the caller to schedule the root, if the waker is a frame's and that is still to be done.
pub(crate) fn wake_without_scheduling(waker: Waker) -> Option<Roused> {
    if !ptr::eq(waker.vtable(), &raw const VTABLE) {
        waker.wake();
        return None;
    }
    let waker = ManuallyDrop::new(waker);
    // SAFETY: the waker is a frame's, and its reference is used up here.
    let frame = unsafe { frame(waker.data()) };
    frame.notify_by_value().then(|| Roused(frame))
}

/// Whether the waker names this frame.
#[inline(always)]
pub(super) fn is_of(waker: &Waker, frame: RawFrame) -> bool {
    ptr::eq(waker.data(), frame.as_ptr().cast()) && ptr::eq(waker.vtable(), &raw const VTABLE)
}

#[inline(always)]
fn raw(frame: RawFrame) -> RawWaker {
    RawWaker::new(frame.as_ptr().cast_const().cast(), &VTABLE)
}

/// Names the frame that a waker's data points to.
///
/// # Safety
///
/// `data` belongs to a waker of this module that is alive.
#[inline]
unsafe fn frame(data: *const ()) -> RawFrame {
    let header = data.cast_mut().cast::<FrameHeader>();
    // SAFETY: a waker's data is the address of a frame.
    let header = unsafe { NonNull::new_unchecked(header) };
    // SAFETY: the waker owns a reference, or is lent by the poll that keeps the frame.
    unsafe { RawFrame::from_ptr(header) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: called through a waker.
    let frame = unsafe { frame(data) };
    frame.retain();
    raw(frame)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: called through a waker, which is used up.
    unsafe { frame(data) }.wake_by_value();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: called through a waker.
    unsafe { frame(data) }.wake_by_ref();
}

unsafe fn drop(data: *const ()) {
    // SAFETY: called through a waker, which is used up.
    unsafe { frame(data) }.release();
}
