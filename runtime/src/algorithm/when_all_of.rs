//! All values of futures of different types, or the first error.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::FutureTuple;
use super::all::All;
use super::branches::Branches;
use super::stoppable::Stoppable;

/// Runs the futures of a tuple side by side, in one task, and gives the tuple of their values.
///
/// What [`when_all`](super::when_all()) is for many futures of one type: the first error stops the others, and is returned once all of
/// them have ended; one that is [stopped](crate::stop::stopped) stops the others, too; and a future is polled only when it was woken itself.
///
/// The futures share one type of error: where theirs differ, `TryFutureExt::map_err` makes them the same. Where the others should be
/// dropped at the first error, rather than stopped and waited for, there is `try_join!`.
///
/// # Errors
///
/// The first error that is found.
///
/// # Panics
///
/// If the allocator whose [window](crate::frame::with_allocator) is open refuses a frame, which the futures share. In the poll, if one of
/// the futures does; the others are dropped first. Polling it again after it has completed panics.
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
/// use tress::algorithm::when_all_of;
///
/// async fn number(text: &str) -> Result<u32, String> {
///     text.parse().map_err(|_| format!("{text} is no number"))
/// }
///
/// async fn name(text: &str) -> Result<String, String> {
///     if text.is_empty() { Err("there is no name".to_owned()) } else { Ok(text.to_uppercase()) }
/// }
///
/// # let runtime = tress::Runtime::new()?;
/// # runtime.block_on(async {
/// assert_eq!(when_all_of((number("7"), name("anna"))).await, Ok((7, "ANNA".to_owned())));
/// assert_eq!(when_all_of((number("7"), name(""), number("x"))).await, Err("there is no name".to_owned()));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn when_all_of<F: FutureTuple>(futures: F) -> WhenAllOf<F> {
    WhenAllOf { all: All::new(Branches::new(futures)) }
}

pin_project! {
    /// The future of [`when_all_of`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct WhenAllOf<F: FutureTuple> {
        #[pin]
        all: Stoppable<All<Branches<F::Chain>, F::Error>>,
    }
}

impl<F: FutureTuple> Future for WhenAllOf<F> {
    type Output = Result<F::Values, F::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().all.poll(cx, "a `when_all_of` was polled after it had completed")
    }
}

impl<F: FutureTuple> fmt::Debug for WhenAllOf<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhenAllOf").finish_non_exhaustive()
    }
}
