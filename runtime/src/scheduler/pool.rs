//! What all threads of a pool share.
#![expect(unsafe_code, reason = "tasks name their pool by an uncounted pointer; see `PoolOwner`")]

use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::config::{Config, Hooks};
use super::idle::Idle;
use super::remote::{Remote, Rouser};
use super::sentinel::Sentinel;
use crate::blocking::BlockingPool;
use crate::executor::{RawExecutor, RawExecutorVtable, Reason, Runnable};
use crate::primitive::coarse::{Look, Moment};
use crate::primitive::deque::{Injector, Steal, Worker as Deque};
use crate::primitive::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use crate::primitive::sync::{Arc, Mutex, PlainArc};
use crate::primitive::{clock, epoch};
use crate::trace::strands::Listing;
use crate::{context, task, tree};

/// How many threads can be in `block_on` of one runtime as workers; further ones wait without taking part.
pub(crate) const GUESTS: usize = 8;

/// The shared part of a pool.
pub(crate) struct Pool {
    pub(crate) config: Config,
    /// What others may see of each worker; the guests' come after the workers'.
    pub(crate) remotes: Box<[CachePadded<Remote>]>,
    /// The guests' queues while no guest uses them.
    pub(crate) guest_queues: Mutex<Vec<(usize, Deque<Runnable>)>>,
    /// How many guests run, and do not sleep; written by them. A hint for others, so that nobody looks at those who have nothing.
    pub(crate) active_guests: AtomicUsize,
    /// How long it takes until a helper that was called runs, in nanoseconds. Written by helpers; a hint. With cores
    /// to spare it is some microseconds; where other programs want the cores too, help comes late, and at their cost.
    help_latency_ns: AtomicU64,
    pub(crate) injector: Injector<Runnable>,
    pub(crate) idle: Idle,
    pub(crate) sentinel: Sentinel,
    pub(crate) blocking: BlockingPool,
    /// Set once, when the pool takes no more tasks. The `SeqCst` fences around it pair `close` with `push_remote`:
    /// either the pusher sees the flag and takes its task back, or the closing thread sees the task.
    closed: AtomicBool,
    /// Tasks made and ended on threads that are no workers of this pool.
    pub(crate) foreign_spawned: AtomicU64,
    pub(crate) foreign_completed: AtomicU64,
    /// How often a future was run on another executor than its task's, and how often that was where the task was already. Counted by whoever
    /// runs the task; publish nothing.
    pub(crate) hops: AtomicU64,
    pub(crate) hops_spared: AtomicU64,
    /// The strands that have a name.
    pub(crate) strands: PlainArc<Listing>,
    /// Who owns it.
    #[cfg(not(tress_loom))]
    owner: std::sync::OnceLock<std::sync::Weak<PoolOwner>>,
}

static VTABLE: RawExecutorVtable = RawExecutorVtable { schedule, count_completed, hands_over: true };
static BLOCKING_VTABLE: RawExecutorVtable =
    RawExecutorVtable { schedule: schedule_blocking, count_completed, hands_over: false };
/// Of tasks that have an executor of their own, which ends with the pool.
static PLACED_VTABLE: RawExecutorVtable =
    RawExecutorVtable { schedule: task::schedule_placed, count_completed, hands_over: false };

impl Pool {
    pub(crate) fn new(
        config: Config,
        remotes: Vec<Remote>,
        guest_queues: Vec<(usize, Deque<Runnable>)>,
        blocking: BlockingPool,
    ) -> Self {
        let idle = Idle::new(config.workers);
        Self {
            config,
            remotes: remotes.into_iter().map(CachePadded::new).collect(),
            guest_queues: Mutex::new(guest_queues),
            active_guests: AtomicUsize::new(0),
            help_latency_ns: AtomicU64::new(0),
            injector: Injector::new(),
            idle,
            sentinel: Sentinel::new(),
            blocking,
            closed: AtomicBool::new(false),
            foreign_spawned: AtomicU64::new(0),
            foreign_completed: AtomicU64::new(0),
            hops: AtomicU64::new(0),
            hops_spared: AtomicU64::new(0),
            strands: PlainArc::default(),
            #[cfg(not(tress_loom))]
            owner: std::sync::OnceLock::new(),
        }
    }

