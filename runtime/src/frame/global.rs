//! The global allocator as a source of frames.

#![expect(unsafe_code, reason = "calls the global allocator")]

use std::alloc::Layout;
use std::ptr::NonNull;

use super::{AllocError, FrameAllocator};

/// The program's global allocator.
///
/// # Examples
///
/// ```
/// use tress::frame::{Box, Global, with_allocator};
///
/// let number = with_allocator(&Global, || Box::new(7));
/// assert_eq!(*number, 7);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Global;

// SAFETY: the global allocator makes the same promises, for sizes above 0.
unsafe impl FrameAllocator for Global {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        // SAFETY: the size is not 0.
        NonNull::new(unsafe { std::alloc::alloc(sized(layout)) }).ok_or(AllocError)
    }

    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller says that it came from `allocate` with this layout, and is given back once.
        unsafe { std::alloc::dealloc(ptr.as_ptr(), sized(layout)) };
    }
}

/// The layout with at least one byte.
fn sized(layout: Layout) -> Layout {
    Layout::from_size_align(layout.size().max(1), layout.align()).expect("a byte fits where nothing does")
}
