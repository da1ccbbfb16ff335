//! Timers: waiting for a moment, giving up after one, ticking at a period.
//!
//! - [`sleep()`] and [`sleep_until`] wait for a deadline.
//! - [`timeout()`] and [`timeout_at`] put a deadline on a future.
//! - [`interval()`] and [`interval_at`] tick at a fixed period, with a choice of what happens to missed ticks.
//!
//! A timer never ends early. It ends at most one [`TICK`] late, plus what it takes to run the task.
//!
//! Timers belong to the worker that first polls them; another worker fires them when that one is busy. They work on any
//! executor: where no runtime of tress is current, a thread of the process serves them. That thread is started by the
//! first timer that needs it and sleeps for good while nothing is pending.

mod bell;
mod clock;
mod driver;
pub mod error;
mod interval;
mod sleep;
mod timeout;
mod timer;
mod wheel;

#[cfg(not(tress_loom))]
mod fallback;
#[cfg(tress_loom)]
mod no_fallback;
#[cfg(tress_loom)]
use no_fallback as fallback;

pub use std::time::{Duration, Instant};

pub use self::clock::TICK;
pub(crate) use self::driver::TimeDriver;
pub use self::interval::{Interval, MissedTickBehavior, interval, interval_at};
pub(crate) use self::sleep::sleep_as;
pub use self::sleep::{Sleep, sleep, sleep_until};
pub use self::timeout::{Timeout, timeout, timeout_at};

#[cfg(all(test, tress_loom))]
mod model;
#[cfg(all(test, not(tress_loom)))]
mod tests;