    /// The pool as the executor of its tasks.
    pub(crate) fn executor(&self) -> RawExecutor {
        // SAFETY: a pool is `Sync`, and is retired only when none of its tasks can be scheduled any more.
        unsafe { RawExecutor::new(NonNull::from(self).cast(), &VTABLE) }
    }

    /// The pool's threads for blocking work, as an executor.
    pub(crate) fn blocking_executor(&self) -> RawExecutor {
        // SAFETY: as above.
        unsafe { RawExecutor::new(NonNull::from(self).cast(), &BLOCKING_VTABLE) }
    }

    /// The pool as what ends the tasks of executors that stand on it.
    pub(crate) fn placed_executor(&self) -> RawExecutor {
        // SAFETY: as above.
        unsafe { RawExecutor::new(NonNull::from(self).cast(), &PLACED_VTABLE) }
    }

    /// The address by which tasks name the pool.
    pub(crate) fn data(&self) -> NonNull<()> {
        NonNull::from(self).cast()
    }

    /// What others may see of the workers proper.
    pub(crate) fn workers(&self) -> &[CachePadded<Remote>] {
        &self.remotes[..self.config.workers]
    }

    /// What others may see of the workers and, if any runs, of the guests.
    #[inline]
    pub(crate) fn seats(&self) -> &[CachePadded<Remote>] {
        if self.active_guests.load(Ordering::Relaxed) > 0 { &self.remotes } else { self.workers() }
    }

    /// Whether anybody but `worker` may have something to steal.
    #[inline]
    pub(crate) fn has_victims(&self, worker: usize) -> bool {
        self.active_guests.load(Ordering::Relaxed) > 0 || self.idle.is_any_other_awake(worker)
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Takes no more tasks from now on, and rouses everybody.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.blocking.close();
        for remote in &self.remotes {
            remote.unpark();
        }
    }

    /// Which worker's reactor a socket made on worker `near` should belong to.
    ///
    /// Sockets stay together while their worker has time: two half-idle reactors cost more than a busy one. Once it is
    /// saturated, new ones go to whoever has most time.
    pub(crate) fn worker_for_socket(&self, near: usize) -> usize {
        let workers = self.workers();
        let now = Look::take().moment;
        let load = |index: usize| {
            let remote = &workers[index];
            let is_old = remote.since_turn(now) > LOAD_IS_OLD;
            match is_old {
                false => remote.load.load(Ordering::Relaxed),
                true if self.idle.is_sleeping(index) => 0,
                // It has not come to measure anything, let alone to sleep.
                true => u32::MAX,
            }
        };
        if load(near) < SATURATED {
            return near;
        }
        let best = (0..workers.len()).min_by_key(|&index| load(index)).unwrap_or(near);
        if load(best) < SATURATED { best } else { self.fewest_sockets() }
    }

    /// When everybody is saturated, sockets are dealt out evenly.
    fn fewest_sockets(&self) -> usize {
        let sockets =
            |index: &usize| self.workers()[*index].reactor().map_or(0, |reactor| reactor.registered());
        (0..self.config.workers).min_by_key(sockets).unwrap_or(0)
    }

    /// Queues a runnable from a thread that is no worker, or that must not keep it.
    pub(crate) fn push_remote(&self, runnable: Runnable) {
        self.injector.push(runnable);
        // `claim_one` begins with a fence, which also orders the push before the look at `closed`.
        self.notify_one();
        if self.is_closed() {
            self.drain_injector();
        }
    }

    /// Wakes one sleeper if nobody is searching.
    pub(crate) fn notify_one(&self) {
        if let Some(worker) = self.idle.claim_one() {
            self.remotes[worker].unpark();
        }
    }

