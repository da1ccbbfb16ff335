//! One worker's token: unparking a worker that is not parked yet makes its next park return at once.

use crate::primitive::sync::atomic::{AtomicU8, Ordering};

/// No token, not parked.
const AWAKE: u8 = 0;
/// The worker waits, or is about to.
const PARKED: u8 = 1;
/// A token is waiting to be consumed.
const NOTIFIED: u8 = 2;

/// The state of a worker's sleep.
///
/// Values: the three above. `AWAKE → PARKED → AWAKE` is written by the worker, `→ NOTIFIED` by anybody. The release
/// of the notifier pairs with the acquire of the worker that consumes the token.
#[derive(Debug)]
pub(crate) struct Parker(AtomicU8);

impl Parker {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(AWAKE))
    }

    /// The worker is about to wait; false if it must not, because a token was there (and is now consumed).
    #[must_use]
    pub(crate) fn prepare(&self) -> bool {
        match self.0.compare_exchange(AWAKE, PARKED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(_) => {
                // A swap, since another token may just be arriving: what its sender did has to be seen too.
                self.0.swap(AWAKE, Ordering::Acquire);
                false
            }
        }
    }

    /// The worker has stopped waiting; consumes a token if there is one.
    pub(crate) fn finish(&self) {
        self.0.swap(AWAKE, Ordering::AcqRel);
    }

    /// Leaves a token; true if the worker waits and has to be roused.
    #[must_use]
    pub(crate) fn notify(&self) -> bool {
        self.0.swap(NOTIFIED, Ordering::AcqRel) == PARKED
    }
}
