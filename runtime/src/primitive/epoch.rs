//! Keeps memory alive while other threads may still be looking at it.
//!
//! A thread that is about to follow a pointer without owning what it points to pins itself; whoever retires the memory
//! defers its destruction until every thread that was pinned at that time has unpinned. This is crossbeam's epoch
//! scheme; under loom, where models do not retire anything, deferring is leaking.

#[cfg(not(tress_loom))]
pub(crate) use crossbeam_epoch::{Guard, pin};

/// Drops `value` once no thread that is pinned now is pinned any more: at once if there is none, else at some later time,
/// on any thread.
#[cfg(not(tress_loom))]
pub(crate) fn retire<T: Send + 'static>(value: T) {
    pin().defer(move || drop(value));
    // Each turn hands over what is deferred and tries to move on by an epoch; two epochs later it is dropped.
    for _ in 0..3 {
        pin().flush();
    }
}

#[cfg(tress_loom)]
#[derive(Debug)]
pub(crate) struct Guard;

#[cfg(tress_loom)]
pub(crate) fn pin() -> Guard {
    Guard
}

#[cfg(tress_loom)]
pub(crate) fn retire<T: Send + 'static>(value: T) {
    std::mem::forget(value);
}
