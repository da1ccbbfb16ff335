//! Frames from whichever allocator's window is open, and the way back to whoever made them.

#![expect(unsafe_code, reason = "hands out and takes back raw memory")]

use std::alloc::Layout;
use std::ptr::NonNull;

use super::{AllocError, AllocatorRef, EnterAllocator, Kind, current, foreign, free, try_alloc};
use crate::containment::contain_panic;

/// Who made a frame; its header keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The pool.
    Pool = 0,
    /// Another allocator, which the frame holds in front of itself.
    Foreign = 1,
}

/// Allocates from the allocator whose window is open on this thread, or from the pool.
///
/// What [`alloc`](super::alloc) says about the memory holds for any allocator's.
///
/// # Errors
///
/// If that allocator refuses; no other is tried.
///
/// # Panics
///
/// If that allocator's `allocate` does; nothing has been done then.
#[inline(always)]
pub(crate) fn alloc_scoped(layout: Layout, kind: Kind) -> Result<(NonNull<u8>, Origin), AllocError> {
    match current::current() {
        None => try_alloc(layout, kind).map(|frame| (frame, Origin::Pool)).ok_or(AllocError),
        Some(maker) => {
            // SAFETY: the window stays open for as long as this call lasts, and so does what it borrows.
            let maker = unsafe { maker.as_ref() };
            foreign::alloc(maker, layout, kind).map(|frame| (frame, Origin::Foreign))
        }
    }
}

/// Gives a frame back to who made it, on any thread. Foreign code's panics are contained.
///
/// # Safety
///
/// `ptr` and `origin` are what [`alloc_scoped`] returned for this layout and kind; otherwise as for [`free`](super::free).
#[inline(always)]
pub(crate) unsafe fn free_from(ptr: NonNull<u8>, layout: Layout, kind: Kind, origin: Origin) {
    match origin {
        // SAFETY: the caller's promise; it came from the pool.
        Origin::Pool => unsafe { free(ptr, layout, kind) },
        // SAFETY: the caller's promise; it came from a foreign allocator.
        Origin::Foreign => unsafe { foreign::free(ptr, layout, kind) },
    }
}

/// The allocator that made a frame, held by a count of its own; `None` is the pool. It may go with this: what its drop panics with ends
/// there.
#[derive(Debug)]
pub(crate) struct Maker(Option<AllocatorRef>);

impl Maker {
    pub(crate) fn get(&self) -> Option<&AllocatorRef> {
        self.0.as_ref()
    }
}

impl Drop for Maker {
    #[inline]
    fn drop(&mut self) {
        if let Some(maker) = self.0.take() {
            contain_panic(|| drop(maker));
        }
    }
}

/// The allocator that made a frame.
///
/// # Safety
///
/// `ptr` and `origin` are what [`alloc_scoped`] returned for this layout, and the frame is not freed yet.
pub(crate) unsafe fn allocator_of(ptr: NonNull<u8>, layout: Layout, origin: Origin) -> Maker {
    match origin {
        Origin::Pool => Maker(None),
        // SAFETY: the caller's promise; the borrow ends here.
        Origin::Foreign => Maker(Some(unsafe { foreign::maker(ptr, layout) }.clone())),
    }
}

/// Opens the window of a frame's maker, for a poll of it. Without a count: the frame holds its maker.
///
/// # Safety
///
/// `ptr` and `origin` are what [`alloc_scoped`] returned for this layout; the frame is not freed, nor the guard leaked, before
/// the guard is dropped, on this thread, and before any that was made earlier.
#[inline(always)]
pub(crate) unsafe fn enter_maker<'a>(ptr: NonNull<u8>, layout: Layout, origin: Origin) -> EnterAllocator<'a> {
    let maker = match origin {
        Origin::Pool => None,
        // SAFETY: the caller's promise: the frame is not freed before the guard is dropped.
        Origin::Foreign => Some(unsafe { foreign::maker(ptr, layout) }),
    };
    // SAFETY: the caller's promise.
    unsafe { EnterAllocator::new(maker) }
}
