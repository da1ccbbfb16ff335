//! A future whose frames come from an allocator.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::AllocatorRef;
use super::current::within;

/// Runs a future; frames that it makes come from `allocator`, and so do those that these make in turn.
///
/// That goes for spawned tasks, [`Lazy`](crate::task::Lazy) futures and [`Box`](super::Box)es. Each frame holds its allocator, so that both
/// may outlive the scope.
///
/// # Cancel safety
///
/// As that of the future inside.
///
/// # Panics
///
/// If the future does.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use tress::frame::{self, Counting, Pool};
/// use tress::task::lazy;
///
/// let frames = Arc::new(Counting::new(Pool));
/// let runtime = tress::Runtime::new()?;
/// let sum = runtime.block_on(frame::scope(frames.clone(), async {
///     let spawned = tress::spawn(async { 1 });
///     lazy(async { lazy(async { 2 }).await }).await + spawned.await.unwrap()
/// }));
/// assert_eq!((sum, frames.allocated(), frames.live()), (3, 3, 0));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn scope<F: Future>(allocator: impl Into<AllocatorRef>, future: F) -> Scope<F> {
    Scope { allocator: allocator.into(), future }
}

pin_project! {
    /// The future of [`scope`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Scope<F> {
        allocator: AllocatorRef,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Scope<F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let future = this.future;
        within(Some(this.allocator), || future.poll(cx))
    }
}
