//! Counting those who are at work, and waiting until nobody is.

use std::task::{Context, Poll, Waker};

use crate::containment::contain_panic;
use crate::primitive::sync::atomic::Ordering;
use crate::primitive::sync::{Arc, Mutex, PlainAtomicU64};
use crate::task::Id;
use crate::tree;

/// A number of members, and those who wait until there are none.
#[derive(Debug)]
pub(crate) struct Group {
    age: u64,
    state: Mutex<State>,
}

/// Orders all groups. Publishes nothing.
static NEXT_AGE: PlainAtomicU64 = PlainAtomicU64::new(0);

#[derive(Debug)]
struct State {
    members: usize,
    /// Nobody can become a member any more.
    is_closed: bool,
    waiters: Vec<Waker>,
}

/// Counts as a member until it is dropped.
#[derive(Debug)]
pub(crate) struct Member(Arc<Group>);

/// A task as a member, which holds this in its future: until that has been dropped and, if the task leaves others behind, until it is complete.
#[derive(Debug)]
pub(super) struct TaskMember {
    member: Option<Member>,
    /// Who spawns it, and drops this if it is refused. Any other task that drops this is the one that holds it, be it that it was never polled.
    spawner: Option<Id>,
}

impl Group {
    pub(super) fn new() -> Arc<Self> {
        let state = Mutex::new(State { members: 0, is_closed: false, waiters: Vec::new() });
        Arc::new(Self { age: NEXT_AGE.fetch_add(1, Ordering::Relaxed), state })
    }

    /// Has a task become a member that is about to be spawned; `None` if the group is closed.
    pub(super) fn join_as_task(group: &Arc<Self>) -> Option<TaskMember> {
        Self::join(group).map(|member| TaskMember { member: Some(member), spawner: tree::current_id() })
    }

    /// Becomes a member; `None` if the group is closed.
    pub(super) fn join(group: &Arc<Self>) -> Option<Member> {
        let mut state = group.state.lock();
        if state.is_closed {
            return None;
        }
        state.members += 1;
        drop(state);
        Some(Member(Arc::clone(group)))
    }

    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
    }

    /// The lower, the longer ago it was made.
    pub(crate) fn age(&self) -> u64 {
        self.age
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().members
    }

    /// Waits until there is no member, and closes the group at that moment if it is not closed yet.
    pub(crate) fn poll_end(&self, cx: &Context<'_>) -> Poll<()> {
        let is_noted = |state: &State| state.waiters.iter().any(|waker| waker.will_wake(cx.waker()));
        let mut state = self.state.lock();
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
        let mut state = self.state.lock();
        if state.members == 0 {
            state.is_closed = true;
            drop(state);
            return Poll::Ready(());
        }
        state.waiters.push(waker);
        Poll::Pending
    }
}

impl Member {
    /// The lower, the longer ago the group was made.
    pub(crate) fn age_of_group(&self) -> u64 {
        self.0.age
    }
}

impl Drop for TaskMember {
    fn drop(&mut self) {
        let member = self.member.take().expect("it is dropped once");
        let task = tree::current_id().filter(|task| Some(*task) != self.spawner);
        let left_by_nobody = match task {
            Some(task) => tree::stay(task, member),
            None => Some(member),
        };
        drop(left_by_nobody);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.members -= 1;
        let waiters = if state.members == 0 { std::mem::take(&mut state.waiters) } else { Vec::new() };
        drop(state);
        for waker in waiters {
            contain_panic(|| waker.wake());
        }
    }
}
