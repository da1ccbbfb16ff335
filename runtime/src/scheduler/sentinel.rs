//! Looking after workers that are stuck.
//!
//! Idle workers hold a *watch*. While any worker runs, one that holds it does not park for longer than a moment, and
//! looks whether somebody has not looked after its reactor, timers and queue lately. If so, it does that in its stead.
//!
//! One is enough; but one that has to run a task itself goes on holding it beside the one that was roused to take its
//! place, so that two workers with light loads do not rouse each other over and over. They keep the watch for a while
//! after everybody has gone to sleep, since rousing costs more than a few looks; then they sleep for good: an idle pool
//! makes no periodic wake-ups.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use super::idle::Idle;
use super::local::Local;
use super::pool::Pool;
use crate::executor::Reason;
use crate::primitive::clock;
use crate::primitive::coarse::{Look, Moment};
use crate::primitive::sync::atomic::{AtomicUsize, Ordering, fence};

/// Who holds the watch.
///
/// Values: 0 for nobody, else a worker's index plus one. A holder that is busy does not count. Written by workers
/// that are about to park. The fences pair: a holder that retires stores, fences and looks for running workers; a
/// worker that starts to run clears its sleeper's bit, fences and looks for holders. At least one sees the other.
#[derive(Debug)]
pub(crate) struct Sentinel([AtomicUsize; 2]);

impl Sentinel {
    pub(crate) fn new() -> Self {
        Self([AtomicUsize::new(NOBODY), AtomicUsize::new(NOBODY)])
    }

    /// Whether somebody who holds the watch is parked.
    pub(crate) fn is_kept(&self, idle: &Idle) -> bool {
        self.0.iter().any(|slot| {
            let holder = slot.load(Ordering::Relaxed);
            holder != NOBODY && idle.is_sleeping(holder - 1)
        })
    }

    fn is_held_by(&self, worker: usize) -> bool {
        self.0.iter().any(|slot| slot.load(Ordering::Relaxed) == worker + 1)
    }

