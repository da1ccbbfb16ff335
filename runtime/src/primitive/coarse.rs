//! A clock that costs nothing to read: each thread that runs tasks notes the time where it looks at the clock anyway.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::clock;
use super::thread::thread_local;

thread_local! {
    /// The time of the last look at the clock of the run loop that this thread is in.
    static NOTED: Cell<Moment> = const { Cell::new(Moment::UNKNOWN) };
}

/// A moment in the life of the process, in nanoseconds; or none, or one that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(u64);

/// A look at the clock: what it says, and the moment that this is, worked out once for all who count in moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) instant: Instant,
    pub(crate) moment: Moment,
}

impl Look {
    /// Looks at the clock.
    #[inline]
    pub(crate) fn take() -> Self {
        let instant = clock::now();
        Self { instant, moment: Moment::of(instant) }
    }
}

impl Moment {
    /// No moment: it has not come.
    pub(crate) const NEVER: Self = Self(0);
    /// It has come, but nobody looked at the clock.
    pub(crate) const UNKNOWN: Self = Self(1);

    /// The moment of `at`.
    pub(crate) fn of(at: Instant) -> Self {
        let elapsed = at.saturating_duration_since(*EPOCH).as_nanos();
        Self(u64::try_from(elapsed).unwrap_or(u64::MAX).saturating_add(FIRST))
    }

    /// Whether it has come.
    #[inline]
    pub(crate) const fn has_come(self) -> bool {
        self.0 != Self::NEVER.0
    }

    /// Nanoseconds since `earlier`, where both are known; 0 if that is later.
    #[inline]
    pub(crate) const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// As a number that [`from_number`](Self::from_number) takes back.
    #[inline]
    pub(crate) const fn to_number(self) -> u64 {
        self.0
    }

    /// What [`to_number`](Self::to_number) gave.
    #[inline]
    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// How long ago it was, if that is known.
    pub(crate) fn elapsed(self, now: Self) -> Option<Duration> {
        (self.0 >= FIRST).then(|| Duration::from_nanos(now.0.saturating_sub(self.0)))
    }

    /// In half the space, at a coarser resolution.
    #[inline]
    pub(crate) fn compact(self) -> u32 {
        // In units that make it wrap after more than two years; zero for one that is not known.
        (self.0 >> COMPACT_SHIFT) as u32
    }

    /// What [`compact`](Self::compact) has left of it.
    pub(crate) fn from_compact(compact: u32) -> Self {
        match compact {
            0 => Self::UNKNOWN,
            compact => Self(u64::from(compact) << COMPACT_SHIFT),
        }
    }
}

/// The time of the last look at the clock, if the thread runs tasks.
#[inline]
pub(crate) fn now() -> Moment {
    NOTED.try_with(Cell::get).unwrap_or(Moment::UNKNOWN)
}

/// The thread, which runs tasks, has looked at the clock.
#[inline]
pub(crate) fn note(now: Moment) {
    let _ = NOTED.try_with(|noted| noted.set(now));
}

/// The thread has looked at the clock, and runs tasks perhaps: if it does, it has noted a time before.
#[inline]
pub(crate) fn renew(now: Moment) {
    let _ = NOTED.try_with(|noted| {
        if noted.get() != Moment::UNKNOWN {
            noted.set(now);
        }
    });
}

/// The thread will not look at the clock for a while.
pub(crate) fn forget() {
    let _ = NOTED.try_with(|noted| noted.set(Moment::UNKNOWN));
}

/// What moments count from.
static EPOCH: LazyLock<Instant> = LazyLock::new(clock::now);

/// The number of the first moment: its compact form is not zero.
const FIRST: u64 = 1 << COMPACT_SHIFT;

/// Compact moments count in units of 16.8 ms.
const COMPACT_SHIFT: u32 = 24;
