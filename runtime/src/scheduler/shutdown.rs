//! How a pool ends.

use std::time::{Duration, Instant};

use super::pool::{Pool, PoolRef};
use crate::primitive::deque::Steal;
use crate::primitive::sync::{Condvar, Mutex};
use crate::task::{self, Id, ToShutdown};
use crate::{context, tree};

/// Drops every task of a closed pool that is not being polled.
///
/// Tries until the deadline, and returns the tasks that were left.
pub(crate) fn drop_tasks(pool: &Pool, deadline: Instant) -> Vec<Left> {
    context::apart(|| drop_tasks_until(pool, deadline))
}

fn drop_tasks_until(pool: &Pool, deadline: Instant) -> Vec<Left> {
    loop {
        drop_queued(pool);
        let mut busy = Vec::new();
        task::for_each(pool.data(), |task| {
            if task.shut_down() == ToShutdown::Busy {
                let is_running = task.state().load().is_running();
                let name = task.annex().and_then(|annex| annex.name()).map(Box::from);
                busy.push(Left { id: task.id(), name, is_running });
            }
        });
        if busy.is_empty() {
            return busy;
        }
        // What is queued by now, or will be in a moment, can still be dropped.
        drop_queued(pool);
        if Instant::now() >= deadline {
            return busy;
        }
        std::thread::sleep(RETRY);
    }
}

/// Clears a closed pool whose threads have all ended: drops its tasks, and fails what waits for its reactors.
///
/// Foreign threads can be in the middle of something then, for a moment, and guests in the middle of a poll: that is
/// waited for until the deadline, unless the caller is part of it. Returns the tasks that were left.
pub(crate) fn clear(pool: &Pool, deadline: Option<Instant>) -> Vec<Left> {
    let is_part = context::is_suspended(pool);
    let mut left = drop_tasks(pool, Instant::now() + FOREIGN_WAKES);
    pool.close_drivers();
    loop {
        // Those further up on this stack wait for this very call.
        left.retain(|task| !tree::is_on_stack(task.id));
        let now = Instant::now();
        if left.is_empty() || is_part || deadline.is_some_and(|deadline| now >= deadline) {
            return left;
        }
        let soon = now + FOREIGN_WAKES;
        left = drop_tasks(pool, deadline.map_or(soon, |deadline| soon.min(deadline)));
    }
}

/// A task that could not be dropped.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) id: Id,
    pub(crate) name: Option<Box<str>>,
    /// Its poll, or its drop, has not returned; otherwise somebody is about to queue it.
    pub(crate) is_running: bool,
}

/// Drops what stands in the pool's queues.
fn drop_queued(pool: &Pool) {
    pool.drain_injector();
    pool.blocking.drain();
    for remote in &pool.remotes {
        drop(remote.next_task.take());
        loop {
            match remote.stealer.steal() {
                Steal::Success(runnable) => drop(runnable),
                Steal::Retry => {}
                Steal::Empty => break,
            }
        }
    }
}

/// Counts the threads of a pool, so that the end of the last one can be waited for.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Threads that have not ended.
    count: usize,
    /// The pool, if nobody waits for its threads: then the last one clears up.
    abandoned: Option<PoolRef>,
}

/// A thread that is counted.
#[derive(Debug)]
pub(crate) struct Counted<'a>(&'a Threads);

impl Threads {
    /// One more thread; called by whoever starts it.
    pub(crate) fn add(&self) {
        self.state.lock().count += 1;
    }

    /// The guard that the thread itself holds.
    pub(crate) fn enter(&self) -> Counted<'_> {
        Counted(self)
    }

    /// One thread less.
    pub(crate) fn remove(&self) {
        let abandoned = {
            let mut state = self.state.lock();
            state.count -= 1;
            if state.count == 0 { state.abandoned.take() } else { None }
        };
        self.ended.notify_all();
        if let Some(pool) = abandoned {
            // Nobody can be told of what is left; whoever runs it drops it.
            let _ = clear(&pool, Some(Instant::now()));
        }
    }

    /// Leaves it to the last of the threads to clear up the closed pool; the caller is one of them.
    pub(crate) fn abandon(&self, pool: PoolRef) {
        self.state.lock().abandoned = Some(pool);
    }

    /// Waits until at most `remaining` threads are left, or until the deadline.
    pub(crate) fn wait(&self, remaining: usize, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        while state.count > remaining {
            let left = deadline.map_or(Duration::from_secs(3600), |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return false;
            }
            state = self.ended.wait_timeout(&self.state, state, left);
        }
        true
    }

    /// How many threads there are.
    pub(crate) fn count(&self) -> usize {
        self.state.lock().count
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.remove();
    }
}

/// A foreign thread that is about to hand over a task gets so long to do it; then it drops the task itself.
const FOREIGN_WAKES: Duration = Duration::from_millis(100);

/// How long to wait before looking again at tasks that could not be dropped yet.
const RETRY: Duration = Duration::from_micros(500);