    /// Whether a backlog is worth calling a helper: one that comes when half of it is done is of little use.
    pub(crate) fn is_worth_help(&self, backlog: Duration) -> bool {
        if backlog < super::HELP_BACKLOG {
            return false;
        }
        let latency = Duration::from_nanos(self.help_latency_ns.load(Ordering::Relaxed));
        backlog >= (2 * latency).min(super::HELP_BACKLOG_MAX)
    }

    /// Wakes one sleeper because of a backlog, if nobody is searching.
    pub(crate) fn call_helper(&self) {
        if let Some(worker) = self.idle.claim_one() {
            let remote = &self.remotes[worker];
            remote.called_at.store(Look::take().moment.to_number(), Ordering::Relaxed);
            remote.unpark();
        }
    }

    /// A worker that may have been called as a helper has come.
    #[inline]
    pub(crate) fn helper_came(&self, remote: &Remote, now: Moment) {
        let called_at = Moment::from_number(remote.called_at.load(Ordering::Relaxed));
        if called_at.has_come() {
            remote.called_at.store(Moment::NEVER.to_number(), Ordering::Relaxed);
            let former = self.help_latency_ns.load(Ordering::Relaxed);
            // A call may have come too late for the wake-up that it was meant for: then this is the time of a whole sleep.
            let latency = now.nanos_since(called_at).min(MAX_HELP_SAMPLE_NS);
            self.help_latency_ns.store((3 * former + latency) / 4, Ordering::Relaxed);
        }
    }

    /// Drops what is queued for everybody, and what those drops queue.
    pub(crate) fn drain_injector(&self) {
        context::drain_unless_draining(self.data(), || {
            context::apart(|| {
                loop {
                    match self.injector.steal() {
                        Steal::Success(runnable) => drop(runnable),
                        Steal::Retry => {}
                        Steal::Empty => return,
                    }
                }
            });
        });
    }

    /// Fails what still waits for events or times of this pool.
    pub(crate) fn close_drivers(&self) {
        for remote in self.workers() {
            if let Rouser::Worker { reactor, timers } = &remote.rouser {
                reactor.close();
                timers.close();
            }
        }
    }

