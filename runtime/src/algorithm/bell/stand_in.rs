//! Children as wakers under `--cfg tress_loom`: std makes them of its own `Arc` only, whose count loom does not see.
#![expect(unsafe_code, reason = "a waker that is made by hand")]

use std::mem::ManuallyDrop;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::Node;
use crate::primitive::sync::Arc;

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

pub(super) fn waker(node: Arc<Node>) -> Waker {
    // SAFETY: the waker owns a reference, as the functions of the table expect.
    unsafe { Waker::from_raw(RawWaker::new(Arc::into_raw(node).cast(), &VTABLE)) }
}

/// The reference that a waker owns.
///
/// # Safety
///
/// It is that of a waker which is there, and is given up only with the waker.
unsafe fn reference(data: *const ()) -> ManuallyDrop<Arc<Node>> {
    // SAFETY: a waker's data comes from `waker` or `clone`.
    ManuallyDrop::new(unsafe { Arc::from_raw(data.cast()) })
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker is there.
    let node = unsafe { reference(data) };
    RawWaker::new(Arc::into_raw(Arc::clone(&node)).cast(), &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: the waker is used up.
    ManuallyDrop::into_inner(unsafe { reference(data) }).ring();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the waker is there.
    unsafe { reference(data) }.ring();
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: the waker goes.
    drop(ManuallyDrop::into_inner(unsafe { reference(data) }));
}
