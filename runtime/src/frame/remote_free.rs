//! The way home of slots that were freed on another thread: batches, and the list that they are pushed to.

#![expect(unsafe_code, reason = "links free slots through their own memory")]

use std::ptr::{self, NonNull};

use super::slot::Slot;
use crate::primitive::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Free slots of one owner, linked, in the hands of one thread that is not the owner.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    head: *mut Slot,
    tail: *mut Slot,
    len: usize,
}

impl Batch {
    /// No slots.
    pub(super) const EMPTY: Self = Self { head: ptr::null_mut(), tail: ptr::null_mut(), len: 0 };

    /// How many slots it holds.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a slot in front.
    ///
    /// # Safety
    ///
    /// The slot is free and the caller alone has it; now the batch does.
    #[inline(always)]
    pub(super) unsafe fn add(&mut self, slot: NonNull<Slot>) {
        // SAFETY: the caller alone has the slot.
        unsafe { Slot::set_next(slot, self.head) };
        self.head = slot.as_ptr();
        if self.len == 0 {
            self.tail = slot.as_ptr();
        }
        self.len += 1;
    }
}

/// What other threads freed of one heap: a stack that many push batches to and the owner takes whole.
#[derive(Debug)]
pub(super) struct RemoteList {
    /// Values: null, or the newest free slot. Pushers put a batch in front with a compare-exchange; the owner takes
    /// everything with a swap. Publishes the links of the slots behind it, and that their last users are done with them.
    head: AtomicPtr<Slot>,
    /// Values: how many slots were ever pushed (wraps). Pushers add. Publishes nothing: a statistic.
    pushed: AtomicUsize,
}

impl RemoteList {
    /// Makes an empty list.
    pub(super) fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()), pushed: AtomicUsize::new(0) }
    }

    /// Pushes a batch. Any thread.
    ///
    /// # Safety
    ///
    /// The batch's slots belong to the owner of this list. The batch is not used again.
    pub(super) unsafe fn push(&self, batch: Batch) {
        let Some(tail) = NonNull::new(batch.tail) else { return };
        self.pushed.fetch_add(batch.len, Ordering::Relaxed);
        // Relaxed: only the address is used. It may be stale, or the slot may have been taken and pushed again meanwhile:
        // what counts is that the tail links to what the head is at the exchange.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: the batch, and with it its tail, is the caller's until the exchange has succeeded.
            unsafe { Slot::set_next(tail, head) };
            // Release: partner is the Acquire in `take`, also for the batches that are already there, whose releases are
            // continued by this read-modify-write.
            match self.head.compare_exchange_weak(head, batch.head, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(current) => head = current,
            }
        }
    }

    /// Takes everything: null, or the first of a chain of free slots that the caller alone has. For the owner.
    pub(super) fn take(&self) -> *mut Slot {
        // Acquire: partner is the Release in `push`. A swap, so that a batch pushed meanwhile is either taken or left.
        self.head.swap(ptr::null_mut(), Ordering::Acquire)
    }

    /// Whether there was nothing to take a moment ago.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        // Relaxed: a hint; what it misses is found the next time.
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// How many slots were ever pushed.
    pub(super) fn pushed(&self) -> usize {
        self.pushed.load(Ordering::Relaxed)
    }
}
