//! A worker's or guest's own side: its queue, and what it counts.
#![expect(
    unsafe_code,
    reason = "keeps the address of its remote part, which it looks at several times for each poll"
)]

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;

use super::pool::PoolRef;
use super::remote::Remote;
use crate::executor::{Reason, Runnable};
use crate::primitive::coarse::{self, Look, Moment};
use crate::primitive::deque::{Steal, Worker as Deque};
use crate::primitive::hint::spin_loop;
use crate::primitive::sync::atomic::Ordering;
use crate::reactor::Events;
use crate::{coop, frame};

/// The part of a worker that only its thread touches.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) pool: PoolRef,
    /// The place among the pool's remotes.
    pub(crate) index: usize,
    /// The remote at that place.
    remote: RemoteAt,
    pub(crate) queue: Deque<Runnable>,
    pub(crate) events: RefCell<Events>,
    /// Counts polls; published as the remote's tick.
    pub(crate) tick: Cell<u32>,
    /// Whether the worker counts as a searcher.
    pub(crate) searching: Cell<bool>,
    /// Whether the worker has run nothing since it was parked or searched.
    pub(crate) fresh: Cell<bool>,
    /// The poll after which the worker last looked at the clock.
    pub(super) maintained: Cell<u32>,
    /// How many polls after that it does so again.
    pub(super) polls_to_maintain: Cell<u32>,
    /// The poll before which the injector last had its turn.
    pub(super) injector_turn: Cell<u32>,
    /// After how many polls it has it again.
    pub(super) injector_interval: Cell<u32>,
    /// Whether the injector has its turn next, out of turn.
    pub(super) injector_due: Cell<bool>,
    /// How many tasks in a row came from the next-task slot.
    next_task_run: Cell<u32>,
    /// How many tasks were handed over to since the queue was last found empty or given precedence.
    handover_run: Cell<u32>,
    pub(super) stopwatch: Stopwatch,
    pub(super) watch: super::sentinel::Watch,
    rng: Cell<u64>,
}

/// Where a remote lies, in the pool that whoever has this holds.
#[derive(Debug)]
struct RemoteAt(NonNull<Remote>);

// SAFETY: it gives shared access only, which is fine on any thread.
unsafe impl Send for RemoteAt where Remote: Sync {}

/// How many tasks in a row may come from the next-task slot before the queue gets its turn.
const NEXT_TASK_CAP: u32 = 3;

impl Local {
    pub(crate) fn new(pool: PoolRef, index: usize, queue: Deque<Runnable>) -> Self {
        let now = Look::take().moment;
        let others = pool.remotes.len();
        let remote: &Remote = &pool.remotes[index];
        Self {
            index,
            remote: RemoteAt(NonNull::from(remote)),
            queue,
            events: RefCell::new(Events::new()),
            tick: Cell::new(0),
            searching: Cell::new(false),
            fresh: Cell::new(true),
            maintained: Cell::new(0),
            polls_to_maintain: Cell::new(pool.config.event_interval),
            injector_turn: Cell::new(0),
            injector_interval: Cell::new(pool.config.queue_interval),
            injector_due: Cell::new(false),
            next_task_run: Cell::new(0),
            handover_run: Cell::new(0),
            stopwatch: Stopwatch::new(now),
            watch: super::sentinel::Watch::new(others, now),
            rng: Cell::new(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(index as u64 + 1)),
            pool,
        }
    }

    #[inline]
    pub(crate) fn remote(&self) -> &Remote {
        // SAFETY: it is one of the pool's, which are made with the pool and dropped with it, and the pool is held.
        unsafe { self.remote.0.as_ref() }
    }

    /// Queues a runnable on this thread.
    #[inline]
    pub(crate) fn schedule(&self, runnable: Runnable, reason: Reason) {
        let remote = self.remote();
        remote.counters.pushes.add(1);
        let runnable = if reason == Reason::Yielded {
            runnable
        } else {
            match remote.next_task.put(runnable) {
                Ok(()) => return self.after_push(remote),
                Err(runnable) => runnable,
            }
        };
        self.queue.push(runnable);
        self.after_push(remote);
    }

    /// Sees to it that what was pushed does not wait for too long.
    ///
    /// No fence: a sleeper that is missed here is found by the next push, and the sentinel covers the rest.
    #[inline]
    fn after_push(&self, remote: &Remote) {
        if self.pool.idle.may_notify() {
            self.consider_help(remote);
        }
    }

