//! State that belongs to a strand.
#![expect(unsafe_code, reason = "lends what is in it where nobody else can be")]

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use tress_runtime::executor::Executor;

use crate::Strand;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::serial::SerialRef;

/// State that belongs to a strand: only code that runs there can touch it, and without a lock.
///
/// Whoever is on the strand has it to himself from one await to the next. The guard cannot be held across one: it is not `Send`, so a task that did
/// could not be spawned.
///
/// ```compile_fail
/// use std::sync::Arc;
/// use tress::strand::{Strand, StrandCell};
///
/// let runtime = tress::Runtime::new().unwrap();
/// let strand = Strand::new(runtime.handle().clone());
/// let cell = Arc::new(StrandCell::new(&strand, 0));
/// strand.spawn(async move {
///     let mut number = cell.borrow_mut();
///     tress::task::yield_now().await;
///     *number += 1;
/// });
/// ```
///
/// It is dropped before:
///
/// ```
/// use std::sync::Arc;
/// use tress::strand::{Strand, StrandCell};
///
/// let runtime = tress::Runtime::new().unwrap();
/// let strand = Strand::new(runtime.handle().clone());
/// let cell = Arc::new(StrandCell::new(&strand, 0));
/// strand.spawn(async move {
///     *cell.borrow_mut() += 1;
///     tress::task::yield_now().await;
///     *cell.borrow_mut() += 1;
/// });
/// ```
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use tress::strand::{Strand, StrandCell};
///
/// let runtime = tress::Runtime::new()?;
/// let strand = Strand::new(runtime.handle().clone());
/// let cell = Arc::new(StrandCell::new(&strand, Vec::new()));
/// runtime.block_on(async {
///     let tasks: Vec<_> = (0..10)
///         .map(|n| {
///             let cell = Arc::clone(&cell);
///             strand.spawn(async move {
///                 tress::task::yield_now().await;
///                 cell.borrow_mut().push(n);
///             })
///         })
///         .collect();
///     for task in tasks {
///         task.await.unwrap();
///     }
///     let sum = strand.spawn(async move { cell.with(|numbers| numbers.iter().sum::<u32>()) });
///     assert_eq!(sum.await.unwrap(), 45);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct StrandCell<T> {
    /// Keeps the strand's memory, so that its address is its own, and nothing that is queued on it.
    strand: SerialRef,
    /// Values: whether a guard is there. Written by whoever is on the strand, and cleared by whoever drops the guard, which may be another thread: that
    /// publishes what was done with the value (`Release`) to the next one who borrows (`Acquire`).
    is_borrowed: AtomicBool,
    value: UnsafeCell<T>,
}

/// Why a [`StrandCell`] cannot be borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BorrowError {
    /// The calling code does not run on the cell's strand.
    NotOnStrand,
    /// It is borrowed already, further up on this stack; or a guard has been kept, or forgotten.
    Borrowed,
}

/// The value of a [`StrandCell`], borrowed.
///
/// It is not `Send`: a task that holds it across an await cannot be spawned.
pub struct RefMut<'a, T> {
    cell: &'a StrandCell<T>,
    _not_send: PhantomData<*mut T>,
}

// SAFETY: the value is touched by one guard at a time, which is made on the strand. Two can follow each other on different threads, so it has to be `Send`.
unsafe impl<T: Send> Sync for StrandCell<T> {}
// SAFETY: what it holds may be sent.
unsafe impl<T: Send> Send for StrandCell<T> {}

impl<T: Send> StrandCell<T> {
    /// State that belongs to this strand.
    pub fn new<E: Executor>(strand: &Strand<E>, value: T) -> Self {
        Self { strand: strand.core(), is_borrowed: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Borrows the value.
    ///
    /// # Panics
    ///
    /// If the calling code is not on the strand, or the value is borrowed already; see [`try_borrow_mut`](Self::try_borrow_mut).
    #[track_caller]
    #[inline]
    pub fn borrow_mut(&self) -> RefMut<'_, T> {
        match self.try_borrow_mut() {
            Ok(guard) => guard,
            Err(error) => refuse(error),
        }
    }

    /// Borrows the value, if that can be.
    ///
    /// # Errors
    ///
    /// If the calling code is not on the strand, or the value is borrowed already.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::executor::Inline;
    /// use tress::strand::{BorrowError, Strand, StrandCell};
    ///
    /// let cell = StrandCell::new(&Strand::new(Inline), 7);
    /// assert_eq!(cell.try_borrow_mut().map(|number| *number), Err(BorrowError::NotOnStrand));
    /// ```
    #[inline]
    pub fn try_borrow_mut(&self) -> Result<RefMut<'_, T>, BorrowError> {
        if !self.strand.is_current() {
            return Err(BorrowError::NotOnStrand);
        }
        // No read-modify-write: nobody else is on the strand, and who is not only clears it.
        if self.is_borrowed.load(Ordering::Acquire) {
            return Err(BorrowError::Borrowed);
        }
        self.is_borrowed.store(true, Ordering::Relaxed);
        Ok(RefMut { cell: self, _not_send: PhantomData })
    }

    /// Calls `f` with the value.
    ///
    /// # Panics
    ///
    /// As [`borrow_mut`](Self::borrow_mut).
    #[track_caller]
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.borrow_mut())
    }

    /// The value, to which nobody else has access.
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: a guard would borrow the cell; one that was forgotten is never used again.
        self.value.with_mut(|value| unsafe { &mut *value })
    }
}

#[cold]
#[track_caller]
fn refuse(error: BorrowError) -> ! {
    panic!("a `StrandCell` cannot be borrowed: {error}");
}

impl<T: fmt::Debug> fmt::Debug for StrandCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StrandCell")
            .field("is_borrowed", &self.is_borrowed.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

impl<T> Deref for RefMut<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard is the only one, and is borrowed.
        self.cell.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for RefMut<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard is the only one, and is borrowed exclusively.
        self.cell.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for RefMut<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Release: see `is_borrowed`.
        self.cell.is_borrowed.store(false, Ordering::Release);
    }
}

impl<T: fmt::Debug> fmt::Debug for RefMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl fmt::Display for BorrowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOnStrand => "the calling code does not run on its strand",
            Self::Borrowed => "it is borrowed already",
        })
    }
}

impl Error for BorrowError {}
