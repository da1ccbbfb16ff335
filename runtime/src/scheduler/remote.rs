//! What others may see of a worker.

use std::time::Duration;

use super::next_task::NextTask;
use super::parker::Parker;
use crate::executor::Runnable;
use crate::primitive::coarse::Moment;
use crate::primitive::deque::Stealer;
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::reactor::Reactor;
use crate::time::TimeDriver;

/// The shared side of a worker or guest.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) stealer: Stealer<Runnable>,
    pub(crate) next_task: NextTask,
    pub(crate) parker: Arc<Parker>,
    pub(crate) rouser: Rouser,
    /// Counts polls. Written by the owner only; tells a worker that is stuck from one that is busy.
    pub(crate) tick: AtomicU32,
    /// When the owner last looked at its reactor, as a moment's number. Written by the owner only.
    pub(crate) turned_at: AtomicU64,
    /// When the worker was called as a helper, as a moment's number; that of [`Moment::NEVER`] if it was not. Written by the
    /// one that claimed it, then by the worker.
    pub(crate) called_at: AtomicU64,
    /// The mean length of a poll, in nanoseconds. Written by the owner only; says what a queue's length means in time.
    pub(crate) poll_ns: AtomicU32,
    /// How busy the worker has been lately, in thousandths. Written by the owner only.
    pub(crate) load: AtomicU32,
    /// Whether a thread runs the queue; guests come and go.
    pub(crate) active: AtomicBool,
    pub(crate) counters: Counters,
}

/// How a parked thread is roused.
#[derive(Debug)]
pub(crate) enum Rouser {
    /// A worker waits in its reactor.
    Worker { reactor: Arc<Reactor>, timers: Arc<TimeDriver> },
    /// A guest is roused by whoever wakes the future that it drives; nobody else does.
    Guest,
}

/// Numbers about a worker. Each is written by the owner only.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) spawned: Counter,
    pub(crate) completed: Counter,
    pub(crate) polls: Counter,
    pub(crate) pushes: Counter,
    pub(crate) handovers: Counter,
    pub(crate) parks: Counter,
    pub(crate) unparks: Counter,
    pub(crate) steals: Counter,
    pub(crate) stolen_tasks: Counter,
    pub(crate) events: Counter,
    pub(crate) takeovers: Counter,
    pub(crate) busy_ns: Counter,
}

/// A counter with one writer.
#[derive(Debug)]
pub(crate) struct Counter(AtomicU64);

impl Default for Counter {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Counter {
    /// Adds without a read-modify-write; only the owner calls it.
    #[inline]
    pub(crate) fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Remote {
    pub(crate) fn new(stealer: Stealer<Runnable>, parker: Arc<Parker>, rouser: Rouser) -> Self {
        Self {
            stealer,
            next_task: NextTask::new(),
            parker,
            rouser,
            tick: AtomicU32::new(0),
            turned_at: AtomicU64::new(Moment::NEVER.to_number()),
            called_at: AtomicU64::new(Moment::NEVER.to_number()),
            poll_ns: AtomicU32::new(FIRST_GUESS_NS),
            load: AtomicU32::new(0),
            active: AtomicBool::new(false),
            counters: Counters::default(),
        }
    }

    /// Makes the worker's current or next park return.
    pub(crate) fn unpark(&self) {
        if self.parker.notify()
            && let Rouser::Worker { reactor, .. } = &self.rouser
        {
            reactor.unpark();
        }
    }

    /// The worker's reactor; guests have none.
    pub(crate) fn reactor(&self) -> Option<&Arc<Reactor>> {
        match &self.rouser {
            Rouser::Worker { reactor, .. } => Some(reactor),
            Rouser::Guest => None,
        }
    }

    /// The worker's timers; guests have none.
    pub(crate) fn timers(&self) -> Option<&Arc<TimeDriver>> {
        match &self.rouser {
            Rouser::Worker { timers, .. } => Some(timers),
            Rouser::Guest => None,
        }
    }

    /// How long the queue will take its owner, roughly.
    pub(crate) fn backlog(&self) -> Duration {
        let len = u64::try_from(self.stealer.len()).unwrap_or(u64::MAX);
        Duration::from_nanos(len.saturating_mul(u64::from(self.poll_ns.load(Ordering::Relaxed))))
    }

    /// Publishes that the owner has just looked at its reactor.
    #[inline]
    pub(crate) fn publish_turn(&self, now: Moment) {
        self.turned_at.store(now.to_number(), Ordering::Relaxed);
    }

    /// How long ago the owner looked at its reactor; very long, if it never has.
    pub(crate) fn since_turn(&self, now: Moment) -> Duration {
        let turned_at = Moment::from_number(self.turned_at.load(Ordering::Relaxed));
        Duration::from_nanos(now.nanos_since(turned_at))
    }
}

/// What a poll is taken to cost before any has been measured.
const FIRST_GUESS_NS: u32 = 1_000;
