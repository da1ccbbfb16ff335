//! All outputs of futures that cannot fail.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::fan::Fan;
use super::slots::Slots;

/// Runs futures side by side, in one task, and gives all their outputs in the order of the futures.
///
/// What [`when_all`](super::when_all()) is for futures that cannot fail, and for those whose results are all wanted. It polls
/// a future only when it was woken itself.
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
/// D2583 §10.5; the name is that of `futures`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tress::algorithm::join_all;
/// use tress::time::sleep;
///
/// # let runtime = tress::Runtime::new()?;
/// # runtime.block_on(async {
/// let late = [3, 1, 2].map(|n| async move {
///     sleep(Duration::from_millis(n)).await;
///     n
/// });
/// assert_eq!(join_all(late).await, [3, 1, 2]);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn join_all<I>(futures: I) -> JoinAll<I::Item>
where
    I: IntoIterator,
    I::Item: Future,
{
    let children = Fan::new(Slots::new(futures.into_iter()));
    let mut outputs = Vec::new();
    outputs.resize_with(children.len(), || None);
    JoinAll { children, outputs }
}

/// The future of [`join_all`].
#[must_use = "futures do nothing unless awaited"]
pub struct JoinAll<F: Future> {
    children: Fan<Slots<F>>,
    /// Empty once they have been given.
    outputs: Vec<Option<F::Output>>,
}

// The futures are pinned in an allocation of their own.
impl<F: Future> Unpin for JoinAll<F> {}

impl<F: Future> Future for JoinAll<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<F::Output>> {
        let Self { children, outputs } = &mut *self;
        assert!(outputs.len() == children.len(), "a `join_all` was polled after it had completed");
        let ControlFlow::Continue(()) = ready!(children.poll(cx, |child, output| {
            outputs[child] = Some(output);
            ControlFlow::<Infallible>::Continue(())
        }));
        let outputs = std::mem::take(outputs).into_iter();
        Poll::Ready(outputs.map(|output| output.expect("every child has given its output")).collect())
    }
}

impl<F: Future> FromIterator<F> for JoinAll<F> {
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
        join_all(futures)
    }
}

impl<F: Future> fmt::Debug for JoinAll<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinAll").finish_non_exhaustive()
    }
}
