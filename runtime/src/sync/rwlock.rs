//! A lock for readers and writers that is waited for.

use std::fmt;

use tokio::sync::{
    OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLockReadGuard, RwLockWriteGuard, TryLockError,
};

use super::inner_arc;
use super::wait::waits;
use crate::context;
use crate::leaf::Wait;
use crate::primitive::sync::Arc;

/// A lock that one writer or many readers hold at a time, and that is waited for without blocking the thread.
///
/// It goes to those who wait in the order in which they came: a reader that comes after a waiting writer waits for that one, so that
/// writers are not starved. A panic does not poison it.
///
/// Behind it stands [`tokio::sync::RwLock`].
///
/// # Examples
///
/// ```
/// use tress::sync::RwLock;
///
/// # #[tress::main(worker_threads = 1)]
/// # async fn main() {
/// let names = RwLock::new(vec!["one"]);
/// {
///     let (first, second) = (names.read().await, names.read().await);
///     assert_eq!(first.len() + second.len(), 2);
/// }
/// names.write().await.push("two");
/// assert_eq!(*names.read().await, ["one", "two"]);
/// # }
/// ```
#[derive(Default)]
// `inner_arc` builds on it.
#[repr(transparent)]
pub struct RwLock<T: ?Sized> {
    inner: tokio::sync::RwLock<T>,
}

