//! A channel that gives each value to every receiver.
//!
//! It keeps as many values as its capacity says: a sender never waits, and a receiver that is slower than that loses the oldest ones.
//! The next [`recv`](Receiver::recv) then says [how many](error::RecvError::Lagged), and the one after that goes on with the oldest that
//! is kept.
//!
//! Behind it stands [`tokio::sync::broadcast`].
//!
//! # Examples
//!
//! ```
//! use tress::sync::broadcast;
//!
//! # #[tress::main(worker_threads = 1)]
//! # async fn main() {
//! let (sender, mut first) = broadcast::channel(16);
//! let mut second = sender.subscribe();
//! sender.send("to both").unwrap();
//! assert_eq!(first.recv().await, Ok("to both"));
//! assert_eq!(second.recv().await, Ok("to both"));
//! # }
//! ```

use std::fmt;

use self::error::{RecvError, SendError, TryRecvError};
use super::wait::waits;
use crate::context;
use crate::leaf::Wait;

pub mod error {
    //! What can go wrong with a broadcast channel: tokio's types.
    pub use tokio::sync::broadcast::error::{RecvError, SendError, TryRecvError};
}

/// Makes a channel that keeps so many values, or a few more: the next power of two.
///
/// # Panics
///
/// If `capacity` is 0, or larger than `usize::MAX / 2`.
///
/// # Examples
///
/// See [the module](self).
#[must_use]
#[track_caller]
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = tokio::sync::broadcast::channel(capacity);
    (Sender { inner: sender }, Receiver { inner: receiver })
}

/// Sends values to every receiver; clones send to the same ones.
///
/// # Examples
///
/// See [the module](self).
pub struct Sender<T> {
    inner: tokio::sync::broadcast::Sender<T>,
}

impl<T> Sender<T> {
    /// Makes a channel that has no receiver yet.
    ///
    /// # Panics
    ///
    /// As [`channel`].
    ///
    /// # Examples
    ///
    /// ```
    /// let sender = tress::sync::broadcast::Sender::new(4);
    /// let mut receiver = sender.subscribe();
    /// assert_eq!(sender.send(1).unwrap(), 1);
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// ```
    #[must_use]
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        Self { inner: tokio::sync::broadcast::Sender::new(capacity) }
    }

    /// Sends a value, without waiting, and returns how many receivers there were.
    ///
    /// # Errors
    ///
    /// If there is no receiver: the error holds the value. Later ones may succeed, since receivers can be added.
    ///
    /// # Examples
    ///
    /// See [the module](self).
    pub fn send(&self, value: T) -> Result<usize, SendError<T>> {
        self.inner.send(value)
    }

    /// Adds a receiver, which gets what is sent from now on.
    ///
    /// # Examples
    ///
    /// See [the module](self).
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver { inner: self.inner.subscribe() }
    }

    /// A sender that does not keep the channel open.
    #[must_use]
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender { inner: self.inner.downgrade() }
    }

    /// How many values are kept, because some receiver has not got them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether every receiver has got everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// How many receivers there are.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.inner.receiver_count()
    }

    /// Whether both send to the same receivers.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.inner.same_channel(&other.inner)
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
    /// let (sender, receiver) = tress::sync::broadcast::channel::<u8>(4);
    /// tress::spawn(async move { drop(receiver) });
    /// sender.closed().await;
    /// # }
    /// ```
    #[track_caller]
    pub fn closed(&self) -> impl Future<Output = ()> {
        waits(Wait::new("broadcast closed"), self.inner.closed())
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

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("receiver_count", &self.receiver_count()).finish_non_exhaustive()
    }
}

/// A sender that does not keep the channel open; made by [`Sender::downgrade`].
///
/// # Examples
///
/// ```
/// let (sender, _receiver) = tress::sync::broadcast::channel::<u8>(4);
/// let weak = sender.downgrade();
/// assert!(weak.upgrade().is_some());
/// drop(sender);
/// assert!(weak.upgrade().is_none());
/// ```
pub struct WeakSender<T> {
    inner: tokio::sync::broadcast::WeakSender<T>,
}

impl<T> WeakSender<T> {
    /// A sender that does, if there is still one.
    #[must_use]
    pub fn upgrade(&self) -> Option<Sender<T>> {
        self.inner.upgrade().map(|inner| Sender { inner })
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
        Self { inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender").field("strong_count", &self.strong_count()).finish_non_exhaustive()
    }
}

/// Receives what is sent after it was made.
///
/// # Examples
///
/// See [the module](self).
pub struct Receiver<T> {
    inner: tokio::sync::broadcast::Receiver<T>,
}

impl<T> Receiver<T> {
    /// How many values have been sent and not received here, also if some of them are kept no more.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether everything that was sent has been received here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// Whether both get what the same senders send.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.inner.same_channel(&other.inner)
    }

    /// How many senders there are, weak ones aside.
    #[must_use]
    pub fn sender_strong_count(&self) -> usize {
        self.inner.sender_strong_count()
    }

    /// How many weak senders there are.
    #[must_use]
    pub fn sender_weak_count(&self) -> usize {
        self.inner.sender_weak_count()
    }

    /// Whether every sender is gone; some values may still be there to be received.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}

impl<T: Clone> Receiver<T> {
    /// Adds a receiver, which gets what is sent from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tress::sync::broadcast::channel(4);
    /// sender.send(1).unwrap();
    /// let mut late = receiver.resubscribe();
    /// sender.send(2).unwrap();
    /// assert_eq!(late.try_recv(), Ok(2));
    /// ```
    #[must_use]
    pub fn resubscribe(&self) -> Self {
        Self { inner: self.inner.resubscribe() }
    }

    /// Waits for the next value.
    ///
    /// # Errors
    ///
    /// [`Lagged`](RecvError::Lagged) if values have been lost, with their number: the next call goes on after them.
    /// [`Closed`](RecvError::Closed) if everything has been received, and every sender is gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses no value.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::sync::broadcast::{self, error::RecvError};
    ///
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let (sender, mut receiver) = broadcast::channel(2);
    /// for number in 1..=3 {
    ///     sender.send(number).unwrap();
    /// }
    /// assert_eq!(receiver.recv().await, Err(RecvError::Lagged(1)));
    /// assert_eq!(receiver.recv().await, Ok(2));
    /// # }
    /// ```
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = Result<T, RecvError>> {
        waits(Wait::new("broadcast recv"), self.inner.recv())
    }

    /// Receives the next value if it is there.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`Empty`](TryRecvError::Empty) if there is none.
    ///
    /// # Examples
    ///
    /// See [`resubscribe`](Self::resubscribe).
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.inner.try_recv()
    }

    /// Receives the next value, and blocks the thread until it is there.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// From inside a runtime: see [the module](crate::sync#blocking).
    #[track_caller]
    pub fn blocking_recv(&mut self) -> Result<T, RecvError> {
        context::assert_outside("blocking_recv");
        self.inner.blocking_recv()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).finish_non_exhaustive()
    }
}
