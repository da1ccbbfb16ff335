//! The way home of slots that were freed on another thread: batches of parcels, and the list that they are pushed to.
//!
//! A *parcel* is a free slot in whose memory the addresses of others are. So the owner, which finds the lines of all these slots in another
//! core's cache, waits for the parcel's only: it need not load one slot to find the next.

#![expect(unsafe_code, reason = "links free slots through their own memory")]

use std::ptr::{self, NonNull};

use super::chain::Chain;
use super::slot::Slot;
use crate::primitive::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Free slots of one owner, in parcels that are linked, in the hands of one thread that is not the owner.
///
/// A parcel's link has the next parcel, and, as its length, how many addresses the parcel has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    /// The newest parcel, or null.
    head: *mut Slot,
    /// How many addresses it has, and how many more it has room for.
    head_len: usize,
    head_room: usize,
    /// The oldest parcel, and, if it is not the newest too, how many addresses it has.
    tail: *mut Slot,
    tail_len: usize,
    len: usize,
}

impl Batch {
    /// No slots.
    pub(super) const EMPTY: Self =
        Self { head: ptr::null_mut(), head_len: 0, head_room: 0, tail: ptr::null_mut(), tail_len: 0, len: 0 };

    /// How many slots it holds.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a slot, which has room for `capacity` addresses.
    ///
    /// # Safety
    ///
    /// The slot is free and the caller alone has it; now the batch does. It has that room.
    #[inline(always)]
    pub(super) unsafe fn add(&mut self, slot: NonNull<Slot>, capacity: impl FnOnce() -> usize) {
        self.len += 1;
        match NonNull::new(self.head) {
            Some(head) if self.head_room > 0 => {
                // SAFETY: the batch alone has the slot, which has room for more.
                unsafe { Slot::set_parcel(head, self.head_len, slot) };
                self.head_len += 1;
                self.head_room -= 1;
            }
            _ => self.begin_parcel(slot, capacity()),
        }
    }

    fn begin_parcel(&mut self, slot: NonNull<Slot>, capacity: usize) {
        let next = self.head;
        self.close_parcel();
        if next.is_null() {
            self.tail = slot.as_ptr();
        }
        // SAFETY: the batch alone has the slot.
        unsafe { Slot::set_next(slot, next) };
        (self.head, self.head_len, self.head_room) = (slot.as_ptr(), 0, capacity);
    }

    /// Writes down how many addresses the newest parcel has.
    fn close_parcel(&mut self) {
        let Some(head) = NonNull::new(self.head) else { return };
        if self.head == self.tail {
            // Its link is written when the batch is pushed.
            self.tail_len = self.head_len;
            return;
        }
        // SAFETY: the batch alone has the slot.
        let next = unsafe { Slot::next(head) };
        // SAFETY: as above.
        unsafe { Slot::set_rest(head, Chain::new(next, self.head_len)) };
    }
}

/// Takes a parcel apart: calls `f` with each of its slots, itself the last, and returns the next parcel, or null.
///
/// # Safety
///
/// The parcel was taken from a list, and the caller, which took it, alone has its slots; afterwards, `f` has them.
pub(super) unsafe fn open(parcel: NonNull<Slot>, mut f: impl FnMut(NonNull<Slot>)) -> *mut Slot {
    // SAFETY: the caller alone has the slot.
    let rest = unsafe { Slot::rest(parcel) };
    for index in 0..rest.len() {
        // SAFETY: the caller alone has the parcel, and its link tells how many addresses were written.
        f(unsafe { Slot::parcel(parcel, index) });
    }
    f(parcel);
    rest.first()
}

/// What other threads freed of one heap: a stack that many push batches to and the owner takes whole.
#[derive(Debug)]
pub(super) struct RemoteList {
    /// Values: null, or the newest parcel. Pushers put a batch in front with a compare-exchange; the owner takes
    /// everything with a swap. Publishes the links and addresses behind it, and that their last users are done with them.
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
    pub(super) unsafe fn push(&self, mut batch: Batch) {
        batch.close_parcel();
        let Some(tail) = NonNull::new(batch.tail) else { return };
        self.pushed.fetch_add(batch.len, Ordering::Relaxed);
        // Relaxed: only the address is used. It may be stale, or the slot may have been taken and pushed again meanwhile:
        // what counts is that the tail links to what the head is at the exchange.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: the batch, and with it its tail, is the caller's until the exchange has succeeded.
            unsafe { Slot::set_rest(tail, Chain::new(head, batch.tail_len)) };
            // Release: partner is the Acquire in `take`, also for the batches that are already there, whose releases are
            // continued by this read-modify-write.
            match self.head.compare_exchange_weak(head, batch.head, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(current) => head = current,
            }
        }
    }

    /// Takes everything: null, or the first parcel of free slots that the caller alone has. For the owner.
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