    #[cold]
    fn consider_help(&self, remote: &Remote) {
        if self.is_guest() {
            self.pool.ensure_sentinel();
        }
        if self.pool.is_worth_help(remote.backlog()) {
            self.pool.call_helper();
        }
    }

    /// Whether this is a thread in `block_on`.
    #[inline]
    pub(crate) fn is_guest(&self) -> bool {
        self.index >= self.pool.config.workers
    }

    /// Counts a poll that is about to start, and publishes the count.
    #[inline]
    fn next_tick(&self) -> u32 {
        let tick = self.tick.get().wrapping_add(1);
        self.tick.set(tick);
        self.remote().tick.store(tick, Ordering::Relaxed);
        tick
    }

    /// What is to be run next, of what is on this thread.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Runnable> {
        let slot = &self.remote().next_task;
        if self.next_task_run.get() < NEXT_TASK_CAP {
            if let Some(runnable) = slot.take() {
                self.next_task_run.set(self.next_task_run.get() + 1);
                return Some(runnable);
            }
        } else if let Some(runnable) = slot.take() {
            self.queue.push(runnable);
        }
        self.next_task_run.set(0);
        self.queue.pop()
    }

    /// Takes a batch of what is queued for everybody.
    pub(crate) fn pop_injector(&self) -> Option<Runnable> {
        if self.pool.injector.is_empty() {
            return None;
        }
        loop {
            match self.pool.injector.steal_batch_and_pop(&self.queue) {
                Steal::Success(runnable) => return Some(runnable),
                Steal::Empty => return None,
                Steal::Retry => spin_loop(),
            }
        }
    }

    /// Steals from somebody whose queue is worth it.
    pub(crate) fn steal(&self) -> Option<Runnable> {
        let remotes = self.pool.seats();
        let start = self.random_below(remotes.len());
        for offset in 0..remotes.len() {
            let victim = (start + offset) % remotes.len();
            if victim != self.index
                && remotes[victim].backlog() >= super::STEAL_BACKLOG
                && let Some(runnable) = self.steal_from(&remotes[victim])
            {
                return Some(runnable);
            }
        }
        None
    }

    /// Moves half of somebody's queue here, and takes the first of it.
    pub(crate) fn steal_from(&self, victim: &Remote) -> Option<Runnable> {
        for _ in 0..STEAL_RETRIES {
            let before = self.queue.len();
            match victim.stealer.steal_batch_and_pop(&self.queue) {
                Steal::Success(runnable) => {
                    let counters = &self.remote().counters;
                    counters.steals.add(1);
                    counters.stolen_tasks.add(1 + (self.queue.len().saturating_sub(before)) as u64);
                    return Some(runnable);
                }
                Steal::Empty => return None,
                Steal::Retry => spin_loop(),
            }
        }
        None
    }

    /// Runs one task, and those that it hands over to. Returns the number of the poll.
    #[inline]
    pub(crate) fn run(&self, runnable: Runnable) -> u32 {
        let mut tick = self.next_tick();
        coop::refill();
        let mut transfer = runnable.execute();
        while let Some(next) = transfer {
            if !self.may_hand_over(tick) {
                // Its drop puts it on the queue.
                drop(next);
                break;
            }
            self.remote().counters.handovers.add(1);
            tick = self.next_tick();
            coop::refill();
            transfer = next.into_runnable().execute();
        }
        tick
    }

    /// Whether a task that is handed over to may run before the queue.
    ///
    /// The count goes on from one task of the queue to the next: who waits for many of them one by one gets ahead of the rest
    /// for a while, then waits until they have all had their turn.
    #[inline]
    fn may_hand_over(&self, tick: u32) -> bool {
        let run = self.handover_run.get();
        if run < HANDOVER_CAP && !self.is_maintenance_due(tick) {
            self.handover_run.set(run + 1);
            return true;
        }
        self.handover_run.set(0);
        self.may_go_on(tick)
    }

    /// Whether the thread has polled so much that it looks at the clock and what depends on it.
    #[inline]
    pub(super) fn is_maintenance_due(&self, tick: u32) -> bool {
        tick.wrapping_sub(self.maintained.get()) >= self.polls_to_maintain.get()
    }

    /// What has just been run was not one task but a row of them, which has ended at `now` so that others have their turn: also those who are not
    /// in the queue.
    #[cold]
    pub(crate) fn row_is_over(&self, now: Moment) {
        self.injector_due.set(true);
        if now.nanos_since(self.stopwatch.last_lap()) >= ROW_GAP_NS {
            self.polls_to_maintain.set(0);
        }
    }

    /// Whether nobody is kept waiting by tasks that hand over to each other. Does what is due between tasks.
    #[cold]
    fn may_go_on(&self, tick: u32) -> bool {
        if self.is_guest() {
            // The root has to be looked at.
            return false;
        }
        if self.is_maintenance_due(tick) {
            self.maintain();
        }
        if !self.pool.injector.is_empty() {
            // Where this gives way to it, it is to have its turn.
            self.injector_due.set(true);
            return false;
        }
        self.queue.is_empty() && self.remote().next_task.is_empty() && !self.pool.is_closed()
    }

    /// Drops everything that is queued here, and what those drops queue.
    pub(crate) fn drain(&self) {
        while let Some(runnable) = self.remote().next_task.take().or_else(|| self.queue.pop()) {
            drop(runnable);
        }
        frame::flush();
    }

    /// Gives everything that is queued here to whoever has time.
    pub(crate) fn give_away(&self) {
        let mut any = false;
        while let Some(runnable) = self.remote().next_task.take().or_else(|| self.queue.pop()) {
            self.pool.injector.push(runnable);
            any = true;
        }
        if any {
            self.pool.notify_one();
            if self.pool.is_closed() {
                self.pool.drain_injector();
            }
        }
    }

    /// A cheap random number (xorshift), to spread thieves over their victims.
    fn random_below(&self, end: usize) -> usize {
        let mut x = self.rng.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.rng.set(x);
        usize::try_from(x % end as u64).expect("the remainder is less than a usize")
    }
}

