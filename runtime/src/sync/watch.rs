//! A channel that holds one value: the latest.
//!
//! Receivers see that it has changed, not how often. A *version* of the value that a receiver has looked at with
//! [`borrow_and_update`](Receiver::borrow_and_update), or that [`changed`](Receiver::changed) has told it of, is *seen* by it.
//!
//! Behind it stands [`tokio::sync::watch`].
//!
//! # Examples
//!
//! ```
//! use tress::sync::watch;
//!
//! # #[tress::main(worker_threads = 2)]
//! # async fn main() {
//! let (sender, mut receiver) = watch::channel("starting");
//! let task = tress::spawn(async move {
//!     while receiver.changed().await.is_ok() {
//!         println!("{}", *receiver.borrow_and_update());
//!     }
//! });
//! sender.send("running").unwrap();
//! drop(sender);
//! task.await.unwrap();
//! # }
//! ```

use self::error::{RecvError, SendError};
use super::wait::waits;
use crate::leaf::Wait;

/// A value that is being looked at, which keeps senders from changing it: tokio's type.
///
/// A sender that wants to change it blocks its thread meanwhile, so that it is to be held for a moment only, and never across an `.await`.
pub use tokio::sync::watch::Ref;

pub mod error {
    //! What can go wrong with a watch channel: tokio's types.
    pub use tokio::sync::watch::error::{RecvError, SendError};
}

/// Makes a channel with this value, which its receivers have seen.
///
/// # Examples
///
/// See [the module](self).
#[must_use]
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = tokio::sync::watch::channel(value);
    (Sender { inner: sender }, Receiver { inner: receiver })
}

/// Changes the value; clones change the same one.
///
/// # Examples
///
/// See [the module](self).
#[derive(Debug, Default)]
pub struct Sender<T> {
    inner: tokio::sync::watch::Sender<T>,
}

impl<T> Sender<T> {
    /// Makes a channel that has no receiver yet.
    ///
    /// # Examples
    ///
    /// ```
    /// let sender = tress::sync::watch::Sender::new(1);
    /// assert_eq!(*sender.subscribe().borrow(), 1);
    /// ```
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { inner: tokio::sync::watch::Sender::new(value) }
    }

    /// Puts another value in, and wakes who waits for a change.
    ///
    /// # Errors
    ///
    /// If there is no receiver: the error holds the value, and the channel's is what it was. [`send_replace`](Self::send_replace) does it
    /// all the same.
    ///
    /// # Examples
    ///
    /// See [the module](self).
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.inner.send(value)
    }

    /// Changes the value, whether or not there is a receiver, and wakes who waits for a change.
    ///
    /// # Panics
    ///
    /// If `modify` does; nobody is woken then.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tress::sync::watch::channel(1);
    /// sender.send_modify(|value| *value += 1);
    /// assert_eq!(*receiver.borrow(), 2);
    /// ```
    pub fn send_modify<F: FnOnce(&mut T)>(&self, modify: F) {
        self.inner.send_modify(modify);
    }

    /// As [`send_modify`](Self::send_modify), if `modify` says that it has changed something; returns what it says.
    ///
    /// # Panics
    ///
    /// If `modify` does; nobody is woken then.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tress::sync::watch::channel(1);
    /// assert!(!sender.send_if_modified(|_| false));
    /// assert!(!receiver.has_changed().unwrap());
    /// ```
    pub fn send_if_modified<F: FnOnce(&mut T) -> bool>(&self, modify: F) -> bool {
        self.inner.send_if_modified(modify)
    }

    /// Puts another value in, whether or not there is a receiver, and returns the former one.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(tress::sync::watch::Sender::new(1).send_replace(2), 1);
    /// ```
    pub fn send_replace(&self, value: T) -> T {
        self.inner.send_replace(value)
    }

    /// Looks at the value; see [`Ref`].
    #[must_use]
    pub fn borrow(&self) -> Ref<'_, T> {
        self.inner.borrow()
    }

    /// Whether there is no receiver.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// Waits until there is no receiver.
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
    /// let (sender, receiver) = tress::sync::watch::channel(1);
    /// tress::spawn(async move { drop(receiver) });
    /// sender.closed().await;
    /// # }
    /// ```
    #[track_caller]
    pub fn closed(&self) -> impl Future<Output = ()> {
        waits(Wait::new("watch closed"), self.inner.closed())
    }

    /// Adds a receiver, which has seen the value that is there now.
    ///
    /// # Examples
    ///
    /// See [`new`](Self::new).
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver { inner: self.inner.subscribe() }
    }

    /// How many receivers there are.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.inner.receiver_count()
    }

    /// How many senders there are.
    #[must_use]
    pub fn sender_count(&self) -> usize {
        self.inner.sender_count()
    }

    /// Whether both change the same value.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.inner.same_channel(&other.inner)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

