//! The word of a set of lanes: how many runnables are queued, and which pumps are at work.

use std::fmt;

use crate::primitive::sync::atomic::{AtomicU64, Ordering};

/// The word. Its states and their meaning: see the module's documentation.
///
/// Each transition is one read-modify-write with `AcqRel`. What it publishes: that a runnable which is counted is in its lane, to whoever
/// claims it; and what a pump has left behind in its own memory, to whoever takes it next.
pub(super) struct Gate(AtomicU64);

/// One value of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Snapshot(u64);

/// What a runnable that is queued calls for.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Posted {
    /// The pump is the caller's now, and is to be handed to the pool.
    Start(usize),
    /// Somebody sees to it already.
    Served,
}

/// What a pump that had waited does first.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// It takes a runnable, and hands the next pump to the pool for the others, if there are any.
    Item { next: Option<usize>, left: u64 },
    /// Nothing was queued: the pump is free.
    Ended,
}

/// What a pump that runs does next.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    /// It takes a runnable.
    Item,
    /// Nothing was queued: the pump is free.
    Ended,
}

/// What a pump does that has had its turn.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GaveWay {
    /// It goes to the end of the pool's queue.
    Waits,
    /// Nothing is queued, or another one waits: the pump is free.
    Ended,
}

impl Gate {
    /// How many pumps there can be.
    pub(super) const MAX_PUMPS: usize = WAITING.trailing_zeros() as usize;

    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts a runnable that has been pushed, and takes a pump for it if none waits.
    pub(super) fn transition_to_posted(&self, pumps: usize) -> Posted {
        self.update(|word| {
            let word = word.with_item();
            match word.take_pump(pumps) {
                Some((word, pump)) => (word, Posted::Start(pump)),
                None => (word, Posted::Served),
            }
        })
    }

    /// Counts a runnable that has been pushed by a running pump's own item; that pump looks for it in a moment.
    pub(super) fn transition_to_deferred(&self) {
        self.0.fetch_add(ITEM, Ordering::AcqRel);
    }

    /// A pump that has waited runs: it claims a runnable, and takes the pump that waits in its stead.
    pub(super) fn transition_to_begun(&self, pump: usize, pumps: usize) -> Begun {
        self.update(|word| {
            debug_assert!(word.has_pump(pump) && word.is_waiting(), "{word:?}");
            let word = word.without_waiting();
            let Some(word) = word.without_item() else { return (word.without_pump(pump), Begun::Ended) };
            let left = word.items();
            match if left > 0 { word.take_pump(pumps) } else { None } {
                Some((word, next)) => (word, Begun::Item { next: Some(next), left }),
                None => (word, Begun::Item { next: None, left }),
            }
        })
    }

    /// A running pump claims a runnable, or ends.
    pub(super) fn transition_to_claimed(&self, pump: usize) -> Claimed {
        self.update(|word| {
            debug_assert!(word.has_pump(pump), "{word:?}");
            match word.without_item() {
                Some(word) => (word, Claimed::Item),
                None => (word.without_pump(pump), Claimed::Ended),
            }
        })
    }

    /// A running pump lets others have its thread.
    pub(super) fn transition_to_given_way(&self, pump: usize) -> GaveWay {
        self.update(|word| {
            debug_assert!(word.has_pump(pump), "{word:?}");
            if word.items() == 0 || word.is_waiting() {
                (word.without_pump(pump), GaveWay::Ended)
            } else {
                (word.with_waiting(), GaveWay::Waits)
            }
        })
    }

    /// A pump that has waited is dropped: it claims what is queued in order to drop it.
    pub(super) fn transition_to_cancelling(&self) {
        self.0.fetch_and(!WAITING, Ordering::AcqRel);
    }

    /// How many runnables are queued.
    pub(super) fn items(&self) -> u64 {
        Snapshot(self.0.load(Ordering::Relaxed)).items()
    }

    /// Whether nothing is queued and no pump at work.
    #[cfg(test)]
    pub(super) fn is_at_rest(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    #[inline]
    fn update<R>(&self, change: impl Fn(Snapshot) -> (Snapshot, R)) -> R {
        let mut current = self.0.load(Ordering::Relaxed);
        loop {
            let (Snapshot(changed), outcome) = change(Snapshot(current));
            match self.0.compare_exchange_weak(current, changed, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return outcome,
                Err(actual) => current = actual,
            }
        }
    }
}

impl Snapshot {
    fn items(self) -> u64 {
        self.0 / ITEM
    }

    fn with_item(self) -> Self {
        Self(self.0 + ITEM)
    }

    fn without_item(self) -> Option<Self> {
        self.0.checked_sub(ITEM).map(Self)
    }

    fn is_waiting(self) -> bool {
        self.0 & WAITING != 0
    }

    fn with_waiting(self) -> Self {
        Self(self.0 | WAITING)
    }

    fn without_waiting(self) -> Self {
        Self(self.0 & !WAITING)
    }

    fn has_pump(self, pump: usize) -> bool {
        self.0 & (1 << pump) != 0
    }

    fn without_pump(self, pump: usize) -> Self {
        Self(self.0 & !(1 << pump))
    }

    /// Takes a free pump, which waits from now on, unless one does.
    fn take_pump(self, pumps: usize) -> Option<(Self, usize)> {
        let pump = self.0.trailing_ones() as usize;
        (!self.is_waiting() && pump < pumps).then(|| (Self(self.0 | WAITING | (1 << pump)), pump))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("items", &self.items())
            .field("is_waiting", &self.is_waiting())
            .field("pumps", &format_args!("{:b}", self.0 & (WAITING - 1)))
            .finish()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Snapshot(self.0.load(Ordering::Relaxed)).fmt(f)
    }
}

/// A pump stands, or is about to stand, in the pool's queues. Below it, a bit for each pump that is at work.
const WAITING: u64 = 1 << 28;

/// One runnable, in the count of those that are queued: as many as have room would not fit into any memory.
const ITEM: u64 = WAITING << 1;
