//! A cell that only the thread that runs a tree touches.
#![expect(unsafe_code, reason = "a cell in memory that other threads hold too, which loom watches")]

use std::fmt;

use crate::primitive::cell::UnsafeCell;

/// A plain value in a frame's header: read and written by whoever runs the tree, or has the frame alone.
///
/// Frames are reached through pointers that other threads have too, for their wakers' sake; those threads touch the
/// atomics only. Under loom every access is checked.
pub(super) struct Owned<T>(UnsafeCell<T>);

impl<T: Copy> Owned<T> {
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

impl<T> fmt::Debug for Owned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}
