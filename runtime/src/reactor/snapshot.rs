//! A value of the state word, and what its bits mean.
//!
//! | bits | values | written by |
//! |---|---|---|
//! | 0–5 | READABLE, WRITABLE, READ_CLOSED, WRITE_CLOSED, ERROR, SHUT_DOWN | set by deliverers and `close`, cleared by pollers |
//! | 6 | URGENT | set by deliverers, never cleared |
//! | 7 | RETIRED | set by the registration's drop, cleared by the last deliverer in the slot |
//! | 8–11, 12–15 | REGISTERING, WAITING, OVERFLOWING, WAKING of reading, of writing | pollers, deliverers |
//! | 16–31 | tick, plus one with each event | deliverers |
//! | 32–63 | generation, plus one when the registration ends | the registration's drop |

use std::fmt;

use super::ready::{Direction, Ready};

/// What an event reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags(pub(super) u64);

impl Flags {
    pub(super) const NONE: Self = Self(0);
    pub(super) const READABLE: Self = Self(READABLE);
    pub(super) const WRITABLE: Self = Self(WRITABLE);
    pub(super) const READ_CLOSED: Self = Self(READ_CLOSED);
    pub(super) const WRITE_CLOSED: Self = Self(WRITE_CLOSED);
    /// Urgent data came: from now on a read may stop short of what is there, at the mark.
    pub(super) const URGENT: Self = Self(URGENT);
    /// An error concerns both directions: whichever tries first learns of it.
    pub(super) const ERROR: Self = Self(ERROR | READABLE | WRITABLE);

    /// These flags, and `other` if `condition` holds.
    pub(super) const fn with(self, other: Self, condition: bool) -> Self {
        Self(if condition { self.0 | other.0 } else { self.0 })
    }
}

/// The word as it was at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Snapshot(pub(super) u64);

impl Snapshot {
    /// Whether an attempt in this direction is worth its system call.
    pub(super) const fn is_ready(self, direction: Direction) -> bool {
        self.0 & direction.ready_mask() != 0
    }

    /// Whether the runtime is gone.
    pub(super) const fn is_shut_down(self) -> bool {
        self.0 & SHUT_DOWN != 0
    }

    pub(super) const fn is_readable(self) -> bool {
        self.has(READABLE)
    }

    pub(super) const fn is_writable(self) -> bool {
        self.has(WRITABLE)
    }

    pub(super) const fn is_read_closed(self) -> bool {
        self.has(READ_CLOSED)
    }

    pub(super) const fn is_write_closed(self) -> bool {
        self.has(WRITE_CLOSED)
    }

    pub(super) const fn is_urgent(self) -> bool {
        self.has(URGENT)
    }

    pub(super) const fn is_error(self) -> bool {
        self.has(ERROR)
    }

    /// The part that users may keep.
    pub(super) const fn ready(self) -> Ready {
        Ready::new(Self(self.0 & (TICK_MASK | FLAGS_MASK)))
    }

    pub(super) const fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT) as u32
    }

    pub(super) const fn has(self, bits: u64) -> bool {
        self.0 & bits != 0
    }

    /// The word with the flags that `seen` vouched for taken back, unless an event has come since.
    pub(super) const fn without(self, mask: u64, seen: Self) -> Self {
        if (self.0 ^ seen.0) & TICK_MASK == 0 { Self(self.0 & !mask) } else { self }
    }

    /// The word as it is after an operation in `direction` would have blocked.
    pub(super) const fn after(self, direction: Direction, blocked: Option<Self>) -> Self {
        match blocked {
            Some(seen) => self.without(direction.blocked_mask(), seen),
            None => self,
        }
    }

    pub(super) const fn with_next_tick(self) -> Self {
        Self((self.0 & !TICK_MASK) | (self.0.wrapping_add(TICK_ONE) & TICK_MASK))
    }

    /// Takes the waiters of `direction` into `claim`, if nobody else is waking it at the moment.
    pub(super) const fn claim(self, direction: Direction, claim: &mut Claim) -> Self {
        if self.has(direction.waking()) || !self.has(direction.waiting() | direction.overflowing()) {
            return self;
        }
        if self.has(direction.waiting()) {
            claim.cell |= direction.bit();
        }
        if self.has(direction.overflowing()) {
            claim.overflow |= direction.bit();
        }
        Self((self.0 & !(direction.waiting() | direction.overflowing())) | direction.waking())
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("generation", &self.generation())
            .field("tick", &((self.0 & TICK_MASK) >> TICK_SHIFT))
            .field("write", &format_args!("{:#06b}", (self.0 >> Direction::Write.shift()) & 0xf))
            .field("read", &format_args!("{:#06b}", (self.0 >> Direction::Read.shift()) & 0xf))
            .field("flags", &format_args!("{:#010b}", self.0 & 0xff))
            .finish()
    }
}

