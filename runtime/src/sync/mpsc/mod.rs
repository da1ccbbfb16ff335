//! A channel for many values, from many senders to one receiver.
//!
//! One that [`channel`] makes has a capacity: senders wait while it is full, so that they are held to the receiver's pace. One that
//! [`unbounded_channel`] makes has none, and takes as much memory as the receiver lets it.
//!
//! What one sender sends arrives in that order. The channel ends for the receiver when all senders are gone and everything has been
//! received, and for senders when the receiver is [closed](Receiver::close) or gone.
//!
//! Behind it stands [`tokio::sync::mpsc`]; here, receivers are [streams](futures_core::Stream), too.
//!
//! # Examples
//!
//! ```
//! use tress::sync::mpsc;
//!
//! # #[tress::main(worker_threads = 2)]
//! # async fn main() {
//! let (sender, mut receiver) = mpsc::channel(4);
//! for task in 0..3 {
//!     let sender = sender.clone();
//!     tress::spawn(async move {
//!         for number in 0..10 {
//!             sender.send((task, number)).await.unwrap();
//!         }
//!     });
//! }
//! drop(sender);
//! let mut received = 0;
//! while let Some((_task, _number)) = receiver.recv().await {
//!     received += 1;
//! }
//! assert_eq!(received, 30);
//! # }
//! ```

mod owned_permit;
mod receiver;
mod sender;
mod unbounded_receiver;
mod unbounded_sender;
mod weak_sender;
mod weak_unbounded_sender;

pub use self::owned_permit::OwnedPermit;
pub use self::receiver::Receiver;
pub use self::sender::Sender;
pub use self::unbounded_receiver::UnboundedReceiver;
pub use self::unbounded_sender::UnboundedSender;
pub use self::weak_sender::WeakSender;
pub use self::weak_unbounded_sender::WeakUnboundedSender;
pub use tokio::sync::mpsc::{Permit, PermitIterator};

pub mod error {
    //! What can go wrong with an mpsc channel: tokio's types.
    pub use tokio::sync::mpsc::error::{SendError, TryRecvError, TrySendError};
}

/// Makes a channel that holds so many values.
///
/// # Panics
///
/// If that is 0, or more than [`Semaphore::MAX_PERMITS`](super::Semaphore::MAX_PERMITS).
///
/// # Examples
///
/// See [the module](self).
#[must_use]
#[track_caller]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = tokio::sync::mpsc::channel(capacity);
    (Sender::new(sender), Receiver::new(receiver))
}

/// Makes a channel that holds whatever is sent.
///
/// # Examples
///
/// ```
/// # #[tress::main(worker_threads = 1)]
/// # async fn main() {
/// let (sender, mut receiver) = tress::sync::mpsc::unbounded_channel();
/// sender.send(7).unwrap();
/// assert_eq!(receiver.recv().await, Some(7));
/// # }
/// ```
#[must_use]
pub fn unbounded_channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    (UnboundedSender::new(sender), UnboundedReceiver::new(receiver))
}