    /// Takes a place that nobody holds, or whose holder is busy.
    fn take(&self, worker: usize, idle: &Idle) -> bool {
        self.0.iter().any(|slot| {
            let holder = slot.load(Ordering::Relaxed);
            let free = holder == NOBODY || !idle.is_sleeping(holder - 1);
            free && slot.compare_exchange(holder, worker + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        })
    }

    fn leave(&self, worker: usize) {
        for slot in &self.0 {
            // Failing means that somebody else has taken the place.
            let _ = slot.compare_exchange(worker + 1, NOBODY, Ordering::Relaxed, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
    }
}

/// What a worker remembers between two looks.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Each remote's tick at the last look.
    ticks: RefCell<Box<[u32]>>,
    /// When the last look was.
    looked_at: Cell<Moment>,
    /// When somebody was last seen running.
    ran_at: Cell<Moment>,
    /// Whether somebody was stuck at the last look.
    stuck: Cell<bool>,
    cost: LookCost,
}

impl Watch {
    pub(super) fn new(remotes: usize, now: Moment) -> Self {
        Self {
            ticks: RefCell::new(vec![0; remotes].into_boxed_slice()),
            looked_at: Cell::new(now),
            ran_at: Cell::new(now),
            stuck: Cell::new(false),
            cost: LookCost::new(),
        }
    }
}

/// What a look costs this worker in CPU time, its waking included.
///
/// A few microseconds on most machines, but ten times that on a virtual one whose timers have to ask its host.
#[derive(Debug)]
struct LookCost {
    /// The thread's CPU time and tick at the last look.
    at: Cell<Option<(Duration, u32)>>,
    mean: Cell<Duration>,
}

impl LookCost {
    fn new() -> Self {
        Self { at: Cell::new(None), mean: Cell::new(Duration::ZERO) }
    }

    /// Takes the CPU time since the last look as a look's, if nothing else has been done since.
    fn measure(&self, tick: u32) {
        let Some(now) = thread_cpu_time() else { return };
        if let Some((then, former_tick)) = self.at.replace(Some((now, tick)))
            && former_tick == tick
        {
            self.mean.set((7 * self.mean.get() + now.saturating_sub(then)) / 8);
        }
    }

    fn get(&self) -> Duration {
        self.mean.get()
    }
}

/// The CPU time of the calling thread, where the system tells it.
#[cfg(all(target_os = "linux", not(tress_loom)))]
fn thread_cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

#[cfg(not(all(target_os = "linux", not(tress_loom))))]
fn thread_cpu_time() -> Option<Duration> {
    None
}

impl Pool {
    /// Called by a thread that starts to run tasks after it was parked: somebody has to keep an eye on it.
    pub(crate) fn ensure_sentinel(&self) {
        fence(Ordering::SeqCst);
        if !self.sentinel.is_kept(&self.idle) && self.idle.any_sleeper() {
            // The one that is woken finds nothing to do, and takes the watch when it parks.
            self.notify_one();
        }
    }

    /// Whether anybody but `worker` runs, or is about to.
    fn any_other_running(&self, worker: usize) -> bool {
        self.idle.is_any_other_awake(worker) || self.active_guests.load(Ordering::Relaxed) > 0
    }
}

impl Local {
    /// Decides, at the moment of parking, how long this worker may sleep, given the deadline of its timers.
    ///
    /// The result is a deadline that is kept, and a time after which it is woken anyway, more or less.
    pub(super) fn watch_before(&self, timers: Option<Instant>) -> (Option<Instant>, Option<Duration>) {
        if !self.keeps_watch() {
            (timers, None)
        } else if self.watch.stuck.get() {
            let soon = clock::now() + self.period();
            (Some(timers.map_or(soon, |timers| timers.min(soon))), None)
        } else {
            (timers, Some(self.period()))
        }
    }

    /// Whether this worker, which is about to park, keeps watch.
    pub(super) fn keeps_watch(&self) -> bool {
        let sentinel = &self.pool.sentinel;
        let idle = &self.pool.idle;
        let now = self.stopwatch.last_lap();
        if !sentinel.is_held_by(self.index) {
            let wanted = self.pool.any_other_running(self.index) && !sentinel.is_kept(idle);
            if !wanted || !sentinel.take(self.index, idle) {
                return false;
            }
            self.watch.ran_at.set(now);
            self.watch.stuck.set(false);
        } else if now.nanos_since(self.watch.ran_at.get()) >= nanos(LINGER) {
            sentinel.leave(self.index);
            if !self.pool.any_other_running(self.index) || !sentinel.take(self.index, idle) {
                return false;
            }
            self.watch.ran_at.set(now);
        }
        true
    }

    /// Makes this worker a holder of the watch that has not seen anybody run for long.
    #[cfg(all(test, tress_loom))]
    pub(super) fn hold_quiet_watch(&self) {
        assert!(self.pool.sentinel.take(self.index, &self.pool.idle));
        let long_ago = Look::take().moment.to_number().saturating_sub(nanos(LINGER));
        self.watch.ran_at.set(Moment::from_number(long_ago));
    }

    /// Looks after the others if this worker holds the watch and it is time.
    pub(super) fn watch(&self, now: Look) {
        let due = now.moment.nanos_since(self.watch.looked_at.get()) >= nanos(self.period());
        if due && self.pool.sentinel.is_held_by(self.index) {
            self.watch.cost.measure(self.tick.get());
            if self.look_after_others(now) {
                self.watch.ran_at.set(now.moment);
            }
        }
    }

    /// How long to wait between two looks.
    fn period(&self) -> Duration {
        let cost = self.watch.cost.get();
        if self.watch.stuck.get() {
            (STUCK_SHARE * cost).clamp(STUCK_PERIOD, PERIOD)
        } else {
            (SHARE * cost).clamp(PERIOD, PERIOD_MAX)
        }
    }

    /// The same from a worker that is busy, for when nobody is idle; now and then.
    pub(super) fn watch_while_busy(&self, now: Look) {
        if now.moment.nanos_since(self.watch.looked_at.get()) >= nanos(PERIOD) {
            self.look_after_others(now);
        }
    }

    /// Does in their stead what workers that are stuck do not get round to. True if anybody runs.
    fn look_after_others(&self, now: Look) -> bool {
        self.watch.looked_at.set(now.moment);
        let workers = self.pool.config.workers;
        let (mut running, mut stuck) = (false, false);
        for (index, remote) in self.pool.seats().iter().enumerate() {
            let runs = if index < workers {
                index != self.index && !self.pool.idle.is_sleeping(index)
            } else {
                index != self.index && remote.active.load(Ordering::Relaxed)
            };
            if !runs {
                continue;
            }
            running = true;
            let tick = remote.tick.load(Ordering::Relaxed);
            let former_tick = std::mem::replace(&mut self.watch.ticks.borrow_mut()[index], tick);
            let is_same_poll = tick == former_tick;
            let patience = if is_same_poll { STALE } else { STALE_WITH_PROGRESS };
            if remote.since_turn(now.moment) >= patience {
                stuck = true;
                self.take_over(index, is_same_poll, now.instant);
            }
        }
        self.watch.stuck.set(stuck);
        running
    }

    /// Drains a worker's reactor, timers and queue.
    fn take_over(&self, index: usize, same_poll: bool, now: Instant) {
        let remote = &self.pool.remotes[index];
        let mut taken = 0;
        if let Some(reactor) = remote.reactor() {
            taken += self.turn(reactor);
        }
        if let Some(timers) = remote.timers() {
            taken += timers.process(now);
        }
        if let Some(runnable) = self.steal_from(remote) {
            self.queue.push(runnable);
            taken += 1;
        }
        if same_poll && let Some(runnable) = remote.next_task.take() {
            self.schedule(runnable, Reason::Yielded);
            taken += 1;
        }
        if taken > 0 {
            self.remote().counters.takeovers.add(1);
        }
    }
}

/// A span as moments count it.
const fn nanos(span: Duration) -> u64 {
    span.as_nanos() as u64
}

const NOBODY: usize = 0;

/// The sentinel looks this often while anybody runs, where looks are cheap.
const PERIOD: Duration = Duration::from_micros(1000);

/// Where they are dear, it looks at least this often.
const PERIOD_MAX: Duration = Duration::from_micros(4000);

/// The time between two looks is at least so many times what a look costs: one percent of a core is spent on them.
const SHARE: u32 = 100;

/// The sentinel looks this often while somebody is stuck, where looks are cheap.
const STUCK_PERIOD: Duration = Duration::from_micros(200);

/// As `SHARE`, while somebody is stuck.
const STUCK_SHARE: u32 = 10;

/// A worker that is in the same poll as at the last look, and has not looked at its reactor for so long, needs help.
const STALE: Duration = Duration::from_micros(300);

/// The same of one that has polled something else meanwhile: it is about to look.
const STALE_WITH_PROGRESS: Duration = Duration::from_micros(1000);

/// The sentinel goes on for so long after everybody else has gone to sleep.
const LINGER: Duration = Duration::from_millis(50);
