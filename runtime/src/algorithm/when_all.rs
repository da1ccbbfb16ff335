//! All values, or the first error.

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::fan::Fan;
use super::stoppable::{Inner, Stoppable};
use crate::stop::{self, CatchStop, Outcome, StopSource};

/// Runs futures side by side, in one task, and gives all their values in the order of the futures.
///
/// The first error stops the others: those that have not begun are dropped, the token of the [environment](crate::env) asks the rest to stop,
/// and once all of them have ended the error is returned. So what a future does in order to end properly, in a [`shield`](crate::env::shield)
/// or after an [`outcome`](crate::stop::outcome), is done by then. What the others end with is dropped. A future that waits for something which
/// knows of no stop, such as a channel of another crate, is waited for: where it should rather be dropped, use `try_join_all`.
///
/// A future that is [stopped](crate::stop::stopped), by itself or with whoever awaits all, stops the others, too; then whoever awaits all is
/// stopped, unless one of them has failed.
///
/// A future is polled only when it was woken itself. Thousands of futures that are ready at once cost a few allocations together.
///
/// For futures that cannot fail: [`join_all`](super::join_all()). For a few of different types: `try_join!`, which drops the others at the
/// first error.
///
/// # Errors
///
/// The first error that is found.
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
/// D2583 §10.5, P2300 (`when_all`).
///
/// # Examples
///
/// ```
/// use tress::algorithm::when_all;
///
/// async fn half(n: u32) -> Result<u32, String> {
///     if n % 2 == 0 { Ok(n / 2) } else { Err(format!("{n} is odd")) }
/// }
///
/// # let runtime = tress::Runtime::new()?;
/// # runtime.block_on(async {
/// assert_eq!(when_all([2, 4, 6].map(half)).await, Ok(vec![1, 2, 3]));
/// assert_eq!(when_all([2, 3, 5].map(half)).await, Err("3 is odd".to_owned()));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn when_all<I, T, E>(futures: I) -> WhenAll<I::Item, T, E>
where
    I: IntoIterator,
    I::Item: Future<Output = Result<T, E>>,
{
    let children = Fan::new(futures.into_iter().map(stop::outcome));
    let mut values = Vec::new();
    values.resize_with(children.len(), || None);
    let all = All { children, values, error: None, is_stopped: false, source: None };
    WhenAll { all: Stoppable::new(all) }
}

pin_project! {
    /// The future of [`when_all`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct WhenAll<F, T, E> {
        #[pin]
        all: Stoppable<All<F, T, E>>,
    }
}

impl<F, T, E> Future for WhenAll<F, T, E>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<Vec<T>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().all.poll(cx, "a `when_all` was polled after it had completed")
    }
}

impl<F, T, E> fmt::Debug for WhenAll<F, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhenAll").finish_non_exhaustive()
    }
}

struct All<F, T, E> {
    children: Fan<CatchStop<F>>,
    values: Vec<Option<T>>,
    /// The first.
    error: Option<E>,
    /// Whether one of the children was stopped.
    is_stopped: bool,
    /// `None` before it begins.
    source: Option<StopSource>,
}

// The futures are pinned in an allocation of their own.
impl<F, T, E> Unpin for All<F, T, E> {}

impl<F, T, E> Inner<Result<Vec<T>, E>> for All<F, T, E>
where
    F: Future<Output = Result<T, E>>,
{
    fn begin(&mut self, source: StopSource) {
        self.source = Some(source);
    }
}

impl<F, T, E> Future for All<F, T, E>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Outcome<Result<Vec<T>, E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { children, values, error, is_stopped, source } = &mut *self;
        let mut note = |child: usize, ended| {
            // What comes after the first reason to stop is no reason to stop again.
            let is_first = error.is_none() && !*is_stopped;
            match ended {
                Outcome::Value(Ok(value)) => {
                    values[child] = Some(value);
                    return ControlFlow::Continue(());
                }
                Outcome::Value(Err(this)) => {
                    error.get_or_insert(this);
                }
                Outcome::Stopped => *is_stopped = true,
            }
            if is_first { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        while ready!(children.poll(cx, &mut note)).is_break() {
            children.stop(source.as_ref().expect("it has begun"));
        }
        Poll::Ready(match error.take() {
            Some(error) => Outcome::Value(Err(error)),
            None if *is_stopped => Outcome::Stopped,
            None => {
                let values = std::mem::take(values).into_iter();
                let values = values.map(|value| value.expect("every child has given its value"));
                Outcome::Value(Ok(values.collect()))
            }
        })
    }
}