impl<T> RwLock<T> {
    /// Makes a lock that nobody holds.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(tress::sync::RwLock::new(7).into_inner(), 7);
    /// ```
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { inner: tokio::sync::RwLock::new(value) }
    }

    /// Makes a lock that so many readers can hold at a time.
    ///
    /// # Panics
    ///
    /// If that is more than `u32::MAX >> 3`.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = tress::sync::RwLock::with_max_readers((), 1);
    /// let reader = lock.try_read().unwrap();
    /// assert!(lock.try_read().is_err());
    /// # drop(reader);
    /// ```
    #[must_use]
    pub fn with_max_readers(value: T, max_readers: u32) -> Self {
        Self { inner: tokio::sync::RwLock::with_max_readers(value, max_readers) }
    }

    /// As [`new`](Self::new), for constants.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::sync::RwLock;
    ///
    /// static NAME: RwLock<&str> = RwLock::const_new("nobody");
    /// assert_eq!(*NAME.try_read().unwrap(), "nobody");
    /// ```
    #[must_use]
    pub const fn const_new(value: T) -> Self {
        Self { inner: tokio::sync::RwLock::const_new(value) }
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

impl<T: ?Sized> RwLock<T> {
    /// Locks it for reading, when those who came before have had it.
    ///
    /// Who reads already and locks again may wait for ever: for a writer that came in between, and that waits for the first lock.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes nothing; the place in the queue is lost.
    ///
    /// # Examples
    ///
    /// See [`RwLock`].
    #[track_caller]
    pub fn read(&self) -> impl Future<Output = RwLockReadGuard<'_, T>> {
        waits(Wait::new("rwlock read"), self.inner.read())
    }

    /// Locks it for writing, when those who came before have had it.
    ///
    /// Who holds the lock already, for reading too, waits for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes nothing; the place in the queue is lost.
    ///
    /// # Examples
    ///
    /// See [`RwLock`].
    #[track_caller]
    pub fn write(&self) -> impl Future<Output = RwLockWriteGuard<'_, T>> {
        waits(Wait::new("rwlock write"), self.inner.write())
    }

    /// Locks it for reading if nobody writes.
    ///
    /// # Errors
    ///
    /// If somebody writes, or waits in order to.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = tress::sync::RwLock::new(1);
    /// let writer = lock.try_write().unwrap();
    /// assert!(lock.try_read().is_err());
    /// drop(writer);
    /// assert_eq!(*lock.try_read().unwrap(), 1);
    /// ```
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, TryLockError> {
        self.inner.try_read()
    }

    /// Locks it for writing if nobody reads or writes.
    ///
    /// # Errors
    ///
    /// If somebody does, or waits in order to.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = tress::sync::RwLock::new(1);
    /// let reader = lock.try_read().unwrap();
    /// assert!(lock.try_write().is_err());
    /// drop(reader);
    /// *lock.try_write().unwrap() += 1;
    /// ```
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, TryLockError> {
        self.inner.try_write()
    }

    /// Locks it for reading, and blocks the thread until it can.
    ///
    /// # Panics
    ///
    /// From inside a runtime: see [the module](crate::sync#blocking).
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(*tress::sync::RwLock::new(1).blocking_read(), 1);
    /// ```
    #[track_caller]
    pub fn blocking_read(&self) -> RwLockReadGuard<'_, T> {
        context::assert_outside("blocking_read");
        self.inner.blocking_read()
    }

    /// Locks it for writing, and blocks the thread until it can.
    ///
    /// # Panics
    ///
    /// From inside a runtime: see [the module](crate::sync#blocking).
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = tress::sync::RwLock::new(1);
    /// *lock.blocking_write() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    #[track_caller]
    pub fn blocking_write(&self) -> RwLockWriteGuard<'_, T> {
        context::assert_outside("blocking_write");
        self.inner.blocking_write()
    }

    /// As [`read`](Self::read), for a guard that keeps the lock.
    ///
    /// Who reads already and locks again may wait for ever: for a writer that came in between, and that waits for the first lock.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes nothing; the place in the queue is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tress::sync::RwLock;
    ///
    /// # #[tress::main(worker_threads = 2)]
    /// # async fn main() {
    /// let lock = Arc::new(RwLock::new(1));
    /// let reader = Arc::clone(&lock).read_owned().await;
    /// assert_eq!(tress::spawn(async move { *reader }).await.unwrap(), *lock.read().await);
    /// # }
    /// ```
    #[track_caller]
    pub fn read_owned(self: Arc<Self>) -> impl Future<Output = OwnedRwLockReadGuard<T>> {
        waits(Wait::new("rwlock read"), inner_arc::rwlock(self).read_owned())
    }

    /// As [`write`](Self::write), for a guard that keeps the lock.
    ///
    /// Who holds the lock already, for reading too, waits for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes nothing; the place in the queue is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tress::sync::RwLock;
    ///
    /// # #[tress::main(worker_threads = 2)]
    /// # async fn main() {
    /// let lock = Arc::new(RwLock::new(1));
    /// let mut writer = Arc::clone(&lock).write_owned().await;
    /// tress::spawn(async move { *writer += 1 }).await.unwrap();
    /// assert_eq!(*lock.read().await, 2);
    /// # }
    /// ```
    #[track_caller]
    pub fn write_owned(self: Arc<Self>) -> impl Future<Output = OwnedRwLockWriteGuard<T>> {
        waits(Wait::new("rwlock write"), inner_arc::rwlock(self).write_owned())
    }

    /// As [`try_read`](Self::try_read), for a guard that keeps the lock.
    ///
    /// # Errors
    ///
    /// If somebody writes, or waits in order to.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(tress::sync::RwLock::new(1));
    /// let writer = Arc::clone(&lock).try_write_owned().unwrap();
    /// assert!(Arc::clone(&lock).try_read_owned().is_err());
    /// drop(writer);
    /// assert_eq!(*lock.try_read_owned().unwrap(), 1);
    /// ```
    pub fn try_read_owned(self: Arc<Self>) -> Result<OwnedRwLockReadGuard<T>, TryLockError> {
        inner_arc::rwlock(self).try_read_owned()
    }

    /// As [`try_write`](Self::try_write), for a guard that keeps the lock.
    ///
    /// # Errors
    ///
    /// If somebody reads or writes, or waits in order to.
    ///
    /// # Examples
    ///
    /// See [`try_read_owned`](Self::try_read_owned).
    pub fn try_write_owned(self: Arc<Self>) -> Result<OwnedRwLockWriteGuard<T>, TryLockError> {
        inner_arc::rwlock(self).try_write_owned()
    }

    /// The value, which nobody else can have locked.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut lock = tress::sync::RwLock::new(1);
    /// *lock.get_mut() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
