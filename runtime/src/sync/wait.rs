//! How an operation of tokio's becomes a leaf.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::leaf::Wait;

pin_project! {
    /// An operation of tokio's that is polled only when its [`Wait`] lets it.
    ///
    /// Operations of tokio's do nothing before their first poll, and leave whatever queue they are in when they are dropped.
    #[must_use = "futures do nothing unless awaited"]
    pub(super) struct Waits<F> {
        wait: Wait,
        #[pin]
        operation: F,
    }
}

/// Makes a leaf of `operation`.
#[inline]
pub(super) const fn waits<F: Future>(wait: Wait, operation: F) -> Waits<F> {
    Waits { wait, operation }
}

impl<F: Future> Future for Waits<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let me = self.project();
        me.wait.poll(cx, |cx| me.operation.poll(cx))
    }
}
