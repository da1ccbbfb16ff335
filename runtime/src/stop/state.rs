//! The word of a stop state: whether it has been stopped, and the lock of its list.
//!
//! All of it changes under the lock, so that unlocking is a store. README.md of this module has the table.

use crossbeam_utils::Backoff;

use crate::primitive::hint::spin_loop;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};

/// A stop has been requested. Never cleared.
const STOPPED: usize = 1;
/// Somebody has the lock.
const LOCKED: usize = 1 << 1;
/// Nobody can reach the state any more but whoever frees it, and its link in its parent's list. Never cleared.
const DEAD: usize = 1 << 2;

/// The word.
///
/// Values: flags, as above. Written by whoever takes the lock, then by whoever has it. The release of an unlock, and of the stop, pairs
/// with the acquire of the next lock: it publishes what the lock guards.
#[derive(Debug)]
pub(super) struct Word(AtomicUsize);

/// What came of the wish to register.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ToRegistering {
    /// The lock is the caller's.
    Locked,
    /// It is too late: a stop has been requested.
    Stopped,
}

/// What came of the wish to stop.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ToStopped {
    /// The caller is the one who runs the callbacks, and has the lock.
    Locked,
    /// Somebody else was earlier.
    Already,
}

impl Word {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Whether a stop has been requested. `Acquire`: what whoever requested it did before is visible.
    #[inline]
    pub(super) fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Acquire) & STOPPED != 0
    }

    /// Takes the lock, unless a stop has been requested.
    #[inline]
    pub(super) fn transition_to_registering(&self) -> ToRegistering {
        self.lock(|current| current & STOPPED == 0, |current| current)
            .map_or(ToRegistering::Stopped, |()| ToRegistering::Locked)
    }

    /// Takes the lock and says that a stop has been requested, unless that has been said before.
    pub(super) fn transition_to_stopped(&self) -> ToStopped {
        self.lock(|current| current & STOPPED == 0, |current| current | STOPPED)
            .map_or(ToStopped::Already, |()| ToStopped::Locked)
    }

    /// Takes the lock.
    #[inline]
    pub(super) fn transition_to_locked(&self) {
        let locked = self.lock(|_| true, |current| current);
        debug_assert!(locked.is_some(), "nothing speaks against it");
    }

    /// Takes the lock, unless the state is about to be freed. True if so.
    #[must_use]
    pub(super) fn transition_to_locked_unless_dead(&self) -> bool {
        self.lock(|current| current & DEAD == 0, |current| current).is_some()
    }

    /// Gives the lock up. By whoever has it.
    #[inline]
    pub(super) fn transition_to_unlocked(&self) {
        // `Relaxed`: nobody else writes while it is locked.
        let current = self.0.load(Ordering::Relaxed);
        debug_assert!(current & LOCKED != 0, "{current:#b}");
        self.0.store(current & !LOCKED, Ordering::Release);
    }

    /// Gives the lock up for good: the caller, who has it, frees the state.
    pub(super) fn transition_to_dead(&self) {
        let current = self.0.load(Ordering::Relaxed);
        debug_assert!(current & LOCKED != 0 && current & DEAD == 0, "{current:#b}");
        self.0.store((current | DEAD) & !LOCKED, Ordering::Release);
    }

    /// Waits until the word is not locked, and locks it if it may.
    ///
    /// A lock that spins: a section is some instructions long and calls nobody. One whose holder lost its core is waited for by
    /// yielding one's own.
    #[inline]
    fn lock(&self, may_lock: impl Fn(usize) -> bool, with: impl Fn(usize) -> usize) -> Option<()> {
        let backoff = Backoff::new();
        let mut current = self.0.load(Ordering::Acquire);
        loop {
            if !may_lock(current) {
                return None;
            }
            if current & LOCKED == 0 {
                let locked = with(current) | LOCKED;
                let locked =
                    self.0.compare_exchange_weak(current, locked, Ordering::AcqRel, Ordering::Acquire);
                match locked {
                    Ok(_) => return Some(()),
                    Err(actual) => current = actual,
                }
            } else {
                if cfg!(tress_loom) {
                    spin_loop()
                } else {
                    backoff.snooze()
                }
                current = self.0.load(Ordering::Acquire);
            }
        }
    }
}
