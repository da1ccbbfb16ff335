//! Cells that only the thread that runs a tree touches.
#![expect(unsafe_code, reason = "cells in memory that other threads hold too, which loom watches")]

use std::fmt;
use std::mem::MaybeUninit;

use crate::primitive::cell::UnsafeCell;

/// A plain value in a frame's header: read and written by whoever runs the tree, or has the frame alone.
///
/// Frames are reached through pointers that other threads have too, for their wakers' sake; those threads touch the
/// atomics only. Under loom every access is checked.
#[repr(transparent)]
pub(super) struct Owned<T>(UnsafeCell<T>);

/// The same, without a value until it is first set: a frame that is ready at once never sets most of its header.
#[repr(transparent)]
pub(super) struct Unset<T>(Owned<MaybeUninit<T>>);

impl<T: Copy> Owned<T> {
    #[inline(always)]
    pub(super) fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    #[inline(always)]
    pub(super) fn get(&self) -> T {
        // SAFETY: nobody else touches the cell (see the type), and no reference into it is ever made.
        self.0.with(|value| unsafe { *value })
    }

    #[inline(always)]
    pub(super) fn set(&self, value: T) {
        // SAFETY: as above.
        self.0.with_mut(|place| unsafe { *place = value });
    }
}

impl<T> Unset<T> {
    #[cfg(tress_loom)]
    pub(super) fn new() -> Self {
        Self(Owned(UnsafeCell::new(MaybeUninit::uninit())))
    }

    #[inline(always)]
    pub(super) fn set(&self, value: T) {
        // SAFETY: as that of `Owned`; who has a reference to what is there has promised that this is not called. It is not dropped.
        self.0.0.with_mut(|place| unsafe { *place = MaybeUninit::new(value) });
    }

    /// The value that was set last, where it is.
    ///
    /// # Safety
    ///
    /// It has been set, and is neither taken nor set again while the result is used.
    #[inline(always)]
    pub(super) unsafe fn get_ref(&self) -> &T {
        // SAFETY: the caller's promise.
        self.0.0.with(|place| unsafe { &*place.cast::<T>() })
    }

    /// Takes the value out.
    ///
    /// # Safety
    ///
    /// It has been set, and not been taken since.
    #[inline(always)]
    pub(super) unsafe fn take(&self) -> T {
        // SAFETY: the caller's promise.
        self.0.0.with(|place| unsafe { place.cast::<T>().read() })
    }
}

impl<T: Copy> Unset<T> {
    /// The value that was set last.
    ///
    /// # Safety
    ///
    /// It has been set.
    #[inline(always)]
    pub(super) unsafe fn get(&self) -> T {
        // SAFETY: the caller's promise.
        unsafe { self.0.get().assume_init() }
    }
}

impl<T> fmt::Debug for Owned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl<T> fmt::Debug for Unset<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}
