//! The end that does not keep a channel with a capacity open.

use std::fmt;

use super::Sender;

/// A sender that does not keep the channel open; made by [`Sender::downgrade`].
///
/// # Examples
///
/// ```
/// let (sender, _receiver) = tress::sync::mpsc::channel::<u8>(1);
/// let weak = sender.downgrade();
/// assert!(weak.upgrade().is_some());
/// drop(sender);
/// assert!(weak.upgrade().is_none());
/// ```
pub struct WeakSender<T> {
    inner: tokio::sync::mpsc::WeakSender<T>,
}

impl<T> WeakSender<T> {
    pub(super) fn new(inner: tokio::sync::mpsc::WeakSender<T>) -> Self {
        Self { inner }
    }

    /// A sender that does, if there is still one.
    #[must_use]
    pub fn upgrade(&self) -> Option<Sender<T>> {
        self.inner.upgrade().map(Sender::new)
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

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone())
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender").field("strong_count", &self.strong_count()).finish_non_exhaustive()
    }
}
