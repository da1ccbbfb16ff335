//! Threads in `block_on`: they take part as workers without a reactor.

use std::future::Future;
use std::pin::pin;
#[expect(
    clippy::disallowed_types,
    reason = "std's Wake is defined for std's Arc; models do not go through here"
)]
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use super::local::Local;
use super::pool::PoolRef;
use crate::executor::Runnable;
use crate::primitive::deque::Worker as Deque;
use crate::primitive::sync::atomic::Ordering;
use crate::{context, coop, frame};

/// Wakes the future that `block_on` drives.
#[expect(
    clippy::disallowed_types,
    reason = "std's Wake is defined for std's Arc; models do not go through here"
)]
struct Root {
    woken: std::sync::atomic::AtomicBool,
    thread: Thread,
}

#[expect(
    clippy::disallowed_types,
    reason = "std's Wake is defined for std's Arc; models do not go through here"
)]
impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

impl Root {
    /// Consumes a wake.
    fn take(&self) -> bool {
        self.woken.load(Ordering::Relaxed) && self.woken.swap(false, Ordering::AcqRel)
    }
}

/// Drives a future on the calling thread, and runs tasks of the pool while it waits.
#[expect(
    clippy::disallowed_types,
    reason = "std's Wake is defined for std's Arc; models do not go through here"
)]
pub(crate) fn block_on<F: Future>(pool: &PoolRef, future: F) -> F::Output {
    let root = Arc::new(Root { woken: std::sync::atomic::AtomicBool::new(true), thread: thread::current() });
    let waker = Waker::from(Arc::clone(&root));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    let mut poll_root = || {
        coop::refill();
        future.as_mut().poll(&mut cx)
    };
    let queue = pool.guest_queues.lock().pop();
    match queue {
        Some((index, queue)) => {
            let seat = Seat::take(pool, index, queue);
            context::run_as_worker(&seat.0, || seat.0.run_guest(&root, &mut poll_root))
        }
        None => context::run_without_queue(pool, || {
            loop {
                if root.take() {
                    if let Poll::Ready(output) = poll_root() {
                        return output;
                    }
                } else {
                    frame::flush();
                    thread::park();
                }
            }
        }),
    }
}

/// A guest's place among the pool's threads; given back when dropped, also by a panic of the root.
struct Seat(Local);

impl Seat {
    fn take(pool: &PoolRef, index: usize, queue: Deque<Runnable>) -> Self {
        pool.seated.fetch_add(1, Ordering::Relaxed);
        Self(Local::new(PoolRef::clone(pool), index, queue))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let local = &self.0;
        coop::lift();
        local.give_away();
        let remote = local.remote();
        remote.active.store(false, Ordering::Relaxed);
        frame::flush();
        local.pool.seated.fetch_sub(1, Ordering::Relaxed);
        let queue = std::mem::replace(&mut self.0.queue, Deque::new_fifo());
        self.0.pool.guest_queues.lock().push((self.0.index, queue));
    }
}

impl Local {
    /// Runs what this thread has queued until the root is ready.
    fn run_guest<T>(&self, root: &Root, poll_root: &mut impl FnMut() -> Poll<T>) -> T {
        let remote = self.remote();
        remote.active.store(true, Ordering::Relaxed);
        self.begin_guest(Instant::now());
        loop {
            if root.take()
                && let Poll::Ready(output) = poll_root()
            {
                return output;
            }
            match self.pop() {
                Some(runnable) => {
                    if self.run(runnable).is_multiple_of(self.pool.config.event_interval) {
                        let now = Instant::now();
                        self.stopwatch.lap(now, self.tick.get(), remote);
                        remote.publish_turn(self.pool.started_at, now);
                    }
                }
                None if root.woken.load(Ordering::Relaxed) => {}
                None => {
                    self.stopwatch.lap(Instant::now(), self.tick.get(), remote);
                    frame::flush();
                    remote.active.store(false, Ordering::Relaxed);
                    remote.counters.parks.add(1);
                    thread::park();
                    remote.active.store(true, Ordering::Relaxed);
                    self.begin_guest(Instant::now());
                }
            }
        }
    }

    fn begin_guest(&self, now: Instant) {
        self.stopwatch.start(now, self.tick.get());
        self.remote().publish_turn(self.pool.started_at, now);
    }
}
