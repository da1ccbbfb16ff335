//! Stopping oneself.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::raise::raise;

/// Stops the code that awaits it: what stands after the await is never run.
///
/// The stop ends the task, the [`Lazy`](crate::task::Lazy) frame or the [`outcome`](super::outcome()) in which it is awaited, whichever is
/// innermost: its locals are dropped, as if it had been dropped from outside. Whoever awaits a frame that ended so is stopped in turn, and so on,
/// up to
///
/// * an [`outcome`](super::outcome()), or one of its relatives, which says so;
/// * the task, for whose [`JoinError`](crate::task::JoinError) [`is_stopped`](crate::task::JoinError::is_stopped) holds then.
///
/// A future that is ready wins: one that loses a `select!`, or is dropped or left aside otherwise, does nothing. (To tell, what awaits it is
/// polled some more times before it is ended.)
///
/// On other executors, outside any `outcome`, it waits for ever.
///
/// # Panics
///
/// If it is awaited in `block_on`, or in [`run_until`](crate::executor::CurrentThread::run_until), outside anything that catches it: there is nobody
/// who could be told.
///
/// # Cancel safety
///
/// Dropping it undoes it.
///
/// # Examples
///
/// ```
/// use tress::{Runtime, stop};
///
/// async fn parse(text: &str) -> u32 {
///     match text.parse() {
///         Ok(number) => number,
///         // Nothing of what was asked for makes sense without it.
///         Err(_) => match stop::stopped().await {},
///     }
/// }
///
/// let runtime = Runtime::new()?;
/// let sum = runtime.spawn(async { parse("1").await + parse("two").await });
/// assert!(runtime.block_on(sum).unwrap_err().is_stopped());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
///
/// P3552 §4.8 (`co_await just_stopped()`).
pub fn stopped() -> Stopped {
    Stopped(())
}

/// The future of [`stopped`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Stopped(());

impl Future for Stopped {
    type Output = Infallible;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Infallible> {
        raise(cx);
        Poll::Pending
    }
}
