//! Instants as ticks of a wheel.
//!
//! A deadline is rounded up to a tick and the present is rounded down, so that a timer never fires early and fires at
//! most one tick late. This is the only place of the crate that reads the clock for timers.

use std::time::{Duration, Instant};

/// A tick is two to the power of this many nanoseconds.
const TICK_BITS: u32 = 16;

/// The precision of timers: the wheel's tick.
///
/// A timer fires at the first tick that is not before its deadline.
///
/// # Examples
///
/// ```
/// assert!(tress::time::TICK < std::time::Duration::from_millis(1));
/// ```
pub const TICK: Duration = Duration::from_nanos(1 << TICK_BITS);

/// The last tick that exists; later deadlines count as this one, centuries after the clock's start.
pub(crate) const LAST_TICK: u64 = u64::MAX >> TICK_BITS;

/// What "never" means for a deadline that the platform's `Instant` cannot hold.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The present.
#[inline]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// `duration` after `instant`, or a far future when no `Instant` can hold that.
#[inline]
pub(crate) fn later(instant: Instant, duration: Duration) -> Instant {
    instant.checked_add(duration).unwrap_or_else(|| now() + FAR_FUTURE)
}

/// Counts ticks from the moment when it was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts at `start`: an earlier instant is tick zero.
    pub(crate) fn new(start: Instant) -> Self {
        Self { start }
    }

    /// The last tick that is not after `now`.
    #[inline]
    pub(crate) fn tick_at(&self, now: Instant) -> u64 {
        self.nanos_until(now) >> TICK_BITS
    }

    /// The first tick that is not before `deadline`.
    #[inline]
    pub(crate) fn tick_of(&self, deadline: Instant) -> u64 {
        self.nanos_until(deadline).saturating_add((1 << TICK_BITS) - 1) >> TICK_BITS
    }

    /// The instant at which `tick` begins.
    #[inline]
    pub(crate) fn instant_of(&self, tick: u64) -> Instant {
        later(self.start, Duration::from_nanos(tick.min(LAST_TICK) << TICK_BITS))
    }

    #[inline]
    fn nanos_until(&self, instant: Instant) -> u64 {
        let since_start = instant.saturating_duration_since(self.start);
        since_start
            .as_secs()
            .saturating_mul(NANOS_PER_SECOND)
            .saturating_add(u64::from(since_start.subsec_nanos()))
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[cfg(all(test, not(tress_loom)))]
mod tests {
    use super::*;

    #[test]
    fn deadlines_round_up_and_the_present_rounds_down() {
        let start = now();
        let clock = Clock::new(start);
        let nano = Duration::from_nanos(1);
        assert_eq!(clock.tick_of(start), 0);
        assert_eq!(clock.tick_of(start + nano), 1);
        assert_eq!(clock.tick_of(start + TICK), 1);
        assert_eq!(clock.tick_of(start + TICK + nano), 2);
        assert_eq!(clock.tick_at(start + TICK - nano), 0);
        assert_eq!(clock.tick_at(start + TICK), 1);
        assert_eq!(clock.instant_of(1), start + TICK);
    }

    #[test]
    fn the_ends_of_time_are_ticks() {
        let start = now();
        let clock = Clock::new(start);
        assert_eq!(clock.tick_of(start - Duration::from_secs(1)), 0);
        let centuries = start + Duration::from_secs(2000 * 365 * 24 * 60 * 60);
        assert_eq!(clock.tick_of(centuries), LAST_TICK);
        assert_eq!(clock.tick_at(centuries), LAST_TICK);
        assert!(clock.instant_of(u64::MAX) > start);
        assert!(later(start, Duration::MAX) > start + FAR_FUTURE / 2);
    }
}
