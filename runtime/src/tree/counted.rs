//! An atomic word that counts what it costs, for a test of the promise that says how often a frame's is changed.

use std::cell::Cell;

use crate::primitive::sync::atomic::{AtomicUsize as Word, Ordering};

thread_local! {
    static CHANGES: Cell<u64> = const { Cell::new(0) };
}

/// How many read-modify-writes this thread has made of words of this kind.
pub(super) fn changes() -> u64 {
    CHANGES.get()
}

/// The part of std's type that a frame's state needs.
#[repr(transparent)]
pub(super) struct AtomicUsize(Word);

impl AtomicUsize {
    pub(super) fn new(value: usize) -> Self {
        Self(Word::new(value))
    }

    pub(super) fn load(&self, ordering: Ordering) -> usize {
        self.0.load(ordering)
    }

    pub(super) fn store(&self, value: usize, ordering: Ordering) {
        self.0.store(value, ordering);
    }

    pub(super) fn fetch_and(&self, mask: usize, ordering: Ordering) -> usize {
        self.changed().fetch_and(mask, ordering)
    }

    pub(super) fn fetch_or(&self, mask: usize, ordering: Ordering) -> usize {
        self.changed().fetch_or(mask, ordering)
    }

    pub(super) fn fetch_add(&self, value: usize, ordering: Ordering) -> usize {
        self.changed().fetch_add(value, ordering)
    }

    pub(super) fn fetch_sub(&self, value: usize, ordering: Ordering) -> usize {
        self.changed().fetch_sub(value, ordering)
    }

    pub(super) fn compare_exchange_weak(
        &self,
        current: usize,
        new: usize,
        success: Ordering,
        failure: Ordering,
    ) -> Result<usize, usize> {
        self.changed().compare_exchange_weak(current, new, success, failure)
    }

    fn changed(&self) -> &Word {
        CHANGES.set(CHANGES.get() + 1);
        &self.0
    }
}
