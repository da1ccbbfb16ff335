//! Giving up on a future.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::clock;
use super::error::Elapsed;
use super::sleep::Sleep;
use crate::coop;
use crate::leaf::Wait;

/// Requires `future` to be ready before `duration` has passed since this call.
///
/// The future is polled before the clock is looked at: one that is ready at once wins even over a duration of zero. If
/// the duration passes first, the result is an error and the future is dropped along with this one.
///
/// # Cancel safety
///
/// As that of `future`, which is dropped when the timeout is.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tress::time::timeout;
///
/// # let runtime = tress::Runtime::new()?;
/// # runtime.block_on(async {
/// let never = std::future::pending::<()>();
/// assert!(timeout(Duration::from_millis(1), never).await.is_err());
/// assert_eq!(timeout(Duration::from_secs(60), async { 7 }).await, Ok(7));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout::new(clock::later(clock::now(), duration), Wait::new("timeout"), future.into_future())
}

/// Requires `future` to be ready before `deadline`.
///
/// # Cancel safety
///
/// As that of `future`, which is dropped when the timeout is.
///
/// # Examples
///
/// ```
/// use std::time::Instant;
/// use tress::time::timeout_at;
///
/// # let runtime = tress::Runtime::new()?;
/// # runtime.block_on(async {
/// let never = std::future::pending::<()>();
/// assert!(timeout_at(Instant::now(), never).await.is_err());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout::new(deadline, Wait::new("timeout"), future.into_future())
}

pin_project! {
    /// The future of [`timeout()`] and [`timeout_at`].
    ///
    /// The deadline is registered when the future inside is found pending for the first time.
    #[must_use = "a timeout does nothing unless it is polled"]
    #[derive(Debug)]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        #[pin]
        sleep: Sleep,
    }
}

impl<F> Timeout<F> {
    fn new(deadline: Instant, wait: Wait, future: F) -> Self {
        Self { future, sleep: Sleep::new(deadline, wait) }
    }

    /// Borrows the future inside.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{future::ready, time::Duration};
    /// use tress::time::timeout;
    ///
    /// let timeout = timeout(Duration::from_secs(1), ready(7));
    /// assert_eq!(timeout.get_ref().clone().into_inner(), 7);
    /// ```
    #[must_use]
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// Borrows the future inside mutably.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{future::ready, time::Duration};
    /// use tress::time::timeout;
    ///
    /// let mut timeout = timeout(Duration::from_secs(1), ready(7));
    /// *timeout.get_mut() = ready(8);
    /// assert_eq!(timeout.into_inner().into_inner(), 8);
    /// ```
    #[must_use]
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// Gives the future inside back.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{future::ready, time::Duration};
    /// use tress::time::timeout;
    ///
    /// let timeout = timeout(Duration::from_secs(1), ready(7));
    /// assert_eq!(timeout.into_inner().into_inner(), 7);
    /// ```
    #[must_use]
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let me = self.project();
        let had_budget = coop::has_budget_remaining();
        if let Poll::Ready(output) = me.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        // A future that uses up the budget in every poll must not keep the deadline from being seen.
        let _unconstrained = (had_budget && !coop::has_budget_remaining()).then(|| coop::enter(None));
        me.sleep.poll(cx).map(|()| Err(Elapsed::new()))
    }
}