/// Waiters that the holder of WAKING has to wake: per direction the one in the cell, and those in the overflow list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) cell: u8,
    pub(super) overflow: u8,
}

impl Claim {
    pub(super) const fn cell(self, direction: Direction) -> bool {
        self.cell & direction.bit() != 0
    }

    pub(super) const fn overflow(self, direction: Direction) -> bool {
        self.overflow & direction.bit() != 0
    }

    pub(super) const fn any(self, direction: Direction) -> bool {
        (self.cell | self.overflow) & direction.bit() != 0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.cell | self.overflow == 0
    }
}

impl Direction {
    /// Both of them.
    pub(super) const ALL: [Self; 2] = [Self::Read, Self::Write];

    pub(super) const fn bit(self) -> u8 {
        match self {
            Self::Read => 0b01,
            Self::Write => 0b10,
        }
    }

    /// The flags that make this direction worth an attempt.
    pub(super) const fn ready_mask(self) -> u64 {
        match self {
            Self::Read => READABLE | READ_CLOSED | SHUT_DOWN,
            Self::Write => WRITABLE | WRITE_CLOSED | SHUT_DOWN,
        }
    }

    /// The flag that a full or empty buffer takes back.
    pub(super) const fn open_mask(self) -> u64 {
        match self {
            Self::Read => READABLE,
            Self::Write => WRITABLE,
        }
    }

    /// What an operation that would block has disproved.
    pub(super) const fn blocked_mask(self) -> u64 {
        self.ready_mask() & !SHUT_DOWN
    }

    pub(super) const fn registering(self) -> u64 {
        REGISTERING << self.shift()
    }

    pub(super) const fn waiting(self) -> u64 {
        WAITING << self.shift()
    }

    pub(super) const fn overflowing(self) -> u64 {
        OVERFLOWING << self.shift()
    }

    pub(super) const fn waking(self) -> u64 {
        WAKING << self.shift()
    }

    pub(super) const fn shift(self) -> u32 {
        match self {
            Self::Read => 8,
            Self::Write => 12,
        }
    }
}

pub(super) const READABLE: u64 = 1 << 0;
pub(super) const WRITABLE: u64 = 1 << 1;
pub(super) const READ_CLOSED: u64 = 1 << 2;
pub(super) const WRITE_CLOSED: u64 = 1 << 3;
pub(super) const ERROR: u64 = 1 << 4;
pub(super) const SHUT_DOWN: u64 = 1 << 5;
pub(super) const URGENT: u64 = 1 << 6;
pub(super) const FLAGS_MASK: u64 = READABLE | WRITABLE | READ_CLOSED | WRITE_CLOSED | ERROR | SHUT_DOWN;

pub(super) const RETIRED: u64 = 1 << 7;

/// Per direction, shifted by [`Direction::shift`].
pub(super) const REGISTERING: u64 = 1 << 0;
pub(super) const WAITING: u64 = 1 << 1;
pub(super) const OVERFLOWING: u64 = 1 << 2;
pub(super) const WAKING: u64 = 1 << 3;
pub(super) const ANY_WAKING: u64 = Direction::Read.waking() | Direction::Write.waking();

pub(super) const TICK_SHIFT: u32 = 16;
pub(super) const TICK_ONE: u64 = 1 << TICK_SHIFT;
pub(super) const TICK_MASK: u64 = 0xffff << TICK_SHIFT;
pub(super) const GENERATION_SHIFT: u32 = 32;
