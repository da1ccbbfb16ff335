//! The state word of a registration's slot: what it is ready for, who waits, and which registration it belongs to.
//!
//! Everything that a poller and a deliverer of events must agree on is in this one word, so there is one order of
//! events and no fence: a waiter is recorded by the same read-modify-write that finds the direction not ready, and an
//! event takes the waiters with the same read-modify-write that makes the direction ready.
//!
//! What is not here: the wakers themselves (see `slot` and `overflow`).

use super::ready::Direction;
use super::snapshot::{ANY_WAKING, Claim, Flags, GENERATION_SHIFT, RETIRED, SHUT_DOWN, Snapshot};
use crate::primitive::sync::atomic::{AtomicU64, Ordering};

/// What [`Readiness::transition_to_registering`] did.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Registering {
    /// Nothing: the direction is ready.
    Ready,
    /// Nothing: another poller is registering.
    Occupied,
    /// REGISTERING is ours, and nobody else looks at the cell's waker until we give it back: it may be replaced.
    Exclusive,
    /// REGISTERING is ours; the cell's waker is another's to wake and may be looked at, not replaced.
    Shared,
}

/// Whether a waiter was recorded.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Armed {
    /// It was, and the next event wakes it.
    Waiting,
    /// It was not: the direction is ready.
    Ready,
}

/// What [`Readiness::transition_to_ready`] found.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Delivery {
    /// The registration that the event was for is gone; nothing was changed.
    Stale,
    /// Nobody is to be woken by us.
    Quiet,
    /// We hold WAKING in the directions claimed, and wake.
    Wake(Claim),
}

/// What is left to do once everybody claimed was woken.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Woken {
    /// Nothing; WAKING was given back.
    Done,
    /// Waiters that registered and became ready meanwhile. WAKING is still ours in their directions.
    Again(Claim),
    /// WAKING was given back, the registration is gone and we were the last in the slot: it is ours to clean.
    Reclaim,
}

/// Who cleans the slot of a registration that has ended.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Retired {
    /// The caller: nobody else can reach the wakers.
    Reclaim,
    /// Whoever is waking at the moment.
    Deferred,
}

/// What [`Readiness::transition_to_shut_down`] leaves to the caller.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct ShutDown {
    /// Waiters to wake.
    pub(super) claim: Claim,
    held: u8,
    exclusive: u8,
}

impl ShutDown {
    /// Whether the cell's waker may be taken out.
    pub(super) const fn is_exclusive(&self, direction: Direction) -> bool {
        self.exclusive & direction.bit() != 0
    }
}

/// The state word; [`snapshot`](super::snapshot) says what its bits mean and who writes them.
///
/// It publishes the waker cells of its slot; which transition pairs with which is said beside each.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct Readiness(AtomicU64);

impl Readiness {
    /// A free slot's word.
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Looks.
    ///
    /// Acquire pairs with the Release of [`transition_to_ready`](Self::transition_to_ready): an attempt made because of
    /// an event comes after what the event reports. An old value costs a needless attempt, or the next transition
    /// corrects it.
    #[inline]
    pub(super) fn load(&self) -> Snapshot {
        Snapshot(self.0.load(Ordering::Acquire))
    }

    /// A free slot becomes a registration that is ready for `flags`; returns its generation.
    ///
    /// Under the slab's lock, which orders it after the slot's last use; the kernel hands its token, and with it this
    /// store, on to whoever receives events.
    pub(super) fn transition_to_allocated(&self, flags: Flags) -> u32 {
        let generation = self.load().generation();
        self.0.store(u64::from(generation) << GENERATION_SHIFT | flags.0, Ordering::Release);
        generation
    }

    /// An event arrives: sets flags, takes those who wait for them.
    ///
    /// Acquire pairs with the Release of [`transition_to_waiting`](Self::transition_to_waiting): the waker that we are
    /// about to use was written before. Release pairs with [`load`](Self::load).
    pub(super) fn transition_to_ready(&self, generation: u32, flags: Flags) -> Delivery {
        self.update(Ordering::AcqRel, |word| {
            if word.generation() != generation {
                return (None, Delivery::Stale);
            }
            let mut claim = Claim::default();
            let mut next = Snapshot(word.0 | flags.0).with_next_tick();
            for direction in Direction::ALL {
                if Snapshot(flags.0).is_ready(direction) {
                    next = next.claim(direction, &mut claim);
                }
            }
            (Some(next), if claim.is_empty() { Delivery::Quiet } else { Delivery::Wake(claim) })
        })
    }

    /// The holder of WAKING is done with the cells and lists of `claim`.
    ///
    /// Release pairs with the Acquire of whoever writes the cells next, in
    /// [`transition_to_registering`](Self::transition_to_registering), [`transition_to_retired`](Self::transition_to_retired)
    /// or here (the last one out). Acquire pairs with `transition_to_waiting` for what is to be woken again, and with
    /// the Release of the others that leave for the last one out.
    pub(super) fn transition_from_waking(&self, claim: Claim) -> Woken {
        self.update(Ordering::AcqRel, |word| {
            let mut again = Claim::default();
            let mut next = word;
            for direction in Direction::ALL {
                if claim.any(direction) {
                    next = Snapshot(next.0 & !direction.waking());
                    if next.is_ready(direction) {
                        next = next.claim(direction, &mut again);
                    }
                }
            }
            if next.has(RETIRED) && !next.has(ANY_WAKING) {
                return (Some(Snapshot(next.0 & !RETIRED)), Woken::Reclaim);
            }
            (Some(next), if again.is_empty() { Woken::Done } else { Woken::Again(again) })
        })
    }

