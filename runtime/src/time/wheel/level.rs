//! Levels: which slot a tick belongs to, and which slots are occupied.
//!
//! Level *n* tells ticks apart by their *n*-th digit to the base of [`SLOTS_PER_LEVEL`]. A tick goes to the level of the
//! highest digit in which it differs from the present; all higher digits are then equal, so that no level wraps
//! around, and every tick of a level comes before every tick of the next one.

use crate::time::clock::LAST_TICK;

const DIGIT_BITS: u32 = 6;
const DIGIT_MASK: u64 = (1 << DIGIT_BITS) - 1;

/// Slots of a level: as many as a bitmap word has bits.
pub(crate) const SLOTS_PER_LEVEL: usize = 1 << DIGIT_BITS;

/// Enough levels for every tick.
pub(crate) const LEVELS: usize = 8;

const _: () = assert!(LAST_TICK >> (DIGIT_BITS * LEVELS as u32) == 0, "the levels cover every tick");
const _: () = assert!(SLOTS_PER_LEVEL == u64::BITS as usize, "a bitmap word covers a level");

/// All the slots of a wheel.
pub(crate) const SLOTS: u16 = (LEVELS * SLOTS_PER_LEVEL) as u16;

/// One slot of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    level: usize,
    slot: usize,
}

impl Position {
    /// Where `tick` belongs when the present is `elapsed`, which is not after it.
    #[inline]
    pub(crate) fn of(tick: u64, elapsed: u64) -> Self {
        let differing = (tick ^ elapsed) | 1;
        let level = (u64::BITS - 1 - differing.leading_zeros()) / DIGIT_BITS;
        let slot = (tick >> (level * DIGIT_BITS)) & DIGIT_MASK;
        Self { level: level as usize, slot: slot as usize }
    }

    /// The position with this index.
    pub(crate) fn from_index(index: usize) -> Self {
        Self { level: index / SLOTS_PER_LEVEL, slot: index % SLOTS_PER_LEVEL }
    }

    /// The number of the slot among all slots.
    #[inline]
    pub(crate) fn index(self) -> usize {
        self.level * SLOTS_PER_LEVEL + self.slot
    }

    /// Whether the entries here all have the same tick.
    pub(crate) fn is_exact(self) -> bool {
        self.level == 0
    }

    /// The first tick of the slot, in the turn of its level that `elapsed` is in.
    #[inline]
    pub(crate) fn start_tick(self, elapsed: u64) -> u64 {
        let shift = self.level as u32 * DIGIT_BITS;
        let higher_digits = elapsed & !((1 << (shift + DIGIT_BITS)) - 1);
        higher_digits | (self.slot as u64) << shift
    }
}

/// Which slots have entries, as a bitmap for each level and one over the levels.
#[derive(Debug, Default)]
pub(crate) struct Occupancy {
    levels: u32,
    slots: [u64; LEVELS],
}

impl Occupancy {
    #[inline]
    pub(crate) fn set(&mut self, position: Position) {
        self.slots[position.level] |= 1 << position.slot;
        self.levels |= 1 << position.level;
    }

    #[inline]
    pub(crate) fn clear(&mut self, position: Position) {
        let slots = &mut self.slots[position.level];
        *slots &= !(1 << position.slot);
        if *slots == 0 {
            self.levels &= !(1 << position.level);
        }
    }

    /// The occupied slot with the earliest ticks.
    #[inline]
    pub(crate) fn first(&self) -> Option<Position> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros() as usize;
        let slot = self.slots[level].trailing_zeros() as usize;
        Some(Position { level, slot })
    }
}
