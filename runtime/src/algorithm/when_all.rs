//! All values, or the first error.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::all::All;
use super::children::{ALL_GIVEN, Children, Ended, Gather, keep};
use super::slots::Slots;
use super::stoppable::Stoppable;
use crate::stop::{self, CatchStop};

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
/// For futures that cannot fail: [`join_all`](super::join_all()). For a few of different types: [`when_all_of`](super::when_all_of()).
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
    let slots = Slots::new(futures.into_iter().map(stop::outcome));
    let mut values = Vec::new();
    values.resize_with(slots.len(), || None);
    WhenAll { all: All::new(Many { slots, values }) }
}

pin_project! {
    /// The future of [`when_all`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct WhenAll<F, T, E> {
        #[pin]
        all: Stoppable<All<Many<F, T>, E>>,
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

/// Futures of one type, and the values that they have given.
struct Many<F, T> {
    slots: Slots<CatchStop<F>>,
    values: Vec<Option<T>>,
}

impl<F, T, E> Children for Many<F, T>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Ended<E>;

    fn len(&self) -> usize {
        self.slots.len()
    }

    fn is_live(&self, index: usize) -> bool {
        self.slots.is_live(index)
    }

    #[inline]
    fn poll(&mut self, index: usize, cx: &mut Context<'_>) -> Option<Poll<Self::Output>> {
        Some(self.slots.poll(index, cx)?.map(|ended| keep(&mut self.values[index], ended)))
    }

    #[inline]
    fn clear(&mut self, index: usize) {
        self.slots.clear(index);
    }
}

impl<F, T, E> Gather<E> for Many<F, T>
where
    F: Future<Output = Result<T, E>>,
{
    type Values = Vec<T>;

    fn take_values(&mut self) -> Vec<T> {
        let values = std::mem::take(&mut self.values).into_iter();
        values.map(|value| value.expect(ALL_GIVEN)).collect()
    }
}
