//! Ticking at a fixed period.

use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::clock;
use super::sleep::Sleep;
use crate::frame;
use crate::leaf::Wait;

/// Ticks now and then once each `period`.
///
/// # Panics
///
/// If `period` is zero.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use tress::time::interval;
///
/// # let runtime = tress::Runtime::new()?;
/// # runtime.block_on(async {
/// let mut interval = interval(Duration::from_millis(2));
/// let first = interval.tick().await;
/// let second = interval.tick().await;
/// assert_eq!(second - first, Duration::from_millis(2));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    Interval::new(clock::now(), period, Wait::new("interval tick"))
}

/// Ticks at `start` and then once each `period`.
///
/// # Panics
///
/// If `period` is zero.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use tress::time::interval_at;
///
/// # let runtime = tress::Runtime::new()?;
/// # runtime.block_on(async {
/// let start = Instant::now() + Duration::from_millis(2);
/// let mut interval = interval_at(start, Duration::from_secs(1));
/// assert_eq!(interval.tick().await, start);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    Interval::new(start, period, Wait::new("interval tick"))
}

/// What an [`Interval`] does about ticks that were due while nobody waited for them.
///
/// A tick counts as missed when it is noticed more than a few milliseconds late.
///
/// # Examples
///
/// With a period of 50 ms and a pause of 120 ms after the tick at 0, the next ticks come at:
///
/// | | | | | |
/// |-|-|-|-|-|
/// | `Burst` | 120 | 120 | 150 | 200 |
/// | `Delay` | 120 | 170 | 220 | 270 |
/// | `Skip`  | 120 | 150 | 200 | 250 |
///
/// ```
/// use std::time::Duration;
/// use tress::time::{MissedTickBehavior, interval};
///
/// let mut interval = interval(Duration::from_millis(50));
/// interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
/// assert_eq!(interval.missed_tick_behavior(), MissedTickBehavior::Skip);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// Makes up for them at once, one after the other, and goes on as if none had been missed.
    #[default]
    Burst,
    /// Forgets them and counts periods from the late tick.
    Delay,
    /// Forgets them and goes on with the next tick of the original schedule.
    Skip,
}

impl MissedTickBehavior {
    /// When the tick after the one that was due at `tick` and noticed at `now` is due.
    fn next_tick(self, tick: Instant, now: Instant, period: Duration) -> Instant {
        match self {
            Self::Burst => clock::later(tick, period),
            Self::Delay => clock::later(now, period),
            Self::Skip => clock::later(now, period - remainder(now - tick, period)),
        }
    }
}

/// Ticks at a fixed period; made by [`interval()`] and [`interval_at`].
///
/// The time between two ticks includes whatever the task does between them, unlike with a `sleep` in a loop.
#[derive(Debug)]
pub struct Interval {
    /// Boxed so that the interval may be moved between ticks.
    sleep: Pin<frame::Box<Sleep>>,
    period: Duration,
    missed_tick_behavior: MissedTickBehavior,
}

/// A tick noticed later than this was missed; earlier, the delay is taken for the scheduler's.
const TOLERATED_DELAY: Duration = Duration::from_millis(5);

impl Interval {
    #[track_caller]
    fn new(start: Instant, period: Duration, wait: Wait) -> Self {
        assert!(!period.is_zero(), "`period` must be non-zero");
        Self {
            // From the pool, whatever window is open: who makes an interval reckons with no refusal.
            sleep: frame::within(None, || frame::Box::pin(Sleep::new(start, wait))),
            period,
            missed_tick_behavior: MissedTickBehavior::default(),
        }
    }

