//! The end that does not keep a channel without a capacity open.

use std::fmt;

use super::UnboundedSender;

/// A sender that does not keep the channel open; made by [`UnboundedSender::downgrade`].
///
/// # Examples
///
/// ```
/// let (sender, _receiver) = tress::sync::mpsc::unbounded_channel::<u8>();
/// let weak = sender.downgrade();
/// assert!(weak.upgrade().is_some());
/// drop(sender);
/// assert!(weak.upgrade().is_none());
/// ```
pub struct WeakUnboundedSender<T> {
    inner: tokio::sync::mpsc::WeakUnboundedSender<T>,
}

impl<T> WeakUnboundedSender<T> {
    pub(super) fn new(inner: tokio::sync::mpsc::WeakUnboundedSender<T>) -> Self {
        Self { inner }
    }

    /// A sender that does, if there is still one.
    #[must_use]
    pub fn upgrade(&self) -> Option<UnboundedSender<T>> {
        self.inner.upgrade().map(UnboundedSender::new)
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

impl<T> Clone for WeakUnboundedSender<T> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone())
    }
}

impl<T> fmt::Debug for WeakUnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakUnboundedSender")
            .field("strong_count", &self.strong_count())
            .finish_non_exhaustive()
    }
}
