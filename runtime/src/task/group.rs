//! Counting those who are at work, and waiting until nobody is.

use std::collections::BTreeMap;
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
    /// Those who wait, by number: they are woken in the order in which they have come.
    waiters: BTreeMap<u64, Waker>,
    /// The last number that anybody has been given.
    last: u64,
}

/// Waits until a group has no member. Its waker goes with it.
#[derive(Debug)]
pub(crate) struct End {
    group: Arc<Group>,
    /// Among the waiters, once it has been one.
    number: Option<u64>,
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
        let state = Mutex::new(State { members: 0, is_closed: false, waiters: BTreeMap::new(), last: 0 });
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

    /// Has the end of the group wake somebody, who waits for as long as that takes. False if there is no member: nobody is woken then.
    #[must_use]
    pub(super) fn wakes_at_end(&self, waker: &Waker) -> bool {
        self.poll_end(&mut None, waker).is_pending()
    }

    /// Waits until there is no member, and closes the group at that moment if it is not closed yet.
    fn poll_end(&self, number: &mut Option<u64>, waker: &Waker) -> Poll<()> {
        let mut state = self.state.lock();
        if state.members == 0 {
            state.is_closed = true;
            return Poll::Ready(());
        }
        let noted = number.and_then(|number| state.waiters.get(&number));
        if noted.is_some_and(|noted| noted.will_wake(waker)) {
            return Poll::Pending;
        }
        drop(state);
        // A foreign waker's clone may do anything, and so may the drop of a former one: they are called without the lock.
        let waker = waker.clone();
        let mut state = self.state.lock();
        if state.members == 0 {
            state.is_closed = true;
            drop(state);
            return Poll::Ready(());
        }
        let number = *number.get_or_insert_with(|| {
            state.last += 1;
            state.last
        });
        let former = state.waiters.insert(number, waker);
        drop(state);
        drop(former);
        Poll::Pending
    }
}

impl End {
    pub(crate) fn of(group: Arc<Group>) -> Self {
        Self { group, number: None }
    }

    /// Ready when there is no member; the group is closed at that moment if it is not closed yet.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.group.poll_end(&mut self.number, cx.waker())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let waker = self.group.state.lock().waiters.remove(&number);
        // It is foreign, and this may be dropped while the thread unwinds.
        contain_panic(|| drop(waker));
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
        let waiters = if state.members == 0 { std::mem::take(&mut state.waiters) } else { BTreeMap::new() };
        drop(state);
        for waker in waiters.into_values() {
            contain_panic(|| waker.wake());
        }
    }
}
