//! A worker's run loop.

use std::time::Duration;

use super::config::Hooks;
use super::idle::Left;
use super::local::Local;
use super::remote::Remote;
use crossbeam_utils::CachePadded;

use crate::executor::Runnable;
use crate::primitive::coarse::{Look, Moment};
use crate::primitive::sync::atomic::Ordering;
use crate::primitive::thread::yield_now;
use crate::reactor::Reactor;
use crate::{coop, frame};

impl Local {
    /// Runs tasks until the pool is closed.
    pub(crate) fn run_worker(&self) {
        self.begin(Look::take().moment);
        while !self.pool.is_closed() {
            let tick = self.tick.get();
            // A difference, not a remainder: polls by hand-over are counted, too, and it may not come by here at each number.
            let is_turn = tick.wrapping_sub(self.injector_turn.get()) >= self.injector_interval.get();
            let runnable = if is_turn || self.injector_due.take() {
                self.injector_turn.set(tick);
                self.pop_injector().or_else(|| self.pop())
            } else {
                self.pop().or_else(|| self.pop_injector())
            };
            match runnable.or_else(|| self.search()) {
                Some(runnable) => {
                    let tick = self.run_found(runnable);
                    if self.is_maintenance_due(tick) {
                        self.maintain();
                    }
                }
                None => self.park(),
            }
        }
        self.drain();
    }

    /// Runs a task, after the duties of somebody who has found work.
    #[inline]
    fn run_found(&self, runnable: Runnable) -> u32 {
        if self.searching.get() {
            self.stop_searching();
            // Whoever wanted the watch kept meanwhile has seen this searcher, and left that to it too.
            self.fresh.set(true);
        }
        if self.fresh.get() {
            self.fresh.set(false);
            self.pool.ensure_sentinel();
        }
        self.run(runnable)
    }

    /// Stops counting as a searcher. The last one checks that nobody relied on it in vain.
    fn stop_searching(&self) {
        self.searching.set(false);
        if self.pool.idle.stop_searching() && self.is_help_needed() {
            self.pool.notify_one();
        }
    }

    /// Whether there is more work than those who are awake will soon get round to.
    fn is_help_needed(&self) -> bool {
        !self.pool.injector.is_empty()
            || self.pool.seats().iter().any(|remote| self.pool.is_worth_help(remote.backlog()))
    }

    /// Whether somebody who is about to park should stay.
    fn is_work_left(&self) -> bool {
        let is_worth_it = |(index, remote): (usize, &CachePadded<Remote>)| {
            index != self.index && remote.backlog() >= super::STEAL_BACKLOG
        };
        !self.pool.injector.is_empty()
            || self.pool.is_closed()
            || (self.pool.has_victims(self.index) && self.pool.seats().iter().enumerate().any(is_worth_it))
    }

    /// Looks for work elsewhere, unless enough others do.
    fn search(&self) -> Option<Runnable> {
        if !self.searching.get() {
            if !self.pool.has_victims(self.index) {
                return None;
            }
            if !self.pool.idle.start_searching() {
                return None;
            }
            self.searching.set(true);
        }
        self.steal().or_else(|| self.pop_injector())
    }

    /// What a busy worker does between tasks, now and then.
    #[cold]
    pub(super) fn maintain(&self) {
        coop::lift();
        let now = Look::take();
        let remote = self.remote();
        self.stopwatch.lap(now.moment, self.tick.get(), remote);
        // With long polls, so many of them as the interval says would take too long.
        let poll_ns = remote.poll_ns.load(Ordering::Relaxed).max(1);
        self.polls_to_maintain.set((LONGEST_WAIT_NS / poll_ns).clamp(1, self.pool.config.event_interval));
        // Not before each poll, or what is queued here would wait for as long as anything comes from outside.
        let interval = (INJECTOR_WAIT_NS / poll_ns).max(2).min(self.pool.config.queue_interval);
        self.injector_interval.set(interval);
        self.maintained.set(self.tick.get());
        if let Some(timers) = remote.timers() {
            timers.process(now.instant);
        }
        if remote.since_turn(now.moment) < super::TURN_GAP {
            return;
        }
        if let Some(reactor) = remote.reactor() {
            self.turn(reactor);
        }
        remote.publish_turn(now.moment);
        self.watch_while_busy(now);
    }

    /// Takes what a reactor has, without waiting; returns how many sockets had events.
    pub(super) fn turn(&self, reactor: &Reactor) -> usize {
        // Somebody may be dispatching already, further up on this very stack.
        let Ok(mut events) = self.events.try_borrow_mut() else { return 0 };
        let waited = match reactor.try_lock() {
            Some(mut driver) => driver.look(&mut events),
            None => return 0,
        };
        if waited.is_err() {
            return 0;
        }
        let count = reactor.dispatch(&mut events);
        self.remote().counters.events.add(count as u64);
        count
    }

    /// Starts a busy stretch.
    fn begin(&self, now: Moment) {
        self.stopwatch.start(now, self.tick.get());
        self.maintained.set(self.tick.get());
        self.remote().publish_turn(now);
        self.fresh.set(true);
    }

    /// Waits for events, timers or an unpark, by the numbered steps of the README.
    fn park(&self) {
        // Wakers and hooks of others are called outside any task.
        coop::lift();
        let now = Look::take();
        let remote = self.remote();
        self.stopwatch.lap(now.moment, self.tick.get(), remote);
        let rest = frame::rest();
        // 1 and 2: announce, fence.
        self.pool.idle.announce(self.index, self.searching.replace(false));
        // 3: look once more.
        if self.is_work_left() {
            self.leave_sleepers();
            if !self.searching.replace(true) {
                self.pool.idle.keep_searching();
            }
            // A holder of the watch may have retired meanwhile, in the belief that this worker slept.
            self.fresh.set(true);
            return;
        }
        Hooks::call(self.pool.hooks.on_park.as_ref());
        remote.counters.parks.add(1);
        self.wait(rest);
        Hooks::call(self.pool.hooks.on_unpark.as_ref());
    }

    /// Steps 4 to 6: waits, for so long at most, leaves the sleepers, and delivers what came.
    fn wait(&self, most: Option<Duration>) {
        let remote = self.remote();
        let (Some(reactor), Some(timers)) = (remote.reactor(), remote.timers()) else { return };
        let mut events = self.events.borrow_mut();
        let mut waited = false;
        if remote.parker.prepare() {
            let (deadline, nap) = self.watch_before(timers.next_deadline());
            let nap = nap.into_iter().chain(most).min();
            if let Some(mut driver) = reactor.try_lock() {
                waited = driver.wait(&mut events, deadline, nap).is_ok();
            } else {
                // Somebody is draining the reactor in this worker's stead, and will be done in a moment.
                yield_now();
            }
            remote.parker.finish();
        }
        self.leave_sleepers();
        let now = Look::take();
        self.begin(now.moment);
        self.pool.helper_came(remote, now.moment);
        if waited {
            let count = reactor.dispatch(&mut events);
            remote.counters.events.add(count as u64);
        }
        drop(events);
        timers.process(now.instant);
        self.watch(now);
    }

    /// Takes itself out of the sleepers; whoever was claimed counts as searching from then on.
    fn leave_sleepers(&self) {
        if self.pool.idle.leave(self.index) == Left::Claimed {
            self.searching.set(true);
            self.remote().counters.unparks.add(1);
        }
    }
}

/// Where polls are long, a busy worker looks at the clock and its sockets about this often.
const LONGEST_WAIT_NS: u32 = 2_000_000;

/// Where polls are long, the injector has its turn about this often.
const INJECTOR_WAIT_NS: u32 = 200_000;
