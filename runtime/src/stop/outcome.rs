//! Where a stop ends.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::raise;

/// What came of something that may be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[must_use = "it may have been stopped"]
pub enum Outcome<T> {
    /// It has ended by itself.
    Value(T),
    /// It was stopped.
    Stopped,
}

impl<T> Outcome<T> {
    /// The value, if it was not stopped.
    #[must_use]
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Stopped => None,
        }
    }

    /// Whether it was stopped.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped)
    }

    /// The same with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Value(value) => Outcome::Value(f(value)),
            Self::Stopped => Outcome::Stopped,
        }
    }
}

/// Runs a future, and says whether it ended by itself or was stopped.
///
/// A stop inside, be it by [`stopped`](super::stopped()) or because the token of the [environment](crate::env) has stopped an operation, goes no
/// further than this: the future is dropped, and whoever awaits this goes on. It works on every executor.
///
/// # Cancel safety
///
/// As that of the future inside.
///
/// # Panics
///
/// If the future does, also when it is dropped because of a stop; and when it is polled after it has completed.
///
/// # Examples
///
/// ```
/// use tress::stop::{self, Outcome};
///
/// let runtime = tress::Runtime::new()?;
/// runtime.block_on(async {
///     assert_eq!(stop::outcome(async { 7 }).await, Outcome::Value(7));
///     assert_eq!(stop::outcome(stop::stopped()).await, Outcome::Stopped);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
///
/// P3552 §4.8.
pub fn outcome<F: Future>(future: F) -> CatchStop<F> {
    CatchStop { future: Some(future) }
}

/// Runs a future; `None` if it was stopped. See [`outcome`].
///
/// # Cancel safety
///
/// As that of the future inside.
///
/// # Panics
///
/// As [`outcome`].
///
/// # Examples
///
/// ```
/// use tress::stop;
///
/// let runtime = tress::Runtime::new()?;
/// assert!(runtime.block_on(stop::stopped_as_option(stop::stopped())).is_none());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
///
/// P2300 §11.9.18 (`stopped_as_optional`).
pub async fn stopped_as_option<F: Future>(future: F) -> Option<F::Output> {
    outcome(future).await.value()
}

/// Runs a future; an error if it was stopped. See [`outcome`].
///
/// # Errors
///
/// `error`, if the future was stopped.
///
/// # Cancel safety
///
/// As that of the future inside.
///
/// # Panics
///
/// As [`outcome`].
///
/// # Examples
///
/// ```
/// use tress::stop;
///
/// let runtime = tress::Runtime::new()?;
/// let stopped = async { match stop::stopped().await {} };
/// let result: Result<u32, &str> = runtime.block_on(stop::stopped_as_error(stopped, "asked to stop"));
/// assert_eq!(result, Err("asked to stop"));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
///
/// P2300 §11.9.19 (`stopped_as_error`).
pub async fn stopped_as_error<F: Future, E>(future: F, error: E) -> Result<F::Output, E> {
    outcome(future).await.value().ok_or(error)
}

pin_project! {
    /// The future of [`outcome`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct CatchStop<F> {
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for CatchStop<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut place = this.project().future;
            raise::catch(|| place.set(None));
        }
    }
}

impl<F: Future> Future for CatchStop<F> {
    type Output = Outcome<F::Output>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<F::Output>> {
        let mut place = self.project().future;
        let mut output = Poll::Pending;
        let mut poll = || {
            let future = place.as_mut().as_pin_mut().expect("an outcome was polled after it had completed");
            let (poll, is_raised) = raise::catch(|| future.poll(cx));
            output = poll;
            output.is_pending() && is_raised
        };
        if poll() && raise::holds(&mut poll) {
            // What is stopped in the drop goes no further either.
            raise::catch(|| place.set(None));
            return Poll::Ready(Outcome::Stopped);
        }
        output.map(Outcome::Value)
    }
}

impl<F> fmt::Debug for CatchStop<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatchStop").finish_non_exhaustive()
    }
}
