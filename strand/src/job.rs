//! A closure as a runnable.
#![expect(unsafe_code, reason = "a hand-made runnable: a closure and its head in one frame")]

use std::alloc::Layout;
use std::ptr::{self, NonNull};

use tress_runtime::executor::Runnable;
use tress_runtime::seam::{self, Header, RunnableVtable, Transfer};

use crate::primitive::atomic::{AtomicPtr, AtomicUsize};

/// A closure that waits to be called once.
///
/// `repr(C)`: the head comes first, so that its address is this one's.
#[repr(C)]
pub(crate) struct Job<F> {
    header: Header,
    closure: F,
}

impl<F: FnOnce() + Send + 'static> Job<F> {
    const LAYOUT: Layout = Layout::new::<Self>();
    const VTABLE: RunnableVtable = RunnableVtable { run: Self::run, cancel: Self::cancel };

    /// Something that calls the closure when it is run. Its panic goes no further, and it is dropped if nobody runs it.
    pub(crate) fn runnable(closure: F) -> Runnable {
        let header = Header {
            state: AtomicUsize::new(0),
            link: AtomicPtr::new(ptr::null_mut()),
            vtable: NonNull::from(const { &Self::VTABLE }),
        };
        let job = seam::alloc(Self::LAYOUT).cast::<Self>();
        // SAFETY: the memory is new, and fits.
        unsafe { job.write(Self { header, closure }) };
        // SAFETY: the head is the first field; it may be run on any thread, since the closure may be sent; and this is the only one.
        unsafe { Runnable::from_raw(job.cast()) }
    }

    /// Takes the closure out, and gives the memory back.
    ///
    /// # Safety
    ///
    /// The caller uses up the runnable.
    unsafe fn take(header: NonNull<Header>) -> F {
        let job = header.cast::<Self>();
        // SAFETY: the runnable is used up, so nobody looks at it again.
        let Self { closure, .. } = unsafe { job.read() };
        // SAFETY: it was allocated with this layout.
        unsafe { seam::free(job.cast(), Self::LAYOUT) };
        closure
    }

    unsafe fn run(header: NonNull<Header>) -> Option<Transfer> {
        // SAFETY: the runnable is used up.
        let closure = unsafe { Self::take(header) };
        seam::contain_panic(closure);
        None
    }

    unsafe fn cancel(header: NonNull<Header>) {
        // SAFETY: the runnable is used up.
        let closure = unsafe { Self::take(header) };
        seam::contain_panic(|| drop(closure));
    }
}
