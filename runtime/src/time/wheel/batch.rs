//! Wakers on their way out of a lock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use crate::containment::discard_payload;

/// How many wakers a batch holds.
const CAPACITY: usize = 32;

/// A fixed number of wakers, collected under the wheel's lock and woken without it.
pub(crate) struct Batch {
    wakers: [Option<Waker>; CAPACITY],
    len: usize,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self { wakers: [const { None }; CAPACITY], len: 0 }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len == CAPACITY
    }

    /// Adds a waker to a batch that is not full.
    pub(crate) fn push(&mut self, waker: Waker) {
        self.wakers[self.len] = Some(waker);
        self.len += 1;
    }

    /// Wakes them all in order and returns how many there were.
    ///
    /// A waker that panics (a foreign one: ours do not) costs nobody else their wake.
    pub(crate) fn wake_all(&mut self) -> usize {
        let count = std::mem::take(&mut self.len);
        let mut wakers = self.wakers[..count].iter_mut().filter_map(Option::take);
        while let Err(payload) = catch_unwind(AssertUnwindSafe(|| wakers.by_ref().for_each(Waker::wake))) {
            discard_payload(payload);
        }
        count
    }
}