    /// A poller wants to register; `blocked` is what it had seen before an operation that would have blocked.
    ///
    /// Acquire pairs with the Release of everyone who had the cell before: `transition_to_waiting`,
    /// `transition_to_unregistered`, `transition_from_waking`.
    pub(super) fn transition_to_registering(
        &self,
        direction: Direction,
        blocked: Option<Snapshot>,
    ) -> Registering {
        self.update(Ordering::Acquire, |word| {
            if word.after(direction, blocked).is_ready(direction) {
                (None, Registering::Ready)
            } else if word.has(direction.registering()) {
                (None, Registering::Occupied)
            } else {
                let shared = word.has(direction.waiting() | direction.waking());
                let next = Snapshot(word.0 | direction.registering());
                (Some(next), if shared { Registering::Shared } else { Registering::Exclusive })
            }
        })
    }

    /// The holder of REGISTERING has its waker in the cell and waits, unless the direction has become ready.
    ///
    /// Release publishes the waker to the Acquire of `transition_to_ready` (or `transition_from_waking`), and our
    /// look at it to the next poller.
    pub(super) fn transition_to_waiting(&self, direction: Direction, blocked: Option<Snapshot>) -> Armed {
        self.update(Ordering::Release, |word| {
            let mut next = Snapshot(word.0 & !direction.registering()).after(direction, blocked);
            if next.is_ready(direction) {
                return (Some(next), Armed::Ready);
            }
            next.0 |= direction.waiting();
            (Some(next), Armed::Waiting)
        })
    }

    /// The holder of REGISTERING gives up. Release: as in `transition_to_waiting`.
    pub(super) fn transition_to_unregistered(&self, direction: Direction) {
        self.0.fetch_and(!direction.registering(), Ordering::Release);
    }

    /// A poller that goes to the overflow list says so, unless the direction has become ready.
    ///
    /// Relaxed: the list's lock, which the caller holds, publishes the list.
    pub(super) fn transition_to_overflowing(&self, direction: Direction, blocked: Option<Snapshot>) -> Armed {
        self.update(Ordering::Relaxed, |word| {
            let mut next = word.after(direction, blocked);
            if next.is_ready(direction) {
                return (None, Armed::Ready);
            }
            next.0 |= direction.overflowing();
            (Some(next), Armed::Waiting)
        })
    }

    /// A direction is no longer open, unless an event has come since `seen`. Closed flags stay.
    ///
    /// Relaxed: says nothing about the cells.
    pub(super) fn transition_to_cleared(&self, direction: Direction, seen: Snapshot) {
        self.clear(direction.open_mask(), seen);
    }

    /// An operation would have blocked: neither open nor closed, unless an event has come since `seen`.
    ///
    /// Relaxed: says nothing about the cells.
    pub(super) fn transition_to_blocked(&self, direction: Direction, seen: Snapshot) {
        self.clear(direction.blocked_mask(), seen);
    }

    /// The registration ends: its events are stale from now on, and nobody waits.
    ///
    /// Acquire pairs with the Release of the last to leave the cells, which we may clean; Release hands what the
    /// registration's owner did with them to the deliverer that cleans in our place.
    pub(super) fn transition_to_retired(&self) -> Retired {
        self.update(Ordering::AcqRel, |word| {
            let generation = u64::from(word.generation().wrapping_add(1)) << GENERATION_SHIFT;
            if word.has(ANY_WAKING) {
                (Some(Snapshot(generation | RETIRED | word.0 & ANY_WAKING)), Retired::Deferred)
            } else {
                (Some(Snapshot(generation)), Retired::Reclaim)
            }
        })
    }

    /// The runtime is gone: ready for ever in both directions, with an error. Takes all waiters and, where no poller
    /// is registering, the right to empty the cell; [`transition_from_shut_down`](Self::transition_from_shut_down) gives them back.
    ///
    /// Acquire: as in `transition_to_ready` and `transition_to_registering`.
    pub(super) fn transition_to_shut_down(&self) -> ShutDown {
        self.update(Ordering::Acquire, |word| {
            let mut next = Snapshot(word.0 | SHUT_DOWN).with_next_tick();
            let mut outcome = ShutDown::default();
            if word.has(RETIRED) {
                return (None, outcome);
            }
            for direction in Direction::ALL {
                if word.has(direction.waking()) {
                    continue;
                }
                next = Snapshot(next.claim(direction, &mut outcome.claim).0 | direction.waking());
                outcome.held |= direction.bit();
                if !word.has(direction.registering()) {
                    next.0 |= direction.registering();
                    outcome.exclusive |= direction.bit();
                }
            }
            (Some(next), outcome)
        })
    }

    /// Gives back what `transition_to_shut_down` took. Orderings: as in `transition_from_waking`.
    pub(super) fn transition_from_shut_down(&self, outcome: &ShutDown) -> Woken {
        for direction in Direction::ALL {
            if outcome.is_exclusive(direction) {
                self.transition_to_unregistered(direction);
            }
        }
        self.transition_from_waking(Claim { cell: outcome.held, overflow: 0 })
    }

    fn clear(&self, mask: u64, seen: Snapshot) {
        self.update(Ordering::Relaxed, |word| {
            let next = word.without(mask, seen);
            ((next != word).then_some(next), ())
        });
    }

    /// Applies `step` to the word until it sticks, and returns its outcome; `None` leaves the word alone.
    fn update<T>(&self, order: Ordering, mut step: impl FnMut(Snapshot) -> (Option<Snapshot>, T)) -> T {
        let mut word = Snapshot(self.0.load(Ordering::Relaxed));
        loop {
            let (next, outcome) = step(word);
            let Some(next) = next else { return outcome };
            match self.0.compare_exchange_weak(word.0, next.0, order, Ordering::Relaxed) {
                Ok(_) => return outcome,
                Err(actual) => word = Snapshot(actual),
            }
        }
    }
}
