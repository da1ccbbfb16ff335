//! How far a page has been carved into slots.

use crate::primitive::sync::atomic::{AtomicUsize, Ordering};

/// The end of the carved part of a page, as an offset from the page's base. It only grows.
#[derive(Debug)]
pub(super) struct CarveLimit {
    /// Values: offsets at slot boundaries. Written by the page's owner alone. Publishes the first word of every slot below
    /// it, which the owner initialises before it raises the limit.
    offset_bytes: AtomicUsize,
}

impl CarveLimit {
    /// Makes a limit at the offset of the first slot: nothing is carved.
    pub(super) fn new(offset_bytes: usize) -> Self {
        Self { offset_bytes: AtomicUsize::new(offset_bytes) }
    }

    /// The limit as its owner knows it.
    pub(super) fn owned(&self) -> usize {
        // Relaxed: the owner reads what it wrote itself; a new owner got the heap through the lock of `Parked`.
        self.offset_bytes.load(Ordering::Relaxed)
    }

    /// Raises the limit over slots whose first words are initialised. For the owner.
    pub(super) fn raise(&self, offset_bytes: usize) {
        // Release: partner is the Acquire in `observe`.
        self.offset_bytes.store(offset_bytes, Ordering::Release);
    }

    /// The limit as a scan sees it: the first word of every slot below it is initialised.
    pub(super) fn observe(&self) -> usize {
        // Acquire: partner is the Release in `raise`.
        self.offset_bytes.load(Ordering::Acquire)
    }
}