/// Looks at the value; a clone has seen what this one has.
///
/// # Examples
///
/// See [the module](self).
#[derive(Debug)]
pub struct Receiver<T> {
    inner: tokio::sync::watch::Receiver<T>,
}

impl<T> Receiver<T> {
    /// Looks at the value; what was not seen stays so. See [`Ref`].
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = tress::sync::watch::channel(1);
    /// assert_eq!(*receiver.borrow(), 1);
    /// ```
    #[must_use]
    pub fn borrow(&self) -> Ref<'_, T> {
        self.inner.borrow()
    }

    /// Looks at the value, which thereby is seen. See [`Ref`].
    ///
    /// # Examples
    ///
    /// See [the module](self).
    #[must_use]
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        self.inner.borrow_and_update()
    }

    /// Whether there is a value that is not seen.
    ///
    /// # Errors
    ///
    /// If every sender is gone.
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        self.inner.has_changed()
    }

    /// Whether every sender is gone; the last value may still be one that is not seen.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// Makes the value count as not seen.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, mut receiver) = tress::sync::watch::channel(1);
    /// receiver.mark_changed();
    /// assert!(receiver.has_changed().unwrap());
    /// ```
    pub fn mark_changed(&mut self) {
        self.inner.mark_changed();
    }

    /// Makes the value count as seen.
    pub fn mark_unchanged(&mut self) {
        self.inner.mark_unchanged();
    }

    /// Waits for a value that is not seen, which thereby is.
    ///
    /// # Errors
    ///
    /// If every sender is gone, and the last value is seen.
    ///
    /// # Cancel safety
    ///
    /// A value is seen only when this returns: dropping it misses no change.
    ///
    /// # Examples
    ///
    /// See [the module](self).
    #[track_caller]
    pub fn changed(&mut self) -> impl Future<Output = Result<(), RecvError>> {
        waits(Wait::new("watch change"), self.inner.changed())
    }

    /// Waits until the value, seen or not, is one that `condition` wants; it is seen then. See [`Ref`].
    ///
    /// # Errors
    ///
    /// If every sender is gone, and the last value is not one of those.
    ///
    /// # Panics
    ///
    /// If `condition` does.
    ///
    /// # Cancel safety
    ///
    /// Dropping it misses no value that `condition` wants; those that it has been shown are seen.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tress::main(worker_threads = 2)]
    /// # async fn main() {
    /// let (sender, mut receiver) = tress::sync::watch::channel(0);
    /// tress::spawn(async move { (1..=5).for_each(|number| sender.send(number).unwrap_or(())) });
    /// assert_eq!(*receiver.wait_for(|&number| number == 5).await.unwrap(), 5);
    /// # }
    /// ```
    #[track_caller]
    pub fn wait_for(
        &mut self,
        condition: impl FnMut(&T) -> bool,
    ) -> impl Future<Output = Result<Ref<'_, T>, RecvError>> {
        waits(Wait::new("watch change"), self.inner.wait_for(condition))
    }

    /// Whether both look at the same value.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.inner.same_channel(&other.inner)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}
