//! Wakers that point to a task's frame.
#![expect(unsafe_code, reason = "std's raw waker interface")]

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::header::TaskHeader;
use super::raw::RawTask;

pub(super) static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);

/// A waker lent for one poll; it holds no reference of its own.
#[derive(Debug)]
pub(super) struct WakerRef<'a> {
    waker: ManuallyDrop<Waker>,
    _task: PhantomData<&'a RawTask>,
}

impl<'a> WakerRef<'a> {
    /// Lends the waker of a task that the caller runs.
    #[inline]
    pub(super) fn new(task: &'a RawTask) -> Self {
        // SAFETY: the table's functions keep the contract of raw wakers. The reference that this waker should own is
        // not counted and, since the waker is never dropped, not released either.
        let waker = unsafe { Waker::from_raw(raw(task.as_ptr())) };
        Self { waker: ManuallyDrop::new(waker), _task: PhantomData }
    }
}

impl Deref for WakerRef<'_> {
    type Target = Waker;

    #[inline]
    fn deref(&self) -> &Waker {
        &self.waker
    }
}

#[inline]
fn raw(task: NonNull<TaskHeader>) -> RawWaker {
    RawWaker::new(task.as_ptr().cast_const().cast(), &VTABLE)
}

/// Names the task that a waker's data points to.
///
/// # Safety
///
/// `data` belongs to a waker of this module that is alive.
#[inline]
unsafe fn task(data: *const ()) -> RawTask {
    let header = data.cast_mut().cast::<TaskHeader>();
    // SAFETY: a waker's data is the address of a frame.
    let header = unsafe { NonNull::new_unchecked(header) };
    // SAFETY: the waker owns a reference, or is lent by the run that keeps the frame.
    unsafe { RawTask::from_ptr(header) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: called through a waker.
    let task = unsafe { task(data) };
    task.state().ref_inc();
    raw(task.as_ptr())
}

unsafe fn wake(data: *const ()) {
    // SAFETY: called through a waker, which is used up.
    unsafe { task(data) }.wake_by_value();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: called through a waker.
    unsafe { task(data) }.wake_by_ref();
}

unsafe fn drop(data: *const ()) {
    // SAFETY: called through a waker, which is used up.
    unsafe { task(data) }.release();
}
