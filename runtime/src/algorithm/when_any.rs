//! The first value, or all errors.

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::fan::Fan;
use super::slots::Slots;
use super::stoppable::{Inner, Stoppable};
use crate::stop::{self, CatchStop, Outcome, StopSource};

/// Runs futures side by side, in one task, and gives the first value.
///
/// The first value stops the others: those that have not begun are dropped, the token of the [environment](crate::env) asks the rest to stop,
/// and once all of them have ended the value is returned. So what a future does in order to end properly, in a [`shield`](crate::env::shield)
/// or after an [`outcome`](crate::stop::outcome), is done by then. What the others end with is dropped. A future that waits for something which
/// knows of no stop, such as a channel of another crate, is waited for.
///
/// A future that is [stopped](crate::stop::stopped) is out of the race. If there is no value, and one of them was stopped, whoever awaits them
/// is stopped.
///
/// A future is polled only when it was woken itself.
///
/// # Errors
///
/// If all fail: every error, in the order of the futures. With no futures at all, that is an empty list.
///
/// # Panics
///
/// If one of the futures does; the others are dropped first. Polling it again after it has completed panics.
///
/// # Cancel safety
///
/// Dropping it drops the futures; what they have returned by then is lost.
///
/// # Source
///
/// D2583 §10.5 has `when_all` only; this is its counterpart (`asyncio`'s and stdexec's `when_any`).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tress::algorithm::when_any;
/// use tress::time::sleep;
///
/// async fn ask(server: u64) -> Result<u64, &'static str> {
///     sleep(Duration::from_millis(server)).await;
///     if server == 1 { Err("down") } else { Ok(server) }
/// }
///
/// # let runtime = tress::Runtime::new()?;
/// # runtime.block_on(async {
/// assert_eq!(when_any([60_000, 1, 2].map(ask)).await, Ok(2));
/// assert_eq!(when_any([1, 1].map(ask)).await, Err(vec!["down", "down"]));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn when_any<I, T, E>(futures: I) -> WhenAny<I::Item, T, E>
where
    I: IntoIterator,
    I::Item: Future<Output = Result<T, E>>,
{
    let children = Fan::new(Slots::new(futures.into_iter().map(stop::outcome)));
    let mut errors = Vec::new();
    errors.resize_with(children.len(), || None);
    let any = Any { children, errors, value: None, is_stopped: false, source: None };
    WhenAny { any: Stoppable::new(any) }
}

pin_project! {
    /// The future of [`when_any`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct WhenAny<F, T, E> {
        #[pin]
        any: Stoppable<Any<F, T, E>>,
    }
}

impl<F, T, E> Future for WhenAny<F, T, E>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, Vec<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().any.poll(cx, "a `when_any` was polled after it had completed")
    }
}

impl<F, T, E> fmt::Debug for WhenAny<F, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhenAny").finish_non_exhaustive()
    }
}

struct Any<F, T, E> {
    children: Fan<Slots<CatchStop<F>>>,
    errors: Vec<Option<E>>,
    /// The first.
    value: Option<T>,
    /// Whether one of the children was stopped.
    is_stopped: bool,
    /// `None` before it begins.
    source: Option<StopSource>,
}

// The futures are pinned in an allocation of their own.
impl<F, T, E> Unpin for Any<F, T, E> {}

impl<F, T, E> Inner<Result<T, Vec<E>>> for Any<F, T, E>
where
    F: Future<Output = Result<T, E>>,
{
    fn begin(&mut self, source: StopSource) {
        self.source = Some(source);
    }
}

impl<F, T, E> Future for Any<F, T, E>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Outcome<Result<T, Vec<E>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { children, errors, value, is_stopped, source } = &mut *self;
        let mut note = |child: usize, ended| {
            match ended {
                Outcome::Value(Ok(first)) if value.is_none() => {
                    *value = Some(first);
                    return ControlFlow::Break(());
                }
                Outcome::Value(Ok(_late)) => {}
                Outcome::Value(Err(error)) => errors[child] = Some(error),
                Outcome::Stopped => *is_stopped = true,
            }
            ControlFlow::Continue(())
        };
        while ready!(children.poll(cx, &mut note)).is_break() {
            children.stop(source.as_ref().expect("it has begun"));
        }
        Poll::Ready(match value.take() {
            Some(value) => Outcome::Value(Ok(value)),
            None if *is_stopped => Outcome::Stopped,
            None => {
                let errors = std::mem::take(errors).into_iter();
                let errors = errors.map(|error| error.expect("every child has failed"));
                Outcome::Value(Err(errors.collect()))
            }
        })
    }
}
