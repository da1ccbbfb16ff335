//! The end that waits while the channel is full.

use std::fmt;

use tokio::sync::mpsc::{Permit, PermitIterator};

use super::error::{SendError, TrySendError};
use super::{OwnedPermit, WeakSender};
use crate::context;
use crate::leaf::Wait;
use crate::sync::wait::waits;

/// Sends to a channel that [`channel`](super::channel) made; clones send to the same one.
///
/// Who waits for a place in the channel gets one in the order in which they came.
///
/// # Examples
///
/// See [the module](super).
pub struct Sender<T> {
    inner: tokio::sync::mpsc::Sender<T>,
}

impl<T> Sender<T> {
    pub(super) fn new(inner: tokio::sync::mpsc::Sender<T>) -> Self {
        Self { inner }
    }

    /// Sends a value, when there is a place for it.
    ///
    /// That it succeeds does not mean that the value is received: the receiver may be dropped just then.
    ///
    /// # Errors
    ///
    /// If the receiver is closed or gone, be it meanwhile: the error holds the value.
    ///
    /// # Cancel safety
    ///
    /// Dropping it before it is ready sends nothing and drops the value, also before the first poll; the place in the queue is lost. Where
    /// the value must not be lost, [`reserve`](Self::reserve) a place first.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let (sender, mut receiver) = tress::sync::mpsc::channel(1);
    /// sender.send(7).await.unwrap();
    /// assert_eq!(receiver.recv().await, Some(7));
    /// drop(receiver);
    /// assert_eq!(sender.send(8).await.unwrap_err().0, 8);
    /// # }
    /// ```
    #[track_caller]
    pub fn send(&self, value: T) -> impl Future<Output = Result<(), SendError<T>>> {
        waits(Wait::new("mpsc send"), self.inner.send(value))
    }

    /// Sends a value if there is a place for it.
    ///
    /// # Errors
    ///
    /// If there is none, or if the receiver is closed or gone: the error holds the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::sync::mpsc::{self, error::TrySendError};
    ///
    /// let (sender, _receiver) = mpsc::channel(1);
    /// sender.try_send(1).unwrap();
    /// assert!(matches!(sender.try_send(2), Err(TrySendError::Full(2))));
    /// ```
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.inner.try_send(value)
    }

    /// Sends a value, and blocks the thread until there is a place for it.
    ///
    /// # Errors
    ///
    /// If the receiver is closed or gone, be it meanwhile: the error holds the value.
    ///
    /// # Panics
    ///
    /// From inside a runtime: see [the module](crate::sync#blocking).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = tress::sync::mpsc::channel(1);
    /// let thread = std::thread::spawn(move || (0..10).for_each(|number| sender.blocking_send(number).unwrap()));
    /// assert!((0..10).all(|number| receiver.blocking_recv() == Some(number)));
    /// thread.join().unwrap();
    /// ```
    #[track_caller]
    pub fn blocking_send(&self, value: T) -> Result<(), SendError<T>> {
        context::assert_outside("blocking_send");
        self.inner.blocking_send(value)
    }

    /// Waits for a place in the channel, which is kept until its permit is used or dropped.
    ///
    /// # Errors
    ///
    /// If the receiver is closed or gone, be it meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes no place; that in the queue is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let (sender, mut receiver) = tress::sync::mpsc::channel(1);
    /// let permit = sender.reserve().await.unwrap();
    /// assert!(sender.try_send(1).is_err());
    /// permit.send(2);
    /// assert_eq!(receiver.recv().await, Some(2));
    /// # }
    /// ```
    #[track_caller]
    pub fn reserve(&self) -> impl Future<Output = Result<Permit<'_, T>, SendError<()>>> {
        waits(Wait::new("mpsc send"), self.inner.reserve())
    }

    /// Waits for so many places in the channel, which it gets together.
    ///
    /// # Errors
    ///
    /// If the receiver is closed or gone, be it meanwhile, and if the channel never has as many.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes no place; that in the queue is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let (sender, mut receiver) = tress::sync::mpsc::channel(2);
    /// for (number, permit) in sender.reserve_many(2).await.unwrap().enumerate() {
    ///     permit.send(number);
    /// }
    /// assert_eq!((receiver.recv().await, receiver.recv().await), (Some(0), Some(1)));
    /// # }
    /// ```
    #[track_caller]
    pub fn reserve_many(
        &self,
        places: usize,
    ) -> impl Future<Output = Result<PermitIterator<'_, T>, SendError<()>>> {
        waits(Wait::new("mpsc send"), self.inner.reserve_many(places))
    }

    /// As [`reserve`](Self::reserve), for a permit that keeps the sender.
    ///
    /// # Errors
    ///
    /// If the receiver is closed or gone, be it meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes no place and drops this sender; clone it before, if there is to be one afterwards.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let (sender, mut receiver) = tress::sync::mpsc::channel(1);
    /// let permit = sender.reserve_owned().await.unwrap();
    /// let sender = permit.send(7);
    /// assert_eq!(receiver.recv().await, Some(7));
    /// # drop(sender);
    /// # }
    /// ```
    #[track_caller]
    pub fn reserve_owned(self) -> impl Future<Output = Result<OwnedPermit<T>, SendError<()>>> {
        let reserved = waits(Wait::new("mpsc send"), self.inner.reserve_owned());
        async { reserved.await.map(OwnedPermit::new) }
    }

    /// Takes a place in the channel if there is one.
    ///
    /// # Errors
    ///
    /// If there is none, or if the receiver is closed or gone.
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        self.inner.try_reserve()
    }

    /// Takes so many places in the channel if there are as many.
    ///
    /// # Errors
    ///
    /// If there are fewer, or if the receiver is closed or gone.
    pub fn try_reserve_many(&self, places: usize) -> Result<PermitIterator<'_, T>, TrySendError<()>> {
        self.inner.try_reserve_many(places)
    }

    /// As [`try_reserve`](Self::try_reserve), for a permit that keeps the sender.
    ///
    /// # Errors
    ///
    /// If there is none, or if the receiver is closed or gone: the error holds the sender.
    pub fn try_reserve_owned(self) -> Result<OwnedPermit<T>, TrySendError<Self>> {
        self.inner.try_reserve_owned().map(OwnedPermit::new).map_err(|error| match error {
            TrySendError::Full(sender) => TrySendError::Full(Self::new(sender)),
            TrySendError::Closed(sender) => TrySendError::Closed(Self::new(sender)),
        })
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
    /// let (sender, receiver) = tress::sync::mpsc::channel::<u8>(1);
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

    /// How many places of the channel are free.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.inner.capacity()
    }

    /// How many places the channel has.
    #[must_use]
    pub fn max_capacity(&self) -> usize {
        self.inner.max_capacity()
    }

    /// A sender that does not keep the channel open.
    #[must_use]
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender::new(self.inner.downgrade())
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

    pub(super) fn inner(&self) -> &tokio::sync::mpsc::Sender<T> {
        &self.inner
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone())
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("capacity", &self.capacity())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
