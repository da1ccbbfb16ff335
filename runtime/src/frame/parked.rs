//! Heaps whose threads have exited.

use std::ptr::NonNull;

use crate::primitive::sync::Mutex;

/// The heaps that no thread owns. Remote frees reach them as before; the next thread that needs a heap adopts one whole.
///
/// Its lock is what hands everything that a heap's owner alone may touch from one thread to the next.
#[derive(Debug)]
pub(super) struct Parked<H>(Mutex<Vec<Orphan<H>>>);

impl<H> Parked<H> {
    /// Makes an empty list.
    #[cfg(not(tress_loom))]
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Makes an empty list.
    #[cfg(tress_loom)]
    pub(super) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Gives a heap up. The caller owned it and does not touch it as an owner any more.
    pub(super) fn park(&self, heap: NonNull<H>) {
        self.0.lock().push(Orphan(heap));
    }

    /// Takes a heap over; the caller is its owner now.
    pub(super) fn adopt(&self) -> Option<NonNull<H>> {
        self.0.lock().pop().map(|orphan| orphan.0)
    }
}

#[derive(Debug)]
struct Orphan<H>(NonNull<H>);

#[expect(unsafe_code, reason = "a parked heap changes threads")]
// SAFETY: a parked heap has no owner; whoever takes it out of the list, under its lock, becomes the only one.
unsafe impl<H> Send for Orphan<H> {}
