//! Loom models of the timer protocol: fire × poll × reset × drop × close, and the published deadline.
//!
//! They are explored in full, without a bound on preemptions. Each has been seen to fail on a broken variant; those
//! are kept as patches in `ci/mutants`.

#![expect(clippy::disallowed_types, reason = "`Wake` wants std's Arc; the count inside is loom's")]

use std::pin::Pin;
use std::task::{Poll, Wake, Waker};
use std::time::Instant;

use loom::thread;

use super::bell::Bell;
use super::clock::TICK;
use super::driver::TimeDriver;
use super::timer::{Surroundings, Timer};
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};

struct CountWakes(AtomicUsize);

impl CountWakes {
    fn new() -> (std::sync::Arc<Self>, Waker) {
        let count = std::sync::Arc::new(Self(AtomicUsize::new(0)));
        (count.clone(), Waker::from(count))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for CountWakes {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A clock that stands still at the start of time, and drivers in the order in which they are tried.
struct Here {
    start: Instant,
    drivers: Vec<Arc<TimeDriver>>,
}

impl Here {
    fn new(unpark: impl Fn() + Send + Sync + 'static) -> Self {
        let start = Instant::now();
        Self { start, drivers: vec![TimeDriver::starting_at(start, Box::new(unpark))] }
    }

    fn driver(&self) -> Arc<TimeDriver> {
        self.drivers[0].clone()
    }

    fn tick(&self, tick: u32) -> Instant {
        self.start + TICK * tick
    }

    /// A thread that fires what is due at a tick.
    fn process_at(&self, tick: u32) -> thread::JoinHandle<usize> {
        let (driver, now) = (self.driver(), self.tick(tick));
        thread::spawn(move || driver.process(now))
    }
}

impl Surroundings for Here {
    fn now(&self) -> Instant {
        self.start
    }

    fn drivers(&self) -> impl Iterator<Item = Arc<TimeDriver>> {
        self.drivers.iter().cloned()
    }
}

/// A timer whose memory outlives it, so that a model sees a late access instead of committing one.
struct Slot(Pin<Box<Option<Timer>>>);

impl Slot {
    fn new() -> Self {
        Self(Box::pin(Some(Timer::new())))
    }

    fn timer(&mut self) -> Pin<&mut Timer> {
        self.0.as_mut().as_pin_mut().expect("it is dropped once")
    }

    fn poll(&mut self, deadline: Instant, waker: &Waker, here: &Here) -> Poll<()> {
        self.timer().poll(deadline, waker, here)
    }

    fn drop_timer(&mut self) {
        self.0.set(None);
    }
}

/// Two threads fire while the owner polls with one waker and then another: the last one registered is woken.
#[test]
fn no_lost_wake() {
    loom::model(|| {
        let here = Here::new(|| ());
        let (former, former_waker) = CountWakes::new();
        let (last, last_waker) = CountWakes::new();
        let mut slot = Slot::new();
        let deadline = here.tick(1);
        assert!(slot.poll(deadline, &former_waker, &here).is_pending());
        let (first, second) = (here.process_at(2), here.process_at(2));
        let polled = slot.poll(deadline, &last_waker, &here);
        let fired = first.join().unwrap() + second.join().unwrap() + here.driver().process(here.tick(2));
        assert_eq!(fired, 1);
        if polled.is_pending() {
            assert_eq!((former.count(), last.count()), (0, 1));
        } else {
            assert_eq!((former.count(), last.count()), (1, 0));
        }
        assert!(slot.poll(deadline, &last_waker, &here).is_ready());
        drop((slot, former_waker, last_waker));
        assert_eq!(std::sync::Arc::strong_count(&former) + std::sync::Arc::strong_count(&last), 2);
    });
}

/// A poll with the same waker takes no lock; if it says pending, that waker is woken.
#[test]
fn an_unchanged_waker_needs_no_lock() {
    loom::model(|| {
        let here = Here::new(|| ());
        let (wakes, waker) = CountWakes::new();
        let mut slot = Slot::new();
        let deadline = here.tick(1);
        assert!(slot.poll(deadline, &waker, &here).is_pending());
        let process = here.process_at(2);
        let polled = slot.poll(deadline, &waker, &here);
        // Ready or not, dropping it now touches nothing that is still in use.
        slot.drop_timer();
        let fired = process.join().unwrap();
        assert_eq!(wakes.count(), fired);
        assert!(polled.is_pending() || fired == 1);
        drop(waker);
        assert_eq!(std::sync::Arc::strong_count(&wakes), 1);
    });
}

/// Two timers in one slot: one is dropped while two threads fire. The other fires once.
#[test]
fn no_use_after_drop() {
    loom::model(|| {
        let here = Here::new(|| ());
        let (wakes, waker) = CountWakes::new();
        let (other_wakes, other_waker) = CountWakes::new();
        let (mut slot, mut other) = (Slot::new(), Slot::new());
        let deadline = here.tick(1);
        assert!(slot.poll(deadline, &waker, &here).is_pending());
        assert!(other.poll(deadline, &other_waker, &here).is_pending());
        let (first, second) = (here.process_at(2), here.process_at(2));
        slot.drop_timer();
        let fired = first.join().unwrap() + second.join().unwrap() + here.driver().process(here.tick(2));
        assert_eq!(other_wakes.count(), 1);
        assert_eq!(wakes.count() + 1, fired);
        assert!(other.poll(deadline, &other_waker, &here).is_ready());
        drop((slot, waker));
        assert_eq!(std::sync::Arc::strong_count(&wakes), 1);
    });
}

/// A reset while two threads fire: the owner is woken, by the former deadline or by the new one.
#[test]
fn a_reset_loses_no_wake() {
    loom::model(|| {
        let here = Here::new(|| ());
        let (wakes, waker) = CountWakes::new();
        let mut slot = Slot::new();
        assert!(slot.poll(here.tick(1), &waker, &here).is_pending());
        let (first, second) = (here.process_at(2), here.process_at(2));
        slot.timer().reset(here.tick(3));
        let fired = first.join().unwrap() + second.join().unwrap();
        assert_eq!(wakes.count(), fired);
        assert!(!slot.timer().has_fired(), "the new deadline has not come");
        let polled = (fired == 1).then(|| slot.poll(here.tick(3), &waker, &here));
        assert!(polled.is_none_or(|polled| polled.is_pending()));
        assert_eq!(here.driver().process(here.tick(3)), 1);
        assert_eq!(wakes.count(), fired + 1);
        assert!(slot.poll(here.tick(3), &waker, &here).is_ready());
    });
}

/// Two registrations and a firing: the published deadline is never later than a pending timer's.
#[test]
fn the_published_deadline_is_never_late() {
    loom::model(|| {
        let here = Arc::new(Here::new(|| ()));
        let mut due = Slot::new();
        assert!(due.poll(here.tick(1), Waker::noop(), &here).is_pending());
        let process = here.process_at(2);
        let register = |tick| {
            let here = here.clone();
            thread::spawn(move || {
                let mut slot = Slot::new();
                assert!(slot.poll(here.tick(tick), Waker::noop(), &here).is_pending());
                slot
            })
        };
        let early = register(5);
        let mut late = Slot::new();
        assert!(late.poll(here.tick(9), Waker::noop(), &here).is_pending());
        let fired = process.join().unwrap();
        let early = early.join().unwrap();
        assert_eq!(fired, 1);
        assert_eq!(here.driver().next_deadline(), Some(here.tick(5)));
        drop((early, late));
    });
}

/// A thread that sleeps for the driver is rung out of bed by the first registration.
#[test]
fn an_earlier_deadline_ends_a_sleep() {
    loom::model(|| {
        let bell = Arc::new(Bell::default());
        let ringer = bell.clone();
        let here = Here::new(move || ringer.ring());
        let driver = here.driver();
        let sleeper = thread::spawn(move || {
            while driver.next_deadline().is_none() {
                // A lost ring is a deadlock here.
                bell.wait(&driver);
            }
        });
        let mut slot = Slot::new();
        assert!(slot.poll(here.tick(5), Waker::noop(), &here).is_pending());
        sleeper.join().unwrap();
        assert_eq!(here.driver().next_deadline(), Some(here.tick(5)));
    });
}

/// A driver closes while its timer is polled: the owner is woken, and registers with the next driver.
#[test]
fn a_close_sends_timers_elsewhere() {
    loom::model(|| {
        let mut here = Here::new(|| ());
        here.drivers.push(TimeDriver::starting_at(here.start, Box::new(|| ())));
        let (wakes, waker) = CountWakes::new();
        let mut slot = Slot::new();
        let driver = here.driver();
        let close = thread::spawn(move || driver.close());
        let deadline = here.tick(1);
        assert!(slot.poll(deadline, &waker, &here).is_pending());
        close.join().unwrap();
        if wakes.count() == 1 {
            assert!(slot.poll(deadline, &waker, &here).is_pending());
        }
        assert_eq!(here.driver().process(here.tick(2)), 0);
        assert_eq!(here.drivers[1].process(here.tick(2)), 1);
        assert!(slot.poll(deadline, &waker, &here).is_ready());
    });
}

/// A timer is dropped while its driver closes and another thread fires.
#[test]
fn a_drop_races_with_a_close() {
    loom::model(|| {
        let here = Here::new(|| ());
        let (wakes, waker) = CountWakes::new();
        let mut slot = Slot::new();
        assert!(slot.poll(here.tick(1), &waker, &here).is_pending());
        let process = here.process_at(2);
        let driver = here.driver();
        let close = thread::spawn(move || driver.close());
        slot.drop_timer();
        process.join().unwrap();
        close.join().unwrap();
        assert!(wakes.count() <= 1);
        drop(waker);
        assert_eq!(std::sync::Arc::strong_count(&wakes), 1);
    });
}
