//! How long somebody goes on who runs one item after the other.

use std::fmt;

use crate::context;
use crate::primitive::coarse::{self, Look, Moment};
use crate::primitive::sync::atomic::{AtomicU32, Ordering};

/// How long an item runs, in nanoseconds: a mean. A hint, written by whoever runs items.
#[doc(hidden)]
pub struct ItemTime(AtomicU32);

/// After how much a turn is over.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many items are run, at most.
    pub items: u32,
    /// No further item is begun after this time.
    pub nanos: u64,
    /// So many short items are run without a look at the clock, at most.
    pub most_between_looks: u32,
}

/// Items that are run one after the other, until others are to have the thread.
#[doc(hidden)]
#[derive(Debug)]
pub struct Turn {
    limits: Limits,
    began: Moment,
    looked: Moment,
    /// Items that may still be run.
    items: u32,
    /// Items that have been run since the last look at the clock.
    since_look: u32,
}

impl ItemTime {
    /// Until one has been measured, items are taken to be long.
    #[must_use]
    pub fn unknown() -> Self {
        Self(AtomicU32::new(LONG_NS))
    }

    /// The mean so far.
    pub fn nanos(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes the mean of some more.
    fn sample(&self, nanos: u64) {
        let mean = (3 * u64::from(self.nanos()) + nanos.min(MAX_SAMPLE_NS)) / 4;
        self.0.store(u32::try_from(mean).unwrap_or(u32::MAX), Ordering::Relaxed);
    }
}

impl fmt::Debug for ItemTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ns", self.nanos())
    }
}

impl Turn {
    /// Begins, before the first item.
    #[must_use]
    pub fn begin(limits: Limits) -> Self {
        let now = Look::take().moment;
        Self { limits, began: now, looked: now, items: limits.items, since_look: 0 }
    }

    /// Counts an item that has been run. Looks at the clock now and then, and takes the mean time of an item.
    #[inline]
    pub fn is_over(&mut self, item_time: &ItemTime) -> bool {
        self.items = self.items.saturating_sub(1);
        self.since_look += 1;
        let limits = self.limits;
        let look_nanos = limits.nanos / LOOKS;
        let look_after =
            (look_nanos / u64::from(item_time.nanos().max(1))).clamp(1, u64::from(limits.most_between_looks));
        if self.items > 0 && u64::from(self.since_look) < look_after {
            return false;
        }
        self.look(item_time)
    }

    fn look(&mut self, item_time: &ItemTime) -> bool {
        let now = Look::take().moment;
        coarse::renew(now);
        item_time.sample(now.nanos_since(self.looked) / u64::from(self.since_look));
        (self.looked, self.since_look) = (now, 0);
        let is_over = self.items == 0 || now.nanos_since(self.began) >= self.limits.nanos;
        if is_over {
            context::row_is_over(now);
        }
        is_over
    }
}

const LONG_NS: u32 = 50_000;

/// The clock is looked at about so many times in a turn.
const LOOKS: u64 = 10;

/// One sample counts for so much at most.
const MAX_SAMPLE_NS: u64 = 1_000_000;
