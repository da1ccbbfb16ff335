//! The seam to other sources of memory: the trait, its error, and how a frame holds who made it.

#![expect(unsafe_code, reason = "declares an unsafe trait and passes its calls on")]

use std::alloc::Layout;
use std::error::Error;
use std::fmt;
use std::ptr::NonNull;

use super::Pool;
use crate::primitive::sync::PlainArc;

/// Where the memory of frames comes from.
///
/// It is chosen for a window of time with [`with_allocator`](super::with_allocator). Each frame holds the allocator that made it, which
/// so outlives its frames, and gives its memory back to it, on whatever thread that happens.
///
/// # Safety
///
/// Who implements it promises that
///
/// - memory that [`allocate`](Self::allocate) returned has the layout's size and alignment, belongs to the caller alone, and stays
///   until it is given to [`deallocate`](Self::deallocate) of the same allocator, also if the allocator is moved, and also if it is
///   dropped, unless by the last of those who hold it;
/// - any thread may call either, at any time, and memory may be given back on another thread than it was asked for on.
///
/// No promise is asked for about panics: one of `allocate` reaches who wanted the memory, one of `deallocate` is contained.
///
/// # Examples
///
/// ```
/// use std::alloc::Layout;
/// use std::ptr::NonNull;
///
/// use tress::frame::{AllocError, FrameAllocator, Global};
///
/// /// Refuses what is larger than a page.
/// struct Small;
///
/// // SAFETY: the memory is that of `Global`, which keeps the promises.
/// unsafe impl FrameAllocator for Small {
///     fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
///         if layout.size() > 4096 { Err(AllocError) } else { Global.allocate(layout) }
///     }
///
///     unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
///         // SAFETY: the caller promises what `Global` asks for.
///         unsafe { Global.deallocate(ptr, layout) }
///     }
/// }
///
/// assert!(Small.allocate(Layout::new::<[u8; 5000]>()).is_err());
/// ```
pub unsafe trait FrameAllocator: Send + Sync {
    /// Allocates memory for `layout`, whose size may be 0.
    ///
    /// Frames that are made meanwhile on this thread come from the pool: an allocator may use frames itself.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if there is none to be had. Nothing else is tried then: who wanted a frame gets the error.
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, AllocError>;

    /// Takes memory back. A panic is contained.
    ///
    /// # Safety
    ///
    /// This allocator returned `ptr` for the same `layout`, it has not been given back since, and nobody uses it any more.
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout);
}

/// An allocator has no memory for a frame.
///
/// # Examples
///
/// ```
/// use tress::frame::{Arena, Box, with_allocator};
/// use std::sync::Arc;
///
/// let arena = Arc::new(Arena::new(64).unwrap());
/// let refused = with_allocator(arena, || Box::try_new([0u8; 1000]).map(drop));
/// assert_eq!(refused.unwrap_err().to_string(), "the allocator has no memory for a frame");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllocError;

impl fmt::Display for AllocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the allocator has no memory for a frame")
    }
}

impl Error for AllocError {}

/// An allocator as a frame holds it: shared, for ever, or the pool.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use tress::frame::{AllocatorRef, Arena, Global, Pool};
///
/// static GLOBAL: Global = Global;
///
/// let shared: AllocatorRef = Arc::new(Arena::new(4096).unwrap()).into();
/// let for_ever: AllocatorRef = (&GLOBAL).into();
/// let pool: AllocatorRef = Pool.into();
/// assert!(pool.is_pool() && !shared.is_pool() && !for_ever.is_pool());
/// ```
#[derive(Clone)]
pub struct AllocatorRef(Inner);

#[derive(Clone)]
enum Inner {
    Pool,
    Static(&'static dyn FrameAllocator),
    Shared(PlainArc<dyn FrameAllocator>),
}

impl AllocatorRef {
    /// Whether this is the pool, whose frames have no need to hold it.
    #[must_use]
    pub fn is_pool(&self) -> bool {
        matches!(self.0, Inner::Pool)
    }

    /// Calls [`FrameAllocator::allocate`].
    pub(super) fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        match &self.0 {
            Inner::Pool => Pool.allocate(layout),
            Inner::Static(allocator) => allocator.allocate(layout),
            Inner::Shared(allocator) => allocator.allocate(layout),
        }
    }

    /// Calls [`FrameAllocator::deallocate`].
    ///
    /// # Safety
    ///
    /// That of [`FrameAllocator::deallocate`].
    pub(super) unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        match &self.0 {
            // SAFETY: the caller's promise.
            Inner::Pool => unsafe { Pool.deallocate(ptr, layout) },
            // SAFETY: the caller's promise.
            Inner::Static(allocator) => unsafe { allocator.deallocate(ptr, layout) },
            // SAFETY: the caller's promise.
            Inner::Shared(allocator) => unsafe { allocator.deallocate(ptr, layout) },
        }
    }
}

impl fmt::Debug for AllocatorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Inner::Pool => "AllocatorRef::Pool",
            Inner::Static(_) => "AllocatorRef::Static(..)",
            Inner::Shared(_) => "AllocatorRef::Shared(..)",
        })
    }
}

impl From<Pool> for AllocatorRef {
    fn from(_pool: Pool) -> Self {
        Self(Inner::Pool)
    }
}

impl<A: FrameAllocator> From<&'static A> for AllocatorRef {
    fn from(allocator: &'static A) -> Self {
        Self(Inner::Static(allocator))
    }
}

impl From<&'static dyn FrameAllocator> for AllocatorRef {
    fn from(allocator: &'static dyn FrameAllocator) -> Self {
        Self(Inner::Static(allocator))
    }
}

impl<A: FrameAllocator + 'static> From<PlainArc<A>> for AllocatorRef {
    fn from(allocator: PlainArc<A>) -> Self {
        Self(Inner::Shared(allocator))
    }
}

impl From<PlainArc<dyn FrameAllocator>> for AllocatorRef {
    fn from(allocator: PlainArc<dyn FrameAllocator>) -> Self {
        Self(Inner::Shared(allocator))
    }
}
