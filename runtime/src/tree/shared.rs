//! A lazy future that many can await.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::Shared;

use super::Lazy;

/// A [`Lazy`] that many can await: it runs once, and each gets a clone of the output.
///
/// It starts when one of the clones is first awaited, is driven by whichever of those that wait is polled, and is dropped
/// with the last clone. It is an island (see [`Lazy`]). Made by [`Lazy::shared`]; `futures_util`'s
/// [`Shared`] stands behind it.
///
/// # Cancel safety
///
/// Dropping one clone, pending or not, takes nothing from the others; dropping the last one cancels.
///
/// # Panics
///
/// A panic of the future goes on in the one who drives it; the others panic too.
///
/// # Examples
///
/// ```
/// use tress_runtime::task::lazy;
///
/// let runtime = tress_runtime::Runtime::new()?;
/// let shared = lazy(async { String::from("once") }).shared();
/// let other = shared.clone();
/// let task = runtime.spawn(async move { other.await });
/// assert_eq!(runtime.block_on(shared), "once");
/// assert_eq!(runtime.block_on(task).unwrap(), "once");
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct SharedLazy<'a, T: Clone> {
    shared: Shared<Lazy<'a, T>>,
}

impl<'a, T: Clone> SharedLazy<'a, T> {
    pub(super) fn new(lazy: Lazy<'a, T>) -> Self {
        Self { shared: FutureExt::shared(lazy) }
    }

    /// The output, if there is one yet.
    #[must_use]
    pub fn peek(&self) -> Option<&T> {
        self.shared.peek()
    }
}

impl<T: Clone> Clone for SharedLazy<'_, T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<T: Clone> Future for SharedLazy<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.shared.poll_unpin(cx)
    }
}

impl<T: Clone> fmt::Debug for SharedLazy<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLazy").finish_non_exhaustive()
    }
}
