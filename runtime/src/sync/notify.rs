//! Waking without a value.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::leaf::Wait;

/// Wakes tasks, without a value.
///
/// It holds at most one *permit*. [`notify_one`](Self::notify_one) gives it to who waits, or keeps it for who comes next; so that one does
/// not miss a notification that came between its look at a condition and its wait.
///
/// Behind it stands [`tokio::sync::Notify`].
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use tress::sync::Notify;
///
/// # #[tress::main(worker_threads = 2)]
/// # async fn main() {
/// let notify = Arc::new(Notify::new());
/// let task = tress::spawn({
///     let notify = Arc::clone(&notify);
///     async move { notify.notified().await }
/// });
/// // Whether or not the task waits already.
/// notify.notify_one();
/// task.await.unwrap();
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Notify {
    inner: tokio::sync::Notify,
}

impl Notify {
    /// Makes one without a permit.
    ///
    /// # Examples
    ///
    /// See [`Notify`].
    #[must_use]
    pub fn new() -> Self {
        Self { inner: tokio::sync::Notify::new() }
    }

    /// As [`new`](Self::new), for constants.
    ///
    /// # Examples
    ///
    /// ```
    /// static CHANGED: tress::sync::Notify = tress::sync::Notify::const_new();
    /// CHANGED.notify_one();
    /// ```
    #[must_use]
    pub const fn const_new() -> Self {
        Self { inner: tokio::sync::Notify::const_new() }
    }

    /// Waits for a notification.
    ///
    /// From this call on, also unpolled, the future is among those that [`notify_waiters`](Self::notify_waiters) wakes; for those of
    /// [`notify_one`](Self::notify_one), it queues when it is first polled or [enabled](Notified::enable).
    ///
    /// # Cancel safety
    ///
    /// A notification of `notify_one` that it has been given, and not returned yet, goes to the next one when it is dropped; the place in
    /// the queue is lost.
    ///
    /// # Examples
    ///
    /// See [`Notify`].
    #[track_caller]
    pub fn notified(&self) -> Notified<'_> {
        Notified { wait: Wait::new("notify"), inner: self.inner.notified() }
    }

    /// Wakes the one who has waited for longest, or leaves the permit for the next one who comes.
    ///
    /// There is only one: two notifications, with nobody who waits, let one go on.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let notify = tress::sync::Notify::new();
    /// notify.notify_one();
    /// notify.notified().await;
    /// # }
    /// ```
    pub fn notify_one(&self) {
        self.inner.notify_one();
    }

    /// Wakes the one who has waited for the shortest time, or leaves the permit for the next one who comes.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let notify = tress::sync::Notify::new();
    /// notify.notify_last();
    /// notify.notified().await;
    /// # }
    /// ```
    pub fn notify_last(&self) {
        self.inner.notify_last();
    }

    /// Wakes all who wait now, and leaves no permit.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let notify = tress::sync::Notify::new();
    /// let (first, second) = (notify.notified(), notify.notified());
    /// notify.notify_waiters();
    /// tress::join!(first, second);
    /// # }
    /// ```
    pub fn notify_waiters(&self) {
        self.inner.notify_waiters();
    }
}

pin_project! {
    /// The future of [`Notify::notified`].
    ///
    /// # Examples
    ///
    /// A condition that is looked at while the future waits already:
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use tress::sync::Notify;
    ///
    /// async fn wait_until_set(flag: &AtomicBool, changed: &Notify) {
    ///     loop {
    ///         let mut notified = pin!(changed.notified());
    ///         notified.as_mut().enable();
    ///         if flag.load(Ordering::Acquire) {
    ///             return;
    ///         }
    ///         notified.await;
    ///     }
    /// }
    ///
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// wait_until_set(&AtomicBool::new(true), &Notify::new()).await;
    /// # }
    /// ```
    #[must_use = "futures do nothing unless awaited"]
    pub struct Notified<'a> {
        wait: Wait,
        #[pin]
        inner: tokio::sync::futures::Notified<'a>,
    }
}

impl Notified<'_> {
    /// Queues without being polled, and tells whether it is notified already: the next poll is ready then.
    ///
    /// # Examples
    ///
    /// See [`Notified`].
    pub fn enable(self: Pin<&mut Self>) -> bool {
        self.project().inner.enable()
    }
}

impl Future for Notified<'_> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = self.project();
        me.wait.poll(cx, |cx| me.inner.poll(cx))
    }
}

impl fmt::Debug for Notified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notified").field("wait", &self.wait).finish_non_exhaustive()
    }
}
