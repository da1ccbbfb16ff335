//! The `Arc` of a lock as one of what stands behind it, for guards that own their lock.
#![expect(unsafe_code, reason = "an `Arc` of a transparent wrapper becomes one of what it wraps")]

use super::{Mutex, RwLock};
use crate::primitive::sync::Arc;

/// The mutex behind this one: the same allocation, and the same counts.
pub(super) fn mutex<T: ?Sized>(mutex: Arc<Mutex<T>>) -> Arc<tokio::sync::Mutex<T>> {
    let inner = Arc::into_raw(mutex) as *const tokio::sync::Mutex<T>;
    // SAFETY: the pointer comes from `Arc::into_raw`, and `Arc::from_raw` takes one of another type, too, if that has the same size and
    // alignment, and a value of the one may stand for one of the other. The wrapper is `repr(transparent)` around nothing but the lock, and has
    // no `Drop`: so it is, and it does not matter as which of them the last count is given back.
    unsafe { Arc::from_raw(inner) }
}

/// The lock behind this one: the same allocation, and the same counts.
pub(super) fn rwlock<T: ?Sized>(lock: Arc<RwLock<T>>) -> Arc<tokio::sync::RwLock<T>> {
    let inner = Arc::into_raw(lock) as *const tokio::sync::RwLock<T>;
    // SAFETY: as above.
    unsafe { Arc::from_raw(inner) }
}
