//! The window in which frames come from another allocator than the pool.

#![expect(unsafe_code, reason = "a scoped thread-local pointer; a counted one would cost on every poll")]

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::AllocatorRef;

/// Runs `f`; frames that it makes on this thread come from `allocator`, also those of the calls that it makes.
///
/// The window is one of time, not of scope: it is closed when `f` returns or panics. An `async` block that `f` returns is not in it
/// when it is polled.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use tress::frame::{Arena, Box, with_allocator};
///
/// let arena = Arc::new(Arena::new(4096).unwrap());
/// let number = with_allocator(arena.clone(), || Box::new(7));
/// assert!(arena.used_bytes() > 0);
/// drop(number);
/// assert_eq!(arena.used_bytes(), 0);
/// ```
///
/// # Panics
///
/// If `f` does.
pub fn with_allocator<R>(allocator: impl Into<AllocatorRef>, f: impl FnOnce() -> R) -> R {
    let allocator = allocator.into();
    within(Some(&allocator), f)
}

/// Runs `f` in a window of `allocator`, or of the pool.
pub(crate) fn within<R>(allocator: Option<&AllocatorRef>, f: impl FnOnce() -> R) -> R {
    // SAFETY: the guard lives on this stack frame, and what it borrows outlives that.
    let _window = unsafe { EnterAllocator::new(allocator) };
    f()
}

/// A window that is open until the guard is dropped.
#[derive(Debug)]
pub(crate) struct EnterAllocator<'a> {
    outer: *const AllocatorRef,
    _borrow: PhantomData<&'a AllocatorRef>,
}

impl<'a> EnterAllocator<'a> {
    /// Opens a window of `allocator`, or, with `None`, one of the pool.
    ///
    /// # Safety
    ///
    /// The guard is dropped: on this thread, before `'a` ends, and before any guard that was made earlier.
    #[inline(always)]
    pub(crate) unsafe fn new(allocator: Option<&'a AllocatorRef>) -> Self {
        // The pool is "none", so that there is one case to look for.
        let new = allocator.filter(|allocator| !allocator.is_pool()).map_or(ptr::null(), ptr::from_ref);
        Self { outer: CURRENT.replace(new), _borrow: PhantomData }
    }
}

impl Drop for EnterAllocator<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        CURRENT.set(self.outer);
    }
}

/// Whether the window of another allocator than the pool is open.
#[inline(always)]
pub(crate) fn is_window_open() -> bool {
    !CURRENT.get().is_null()
}

/// The allocator whose window is open, if it is not the pool.
pub(crate) fn open_window() -> Option<AllocatorRef> {
    // SAFETY: null, or borrowed by a guard further up on this thread's stack.
    unsafe { CURRENT.get().as_ref() }.cloned()
}

/// Whose window is open; `None` is the pool's. Good until this thread closes the window.
#[inline(always)]
pub(super) fn current() -> Option<NonNull<AllocatorRef>> {
    NonNull::new(CURRENT.get().cast_mut())
}

// Std's, also under loom: no protocol depends on it, and no model opens a window.
std::thread_local! {
    /// Null, or an allocator that a guard further up on this thread's stack borrows.
    static CURRENT: Cell<*const AllocatorRef> = const { Cell::new(ptr::null()) };
}
