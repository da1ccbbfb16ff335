//! How a pool ends.

use std::time::{Duration, Instant};

use super::pool::Pool;
use crate::primitive::deque::Steal;
use crate::primitive::sync::{Condvar, Mutex};
use crate::task::{self, Id, ToShutdown};

/// Drops every task of a closed pool that is not being polled.
///
/// Tries until the deadline, and returns the tasks that were left.
pub(crate) fn drop_tasks(pool: &Pool, deadline: Instant) -> Vec<Left> {
    loop {
        drop_queued(pool);
        let mut busy = Vec::new();
        task::for_each(pool.data(), |task| {
            if task.shut_down() == ToShutdown::Busy {
                busy.push(Left { id: task.id(), is_running: task.state().load().is_running() });
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

/// A task that could not be dropped.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) id: Id,
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
    count: Mutex<usize>,
    ended: Condvar,
}

/// A thread that is counted.
#[derive(Debug)]
pub(crate) struct Counted<'a>(&'a Threads);

impl Threads {
    /// One more thread; called by whoever starts it.
    pub(crate) fn add(&self) {
        *self.count.lock() += 1;
    }

    /// The guard that the thread itself holds.
    pub(crate) fn enter(&self) -> Counted<'_> {
        Counted(self)
    }

    /// One thread less.
    pub(crate) fn remove(&self) {
        *self.count.lock() -= 1;
        self.ended.notify_all();
    }

    /// Waits until at most `remaining` threads are left, or until the deadline.
    pub(crate) fn wait(&self, remaining: usize, deadline: Option<Instant>) -> bool {
        let mut count = self.count.lock();
        while *count > remaining {
            let left = deadline.map_or(Duration::from_secs(3600), |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return false;
            }
            count = self.ended.wait_timeout(count, left);
        }
        true
    }

    /// How many threads there are.
    pub(crate) fn count(&self) -> usize {
        *self.count.lock()
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.remove();
    }
}

/// How long to wait before looking again at tasks that could not be dropped yet.
const RETRY: Duration = Duration::from_micros(500);
