//! Waiting for an instant.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::clock;
use super::driver::TimeDriver;
use super::fallback;
use super::timer::{Surroundings, Timer};
use crate::context;
use crate::leaf::Wait;
use crate::primitive::sync::Arc;

/// Waits until `duration` has passed since this call.
///
/// A duration whose end no [`Instant`] can hold, such as `Duration::MAX`, means a far future.
///
/// # Cancel safety
///
/// Dropping the future cancels the timer; nothing is lost.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use tress::time::sleep;
///
/// # let runtime = tress::Runtime::new()?;
/// let start = Instant::now();
/// # runtime.block_on(async {
/// sleep(Duration::from_millis(2)).await;
/// # });
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::new(clock::later(clock::now(), duration), Wait::new("sleep"))
}

/// Waits until `deadline`, which may be in the past.
///
/// # Cancel safety
///
/// Dropping the future cancels the timer; nothing is lost.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use tress::time::sleep_until;
///
/// # let runtime = tress::Runtime::new()?;
/// let deadline = Instant::now() + Duration::from_millis(2);
/// # runtime.block_on(async {
/// sleep_until(deadline).await;
/// # });
/// assert!(Instant::now() >= deadline);
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(deadline, Wait::new("sleep"))
}

/// Waits until `duration` has passed, as a part of `wait`.
pub(crate) fn sleep_as(duration: Duration, wait: Wait) -> Sleep {
    Sleep::new(clock::later(clock::now(), duration), wait)
}

pin_project! {
    /// The future of [`sleep()`] and [`sleep_until`].
    ///
    /// It is ready at the first tick of [`TICK`](super::TICK) that is not before its deadline, and stays ready until it
    /// is [`reset`](Sleep::reset). It holds its place in the timer wheel inside itself, without an allocation, and so
    /// has to be pinned before it is polled: `.await` does that, elsewhere `std::pin::pin!` or `Box::pin`.
    ///
    /// The wheel is that of the worker that polls it first. Where no runtime is current, it is one of the process, whose
    /// thread is started by the first timer that needs it; so it may be awaited on any executor.
    #[must_use = "a sleep waits only when it is polled"]
    pub struct Sleep {
        wait: Wait,
        deadline: Instant,
        #[pin]
        timer: Timer,
    }
}

impl Sleep {
    pub(super) fn new(deadline: Instant, wait: Wait) -> Self {
        Self { wait, deadline, timer: Timer::new() }
    }

    /// Returns the instant at which the sleep ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Instant;
    /// use tress::time::sleep_until;
    ///
    /// let deadline = Instant::now();
    /// assert_eq!(sleep_until(deadline).deadline(), deadline);
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Tells whether the deadline has come, polled or not.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use tress::time::sleep;
    ///
    /// assert!(sleep(Duration::ZERO).is_elapsed());
    /// assert!(!sleep(Duration::from_secs(60)).is_elapsed());
    /// ```
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        self.timer.has_fired() || clock::now() >= self.deadline
    }

    /// Changes the deadline, whether or not the sleep has ended.
    ///
    /// A task that waits for it stays registered and is woken at the new deadline. A sleep that has ended starts anew
    /// when it is next polled.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::time::{Duration, Instant};
    /// use tress::time::sleep;
    ///
    /// # let runtime = tress::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let mut sleep = pin!(sleep(Duration::from_secs(60)));
    /// sleep.as_mut().reset(Instant::now() + Duration::from_millis(1));
    /// sleep.await;
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        let me = self.project();
        *me.deadline = deadline;
        me.timer.reset(deadline);
    }
}

impl Sleep {
    /// Changes the deadline to `duration` from now.
    pub(crate) fn restart(self: Pin<&mut Self>, duration: Duration) {
        self.reset(clock::later(clock::now(), duration));
    }

    /// Changes the line that is said to wait.
    pub(super) fn relocate(self: Pin<&mut Self>, location: &'static Location<'static>) {
        self.project().wait.relocate(location);
    }
}

impl Future for Sleep {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = self.project();
        let deadline = *me.deadline;
        me.wait.poll(cx, |cx| me.timer.poll(deadline, cx.waker(), &CurrentThread))
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .field("is_elapsed", &self.is_elapsed())
            .finish_non_exhaustive()
    }
}

/// The clock and the drivers that a poll on this thread uses.
struct CurrentThread;

impl Surroundings for CurrentThread {
    #[inline]
    fn now(&self) -> Instant {
        clock::now()
    }

    #[inline]
    fn drivers(&self) -> impl Iterator<Item = Arc<TimeDriver>> {
        context::current_time_driver().into_iter().chain(std::iter::once_with(fallback::driver).flatten())
    }
}