/// Measures how long polls are and how busy the thread is.
#[derive(Debug)]
pub(super) struct Stopwatch {
    /// Start of the stretch of polls that is being measured.
    since: Cell<Moment>,
    /// The tick at that time.
    tick: Cell<u32>,
    /// Start of the stretch over which the load is taken.
    load_since: Cell<Moment>,
    /// Busy time in that stretch.
    load_busy_ns: Cell<u64>,
}

impl Stopwatch {
    fn new(now: Moment) -> Self {
        Self {
            since: Cell::new(now),
            tick: Cell::new(0),
            load_since: Cell::new(now),
            load_busy_ns: Cell::new(0),
        }
    }

    /// The time of the last lap: now, more or less, for a worker that has just ended its last stretch.
    pub(super) fn last_lap(&self) -> Moment {
        self.since.get()
    }

    /// A busy stretch starts.
    pub(super) fn start(&self, now: Moment, tick: u32) {
        coarse::note(now);
        self.next(now, tick);
    }

    fn next(&self, now: Moment, tick: u32) {
        self.since.set(now);
        self.tick.set(tick);
    }

    /// A stretch ends and, unless the thread parks, the next one starts.
    pub(super) fn lap(&self, now: Moment, tick: u32, remote: &Remote) {
        let elapsed_ns = now.nanos_since(self.since.get());
        let polls = u64::from(tick.wrapping_sub(self.tick.get()));
        if let Some(sample) = elapsed_ns.checked_div(polls) {
            let former = u64::from(remote.poll_ns.load(Ordering::Relaxed));
            let mean = (3 * former + sample.min(MAX_POLL_SAMPLE_NS)) / 4;
            remote.poll_ns.store(u32::try_from(mean).unwrap_or(u32::MAX), Ordering::Relaxed);
        }
        remote.counters.polls.add(polls);
        remote.counters.busy_ns.add(elapsed_ns);
        coarse::note(now);
        self.next(now, tick);

        let busy_ns = self.load_busy_ns.get().saturating_add(elapsed_ns);
        let window_ns = now.nanos_since(self.load_since.get());
        if window_ns >= LOAD_WINDOW_NS {
            let load = busy_ns.saturating_mul(1000) / window_ns;
            remote.load.store(u32::try_from(load.min(1000)).unwrap_or(1000), Ordering::Relaxed);
            self.load_since.set(now);
            self.load_busy_ns.set(0);
        } else {
            self.load_busy_ns.set(busy_ns);
        }
    }
}

/// One sample counts for so much at most: a single stuck poll must not make every later queue look long.
const MAX_POLL_SAMPLE_NS: u64 = 1_000_000;

/// Between rows of items, sockets and timers have their turn no more often than this.
const ROW_GAP_NS: u64 = 200_000;

/// The load is taken over stretches of at least this length.
const LOAD_WINDOW_NS: u64 = 20_000_000;

/// A contended steal is tried so often before the thief looks elsewhere.
const STEAL_RETRIES: usize = 4;

/// So many tasks may be handed over to before the queue gets its turn.
const HANDOVER_CAP: u32 = 64;
