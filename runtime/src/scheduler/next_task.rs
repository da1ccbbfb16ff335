//! The slot of the task that a worker runs next.
#![expect(unsafe_code, reason = "the slot is one atomic word that owns a runnable")]

use std::ptr::{self, NonNull};

use crate::executor::{Header, Runnable};
use crate::primitive::sync::atomic::{AtomicPtr, Ordering};

/// Holds at most one runnable.
///
/// The owner puts and takes; a thief takes, when the owner does not get round to it. Values: null, or the address that
/// a runnable owns. Only the owner turns null into an address, so it may do that with a plain store; turning an
/// address into null is a claim, made by a swap.
#[derive(Debug)]
pub(crate) struct NextTask(AtomicPtr<Header>);

impl NextTask {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Puts a runnable into the empty slot, or gives it back. Only the owner calls this.
    #[inline]
    pub(crate) fn put(&self, runnable: Runnable) -> Result<(), Runnable> {
        if !self.0.load(Ordering::Relaxed).is_null() {
            return Err(runnable);
        }
        // Release: a thief's swap sees what the runnable points to.
        self.0.store(runnable.into_raw().as_ptr(), Ordering::Release);
        Ok(())
    }

    /// Whether there was nothing in it a moment ago.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed).is_null()
    }

    /// Takes the runnable, if there is one.
    #[inline]
    pub(crate) fn take(&self) -> Option<Runnable> {
        if self.0.load(Ordering::Relaxed).is_null() {
            return None;
        }
        let header = NonNull::new(self.0.swap(ptr::null_mut(), Ordering::Acquire))?;
        // SAFETY: the slot owned the runnable, and the swap made this call the only one to have its address.
        Some(unsafe { Runnable::from_raw(header) })
    }
}

impl Drop for NextTask {
    fn drop(&mut self) {
        drop(self.take());
    }
}
