//! Atomics, locks and `Arc`, as std's or loom's.
//!
//! `Mutex` here is std's without poisoning: tress never calls user code under a lock, so a poisoned lock can only be
//! a bug of ours that has already been reported as the panic that caused it.

#[cfg(tress_loom)]
pub(crate) use loom::sync::Arc;
#[cfg(not(tress_loom))]
pub(crate) use plain::Arc;

/// Std's `Arc`, also under loom: for what no protocol depends on, and for unsized values, which loom's cannot hold.
#[expect(clippy::disallowed_types, reason = "this is the alias that the lint points to")]
pub(crate) type PlainArc<T> = std::sync::Arc<T>;

/// Std's `AtomicU64`, also under loom: as below.
#[expect(clippy::disallowed_types, reason = "this is the alias that the lint points to")]
pub type PlainAtomicU64 = std::sync::atomic::AtomicU64;

/// Std's `AtomicU32`, also under loom: for counters that publish nothing.
#[expect(clippy::disallowed_types, reason = "this is the alias that the lint points to")]
pub type PlainAtomicU32 = std::sync::atomic::AtomicU32;

/// Std's `AtomicUsize`, also under loom: for counters that publish nothing and can be in a constant.
#[expect(clippy::disallowed_types, reason = "this is the alias that the lint points to")]
pub(crate) type PlainAtomicUsize = std::sync::atomic::AtomicUsize;

pub mod atomic {
    //! Atomic integers and fences.
    #[cfg(not(tress_loom))]
    pub use super::plain::atomic::*;
    #[cfg(tress_loom)]
    pub use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

#[cfg(not(tress_loom))]
#[expect(clippy::disallowed_types, reason = "these are the aliases that the lint points to")]
mod plain {
    //! Aliases, not re-exports: the lint looks through a re-export.
    pub(crate) type Arc<T> = std::sync::Arc<T>;

    pub(crate) mod atomic {
        //! Std's.
        pub use std::sync::atomic::{Ordering, fence};
        /// Std's, by the name that loom's has.
        pub type AtomicBool = std::sync::atomic::AtomicBool;
        /// Std's, by the name that loom's has.
        pub type AtomicPtr<T> = std::sync::atomic::AtomicPtr<T>;
        /// Std's, by the name that loom's has.
        pub type AtomicU8 = std::sync::atomic::AtomicU8;
        /// Std's, by the name that loom's has.
        pub type AtomicU32 = std::sync::atomic::AtomicU32;
        /// Std's, by the name that loom's has.
        pub type AtomicU64 = std::sync::atomic::AtomicU64;
        /// Std's, by the name that loom's has.
        pub type AtomicUsize = std::sync::atomic::AtomicUsize;
    }
}

#[cfg(tress_loom)]
use loom::sync as imp;
#[cfg(not(tress_loom))]
use std::sync as imp;

pub(crate) use imp::MutexGuard;
// Loom's locks return std's error.
use std::sync::TryLockError;

/// A mutual exclusion lock that ignores poisoning.
#[derive(Debug, Default)]
#[cfg_attr(
    not(tress_loom),
    expect(clippy::disallowed_types, reason = "this is the wrapper that the lint points to")
)]
pub(crate) struct Mutex<T>(imp::Mutex<T>);

impl<T> Mutex<T> {
    #[cfg(not(tress_loom))]
    #[expect(clippy::disallowed_types, reason = "this is the wrapper that the lint points to")]
    pub(crate) const fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    #[cfg(tress_loom)]
    pub(crate) fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    /// Blocks until the lock is free.
    #[cfg(not(tress_sanitize))]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Waits until the lock is free, by trying: a sanitizer sees an attempt, which is inlined, but not the slow path of
    /// `lock`, which is part of a standard library that is not instrumented.
    #[cfg(tress_sanitize)]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        loop {
            match self.try_lock() {
                Some(guard) => return guard,
                None => super::thread::yield_now(),
            }
        }
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// A condition variable for [`Mutex`].
#[derive(Debug, Default)]
#[cfg_attr(
    not(tress_loom),
    expect(clippy::disallowed_types, reason = "this is the wrapper that the lint points to")
)]
pub(crate) struct Condvar(imp::Condvar);

impl Condvar {
    /// Waits for a notification, with a guard of this lock; the caller re-checks its condition.
    #[cfg(not(tress_sanitize))]
    pub(crate) fn wait<'a, T>(&self, _mutex: &'a Mutex<T>, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Lets go of the lock for a moment: a sanitizer does not see that in a standard library that is not instrumented.
    #[cfg(tress_sanitize)]
    pub(crate) fn wait<'a, T>(&self, mutex: &'a Mutex<T>, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.wait_timeout(mutex, guard, MOMENT)
    }

    /// Waits for a notification or until the time has passed.
    #[cfg(not(any(tress_loom, tress_sanitize)))]
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        _mutex: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        timeout: std::time::Duration,
    ) -> MutexGuard<'a, T> {
        match self.0.wait_timeout(guard, timeout) {
            Ok((guard, _)) => guard,
            Err(poisoned) => poisoned.into_inner().0,
        }
    }

    /// As [`wait`](Self::wait).
    #[cfg(tress_sanitize)]
    #[expect(clippy::unused_self, reason = "nobody waits in it")]
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        mutex: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        timeout: std::time::Duration,
    ) -> MutexGuard<'a, T> {
        drop(guard);
        std::thread::sleep(timeout.min(MOMENT));
        mutex.lock()
    }

    /// In a model the time has always passed.
    #[cfg(tress_loom)]
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        _mutex: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        _timeout: std::time::Duration,
    ) -> MutexGuard<'a, T> {
        guard
    }

    /// Wakes one waiting thread.
    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes every waiting thread.
    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// How long a thread sleeps under a sanitizer before it looks again.
#[cfg(tress_sanitize)]
const MOMENT: std::time::Duration = std::time::Duration::from_micros(100);