    /// Waits for the next tick and returns the instant at which it was due.
    ///
    /// # Cancel safety
    ///
    /// A tick is used up only when it is returned: dropping the future loses none.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use tress::time::interval;
    ///
    /// # let runtime = tress::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let mut interval = interval(Duration::from_millis(1));
    /// for _ in 0..3 {
    ///     interval.tick().await;
    /// }
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn tick(&mut self) -> impl Future<Output = Instant> + '_ {
        self.sleep.as_mut().relocate(Location::caller());
        poll_fn(|cx| self.poll_tick(cx))
    }

    /// Polls for the next tick.
    ///
    /// While it is pending, the task of the last call is the one that is woken.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::task::{Context, Poll, Waker};
    /// use std::time::Duration;
    /// use tress::time::interval;
    ///
    /// let mut cx = Context::from_waker(Waker::noop());
    /// let mut interval = interval(Duration::from_secs(60));
    /// assert!(interval.poll_tick(&mut cx).is_ready());
    /// assert!(interval.poll_tick(&mut cx).is_pending());
    /// ```
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(self.sleep.as_mut().poll(cx));
        let (tick, now) = (self.sleep.deadline(), clock::now());
        let next = if now.saturating_duration_since(tick) > TOLERATED_DELAY {
            self.missed_tick_behavior.next_tick(tick, now, self.period)
        } else {
            clock::later(tick, self.period)
        };
        self.sleep.as_mut().reset(next);
        Poll::Ready(tick)
    }

    /// Makes the next tick come one period from now.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use tress::time::interval;
    ///
    /// # let runtime = tress::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let mut interval = interval(Duration::from_millis(2));
    /// let start = Instant::now();
    /// interval.reset();
    /// assert!(interval.tick().await >= start + Duration::from_millis(2));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reset(&mut self) {
        self.reset_after(self.period);
    }

    /// Makes the next tick come now.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::task::{Context, Waker};
    /// use std::time::Duration;
    /// use tress::time::interval;
    ///
    /// let mut cx = Context::from_waker(Waker::noop());
    /// let mut interval = interval(Duration::from_secs(60));
    /// assert!(interval.poll_tick(&mut cx).is_ready());
    /// interval.reset_immediately();
    /// assert!(interval.poll_tick(&mut cx).is_ready());
    /// ```
    pub fn reset_immediately(&mut self) {
        self.reset_at(clock::now());
    }

    /// Makes the next tick come after `after`; the ticks after it keep the period.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use tress::time::interval;
    ///
    /// # let runtime = tress::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let mut interval = interval(Duration::from_secs(60));
    /// interval.tick().await;
    /// interval.reset_after(Duration::from_millis(1));
    /// interval.tick().await;
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reset_after(&mut self, after: Duration) {
        self.reset_at(clock::later(clock::now(), after));
    }

    /// Makes the next tick come at `deadline`; the ticks after it keep the period.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use tress::time::interval;
    ///
    /// # let runtime = tress::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let mut interval = interval(Duration::from_secs(60));
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// interval.reset_at(deadline);
    /// assert_eq!(interval.tick().await, deadline);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reset_at(&mut self, deadline: Instant) {
        self.sleep.as_mut().reset(deadline);
    }

    /// Returns the time between two ticks.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use tress::time::interval;
    ///
    /// assert_eq!(interval(Duration::from_secs(1)).period(), Duration::from_secs(1));
    /// ```
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Returns what happens to missed ticks.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use tress::time::{MissedTickBehavior, interval};
    ///
    /// let interval = interval(Duration::from_secs(1));
    /// assert_eq!(interval.missed_tick_behavior(), MissedTickBehavior::Burst);
    /// ```
    #[must_use]
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed_tick_behavior
    }

    /// Chooses what happens to missed ticks.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use tress::time::{MissedTickBehavior, interval};
    ///
    /// let mut interval = interval(Duration::from_secs(1));
    /// interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    /// ```
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed_tick_behavior = behavior;
    }
}

/// `duration` modulo `period`.
fn remainder(duration: Duration, period: Duration) -> Duration {
    const NANOS_PER_SECOND: u128 = 1_000_000_000;
    let nanos = duration.as_nanos() % period.as_nanos();
    let seconds = u64::try_from(nanos / NANOS_PER_SECOND).expect("it is less than the period");
    let subsec_nanos = u32::try_from(nanos % NANOS_PER_SECOND).expect("it is less than a second");
    Duration::new(seconds, subsec_nanos)
}

#[cfg(all(test, not(tress_loom)))]
#[path = "tests/interval.rs"]
mod tests;