    /// Tasks that have not ended.
    pub(crate) fn live_tasks(&self) -> u64 {
        let mut completed = self.foreign_completed.load(Ordering::Relaxed);
        let mut spawned = self.foreign_spawned.load(Ordering::Relaxed);
        for remote in &self.remotes {
            completed += remote.counters.completed.read();
            spawned += remote.counters.spawned.read();
        }
        spawned.saturating_sub(completed)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("config", &self.config)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Queues a task of the pool: on the current worker if it belongs to the pool, else for everybody.
unsafe fn schedule(pool: NonNull<()>, runnable: Runnable, reason: Reason) {
    if let Err(runnable) = context::schedule_local(pool, runnable, reason) {
        // SAFETY: the caller keeps the pool alive (see `RawExecutor::schedule`).
        unsafe { pool.cast::<Pool>().as_ref() }.push_remote(runnable);
    }
}

/// Queues a blocking task.
unsafe fn schedule_blocking(pool: NonNull<()>, runnable: Runnable, _reason: Reason) {
    // SAFETY: the caller keeps the pool alive (see `RawExecutor::schedule`).
    unsafe { pool.cast::<Pool>().as_ref() }.blocking.push(runnable, pool.addr());
}

/// Counts a task that ends on a thread that is no worker of the pool.
unsafe fn count_completed(pool: NonNull<()>) {
    // SAFETY: the caller keeps the pool alive (see `RawExecutor::count_completed`).
    unsafe { pool.cast::<Pool>().as_ref() }.foreign_completed.fetch_add(1, Ordering::Relaxed);
}

/// Owns a pool: held by the runtime, its handles and its threads, never by tasks.
///
/// When the last of them is gone, nothing can be spawned any more; the tasks that are left are dropped. The memory
/// itself is retired, since a foreign thread may be about to hand over a task that it has just woken.
pub(crate) struct PoolOwner {
    /// From a leaked box, so that the tasks' copies of the address stay good while the owner moves.
    pool: NonNull<Pool>,
    /// Dropped with the owner, since what the user's closures hold must not outlast it.
    pub(crate) hooks: Hooks,
}

/// A counted reference to a pool.
pub(crate) type PoolRef = Arc<PoolOwner>;

// SAFETY: it owns a `Pool`, which is `Send`.
unsafe impl Send for PoolOwner where Pool: Send {}
// SAFETY: it shares a `Pool`, which is `Sync`.
unsafe impl Sync for PoolOwner where Pool: Sync {}

impl PoolOwner {
    pub(crate) fn new(pool: Pool, hooks: Hooks) -> PoolRef {
        let owner = Arc::new(Self { pool: NonNull::from(Box::leak(Box::new(pool))), hooks });
        #[cfg(not(tress_loom))]
        let _first = owner.owner.set(Arc::downgrade(&owner));
        owner
    }

    /// The owner of the pool whose task is being polled on this thread, if it is one that belongs to a pool alone.
    #[cfg(not(tress_loom))]
    pub(crate) fn of_current_task() -> Option<PoolRef> {
        let data = tree::current_executor()?;
        // SAFETY: outside models, executors that hand over are pools; the task that is being polled keeps it.
        let pool = unsafe { data.cast::<Pool>().as_ref() };
        pool.owner.get()?.upgrade()
    }
}

impl Deref for PoolOwner {
    type Target = Pool;

    #[inline]
    fn deref(&self) -> &Pool {
        // SAFETY: the pool is freed by the drop only, and never borrowed mutably before.
        unsafe { self.pool.as_ref() }
    }
}

impl Drop for PoolOwner {
    fn drop(&mut self) {
        self.close();
        self.close_drivers();
        let remains = Remains(self.pool);
        if super::shutdown::drop_tasks(self, clock::now()).is_empty() {
            return remains.retire();
        }
        // A task is in the middle of something: perhaps this very drop is part of its own, or a foreign thread is
        // about to queue it. Somebody else has to wait for that. If there can be no thread, the pool is leaked.
        let reaper = std::thread::Builder::new().name("tress-reaper".into());
        let _ = reaper.spawn(move || remains.reap());
    }
}

/// A pool that nobody owns any more, but tasks of which have not ended.
struct Remains(NonNull<Pool>);

// SAFETY: a `Pool` is `Send` and `Sync`.
unsafe impl Send for Remains {}

impl Remains {
    /// Waits until the last task has ended.
    fn reap(self) {
        // A task may stand in the queue of an executor that keeps it.
        let mut pause = LOAD_IS_OLD;
        loop {
            // SAFETY: the pool is freed by `retire` only.
            let pool = unsafe { self.0.as_ref() };
            if super::shutdown::drop_tasks(pool, clock::now() + LOAD_IS_OLD).is_empty() {
                return self.retire();
            }
            std::thread::sleep(pause);
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// Frees the pool when nobody can be looking at it any more.
    fn retire(self) {
        // SAFETY: the pointer is that of a leaked box, and nobody gets at it any more except those whom the retiring
        // waits for: threads that were about to hand over a task when its last reference to the pool went.
        let pool = unsafe { Box::from_raw(self.0.as_ptr()) };
        epoch::retire(pool);
    }
}

impl fmt::Debug for PoolOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Pool::fmt(self, f)
    }
}

/// So long at most a pool that nobody owns is not looked at.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A worker whose load (in thousandths) is above this has no time for more sockets.
const SATURATED: u32 = 900;

/// One sample of a helper's latency counts for so much at most.
const MAX_HELP_SAMPLE_NS: u64 = super::HELP_BACKLOG_MAX.as_nanos() as u64;

/// A load that was measured so long ago says nothing: its worker has slept or computed since.
const LOAD_IS_OLD: Duration = Duration::from_millis(20);
