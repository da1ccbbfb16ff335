//! Waiters beyond the one that a slot's cell holds.
//!
//! Two tasks that wait in the same direction of the same source, as two that accept from one listener, are rare but
//! legal. The first to wait has the cell; the others are listed here, and an event wakes them all.
//!
//! A waiter that was dropped does not take its waker back. So that such remains do not pile up while no event comes,
//! a newcomer to a list that has become long wakes all of it, once in a while: those still alive list themselves
//! again, the others are gone. Nothing is woken for as long as nobody comes.

use std::mem;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::contain_panic;
use super::readiness::Armed;
use super::ready::Direction;
use crate::primitive::sync::Mutex;

/// The overflow lists of one slot: nothing but a null pointer until first needed.
#[derive(Debug, Default)]
pub(super) struct Overflow(Mutex<Option<Box<[List; 2]>>>);

impl Overflow {
    /// Lists a waiter, if `commit` (called under the lock) says that it has to wait.
    pub(super) fn register(
        &self,
        direction: Direction,
        waker: &Waker,
        commit: impl FnOnce() -> Armed,
    ) -> Armed {
        // Made before the lock and dropped, if at all, after it: both are calls into foreign code.
        let waker = waker.clone();
        let (duplicate, purged);
        {
            let mut lists = self.0.lock();
            if commit() == Armed::Ready {
                drop(lists);
                return Armed::Ready;
            }
            (duplicate, purged) = lists.get_or_insert_with(Box::default)[direction as usize].push(waker);
        }
        wake_all(purged);
        drop(duplicate);
        Armed::Waiting
    }

    /// Wakes and forgets everyone listed for this direction.
    pub(super) fn wake(&self, direction: Direction) {
        let waiting = match &mut *self.0.lock() {
            Some(lists) => mem::take(&mut lists[direction as usize].waiting),
            None => return,
        };
        wake_all(waiting);
    }

    /// Forgets everyone.
    pub(super) fn clear(&self) {
        let lists = self.0.lock().take();
        contain_panic(|| drop(lists));
    }

    #[cfg(test)]
    pub(super) fn len(&self, direction: Direction) -> usize {
        self.0.lock().as_ref().map_or(0, |lists| lists[direction as usize].waiting.len())
    }
}

/// The waiters of one direction.
#[derive(Debug, Default)]
struct List {
    waiting: Vec<Waker>,
    purged_at: Option<Instant>,
}

impl List {
    /// Adds a waiter. Returns its waker if it is listed already, and all the others if it is time to.
    fn push(&mut self, waker: Waker) -> (Option<Waker>, Vec<Waker>) {
        if self.waiting.iter().any(|other| other.will_wake(&waker)) {
            return (Some(waker), Vec::new());
        }
        let is_due = self.waiting.len() >= PURGE_LENGTH
            && self.purged_at.is_none_or(|purged_at| purged_at.elapsed() >= PURGE_INTERVAL);
        let purged = if is_due { mem::take(&mut self.waiting) } else { Vec::new() };
        if is_due {
            self.purged_at = Some(Instant::now());
        }
        self.waiting.push(waker);
        (None, purged)
    }
}

fn wake_all(waiting: Vec<Waker>) {
    for waker in waiting {
        contain_panic(|| waker.wake());
    }
}

/// From this length on a list may have more remains than waiters. Never in a model, which has no clock.
const PURGE_LENGTH: usize = if cfg!(tress_loom) { usize::MAX / 2 } else { 16 };

/// How often a list is woken at most, however many come.
pub(super) const PURGE_INTERVAL: Duration = Duration::from_millis(100);
