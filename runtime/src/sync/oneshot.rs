//! A channel for one value.
//!
//! Behind it stands [`tokio::sync::oneshot`].
//!
//! # Examples
//!
//! ```
//! use tress::sync::oneshot;
//!
//! # #[tress::main(worker_threads = 2)]
//! # async fn main() {
//! let (sender, receiver) = oneshot::channel();
//! tress::spawn(async move { sender.send(6 * 7) });
//! assert_eq!(receiver.await, Ok(42));
//! # }
//! ```

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use self::error::{RecvError, TryRecvError};
use super::wait::waits;
use crate::context;
use crate::leaf::Wait;
use crate::primitive::coarse::Moment;

pub mod error {
    //! What can go wrong with a oneshot channel: tokio's types.
    pub use tokio::sync::oneshot::error::{RecvError, TryRecvError};
}

/// Makes a channel for one value.
///
/// # Examples
///
/// See [the module](self).
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    (Sender { inner: sender }, Receiver { inner: receiver, since: Moment::NEVER })
}

/// Sends the value; made by [`channel`].
pub struct Sender<T> {
    inner: tokio::sync::oneshot::Sender<T>,
}

impl<T> Sender<T> {
    /// Sends the value, without waiting.
    ///
    /// That it succeeds does not mean that the value is received: the receiver may be dropped just then.
    ///
    /// # Errors
    ///
    /// If the receiver is closed or gone: the error is the value.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tress::sync::oneshot::channel();
    /// drop(receiver);
    /// assert_eq!(sender.send(7), Err(7));
    /// ```
    pub fn send(self, value: T) -> Result<(), T> {
        self.inner.send(value)
    }

    /// Waits until the receiver is closed or gone, so that nobody wants the value any more.
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
    /// let (mut sender, receiver) = tress::sync::oneshot::channel::<u8>();
    /// tress::spawn(async move { drop(receiver) });
    /// sender.closed().await;
    /// # }
    /// ```
    #[track_caller]
    pub fn closed(&mut self) -> impl Future<Output = ()> {
        waits(Wait::new("oneshot closed"), self.inner.closed())
    }

    /// Whether the receiver is closed or gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// Polls for the receiver to be closed or gone.
    ///
    /// While it is pending, the task of the last call is the one that is woken.
    #[track_caller]
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Wait::new("oneshot closed").poll(cx, |cx| self.inner.poll_closed(cx))
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}

/// Receives the value, as a future; made by [`channel`].
///
/// The future's error says that the sender is gone, and has sent nothing.
///
/// # Cancel safety
///
/// A borrowed receiver, `&mut receiver`, is a future too: to drop that one loses nothing. To drop the receiver drops a value that has been
/// sent.
///
/// # Examples
///
/// See [the module](self).
#[must_use = "futures do nothing unless awaited"]
pub struct Receiver<T> {
    inner: tokio::sync::oneshot::Receiver<T>,
    /// When a poll first left it pending.
    since: Moment,
}

impl<T> Receiver<T> {
    /// Lets no value be sent from now on; one that has been sent is received all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = tress::sync::oneshot::channel();
    /// receiver.close();
    /// assert_eq!(sender.send(7), Err(7));
    /// ```
    pub fn close(&mut self) {
        self.inner.close();
    }

    /// Whether the result has been received, so that the receiver must not be polled again.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.inner.is_terminated()
    }

    /// Whether no value is there to be received now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// Receives the value if it is there.
    ///
    /// # Errors
    ///
    /// If it is not there yet, and if it never will be: because the sender is gone, or the value has been received.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::sync::oneshot::{self, error::TryRecvError};
    ///
    /// let (sender, mut receiver) = oneshot::channel();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.send(7).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(7));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    /// ```
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.inner.try_recv()
    }

    /// Receives the value, and blocks the thread until it is there.
    ///
    /// # Errors
    ///
    /// If the sender is gone, and has sent nothing.
    ///
    /// # Panics
    ///
    /// From inside a runtime: see [the module](crate::sync#blocking).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tress::sync::oneshot::channel();
    /// std::thread::spawn(move || sender.send(7));
    /// assert_eq!(receiver.blocking_recv(), Ok(7));
    /// ```
    #[track_caller]
    pub fn blocking_recv(self) -> Result<T, RecvError> {
        context::assert_outside("blocking_recv");
        self.inner.blocking_recv()
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut wait = Wait::resume("oneshot", Location::caller(), self.since);
        let poll = wait.poll(cx, |cx| Pin::new(&mut self.inner).poll(cx));
        self.since = wait.since();
        poll
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("is_terminated", &self.is_terminated()).finish_non_exhaustive()
    }
}
