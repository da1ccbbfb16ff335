//! Waiters beyond the one that a slot's cell holds.
//!
//! Two tasks that wait in the same direction of the same source, as two that accept from one listener, are rare but
//! legal. The first to wait has the cell; the others are listed here, and an event wakes them all.
//!
//! A waiter that was dropped does not take its waker back. So that such remains do not pile up while no event comes,
//! a list that has reached its limit is woken as a whole: those still alive list themselves again, the others are
//! gone. Where most came back the limit was too low, and doubles. The list is thereby never longer than a small
//! multiple of the live waiters, and a wake of this kind is paid for by as many new waiters.

use std::mem;
use std::task::Waker;

use super::contain_panic;
use super::readiness::Armed;
use super::ready::Direction;
use crate::primitive::sync::{Arc, Mutex};

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
        let displaced;
        {
            let mut lists = self.0.lock();
            if commit() == Armed::Ready {
                drop(lists);
                return Armed::Ready;
            }
            displaced = lists.get_or_insert_with(Box::default)[direction as usize].push(waker);
        }
        if let Some(woken) = &displaced.woken {
            woken.iter().for_each(|waker| contain_panic(|| waker.wake_by_ref()));
        }
        Armed::Waiting
    }

    /// Wakes and forgets everyone listed for this direction.
    pub(super) fn wake(&self, direction: Direction) {
        let list = match &mut *self.0.lock() {
            Some(lists) => lists[direction as usize].take(),
            None => return,
        };
        for waker in list.waiting {
            contain_panic(|| waker.wake());
        }
        contain_panic(|| drop(list.woken));
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
#[derive(Debug)]
struct List {
    waiting: Vec<Waker>,
    /// Those of the last wake at the limit. Nobody owes them anything; they are kept to be recognised.
    woken: Option<Arc<Vec<Waker>>>,
    /// How many of `woken` have come back.
    survivors: usize,
    limit: usize,
}

impl List {
    fn push(&mut self, waker: Waker) -> Displaced {
        if self.waiting.iter().any(|other| other.will_wake(&waker)) {
            return Displaced { duplicate: Some(waker), ..Displaced::default() };
        }
        if self.woken.as_ref().is_some_and(|woken| woken.iter().any(|other| other.will_wake(&waker))) {
            self.survivors += 1;
        }
        self.waiting.push(waker);
        if self.waiting.len() < self.limit {
            return Displaced::default();
        }
        if self.survivors > self.limit / 2 {
            self.limit *= 2;
            return Displaced::default();
        }
        self.survivors = 0;
        let woken = Arc::new(mem::take(&mut self.waiting));
        let former = self.woken.replace(Arc::clone(&woken));
        Displaced { woken: Some(woken), former, duplicate: None }
    }

    /// Empties the list, but keeps what was learned about its length.
    fn take(&mut self) -> Self {
        let limit = self.limit;
        mem::replace(self, Self { limit, ..Self::default() })
    }
}

impl Default for List {
    fn default() -> Self {
        Self { waiting: Vec::new(), woken: None, survivors: 0, limit: FIRST_LIMIT }
    }
}

/// What [`List::push`] leaves to be woken, or dropped, outside the lock.
#[derive(Debug, Default)]
struct Displaced {
    woken: Option<Arc<Vec<Waker>>>,
    #[expect(dead_code, reason = "only its drop matters")]
    former: Option<Arc<Vec<Waker>>>,
    #[expect(dead_code, reason = "only its drop matters")]
    duplicate: Option<Waker>,
}

#[cfg(not(tress_loom))]
const FIRST_LIMIT: usize = 16;
#[cfg(tress_loom)]
const FIRST_LIMIT: usize = 2;
