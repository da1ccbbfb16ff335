//! An allocator that counts, for tests.

#![expect(unsafe_code, reason = "implements an unsafe trait")]

use std::alloc::Layout;
use std::ptr::NonNull;

use super::{AllocError, FrameAllocator};
use crate::primitive::sync::PlainAtomicUsize;
use crate::primitive::sync::atomic::Ordering;

/// Counts what another allocator does.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use tress::frame::{Box, Counting, Pool, with_allocator};
///
/// let counting = Arc::new(Counting::new(Pool));
/// let number = with_allocator(counting.clone(), || Box::new(7));
/// assert_eq!((counting.allocated(), counting.live()), (1, 1));
/// drop(number);
/// assert_eq!((counting.allocated(), counting.live(), counting.live_bytes()), (1, 0, 0));
/// ```
#[derive(Debug, Default)]
pub struct Counting<A> {
    inner: A,
    /// Values: allocations ever made. Written by whoever allocates. Publishes nothing, as do the others.
    allocated: PlainAtomicUsize,
    /// Values: allocations ever refused. Written by whoever allocates.
    refused: PlainAtomicUsize,
    /// Values: allocations ever given back. Written by whoever gives back.
    freed: PlainAtomicUsize,
    /// Values: bytes in use. Written by whoever allocates or gives back.
    live_bytes: PlainAtomicUsize,
}

impl<A> Counting<A> {
    /// Counts what `inner` does.
    pub const fn new(inner: A) -> Self {
        Self {
            inner,
            allocated: PlainAtomicUsize::new(0),
            refused: PlainAtomicUsize::new(0),
            freed: PlainAtomicUsize::new(0),
            live_bytes: PlainAtomicUsize::new(0),
        }
    }

    /// The allocator that does the work.
    pub fn inner(&self) -> &A {
        &self.inner
    }

    /// How many allocations there were, not counting those that were refused.
    pub fn allocated(&self) -> usize {
        self.allocated.load(Ordering::Relaxed)
    }

    /// How many allocations were refused.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many allocations are in use.
    pub fn live(&self) -> usize {
        // In this order: what is freed meanwhile may have been allocated meanwhile too.
        let freed = self.freed.load(Ordering::Relaxed);
        self.allocated().saturating_sub(freed)
    }

    /// How many bytes are in use, as they were asked for: a frame's, with what it carries to find its maker.
    pub fn live_bytes(&self) -> usize {
        self.live_bytes.load(Ordering::Relaxed)
    }
}

// SAFETY: the inner allocator keeps the promises.
unsafe impl<A: FrameAllocator> FrameAllocator for Counting<A> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let result = self.inner.allocate(layout);
        if result.is_ok() {
            self.allocated.fetch_add(1, Ordering::Relaxed);
            self.live_bytes.fetch_add(layout.size(), Ordering::Relaxed);
        } else {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        self.freed.fetch_add(1, Ordering::Relaxed);
        self.live_bytes.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise; the memory came from the inner allocator.
        unsafe { self.inner.deallocate(ptr, layout) };
    }
}
