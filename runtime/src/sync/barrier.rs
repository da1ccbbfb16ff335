//! A place where tasks meet.

use tokio::sync::BarrierWaitResult;

use super::wait::waits;
use crate::leaf::Wait;

/// A place where so many tasks wait for each other, again and again.
///
/// Behind it stands [`tokio::sync::Barrier`].
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use tress::sync::Barrier;
///
/// # #[tress::main(worker_threads = 2)]
/// # async fn main() {
/// let barrier = Arc::new(Barrier::new(3));
/// let tasks: Vec<_> = (0..3)
///     .map(|_| {
///         let barrier = Arc::clone(&barrier);
///         tress::spawn(async move { barrier.wait().await.is_leader() })
///     })
///     .collect();
/// let mut leaders = 0;
/// for task in tasks {
///     leaders += i32::from(task.await.unwrap());
/// }
/// assert_eq!(leaders, 1);
/// # }
/// ```
#[derive(Debug)]
pub struct Barrier {
    inner: tokio::sync::Barrier,
}

impl Barrier {
    /// Makes a barrier for so many tasks; 0 means 1.
    ///
    /// # Examples
    ///
    /// See [`Barrier`].
    #[must_use]
    pub fn new(tasks: usize) -> Self {
        Self { inner: tokio::sync::Barrier::new(tasks) }
    }

    /// Waits until all have come; one of them, whichever, is then the [leader](BarrierWaitResult::is_leader).
    ///
    /// # Cancel safety
    ///
    /// Who has begun to wait has come, and stays counted when the future is dropped: the others go on without it, and it is one of the next
    /// round when it comes again. A future that is dropped before its first poll counts for nothing.
    ///
    /// # Examples
    ///
    /// See [`Barrier`].
    #[track_caller]
    pub fn wait(&self) -> impl Future<Output = BarrierWaitResult> {
        waits(Wait::new("barrier"), self.inner.wait())
    }
}
