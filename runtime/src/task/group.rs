//! Counting those who are at work, and waiting until nobody is.

use std::task::{Context, Poll, Waker};

use crate::containment::contain_panic;
use crate::primitive::sync::{Arc, Mutex};

/// A number of members, and those who wait until there are none.
#[derive(Debug)]
pub(super) struct Group(Mutex<State>);

#[derive(Debug)]
struct State {
    members: usize,
    /// Nobody can become a member any more.
    is_closed: bool,
    waiters: Vec<Waker>,
}

/// Counts as a member until it is dropped.
#[derive(Debug)]
pub(super) struct Member(Arc<Group>);

impl Group {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { members: 0, is_closed: false, waiters: Vec::new() })))
    }

    /// Becomes a member; `None` if the group is closed.
    pub(super) fn join(group: &Arc<Self>) -> Option<Member> {
        let mut state = group.0.lock();
        if state.is_closed {
            return None;
        }
        state.members += 1;
        drop(state);
        Some(Member(Arc::clone(group)))
    }

    pub(super) fn close(&self) {
        self.0.lock().is_closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.lock().is_closed
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().members
    }

    /// Waits until there is no member, and closes the group at that moment if it is not closed yet.
    pub(super) fn poll_end(&self, cx: &Context<'_>) -> Poll<()> {
        let is_noted = |state: &State| state.waiters.iter().any(|waker| waker.will_wake(cx.waker()));
        let mut state = self.0.lock();
        if state.members == 0 {
            state.is_closed = true;
            return Poll::Ready(());
        }
        if is_noted(&state) {
            return Poll::Pending;
        }
        drop(state);
        // A foreign waker's clone may do anything: it is called without the lock.
        let waker = cx.waker().clone();
        let mut state = self.0.lock();
        if state.members == 0 {
            state.is_closed = true;
            drop(state);
            return Poll::Ready(());
        }
        state.waiters.push(waker);
        Poll::Pending
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.members -= 1;
        let waiters = if state.members == 0 { std::mem::take(&mut state.waiters) } else { Vec::new() };
        drop(state);
        for waker in waiters {
            contain_panic(|| waker.wake());
        }
    }
}
