//! Futures whose panics are values.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::containment::contain_panic;

pin_project! {
    /// A future whose panic is its result.
    pub(super) struct Caught<F> {
        #[pin]
        future: Option<F>,
    }
}

impl<F: Future> Caught<F> {
    pub(super) fn new(future: F) -> Self {
        Self { future: Some(future) }
    }
}

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut place = self.project().future;
        let poll = catch_unwind(AssertUnwindSafe(|| {
            let poll = place.as_mut().as_pin_mut().expect("it is polled until it is ready").poll(cx);
            if poll.is_ready() {
                place.set(None);
            }
            poll
        }));
        match poll {
            Ok(poll) => poll.map(Ok),
            Err(payload) => {
                // The first panic says more than one of the drop.
                contain_panic(|| place.set(None));
                Poll::Ready(Err(payload))
            }
        }
    }
}
