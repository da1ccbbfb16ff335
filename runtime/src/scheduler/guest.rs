//! Threads in `block_on`: they take part as workers without a reactor.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::thread;

use super::guest_root::{Driven, RootHandle};
use super::local::Local;
use super::pool::PoolRef;
use crate::executor::Runnable;
use crate::frame::AllocatorRef;
use crate::primitive::coarse::Look;
use crate::primitive::deque::Worker as Deque;
use crate::primitive::sync::atomic::Ordering;
use crate::task::End;
use crate::{context, coop, env, frame, tree};

/// Drives a future on the calling thread, and runs tasks of the pool while it waits.
///
/// The future inherits what a detached task does of the environment of whoever calls; tasks that run here have their own.
pub(crate) fn block_on<F: Future>(pool: &PoolRef, future: F) -> F::Output {
    if env::is_empty() {
        return drive(pool, future);
    }
    let inherited = env::detached();
    env::outside(|| match inherited {
        None => drive(pool, future),
        Some(env) => drive(pool, env.run(future)),
    })
}

fn drive<F: Future>(pool: &PoolRef, future: F) -> F::Output {
    let root = RootHandle::new();
    // Tasks that run here have windows of their own; the future has the one that is open now, or the runtime's.
    let frames = frame::open_window().or_else(|| pool.hooks.frames.clone());
    // The run loop deals out budgets; whoever called gets back what it had.
    let _budget = coop::enter(None);
    let queue = pool.guest_queues.lock().pop();
    match queue {
        Some((index, queue)) => {
            let seat = Seat::take(pool, index, queue);
            context::run_as_worker(&seat.0, || {
                frame::within(None, || {
                    end(
                        &root,
                        || seat.0.run_guest(&root, frames.as_ref(), future),
                        |root, rest| seat.0.run_guest(root, None, rest),
                    )
                })
            })
        }
        None => context::run_without_queue(pool, || {
            end(
                &root,
                || run_standing(&root, frames.as_ref(), future),
                |root, rest| run_standing(root, None, rest),
            )
        }),
    }
}

/// Drives the root's future, and then another one, until those are gone that the first one has left behind, however that has ended.
fn end<R>(root: &RootHandle, drive: impl FnOnce() -> R, drive_rest: impl FnOnce(&RootHandle, Rest)) -> R {
    let result = catch_unwind(AssertUnwindSafe(drive));
    if let Some(mut left) = root.take_outlived() {
        // Whoever has been blocked meanwhile does not end before them, if that is somebody; it may be one of them.
        left.groups.retain(|group| !tree::outlive(group));
        if !left.groups.is_empty() {
            drive_rest(&RootHandle::new(), Rest(left.groups.into_iter().map(End::of).collect()));
        }
    }
    result.unwrap_or_else(|payload| resume_unwind(payload))
}

/// Waits until nobody is in these groups any more.
struct Rest(Vec<End>);

impl Future for Rest {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.retain_mut(|group| group.poll(cx).is_pending());
        if self.0.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Drives the root without taking part in the pool's work, for want of a seat.
fn run_standing<F: Future>(root: &RootHandle, frames: Option<&AllocatorRef>, future: F) -> F::Output {
    let mut driven = pin!(Driven::new(root, future));
    loop {
        if root.is_woken() {
            coop::refill();
            if let Poll::Ready(output) = frame::within(frames, || driven.as_mut().run()) {
                return output;
            }
        } else {
            park();
        }
    }
}

/// Sleeps until somebody wakes the root, or a while.
fn park() {
    match frame::rest() {
        Some(most) => thread::park_timeout(most),
        None => thread::park(),
    }
}

/// A guest's place among the pool's threads; given back when dropped, also by a panic of the root.
struct Seat(Local);

impl Seat {
    fn take(pool: &PoolRef, index: usize, queue: Deque<Runnable>) -> Self {
        Self(Local::new(PoolRef::clone(pool), index, queue))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let local = &self.0;
        coop::lift();
        local.give_away();
        local.set_active(false);
        frame::flush();
        let queue = std::mem::replace(&mut self.0.queue, Deque::new_fifo());
        self.0.pool.guest_queues.lock().push((self.0.index, queue));
    }
}

impl Local {
    /// Runs what this thread has queued until the root is ready. The root is dropped here too, while spawning works.
    fn run_guest<F: Future>(&self, root: &RootHandle, frames: Option<&AllocatorRef>, future: F) -> F::Output {
        let remote = self.remote();
        let mut driven = pin!(Driven::new(root, future));
        let mut turns = 0_u32;
        self.set_active(true);
        self.begin_guest();
        loop {
            // Also a root that only wakes itself is no reason to take the guest for stuck.
            turns = turns.wrapping_add(1);
            let tick = self.tick.get();
            if turns.is_multiple_of(self.pool.config.event_interval) || self.is_maintenance_due(tick) {
                let now = Look::take().moment;
                self.stopwatch.lap(now, tick, remote);
                self.maintained.set(tick);
                remote.publish_turn(now);
            }
            if root.is_woken() {
                coop::refill();
                if let Poll::Ready(output) = frame::within(frames, || driven.as_mut().run()) {
                    return output;
                }
            }
            match self.pop() {
                // A closed pool runs nothing more, not even what was about to be queued when it was cleared.
                Some(runnable) if self.pool.is_closed() => env::outside_spans(|| drop(runnable)),
                // The spans that `block_on` was called in are the root's.
                Some(runnable) => {
                    env::outside_spans(|| self.run(runnable));
                }
                None if root.is_woken() => {}
                None => {
                    self.stopwatch.lap(Look::take().moment, self.tick.get(), remote);
                    self.set_active(false);
                    remote.counters.parks.add(1);
                    park();
                    self.set_active(true);
                    self.begin_guest();
                }
            }
        }
    }

    /// Says whether this guest runs, and so may have something that others could take.
    fn set_active(&self, active: bool) {
        let flag = &self.remote().active;
        if flag.load(Ordering::Relaxed) == active {
            return;
        }
        flag.store(active, Ordering::Relaxed);
        let count = &self.pool.active_guests;
        if active {
            count.fetch_add(1, Ordering::Relaxed);
        } else {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn begin_guest(&self) {
        let now = Look::take().moment;
        self.maintained.set(self.tick.get());
        self.stopwatch.start(now, self.tick.get());
        self.remote().publish_turn(now);
    }
}
