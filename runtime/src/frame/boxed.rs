//! An owned value in a frame of its own.

#![expect(unsafe_code, reason = "owns a value in raw memory")]

use std::alloc::Layout;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::{AllocError, Kind, Origin, alloc_scoped, free_from};

/// A value, most often a future, in memory of the current allocator: the pool, or the one whose
/// [window](super::with_allocator) is open.
///
/// It is to the pool what std's `Box` is to the global allocator, for sized types. Dropping it anywhere gives the memory back to the
/// allocator that it came from.
///
/// # Examples
///
/// A list of futures without a trip to the global allocator for each:
///
/// ```
/// use std::pin::Pin;
/// use tress::frame;
///
/// async fn double(number: u32) -> u32 {
///     number * 2
/// }
///
/// # tress::Runtime::new().unwrap().block_on(async {
/// let futures: Vec<Pin<frame::Box<_>>> = (0..10).map(|n| frame::Box::pin(double(n))).collect();
/// let mut sum = 0;
/// for future in futures {
///     sum += future.await;
/// }
/// assert_eq!(sum, 90);
/// # });
/// ```
pub struct Box<T> {
    /// What `alloc_scoped` returned, with its provenance: freeing needs more than the value's bytes.
    value: NonNull<T>,
    origin: Origin,
    _owns: PhantomData<T>,
}

impl<T> Box<T> {
    const LAYOUT: Layout = Layout::new::<T>();

    /// Moves a value into a frame.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut number = tress::frame::Box::new(7);
    /// *number += 1;
    /// assert_eq!(*number, 8);
    /// ```
    ///
    /// # Panics
    ///
    /// If the current allocator refuses or panics; see [`try_new`](Self::try_new).
    #[inline]
    #[must_use]
    pub fn new(value: T) -> Self {
        Self::try_new(value).expect("the current allocator refused a frame")
    }

    /// Moves a value into a frame, if there is memory for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tress::frame::{AllocError, Arena, Box, with_allocator};
    ///
    /// let arena = Arc::new(Arena::new(1024).unwrap());
    /// with_allocator(arena, || {
    ///     assert!(Box::try_new([0u8; 100]).is_ok());
    ///     assert_eq!(Box::try_new([0u8; 2000]).map(drop), Err(AllocError));
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// If the current allocator refuses; the value is dropped.
    ///
    /// # Panics
    ///
    /// If the current allocator's `allocate` does; the value is dropped.
    #[inline]
    pub fn try_new(value: T) -> Result<Self, AllocError> {
        let (frame, origin) = alloc_scoped(Self::LAYOUT, Kind::Raw)?;
        let frame = frame.cast::<T>();
        // SAFETY: the frame has the value's layout and is this box's alone.
        unsafe { frame.write(value) };
        Ok(Self { value: frame, origin, _owns: PhantomData })
    }

    /// Moves a value into a frame in which it stays.
    ///
    /// # Examples
    ///
    /// ```
    /// # tress::Runtime::new().unwrap().block_on(async {
    /// let future = tress::frame::Box::pin(async { 7 });
    /// assert_eq!(future.await, 7);
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    #[inline]
    #[must_use]
    pub fn pin(value: T) -> Pin<Self> {
        Self::into_pin(Self::new(value))
    }

    /// Moves a value into a frame in which it stays, if there is memory for it.
    ///
    /// # Examples
    ///
    /// ```
    /// # tress::Runtime::new().unwrap().block_on(async {
    /// let future = tress::frame::Box::try_pin(async { 7 })?;
    /// assert_eq!(future.await, 7);
    /// # Ok::<(), tress::frame::AllocError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_new`](Self::try_new).
    ///
    /// # Panics
    ///
    /// As [`try_new`](Self::try_new).
    #[inline]
    pub fn try_pin(value: T) -> Result<Pin<Self>, AllocError> {
        Self::try_new(value).map(Self::into_pin)
    }

    /// Pins the value where it is. A function, not a method, as with std's `Box`.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::frame::Box;
    ///
    /// let pinned = Box::into_pin(Box::new(7));
    /// assert_eq!(*pinned, 7);
    /// ```
    #[inline]
    #[must_use]
    pub fn into_pin(boxed: Self) -> Pin<Self> {
        // SAFETY: the value lies in memory that the box owns and that is neither moved with it nor freed before the value is dropped
        // in place. Nothing takes the value out of a box, and `deref`, `deref_mut` and `drop` do not move it.
        unsafe { Pin::new_unchecked(boxed) }
    }
}

impl<T> Deref for Box<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value is there until the box is dropped, and borrowing the box is borrowing it.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for Box<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the box is borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

impl<T> Drop for Box<T> {
    #[inline]
    fn drop(&mut self) {
        /// Frees the frame, also if the value's drop panics.
        struct Free<T>(NonNull<T>, Origin);
        impl<T> Drop for Free<T> {
            #[inline]
            fn drop(&mut self) {
                // SAFETY: it came from `alloc_scoped` with this layout, kind and origin, and its box is being dropped.
                unsafe { free_from(self.0.cast(), Box::<T>::LAYOUT, Kind::Raw, self.1) };
            }
        }
        let _free = Free(self.value, self.origin);
        // SAFETY: the value is there, and nobody uses it after this.
        unsafe { self.value.drop_in_place() };
    }
}

impl<F: Future + Unpin> Future for Box<F> {
    type Output = F::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(&mut **self).poll(context)
    }
}

// Moving the box does not move the value.
impl<T> Unpin for Box<T> {}

// SAFETY: the box owns its value, and its frame may be freed on any thread.
unsafe impl<T: Send> Send for Box<T> {}

// SAFETY: a shared box gives shared access to its value only.
unsafe impl<T: Sync> Sync for Box<T> {}

impl<T: fmt::Debug> fmt::Debug for Box<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Box<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
