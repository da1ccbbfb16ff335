//! A registration's place in the slab: its state word, a waker for each direction, and the overflow lists.
//!
//! A direction's cell keeps its waker when the waiter is woken, so that the same task waits again without cloning it.
//! [`Readiness`] says who may look at a cell and who may write it; since nothing in the types ties a word to its
//! cells, both are private to this file.

#![expect(unsafe_code, reason = "wakers are shared without a lock; who may touch them is in the state word")]

use std::mem;
use std::task::Waker;

use super::contain_panic;
use super::overflow::Overflow;
use super::readiness::{Armed, Delivery, Readiness, Registering, Retired, Woken};
use super::ready::Direction;
use super::snapshot::{Claim, Flags, Snapshot};
use crate::primitive::cell::UnsafeCell;

/// A registration's state.
///
/// Aligned so that two registrations, which belong to different tasks, do not share a cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Slot {
    readiness: Readiness,
    /// The waker of each direction. Looked at by the holder of REGISTERING, and by the holder of WAKING that has
    /// claimed it; written by a holder of REGISTERING that got it as [`Registering::Exclusive`], by `shut_down` with
    /// both, and by whoever reclaims the slot.
    wakers: [UnsafeCell<Option<Waker>>; 2],
    overflow: Overflow,
}

// SAFETY: a `Waker` is `Send` and `Sync`, and the state word keeps a write of the cells apart from every other access.
unsafe impl Sync for Slot {}
// SAFETY: as above; moving the slot takes ownership of all of it.
unsafe impl Send for Slot {}

