//! How much may wait for an actor.

use tress_runtime::seam::contain_panic;
use tress_runtime::sync::{Semaphore, SemaphorePermit};

/// A place for each call and post that may wait; or for any number of them.
#[derive(Debug)]
pub(super) struct Room(Option<Box<Semaphore>>);

impl Room {
    pub(super) fn new(capacity: usize) -> Self {
        // What is larger is more than memory can hold.
        Self((capacity <= Semaphore::MAX_PERMITS).then(|| Box::new(Semaphore::new(capacity))))
    }

    /// Takes a place, unless there is none.
    pub(super) fn try_take(&self) -> bool {
        let Some(places) = &self.0 else { return true };
        places.try_acquire().map(SemaphorePermit::forget).is_ok()
    }

    /// Takes one as soon as there is one; it is given back when the result is dropped.
    pub(super) async fn reserve(&self) -> Option<SemaphorePermit<'_>> {
        match &self.0 {
            Some(places) => Some(places.acquire().await.expect("nobody closes it")),
            None => None,
        }
    }

    /// Gives one back.
    pub(super) fn give_back(&self) {
        if let Some(places) = &self.0 {
            // Wakes somebody, by a waker that may be anybody's.
            contain_panic(|| places.add_permits(1));
        }
    }
}
