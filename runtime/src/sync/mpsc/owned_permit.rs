//! A place in a channel, with the sender.

use std::fmt;

use super::Sender;

/// A place in the channel that is kept for one value, with the sender; made by [`Sender::reserve_owned`].
///
/// Dropping it frees the place.
///
/// # Examples
///
/// See [`Sender::reserve_owned`].
#[must_use = "the place is free again when this is dropped"]
pub struct OwnedPermit<T> {
    inner: tokio::sync::mpsc::OwnedPermit<T>,
}

impl<T> OwnedPermit<T> {
    pub(super) fn new(inner: tokio::sync::mpsc::OwnedPermit<T>) -> Self {
        Self { inner }
    }

    /// Sends a value, without waiting, and gives the sender back.
    ///
    /// # Examples
    ///
    /// See [`Sender::reserve_owned`].
    pub fn send(self, value: T) -> Sender<T> {
        Sender::new(self.inner.send(value))
    }

    /// Frees the place, and gives the sender back.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = tress::sync::mpsc::channel(1);
    /// let sender = sender.try_reserve_owned().unwrap().release();
    /// sender.try_send(7).unwrap();
    /// ```
    pub fn release(self) -> Sender<T> {
        Sender::new(self.inner.release())
    }

    /// Whether both are places of the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.inner.same_channel(&other.inner)
    }

    /// Whether it is a place of the channel that `sender` sends to.
    #[must_use]
    pub fn same_channel_as_sender(&self, sender: &Sender<T>) -> bool {
        self.inner.same_channel_as_sender(sender.inner())
    }
}

impl<T> fmt::Debug for OwnedPermit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").finish_non_exhaustive()
    }
}
