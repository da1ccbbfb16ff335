//! The pool as an allocator like others.

#![expect(unsafe_code, reason = "implements an unsafe trait")]

use std::alloc::Layout;
use std::ptr::NonNull;

use super::{AllocError, FrameAllocator, Kind, free, try_alloc};

/// The frame pool: the source of all frames unless another allocator is chosen.
///
/// Each thread allocates from a heap of its own; what is freed on another thread goes home in batches.
///
/// # Examples
///
/// ```
/// use std::alloc::Layout;
/// use tress::frame::{FrameAllocator, Pool};
///
/// let layout = Layout::from_size_align(100, 8)?;
/// let memory = Pool.allocate(layout)?;
/// // SAFETY: it came from this allocator with this layout, and is given back once.
/// unsafe { Pool.deallocate(memory, layout) };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pool;

// SAFETY: a slot is handed out to one user at a time, with its layout's size and alignment; slots are freed on any thread; there is no
// value that could be moved or dropped.
unsafe impl FrameAllocator for Pool {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        try_alloc(layout, Kind::Raw).ok_or(AllocError)
    }

    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller says that it came from `allocate` with this layout, and is given back once.
        unsafe { free(ptr, layout, Kind::Raw) };
    }
}
