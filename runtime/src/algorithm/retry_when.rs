//! Trying something again after it has failed.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use super::backoff::Backoff;
use super::stoppable::turn;
use crate::leaf::Wait;
use crate::time;

/// Says whether to try again after an error, and when.
///
/// A [`Backoff`] tries again whatever the error is. So that some errors are final, use a closure:
///
/// ```
/// use std::io;
/// use std::time::Duration;
/// use tress::algorithm::{Backoff, RetryPolicy};
///
/// fn transient() -> impl RetryPolicy<io::Error> {
///     let mut backoff = Backoff::new(Duration::from_millis(10));
///     move |error: &io::Error| match error.kind() {
///         io::ErrorKind::ConnectionRefused | io::ErrorKind::TimedOut => backoff.next_delay(),
///         _ => None,
///     }
/// }
///
/// assert!(transient().next_delay(&io::ErrorKind::TimedOut.into()).is_some());
/// assert_eq!(transient().next_delay(&io::ErrorKind::InvalidInput.into()), None);
/// ```
pub trait RetryPolicy<E> {
    /// How long to wait before the next attempt; `None` if there is to be none.
    fn next_delay(&mut self, error: &E) -> Option<Duration>;
}

impl<E> RetryPolicy<E> for Backoff {
    fn next_delay(&mut self, _error: &E) -> Option<Duration> {
        self.next_delay()
    }
}

impl<E, F> RetryPolicy<E> for F
where
    F: FnMut(&E) -> Option<Duration>,
{
    fn next_delay(&mut self, error: &E) -> Option<Duration> {
        self(error)
    }
}

/// Awaits futures of `factory`, one after the other, until one succeeds or the policy gives up.
///
/// Each attempt takes a unit of the task's budget, so that one that always fails at once, without a delay, lets others have their turn. If its
/// environment's [token](crate::env) asks it to stop, delays end, and no other attempt begins.
///
/// # Errors
///
/// The error of the last attempt, after which the policy gave no delay.
///
/// # Panics
///
/// If the factory, one of its futures or the policy does.
///
/// # Cancel safety
///
/// Dropping it drops the attempt at hand, of which it is as safe, or ends the delay.
///
/// # Source
///
/// P2300 §1.5 (`retry`), stdexec's `retry_n` and `retry_backoff`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tress::algorithm::{Backoff, retry_when};
///
/// # let runtime = tress::Runtime::new()?;
/// # runtime.block_on(async {
/// let mut attempts = 0;
/// let backoff = Backoff::new(Duration::from_millis(1)).max_attempts(5);
/// let third = retry_when(backoff, || {
///     attempts += 1;
///     let attempt = attempts;
///     async move { if attempt < 3 { Err("not yet") } else { Ok(attempt) } }
/// });
/// assert_eq!(third.await, Ok(3));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn retry_when<T, E, P, M, F>(mut policy: P, mut factory: M) -> impl Future<Output = Result<T, E>>
where
    P: RetryPolicy<E>,
    M: FnMut() -> F,
    F: Future<Output = Result<T, E>>,
{
    let caller = Location::caller();
    async move {
        loop {
            // In a block, so that no error has to be `Send` in order to be dropped before the next await.
            let delay = {
                let error = match factory().await {
                    Ok(value) => return Ok(value),
                    Err(error) => error,
                };
                match policy.next_delay(&error) {
                    Some(delay) => delay,
                    None => return Err(error),
                }
            };
            let wait = Wait::at("retry", caller);
            if delay.is_zero() {
                turn(wait).await;
            } else {
                time::sleep_as(delay, wait).await;
            }
        }
    }
}
