//! How much of an arena is in use, in one word.

use crate::primitive::sync::atomic::{AtomicU64, Ordering};

/// The part of an arena in use ends at a watermark; what lies below it is given back when the block on top goes, or all.
#[derive(Debug)]
pub(super) struct ArenaState {
    /// Values: the watermark in [`UNIT_BYTES`] in the low half, the number of live blocks in the high half. Written by whoever allocates
    /// or gives back. Publishes that the last users of a block are done with it.
    word: AtomicU64,
}

/// What [`ArenaState::transition_to_allocated`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Allocated {
    /// The caller has the units from here on.
    At(u32),
    /// There is no room.
    Refused,
}

#[derive(Debug, Clone, Copy)]
struct Snapshot(u64);

impl Snapshot {
    fn new(live: u32, watermark: u32) -> Self {
        Self((u64::from(live) << u32::BITS) | u64::from(watermark))
    }

    fn live(self) -> u32 {
        (self.0 >> u32::BITS) as u32
    }

    fn watermark(self) -> u32 {
        self.0 as u32
    }
}

impl ArenaState {
    /// Makes an empty arena.
    pub(super) fn new() -> Self {
        Self { word: AtomicU64::new(0) }
    }

    /// Takes `units` from a multiple of `align_units` (a power of two) on, if they end at `capacity_units` or before.
    pub(super) fn transition_to_allocated(
        &self,
        units: u32,
        align_units: u32,
        capacity_units: u32,
    ) -> Allocated {
        let mut old = Snapshot(self.word.load(Ordering::Relaxed));
        loop {
            let start = old.watermark().checked_next_multiple_of(align_units);
            let end = start.and_then(|start| start.checked_add(units)).filter(|end| *end <= capacity_units);
            let (Some(start), Some(end), Some(live)) = (start, end, old.live().checked_add(1)) else {
                return Allocated::Refused;
            };
            // Acquire: partner is the Release in `transition_to_freed`, of whichever blocks lay here before; the words between are
            // read-modify-writes, which continue it.
            match self.exchange(old, Snapshot::new(live, end), Ordering::Acquire) {
                Ok(()) => return Allocated::At(start),
                Err(current) => old = current,
            }
        }
    }

    /// Gives back the units from `start` to `end`, which nobody uses any more.
    pub(super) fn transition_to_freed(&self, start: u32, end: u32) {
        let mut old = Snapshot(self.word.load(Ordering::Relaxed));
        loop {
            let live = old.live() - 1;
            let watermark = match old.watermark() {
                _ if live == 0 => 0,
                watermark if watermark == end => start,
                watermark => watermark,
            };
            // Release: partner is the Acquire in `transition_to_allocated`.
            match self.exchange(old, Snapshot::new(live, watermark), Ordering::Release) {
                Ok(()) => return,
                Err(current) => old = current,
            }
        }
    }

    /// The watermark, of a moment ago.
    pub(super) fn watermark(&self) -> u32 {
        Snapshot(self.word.load(Ordering::Relaxed)).watermark()
    }

    fn exchange(&self, old: Snapshot, new: Snapshot, success: Ordering) -> Result<(), Snapshot> {
        match self.word.compare_exchange_weak(old.0, new.0, success, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(current) => Err(Snapshot(current)),
        }
    }
}

/// The unit of the watermark.
pub(super) const UNIT_BYTES: usize = 16;
