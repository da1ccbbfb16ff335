//! The `Arc` of a lock as one of what stands behind it, for guards that own their lock.
#![expect(unsafe_code, reason = "an `Arc` of a transparent wrapper becomes one of what it wraps")]

use super::{Mutex, RwLock};
use crate::primitive::sync::Arc;

/// The mutex behind this one: the same allocation, and the same counts.
pub(super) fn mutex<T: ?Sized>(mutex: Arc<Mutex<T>>) -> Arc<tokio::sync::Mutex<T>> {
    let inner = Arc::into_raw(mutex) as *const tokio::sync::Mutex<T>;
    // SAFETY: the pointer comes from `Arc::into_raw`. The wrapper is `repr(transparent)` and has no `Drop`: both types have
    // one size, one alignment and one way to be dropped, so that it does not matter by which of them the last count is given back.
    unsafe { Arc::from_raw(inner) }
}

/// The lock behind this one: the same allocation, and the same counts.
pub(super) fn rwlock<T: ?Sized>(lock: Arc<RwLock<T>>) -> Arc<tokio::sync::RwLock<T>> {
    let inner = Arc::into_raw(lock) as *const tokio::sync::RwLock<T>;
    // SAFETY: as above.
    unsafe { Arc::from_raw(inner) }
}
