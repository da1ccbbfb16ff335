//! Figures about a running runtime.

use std::fmt;
use std::time::Duration;

use crate::primitive::sync::atomic::Ordering;
use crate::scheduler::{Counters, PoolRef};
use crate::trace::StrandDump;

/// Figures about a runtime, read while it runs.
///
/// Each is read by itself, without stopping anybody: together they need not fit exactly.
///
/// # Examples
///
/// ```
/// let runtime = tress::Runtime::new()?;
/// let metrics = runtime.handle().metrics();
/// assert_eq!(metrics.live_tasks(), 0);
/// assert!(metrics.workers().len() >= 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct RuntimeMetrics {
    pool: PoolRef,
}

/// Figures about one worker, counted since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// Polls of tasks.
    pub polls: u64,
    /// Tasks that were put on its queue, or into its next-task slot, from inside: spawned, woken, or yielding.
    pub pushes: u64,
    /// Tasks that were run right after the one that they joined, without standing in a queue.
    pub handovers: u64,
    /// Times that it went to sleep.
    pub parks: u64,
    /// Times that somebody woke it for work.
    pub unparks: u64,
    /// Times that it stole from another's queue.
    pub steals: u64,
    /// Tasks that it stole.
    pub stolen_tasks: u64,
    /// Events of sockets that it delivered.
    pub events: u64,
    /// Times that it did what a stuck worker did not get round to.
    pub takeovers: u64,
    /// Time that it was not asleep, up to its last look at the clock.
    pub busy: Duration,
    /// Tasks in its queue.
    pub queued: usize,
    /// Sockets that belong to its reactor.
    pub sockets: usize,
}

/// Figures about a strand or an actor, counted since it was made.
///
/// Each is read by itself, without stopping anybody: together they need not fit exactly. They are of what was *queued*: what ran
/// at once, as a call that finds its actor idle, a `dispatch` from inside, is not counted, and costs nothing for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StrandMetrics {
    /// Turns: times that somebody began to run what was queued, one item after the other.
    pub turns: u64,
    /// Items whose turn came in them.
    pub items: u64,
    /// Items that wait, as of when the strand last looked at what had arrived.
    pub depth: u32,
    /// The largest `depth` so far.
    pub max_depth: u32,
    /// How long the strand waited for its executor, from when it was handed over until its turns began; if times are
    /// measured, which they are if the runtime [measures tasks](crate::Builder::measure_tasks) or the strand was made to.
    pub wait: Option<Duration>,
    /// How long its turns took, up to the end of the last, if times are measured.
    pub busy: Option<Duration>,
}

impl RuntimeMetrics {
    pub(crate) fn new(pool: PoolRef) -> Self {
        Self { pool }
    }

    /// Tasks that have been spawned and have not ended.
    #[must_use]
    pub fn live_tasks(&self) -> u64 {
        self.pool.live_tasks()
    }

    /// Tasks that have been spawned so far.
    #[must_use]
    pub fn spawned_tasks(&self) -> u64 {
        let by_workers: u64 = self.pool.remotes.iter().map(|remote| remote.counters.spawned.read()).sum();
        by_workers + self.pool.foreign_spawned.load(Ordering::Relaxed)
    }

    /// Tasks that wait for any worker to take them.
    #[must_use]
    pub fn injected_tasks(&self) -> usize {
        self.pool.injector.len()
    }

    /// How often a future has gone to another executor than the one that it was polled on, by [`run_on`](crate::executor::run_on()) or
    /// [`hop_to`](crate::executor::hop_to), from a thread of this runtime. The way back is not counted.
    #[must_use]
    pub fn executor_hops(&self) -> u64 {
        self.pool.hops.load(Ordering::Relaxed)
    }

    /// How often that was spared, because the code ran on that executor already.
    #[must_use]
    pub fn executor_hops_spared(&self) -> u64 {
        self.pool.hops_spared.load(Ordering::Relaxed)
    }

    /// Figures about the strands and actors over the runtime that have a name.
    #[must_use]
    pub fn strands(&self) -> Vec<StrandDump> {
        self.pool.strands.look()
    }

    /// Figures about each worker.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerMetrics> {
        let figures = |remote: &crossbeam_utils::CachePadded<_>| WorkerMetrics::new(remote);
        self.pool.workers().iter().map(figures).collect()
    }
}

impl WorkerMetrics {
    fn new(remote: &crate::scheduler::Remote) -> Self {
        let Counters {
            polls,
            pushes,
            handovers,
            parks,
            unparks,
            steals,
            stolen_tasks,
            events,
            takeovers,
            busy_ns,
            ..
        } = &remote.counters;
        Self {
            polls: polls.read(),
            pushes: pushes.read(),
            handovers: handovers.read(),
            parks: parks.read(),
            unparks: unparks.read(),
            steals: steals.read(),
            stolen_tasks: stolen_tasks.read(),
            events: events.read(),
            takeovers: takeovers.read(),
            busy: Duration::from_nanos(busy_ns.read()),
            queued: remote.stealer.len(),
            sockets: remote.reactor().map_or(0, |reactor| reactor.registered()),
        }
    }
}

impl fmt::Debug for RuntimeMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeMetrics")
            .field("live_tasks", &self.live_tasks())
            .field("workers", &self.workers())
            .finish()
    }
}
