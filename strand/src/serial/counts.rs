//! What a serial executor counts of itself.

use tress_runtime::seam::primitive::{PlainAtomicU32, PlainAtomicU64};

use crate::primitive::atomic::Ordering;

/// Figures, each written by the holder alone, without a read-modify-write, and read by anybody, `Relaxed`: they publish nothing, so that
/// models need not see them.
#[derive(Debug)]
pub(super) struct Counts {
    /// Items whose turn has come in a drain.
    items: PlainAtomicU64,
    /// Drains that have begun.
    turns: PlainAtomicU64,
    /// The length of the local list.
    depth: PlainAtomicU32,
    /// The largest one.
    max_depth: PlainAtomicU32,
}

impl Counts {
    pub(super) const fn new() -> Self {
        Self {
            items: PlainAtomicU64::new(0),
            turns: PlainAtomicU64::new(0),
            depth: PlainAtomicU32::new(0),
            max_depth: PlainAtomicU32::new(0),
        }
    }

    /// So many items have been put on the local list.
    #[inline]
    pub(super) fn queued(&self, items: u32) {
        let depth = self.depth.load(Ordering::Relaxed).saturating_add(items);
        self.depth.store(depth, Ordering::Relaxed);
        if depth > self.max_depth.load(Ordering::Relaxed) {
            self.max_depth.store(depth, Ordering::Relaxed);
        }
    }

    /// One has been taken from it.
    #[inline]
    pub(super) fn taken(&self) {
        self.depth.store(self.depth.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
    }

    /// The turn of one that has been taken has come.
    #[inline]
    pub(super) fn item(&self) {
        self.items.store(self.items.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    pub(super) fn turn(&self) {
        self.turns.store(self.turns.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Items, turns, depth and the largest depth.
    pub(super) fn read(&self) -> (u64, u64, u32, u32) {
        (
            self.items.load(Ordering::Relaxed),
            self.turns.load(Ordering::Relaxed),
            self.depth.load(Ordering::Relaxed),
            self.max_depth.load(Ordering::Relaxed),
        )
    }
}
