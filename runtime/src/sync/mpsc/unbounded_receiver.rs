//! The end that receives from a channel without a capacity.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::error::TryRecvError;
use crate::context;
use crate::leaf::Wait;
use crate::primitive::coarse::Moment;
use crate::sync::wait::waits;

/// Receives from a channel that [`unbounded_channel`](super::unbounded_channel) made, also as a [stream](Stream).
///
/// # Examples
///
/// ```
/// use tress::stream::StreamExt;
///
/// # #[tress::main(worker_threads = 2)]
/// # async fn main() {
/// let (sender, receiver) = tress::sync::mpsc::unbounded_channel();
/// tress::spawn(async move {
///     for number in 1..=10 {
///         sender.send(number).unwrap();
///     }
/// });
/// let squares: Vec<i32> = receiver.map(|number| number * number).collect().await;
/// assert_eq!(squares.iter().sum::<i32>(), 385);
/// # }
/// ```
pub struct UnboundedReceiver<T> {
    inner: tokio::sync::mpsc::UnboundedReceiver<T>,
    /// When a poll of one of the `poll_` functions first left it pending.
    since: Moment,
}

impl<T> UnboundedReceiver<T> {
    pub(super) fn new(inner: tokio::sync::mpsc::UnboundedReceiver<T>) -> Self {
        Self { inner, since: Moment::NEVER }
    }

    /// Waits for the next value; `None` if everything has been received, and no more can be sent.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses no value.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let (sender, mut receiver) = tress::sync::mpsc::unbounded_channel();
    /// sender.send(7).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.recv().await, Some(7));
    /// assert_eq!(receiver.recv().await, None);
    /// # }
    /// ```
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = Option<T>> {
        waits(Wait::new("mpsc recv"), self.inner.recv())
    }

    /// Waits for values, appends at most `limit` of them to `buffer`, and returns their number: 0 if everything has been received, and no
    /// more can be sent, or if `limit` is 0.
    ///
    /// It takes those that are there, and waits only if there is none.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses no value: until it is ready, none is received.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let (sender, mut receiver) = tress::sync::mpsc::unbounded_channel();
    /// for number in 0..3 {
    ///     sender.send(number).unwrap();
    /// }
    /// let mut buffer = Vec::new();
    /// assert_eq!(receiver.recv_many(&mut buffer, 2).await, 2);
    /// assert_eq!(buffer, [0, 1]);
    /// # }
    /// ```
    #[track_caller]
    pub fn recv_many(&mut self, buffer: &mut Vec<T>, limit: usize) -> impl Future<Output = usize> {
        waits(Wait::new("mpsc recv"), self.inner.recv_many(buffer, limit))
    }

    /// Receives the next value if it is there.
    ///
    /// # Errors
    ///
    /// If there is none yet, and if there never will be.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::sync::mpsc::{self, error::TryRecvError};
    ///
    /// let (sender, mut receiver) = mpsc::unbounded_channel::<u8>();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.inner.try_recv()
    }

    /// As [`recv`](Self::recv), and blocks the thread until there is a value.
    ///
    /// # Panics
    ///
    /// From inside a runtime: see [the module](crate::sync#blocking).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = tress::sync::mpsc::unbounded_channel();
    /// std::thread::spawn(move || sender.send(7));
    /// assert_eq!(receiver.blocking_recv(), Some(7));
    /// ```
    #[track_caller]
    pub fn blocking_recv(&mut self) -> Option<T> {
        context::assert_outside("blocking_recv");
        self.inner.blocking_recv()
    }

    /// As [`recv_many`](Self::recv_many), and blocks the thread until there is a value.
    ///
    /// # Panics
    ///
    /// From inside a runtime: see [the module](crate::sync#blocking).
    #[track_caller]
    pub fn blocking_recv_many(&mut self, buffer: &mut Vec<T>, limit: usize) -> usize {
        context::assert_outside("blocking_recv_many");
        self.inner.blocking_recv_many(buffer, limit)
    }

    /// Lets nothing more be sent; what has been sent is received all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let (sender, mut receiver) = tress::sync::mpsc::unbounded_channel();
    /// sender.send(1).unwrap();
    /// receiver.close();
    /// assert!(sender.send(2).is_err());
    /// assert_eq!((receiver.recv().await, receiver.recv().await), (Some(1), None));
    /// # }
    /// ```
    pub fn close(&mut self) {
        self.inner.close();
    }

    /// Whether nothing more can be sent; some values may still be there to be received.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// Whether no value is there to be received now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// How many values are there to be received now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.len()
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

    /// Polls for the next value.
    ///
    /// While it is pending, the task of the last call is the one that is woken.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::poll_fn;
    ///
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let (sender, mut receiver) = tress::sync::mpsc::unbounded_channel();
    /// sender.send(7).unwrap();
    /// assert_eq!(poll_fn(|cx| receiver.poll_recv(cx)).await, Some(7));
    /// # }
    /// ```
    #[track_caller]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut wait = Wait::resume("mpsc recv", Location::caller(), self.since);
        let poll = wait.poll(cx, |cx| self.inner.poll_recv(cx));
        self.since = wait.since();
        poll
    }

    /// Polls for values, as [`recv_many`](Self::recv_many).
    ///
    /// While it is pending, the task of the last call is the one that is woken.
    #[track_caller]
    pub fn poll_recv_many(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<T>, limit: usize) -> Poll<usize> {
        let mut wait = Wait::resume("mpsc recv", Location::caller(), self.since);
        let poll = wait.poll(cx, |cx| self.inner.poll_recv_many(cx, buffer, limit));
        self.since = wait.since();
        poll
    }
}

impl<T> Stream for UnboundedReceiver<T> {
    type Item = T;

    #[track_caller]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(cx)
    }
}

impl<T> fmt::Debug for UnboundedReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedReceiver")
            .field("len", &self.len())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