/// What became of an event.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Delivered {
    /// Its registration is gone.
    Stale,
    /// Its registration has it.
    Live,
    /// Its registration had it and ended meanwhile: the caller puts the slot back into the slab.
    Reclaim,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            readiness: Readiness::new(),
            wakers: [UnsafeCell::new(None), UnsafeCell::new(None)],
            overflow: Overflow::default(),
        }
    }

    /// See [`Readiness::transition_to_allocated`].
    pub(super) fn allocate(&self, flags: Flags) -> u32 {
        self.readiness.transition_to_allocated(flags)
    }

    #[inline]
    pub(super) fn load(&self) -> Snapshot {
        self.readiness.load()
    }

    /// See [`Readiness::transition_to_cleared`].
    pub(super) fn clear(&self, direction: Direction, seen: Snapshot) {
        self.readiness.transition_to_cleared(direction, seen);
    }

    /// See [`Readiness::transition_to_blocked`].
    pub(super) fn clear_blocked(&self, direction: Direction, seen: Snapshot) {
        self.readiness.transition_to_blocked(direction, seen);
    }

    /// Registers a waiter, unless the direction is ready.
    ///
    /// `blocked` is what was seen before an operation that would have blocked; the readiness that it disproves is
    /// forgotten in the same step.
    pub(super) fn arm(&self, direction: Direction, blocked: Option<Snapshot>, waker: &Waker) -> Armed {
        let exclusive = match self.readiness.transition_to_registering(direction, blocked) {
            Registering::Ready => return Armed::Ready,
            Registering::Occupied => return self.arm_overflow(direction, blocked, waker),
            Registering::Exclusive => true,
            Registering::Shared => false,
        };
        let guard = Unregister { readiness: &self.readiness, direction };
        let cell = &self.wakers[direction as usize];
        // SAFETY: we hold REGISTERING, so nobody writes.
        let same = cell.with(|held| unsafe { &*held }.as_ref().is_some_and(|held| held.will_wake(waker)));
        let mut former = None;
        if !same {
            if !exclusive {
                drop(guard);
                return self.arm_overflow(direction, blocked, waker);
            }
            let fresh = Some(waker.clone());
            // SAFETY: we hold REGISTERING and found neither WAITING nor WAKING; both would need a WAITING that only
            // the holder of REGISTERING sets. So nobody else looks or writes.
            former = cell.with_mut(|held| mem::replace(unsafe { &mut *held }, fresh));
        }
        mem::forget(guard);
        let armed = self.readiness.transition_to_waiting(direction, blocked);
        // Foreign code, hence after we have let go of the cell.
        drop(former);
        armed
    }

    /// Takes an event to those who wait for it.
    pub(super) fn deliver(&self, generation: u32, flags: Flags) -> Delivered {
        match self.readiness.transition_to_ready(generation, flags) {
            Delivery::Stale => Delivered::Stale,
            Delivery::Quiet => Delivered::Live,
            Delivery::Wake(claim) => self.settle(self.wake(claim)),
        }
    }

    /// The registration ends; true if the caller is to put the slot back into the slab.
    #[must_use]
    pub(super) fn retire(&self) -> bool {
        match self.readiness.transition_to_retired() {
            Retired::Deferred => false,
            Retired::Reclaim => {
                self.clean();
                true
            }
        }
    }

    /// The runtime is gone: wakes everyone, keeps nobody's waker.
    pub(super) fn shut_down(&self) -> Delivered {
        let outcome = self.readiness.transition_to_shut_down();
        for direction in Direction::ALL {
            let cell = &self.wakers[direction as usize];
            let wake = outcome.claim.cell(direction);
            if outcome.is_exclusive(direction) {
                // SAFETY: we hold REGISTERING and WAKING.
                let waker = cell.with_mut(|held| unsafe { &mut *held }.take());
                contain_panic(|| waker.filter(|_| wake).into_iter().for_each(Waker::wake));
            } else if wake {
                self.wake_cell(direction);
            }
            if outcome.claim.overflow(direction) {
                self.overflow.wake(direction);
            }
        }
        self.settle(self.readiness.transition_from_shut_down(&outcome))
    }

    fn arm_overflow(&self, direction: Direction, blocked: Option<Snapshot>, waker: &Waker) -> Armed {
        self.overflow
            .register(direction, waker, || self.readiness.transition_to_overflowing(direction, blocked))
    }

    /// Goes on after an event's waiters were woken.
    fn settle(&self, mut woken: Woken) -> Delivered {
        while let Woken::Again(claim) = woken {
            woken = self.wake(claim);
        }
        if woken == Woken::Reclaim {
            self.clean();
            return Delivered::Reclaim;
        }
        Delivered::Live
    }

    /// Wakes those claimed. For the holder of WAKING in their directions.
    fn wake(&self, claim: Claim) -> Woken {
        for direction in Direction::ALL {
            if claim.cell(direction) {
                self.wake_cell(direction);
            }
            if claim.overflow(direction) {
                self.overflow.wake(direction);
            }
        }
        self.readiness.transition_from_waking(claim)
    }

    /// Wakes the waiter in the cell. For the holder of WAKING that has claimed it.
    fn wake_cell(&self, direction: Direction) {
        self.wakers[direction as usize].with(|held| {
            // SAFETY: we took WAITING and hold WAKING: pollers may look at the cell, but write only without either.
            let waker = unsafe { &*held }.as_ref();
            contain_panic(|| waker.into_iter().for_each(Waker::wake_by_ref));
        });
    }

    /// Drops every waker. For whoever reclaims the slot.
    fn clean(&self) {
        for cell in &self.wakers {
            // SAFETY: the registration is gone, so nobody registers, and nobody holds WAKING: the transition that
            // told us to reclaim has seen both.
            let waker = cell.with_mut(|held| unsafe { &mut *held }.take());
            contain_panic(|| drop(waker));
        }
        self.overflow.clear();
    }

    #[cfg(test)]
    pub(super) fn overflow_len(&self, direction: Direction) -> usize {
        self.overflow.len(direction)
    }
}

/// Gives REGISTERING back when the waker's `clone` unwinds.
struct Unregister<'a> {
    readiness: &'a Readiness,
    direction: Direction,
}

impl Drop for Unregister<'_> {
    fn drop(&mut self) {
        self.readiness.transition_to_unregistered(self.direction);
    }
}
