//! A lock that is waited for.

use std::fmt;

use tokio::sync::{MutexGuard, OwnedMutexGuard, TryLockError};

use super::inner_arc;
use super::wait::waits;
use crate::context;
use crate::leaf::Wait;
use crate::primitive::sync::Arc;

/// A lock that one holds at a time, and that is waited for without blocking the thread.
///
/// It goes to those who wait in the order in which they came. Its guard may be held across an `.await`; where that is not needed,
/// [`std::sync::Mutex`] is cheaper. A panic does not poison it: the next one sees the value as it was left.
///
/// Behind it stands [`tokio::sync::Mutex`].
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use tress::sync::Mutex;
///
/// # #[tress::main(worker_threads = 2)]
/// # async fn main() {
/// let sum = Arc::new(Mutex::new(0));
/// let tasks: Vec<_> = (1..=10)
///     .map(|number| {
///         let sum = Arc::clone(&sum);
///         tress::spawn(async move { *sum.lock().await += number })
///     })
///     .collect();
/// for task in tasks {
///     task.await.unwrap();
/// }
/// assert_eq!(*sum.lock().await, 55);
/// # }
/// ```
#[derive(Default)]
// `inner_arc` builds on it.
#[repr(transparent)]
pub struct Mutex<T: ?Sized> {
    inner: tokio::sync::Mutex<T>,
}

impl<T> Mutex<T> {
    /// Makes a mutex that nobody holds.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(tress::sync::Mutex::new(7).into_inner(), 7);
    /// ```
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { inner: tokio::sync::Mutex::new(value) }
    }

    /// As [`new`](Self::new), for constants.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::sync::Mutex;
    ///
    /// static TOTAL: Mutex<u64> = Mutex::const_new(0);
    /// assert_eq!(*TOTAL.try_lock().unwrap(), 0);
    /// ```
    #[must_use]
    pub const fn const_new(value: T) -> Self {
        Self { inner: tokio::sync::Mutex::const_new(value) }
    }

    /// Gives up the lock for its value.
    ///
    /// # Examples
    ///
    /// See [`new`](Self::new).
    #[must_use]
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks the mutex, when those who came before have had it.
    ///
    /// Who holds the guard and locks again waits for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes nothing; the place in the queue is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let mutex = tress::sync::Mutex::new(1);
    /// *mutex.lock().await += 1;
    /// assert_eq!(*mutex.lock().await, 2);
    /// # }
    /// ```
    #[track_caller]
    pub fn lock(&self) -> impl Future<Output = MutexGuard<'_, T>> {
        waits(Wait::new("mutex"), self.inner.lock())
    }

    /// Locks the mutex if nobody holds it.
    ///
    /// # Errors
    ///
    /// If somebody does, or waits for it.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = tress::sync::Mutex::new(1);
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_err());
    /// drop(guard);
    /// assert!(mutex.try_lock().is_ok());
    /// ```
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        self.inner.try_lock()
    }

    /// Locks the mutex, and blocks the thread until it can.
    ///
    /// # Panics
    ///
    /// From inside a runtime: see [the module](crate::sync#blocking).
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = tress::sync::Mutex::new(1);
    /// *mutex.blocking_lock() += 1;
    /// assert_eq!(*mutex.blocking_lock(), 2);
    /// ```
    #[track_caller]
    pub fn blocking_lock(&self) -> MutexGuard<'_, T> {
        context::assert_outside("blocking_lock");
        self.inner.blocking_lock()
    }

    /// As [`lock`](Self::lock), for a guard that keeps the mutex.
    ///
    /// Who holds the guard and locks again waits for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes nothing; the place in the queue is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tress::sync::Mutex;
    ///
    /// # #[tress::main(worker_threads = 2)]
    /// # async fn main() {
    /// let mutex = Arc::new(Mutex::new(1));
    /// let mut guard = Arc::clone(&mutex).lock_owned().await;
    /// tress::spawn(async move { *guard += 1 }).await.unwrap();
    /// assert_eq!(*mutex.lock().await, 2);
    /// # }
    /// ```
    #[track_caller]
    pub fn lock_owned(self: Arc<Self>) -> impl Future<Output = OwnedMutexGuard<T>> {
        waits(Wait::new("mutex"), inner_arc::mutex(self).lock_owned())
    }

    /// As [`try_lock`](Self::try_lock), for a guard that keeps the mutex.
    ///
    /// # Errors
    ///
    /// If somebody holds it, or waits for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// let mutex = Arc::new(tress::sync::Mutex::new(1));
    /// let guard = Arc::clone(&mutex).try_lock_owned().unwrap();
    /// assert!(Arc::clone(&mutex).try_lock_owned().is_err());
    /// drop(guard);
    /// assert!(mutex.try_lock_owned().is_ok());
    /// ```
    pub fn try_lock_owned(self: Arc<Self>) -> Result<OwnedMutexGuard<T>, TryLockError> {
        inner_arc::mutex(self).try_lock_owned()
    }

    /// As [`blocking_lock`](Self::blocking_lock), for a guard that keeps the mutex.
    ///
    /// # Panics
    ///
    /// From inside a runtime: see [the module](crate::sync#blocking).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// let guard = Arc::new(tress::sync::Mutex::new(1)).blocking_lock_owned();
    /// assert_eq!(*guard, 1);
    /// ```
    #[track_caller]
    pub fn blocking_lock_owned(self: Arc<Self>) -> OwnedMutexGuard<T> {
        context::assert_outside("blocking_lock_owned");
        inner_arc::mutex(self).blocking_lock_owned()
    }

    /// The value, which nobody else can have locked.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut mutex = tress::sync::Mutex::new(1);
    /// *mutex.get_mut() += 1;
    /// assert_eq!(mutex.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
