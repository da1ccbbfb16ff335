//! The smallest channel: a flag and a waker. It is the same for every runtime, so that a round trip measures wake and poll alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;

/// Carries one signal at a time from one task to another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Whether a signal waits. Set by the sender (Release), taken by the receiver (Acquire).
    is_full: AtomicBool,
    receiver: AtomicWaker,
}

impl Slot {
    pub(crate) fn send(&self) {
        self.0.is_full.store(true, Ordering::Release);
        self.0.receiver.wake();
    }

    pub(crate) fn receive(&self) -> impl Future<Output = ()> + Send + '_ {
        std::future::poll_fn(|context| {
            if self.0.is_full.swap(false, Ordering::Acquire) {
                return Poll::Ready(());
            }
            self.0.receiver.register(context.waker());
            if self.0.is_full.swap(false, Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
    }
}
