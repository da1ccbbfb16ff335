//! The end that never waits.

use std::fmt;

use super::WeakUnboundedSender;
use super::error::SendError;
use crate::leaf::Wait;
use crate::sync::wait::waits;

/// Sends to a channel that [`unbounded_channel`](super::unbounded_channel) made; clones send to the same one.
///
/// # Examples
///
/// See [`unbounded_channel`](super::unbounded_channel).
pub struct UnboundedSender<T> {
    inner: tokio::sync::mpsc::UnboundedSender<T>,
}

impl<T> UnboundedSender<T> {
    pub(super) fn new(inner: tokio::sync::mpsc::UnboundedSender<T>) -> Self {
        Self { inner }
    }

    /// Sends a value, without waiting.
    ///
    /// That it succeeds does not mean that the value is received: the receiver may be dropped just then.
    ///
    /// # Errors
    ///
    /// If the receiver is closed or gone: the error holds the value.
    ///
    /// # Examples
    ///
    /// See [`unbounded_channel`](super::unbounded_channel).
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.inner.send(value)
    }

    /// Waits until the receiver is closed or gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let (sender, receiver) = tress::sync::mpsc::unbounded_channel::<u8>();
    /// tress::spawn(async move { drop(receiver) });
    /// sender.closed().await;
    /// # }
    /// ```
    #[track_caller]
    pub fn closed(&self) -> impl Future<Output = ()> {
        waits(Wait::new("mpsc closed"), self.inner.closed())
    }

    /// Whether the receiver is closed or gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// Whether both send to the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.inner.same_channel(&other.inner)
    }

    /// A sender that does not keep the channel open.
    #[must_use]
    pub fn downgrade(&self) -> WeakUnboundedSender<T> {
        WeakUnboundedSender::new(self.inner.downgrade())
    }

    /// How many senders there are, weak ones aside.
    #[must_use]
    pub fn strong_count(&self) -> usize {
        self.inner.strong_count()
    }

    /// How many weak senders there are.
    #[must_use]
    pub fn weak_count(&self) -> usize {
        self.inner.weak_count()
    }
}

impl<T> Clone for UnboundedSender<T> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone())
    }
}

impl<T> fmt::Debug for UnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedSender").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}
