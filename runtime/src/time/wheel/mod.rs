//! A hierarchical timer wheel: ticks in, wakers out.
//!
//! It reads no clock, takes no lock and wakes nobody. Inserting and removing cost the same however many entries there
//! are. What is due is found from bitmaps; each entry moves down at most once for each level on its way to firing.
//!
//! Invariants, with `elapsed` the tick up to which everything has been fired:
//! - An entry lies where [`Position::of`] puts its tick, given `elapsed`. Advancing `elapsed` to any tick before the
//!   first occupied slot's start keeps that true.
//! - The exception is the slot that is being emptied level by level (`cascading`), whose first tick is `elapsed`.

mod batch;
mod entry;
mod level;

use std::pin::Pin;
use std::task::Waker;

pub(crate) use self::batch::Batch;
use self::entry::Slots;
pub(crate) use self::entry::{Entry, State};
use self::level::{Occupancy, Position, SLOTS};
use super::clock::LAST_TICK;

/// The timers of one worker.
pub(crate) struct Wheel {
    slots: Slots,
    occupied: Occupancy,
    /// Everything due before this tick has been fired.
    elapsed: u64,
    /// A slot whose entries are on their way to lower levels.
    cascading: Option<Position>,
}

/// Whether [`Wheel::expire`] has more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Progress {
    /// Nothing is due any more.
    Done,
    /// The batch is full, or enough was done under one lock.
    More,
}

/// How many entries may move down between two chances for others to take the lock.
const MOVES_PER_TURN: usize = 256;

impl Wheel {
    /// Makes an empty wheel that stands at tick zero.
    pub(crate) fn new() -> Self {
        Self { slots: Slots::new(SLOTS), occupied: Occupancy::default(), elapsed: 0, cascading: None }
    }

    /// Adds an entry that fires at `due_tick`; `now_tick` is at most the present, and may be zero.
    pub(crate) fn insert(&mut self, entry: Pin<&mut Entry>, due_tick: u64, now_tick: u64, waker: Waker) {
        self.pass_over(now_tick);
        let due_tick = due_tick.clamp(self.elapsed, LAST_TICK.max(self.elapsed));
        let position = Position::of(due_tick, self.elapsed);
        self.slots.push(position.index(), entry, due_tick, waker);
        self.occupied.set(position);
    }

    /// Takes an entry out; `None` says that it is not, or no longer, in the wheel.
    #[must_use = "a waker is dropped outside the lock"]
    pub(crate) fn remove(&mut self, entry: Pin<&mut Entry>) -> Option<Waker> {
        let unlinked = self.slots.unlink(entry)?;
        if unlinked.slot_is_empty {
            self.vacate(Position::from_index(unlinked.slot));
        }
        Some(unlinked.waker)
    }

    /// Exchanges an entry's waker and returns the former; `Err` says that it is not in the wheel any more.
    #[must_use = "a waker is dropped outside the lock"]
    pub(crate) fn set_waker(&mut self, entry: Pin<&mut Entry>, waker: Waker) -> Result<Waker, Waker> {
        self.slots.set_waker(entry, waker)
    }

    /// A tick before which nothing is due: the earliest entry's, or an earlier one where entries were removed.
    pub(crate) fn next_tick(&self) -> Option<u64> {
        match self.cascading {
            Some(_) => Some(self.elapsed),
            None => self.occupied.first().map(|position| self.slots.earliest_tick(position.index())),
        }
    }

    /// Fires entries that are due at `now_tick` into the batch, as many as fit.
    pub(crate) fn expire(&mut self, now_tick: u64, batch: &mut Batch) -> Progress {
        let mut moves_left = MOVES_PER_TURN;
        while let Some((position, start_tick)) = self.first() {
            if start_tick > now_tick {
                break;
            }
            self.elapsed = self.elapsed.max(start_tick);
            let progress = if position.is_exact() {
                self.fire(position, batch)
            } else {
                self.cascade(position, &mut moves_left)
            };
            if progress == Progress::More {
                return Progress::More;
            }
        }
        self.elapsed = self.elapsed.max(now_tick);
        Progress::Done
    }

    /// Takes out what is left, due or not, as many as fit in the batch.
    pub(crate) fn close(&mut self, batch: &mut Batch) -> Progress {
        while let Some((position, _)) = self.first() {
            if self.take_all(position, State::Closed, batch) == Progress::More {
                return Progress::More;
            }
        }
        Progress::Done
    }

    /// The slot with the earliest entries and its first tick.
    fn first(&self) -> Option<(Position, u64)> {
        match self.cascading {
            Some(position) => Some((position, self.elapsed)),
            None => self.occupied.first().map(|position| (position, position.start_tick(self.elapsed))),
        }
    }

    /// Advances over ticks at which nothing happens, so that new entries start low.
    fn pass_over(&mut self, now_tick: u64) {
        if now_tick > self.elapsed && self.first().is_none_or(|(_, start_tick)| start_tick > now_tick) {
            self.elapsed = now_tick;
        }
    }

    fn fire(&mut self, position: Position, batch: &mut Batch) -> Progress {
        self.take_all(position, State::Fired, batch)
    }

    fn take_all(&mut self, position: Position, end: State, batch: &mut Batch) -> Progress {
        while !batch.is_full() {
            if let Some(waker) = self.slots.take_first(position.index(), end) {
                batch.push(waker);
            }
            if self.slots.is_empty(position.index()) {
                self.vacate(position);
                return Progress::Done;
            }
        }
        Progress::More
    }

    /// Moves the entries of a slot, whose first tick is `elapsed`, to lower levels.
    fn cascade(&mut self, position: Position, moves_left: &mut usize) -> Progress {
        self.cascading = Some(position);
        while *moves_left > 0 {
            *moves_left -= 1;
            let (elapsed, occupied) = (self.elapsed, &mut self.occupied);
            let moved = self.slots.move_first(position.index(), |due_tick| {
                let lower = Position::of(due_tick, elapsed);
                occupied.set(lower);
                lower.index()
            });
            if !moved || self.slots.is_empty(position.index()) {
                self.vacate(position);
                return Progress::Done;
            }
        }
        Progress::More
    }

    /// Notes that a slot is empty.
    fn vacate(&mut self, position: Position) {
        self.occupied.clear(position);
        if self.cascading == Some(position) {
            self.cascading = None;
        }
    }
}

#[cfg(all(test, not(tress_loom)))]
mod tests;
