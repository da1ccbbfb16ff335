//! A closure that is queued for an actor's state, and nobody waits for.
#![expect(unsafe_code, reason = "a hand-made runnable: a closure and its head in one frame")]

use std::alloc::Layout;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};

use tress_runtime::executor::Runnable;
use tress_runtime::seam::{self, Header, RunnableVtable, Transfer};

use super::core::Core;
use crate::primitive::atomic::{AtomicPtr, AtomicUsize};

/// `repr(C)`: the head comes first, so that its address is this one's.
#[repr(C)]
pub(super) struct Post<T, F> {
    header: Header,
    /// Where the state is. There for whoever runs or drops what is queued.
    core: NonNull<Core<T>>,
    closure: F,
}

impl<T: Send + 'static, F: FnOnce(&mut T) + Send + 'static> Post<T, F> {
    const LAYOUT: Layout = Layout::new::<Self>();
    const VTABLE: RunnableVtable = RunnableVtable { run: Self::run, cancel: Self::cancel };

    /// Something that calls the closure when it is run, which only that actor's core does.
    pub(super) fn runnable(core: &Core<T>, closure: F) -> Runnable {
        let header = Header {
            state: AtomicUsize::new(0),
            link: AtomicPtr::new(ptr::null_mut()),
            vtable: NonNull::from(const { &Self::VTABLE }),
        };
        let post = seam::alloc(Self::LAYOUT).cast::<Self>();
        // SAFETY: the memory is new, and fits.
        unsafe { post.write(Self { header, core: NonNull::from(core), closure }) };
        // SAFETY: the head is the first field; what it runs may be sent; and this is the only one.
        unsafe { Runnable::from_raw(post.cast()) }
    }

    /// Takes the closure out, and gives the memory back.
    ///
    /// # Safety
    ///
    /// The caller uses up the runnable, and keeps the core for `'a`.
    unsafe fn take<'a>(header: NonNull<Header>) -> (&'a Core<T>, F) {
        let post = header.cast::<Self>();
        // SAFETY: the runnable is used up, so nobody looks at it again.
        let Self { core, closure, .. } = unsafe { post.read() };
        // SAFETY: it was allocated for this layout.
        unsafe { seam::free(post.cast(), Self::LAYOUT) };
        // SAFETY: the caller's promise.
        let core = unsafe { core.as_ref() };
        core.stop_waiting();
        (core, closure)
    }

    unsafe fn run(header: NonNull<Header>) -> Option<Transfer> {
        // SAFETY: the runnable is used up, by somebody who has a reference to the core.
        let (core, closure) = unsafe { Self::take(header) };
        if core.is_poisoned() {
            seam::contain_panic(|| drop(closure));
            return None;
        }
        // SAFETY: whoever runs what is queued is the holder.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| unsafe { core.with_state(closure) })) {
            core.poison();
            seam::discard_payload(payload);
        }
        None
    }

    unsafe fn cancel(header: NonNull<Header>) {
        // SAFETY: the runnable is used up, by somebody who has a reference to the core.
        let (_core, closure) = unsafe { Self::take(header) };
        seam::contain_panic(|| drop(closure));
    }
}
