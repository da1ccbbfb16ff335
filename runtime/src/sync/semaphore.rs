//! Permits that are waited for.

use tokio::sync::{AcquireError, SemaphorePermit, TryAcquireError};

use super::wait::waits;
use crate::context;
use crate::leaf::Wait;
use crate::primitive::sync::Arc;

/// A number of permits, which are waited for without blocking the thread.
///
/// They go to those who wait in the order in which they came, also to one who wants many and is followed by others who want few.
///
/// Behind it stands [`tokio::sync::Semaphore`].
///
/// # Examples
///
/// At most two requests at a time:
///
/// ```
/// use std::sync::Arc;
/// use tress::sync::Semaphore;
/// # async fn answer(_: u32) {}
///
/// # #[tress::main(worker_threads = 2)]
/// # async fn main() {
/// let limit = Arc::new(Semaphore::new(2));
/// for request in 0..10 {
///     let permit = Arc::clone(&limit).acquire_owned().await.expect("it is never closed");
///     tress::spawn(async move {
///         answer(request).await;
///         drop(permit);
///     });
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Semaphore {
    inner: tokio::sync::Semaphore,
}

impl Semaphore {
    /// The most permits that a semaphore can have.
    pub const MAX_PERMITS: usize = tokio::sync::Semaphore::MAX_PERMITS;

    /// Makes a semaphore with so many permits.
    ///
    /// # Panics
    ///
    /// If those are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(tress::sync::Semaphore::new(3).available_permits(), 3);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn new(permits: usize) -> Self {
        Self { inner: tokio::sync::Semaphore::new(permits) }
    }

    /// As [`new`](Self::new), for constants.
    ///
    /// # Examples
    ///
    /// ```
    /// static LIMIT: tress::sync::Semaphore = tress::sync::Semaphore::const_new(3);
    /// assert_eq!(LIMIT.available_permits(), 3);
    /// ```
    #[must_use]
    pub const fn const_new(permits: usize) -> Self {
        Self { inner: tokio::sync::Semaphore::const_new(permits) }
    }

    /// How many permits nobody holds.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.inner.available_permits()
    }

    /// Adds permits.
    ///
    /// # Panics
    ///
    /// If there are more than [`MAX_PERMITS`](Self::MAX_PERMITS) then.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = tress::sync::Semaphore::new(1);
    /// semaphore.add_permits(2);
    /// assert_eq!(semaphore.available_permits(), 3);
    /// ```
    pub fn add_permits(&self, permits: usize) {
        self.inner.add_permits(permits);
    }

    /// Takes away so many permits that nobody holds, or as many as there are; returns their number.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(tress::sync::Semaphore::new(1).forget_permits(2), 1);
    /// ```
    pub fn forget_permits(&self, permits: usize) -> usize {
        self.inner.forget_permits(permits)
    }

    /// Waits for a permit.
    ///
    /// # Errors
    ///
    /// If the semaphore is [closed](Self::close), be it meanwhile.
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
    /// let semaphore = tress::sync::Semaphore::new(2);
    /// let permit = semaphore.acquire().await.unwrap();
    /// assert_eq!(semaphore.available_permits(), 1);
    /// drop(permit);
    /// assert_eq!(semaphore.available_permits(), 2);
    /// # }
    /// ```
    #[track_caller]
    pub fn acquire(&self) -> impl Future<Output = Result<SemaphorePermit<'_>, AcquireError>> {
        waits(Wait::new("semaphore permit"), self.inner.acquire())
    }

    /// Waits for so many permits, which it gets together.
    ///
    /// # Errors
    ///
    /// If the semaphore is [closed](Self::close), be it meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes nothing, and gives back what it had been given of them so far; the place in the queue is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let semaphore = tress::sync::Semaphore::new(4);
    /// assert_eq!(semaphore.acquire_many(3).await.unwrap().num_permits(), 3);
    /// # }
    /// ```
    #[track_caller]
    pub fn acquire_many(
        &self,
        permits: u32,
    ) -> impl Future<Output = Result<SemaphorePermit<'_>, AcquireError>> {
        waits(Wait::new("semaphore permit"), self.inner.acquire_many(permits))
    }

    /// Takes a permit if there is one.
    ///
    /// # Errors
    ///
    /// If there is none, or if the semaphore is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = tress::sync::Semaphore::new(1);
    /// let permit = semaphore.try_acquire().unwrap();
    /// assert!(semaphore.try_acquire().is_err());
    /// # drop(permit);
    /// ```
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.inner.try_acquire()
    }

    /// Takes so many permits if there are as many.
    ///
    /// # Errors
    ///
    /// If there are fewer, or if the semaphore is closed.
    pub fn try_acquire_many(&self, permits: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.inner.try_acquire_many(permits)
    }

    /// Takes a permit, and blocks the thread until there is one.
    ///
    /// # Errors
    ///
    /// If the semaphore is [closed](Self::close), be it meanwhile.
    ///
    /// # Panics
    ///
    /// From inside a runtime: see [the module](crate::sync#blocking).
    #[track_caller]
    pub fn blocking_acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        context::assert_outside("blocking_acquire");
        self.inner.blocking_acquire()
    }

    /// Takes so many permits, and blocks the thread until there are as many.
    ///
    /// # Errors
    ///
    /// If the semaphore is [closed](Self::close), be it meanwhile.
    ///
    /// # Panics
    ///
    /// From inside a runtime: see [the module](crate::sync#blocking).
    #[track_caller]
    pub fn blocking_acquire_many(&self, permits: u32) -> Result<SemaphorePermit<'_>, AcquireError> {
        context::assert_outside("blocking_acquire_many");
        self.inner.blocking_acquire_many(permits)
    }

    /// As [`acquire`](Self::acquire), for a permit that keeps the semaphore.
    ///
    /// # Errors
    ///
    /// If the semaphore is [closed](Self::close), be it meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes nothing; the place in the queue is lost.
    ///
    /// # Examples
    ///
    /// See [`Semaphore`].
    #[track_caller]
    pub fn acquire_owned(
        self: Arc<Self>,
    ) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> {
        self.acquire_many_owned(1)
    }

    /// As [`acquire_many`](Self::acquire_many), for permits that keep the semaphore.
    ///
    /// # Errors
    ///
    /// If the semaphore is [closed](Self::close), be it meanwhile.
    ///
    /// # Cancel safety
    ///
    /// As that of [`acquire_many`](Self::acquire_many).
    #[track_caller]
    pub fn acquire_many_owned(
        self: Arc<Self>,
        permits: u32,
    ) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> {
        let wait = Wait::new("semaphore permit");
        async move {
            waits(wait, self.inner.acquire_many(permits)).await?.forget();
            Ok(OwnedSemaphorePermit { semaphore: self, permits: permits as usize })
        }
    }

    /// As [`try_acquire`](Self::try_acquire), for a permit that keeps the semaphore.
    ///
    /// # Errors
    ///
    /// If there is none, or if the semaphore is closed.
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// As [`try_acquire_many`](Self::try_acquire_many), for permits that keep the semaphore.
    ///
    /// # Errors
    ///
    /// If there are fewer, or if the semaphore is closed.
    pub fn try_acquire_many_owned(
        self: Arc<Self>,
        permits: u32,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.inner.try_acquire_many(permits)?.forget();
        Ok(OwnedSemaphorePermit { semaphore: self, permits: permits as usize })
    }

    /// As [`blocking_acquire`](Self::blocking_acquire), for a permit that keeps the semaphore.
    ///
    /// # Errors
    ///
    /// If the semaphore is [closed](Self::close), be it meanwhile.
    ///
    /// # Panics
    ///
    /// From inside a runtime: see [the module](crate::sync#blocking).
    #[track_caller]
    pub fn blocking_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        context::assert_outside("blocking_acquire_owned");
        self.blocking_acquire_many_owned(1)
    }

    /// As [`blocking_acquire_many`](Self::blocking_acquire_many), for permits that keep the semaphore.
    ///
    /// # Errors
    ///
    /// If the semaphore is [closed](Self::close), be it meanwhile.
    ///
    /// # Panics
    ///
    /// From inside a runtime: see [the module](crate::sync#blocking).
    #[track_caller]
    pub fn blocking_acquire_many_owned(
        self: Arc<Self>,
        permits: u32,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        context::assert_outside("blocking_acquire_many_owned");
        self.inner.blocking_acquire_many(permits)?.forget();
        Ok(OwnedSemaphorePermit { semaphore: self, permits: permits as usize })
    }

    /// Closes the semaphore: nobody gets permits any more, and who waits for some is told so.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let semaphore = tress::sync::Semaphore::new(1);
    /// semaphore.close();
    /// assert!(semaphore.is_closed() && semaphore.acquire().await.is_err());
    /// # }
    /// ```
    pub fn close(&self) {
        self.inner.close();
    }

    /// Whether it is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}

/// Permits that keep their [`Semaphore`], to which they go back when they are dropped.
///
/// Made by [`acquire_owned`](Semaphore::acquire_owned) and its like.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use tress::sync::Semaphore;
///
/// let semaphore = Arc::new(Semaphore::new(3));
/// let mut permits = Arc::clone(&semaphore).try_acquire_many_owned(3).unwrap();
/// let one = permits.split(1).unwrap();
/// drop(permits);
/// assert_eq!(semaphore.available_permits(), 2);
/// one.forget();
/// assert_eq!(semaphore.available_permits(), 2);
/// ```
#[derive(Debug)]
#[must_use = "permits go back when this is dropped"]
pub struct OwnedSemaphorePermit {
    semaphore: Arc<Semaphore>,
    permits: usize,
}

impl OwnedSemaphorePermit {
    /// Drops the permits without giving them back.
    ///
    /// # Examples
    ///
    /// See [`OwnedSemaphorePermit`].
    pub fn forget(mut self) {
        self.permits = 0;
    }

    /// Takes over another's permits.
    ///
    /// # Panics
    ///
    /// If they are of another semaphore.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tress::sync::Semaphore;
    ///
    /// let semaphore = Arc::new(Semaphore::new(3));
    /// let mut one = Arc::clone(&semaphore).try_acquire_owned().unwrap();
    /// one.merge(Arc::clone(&semaphore).try_acquire_owned().unwrap());
    /// assert_eq!(one.num_permits(), 2);
    /// ```
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        assert!(Arc::ptr_eq(&self.semaphore, &other.semaphore), "the permits are of different semaphores");
        self.permits += std::mem::take(&mut other.permits);
    }

    /// Hands over so many of the permits, if there are as many.
    ///
    /// # Examples
    ///
    /// See [`OwnedSemaphorePermit`].
    pub fn split(&mut self, permits: usize) -> Option<Self> {
        self.permits = self.permits.checked_sub(permits)?;
        Some(Self { semaphore: Arc::clone(&self.semaphore), permits })
    }

    /// The semaphore that the permits are of.
    #[must_use]
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }

    /// How many they are.
    #[must_use]
    pub fn num_permits(&self) -> usize {
        self.permits
    }
}

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        self.semaphore.add_permits(self.permits);
    }
}
