use std::pin::Pin;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::CountWakes;
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};
use crate::time::TICK;
use crate::time::driver::TimeDriver;
use crate::time::timer::{Surroundings, Timer};

/// A clock that stands still and the drivers given.
struct At(Instant, Vec<Arc<TimeDriver>>);

impl Surroundings for At {
    fn now(&self) -> Instant {
        self.0
    }

    fn drivers(&self) -> impl Iterator<Item = Arc<TimeDriver>> {
        self.1.iter().cloned()
    }
}

fn driver() -> (Arc<TimeDriver>, Arc<AtomicUsize>) {
    let unparks = Arc::new(AtomicUsize::new(0));
    let counter = unparks.clone();
    let unpark = move || {
        counter.fetch_add(1, Ordering::SeqCst);
    };
    (TimeDriver::new(Box::new(unpark)), unparks)
}

fn timer() -> Pin<Box<Timer>> {
    Box::pin(Timer::new())
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn only_an_earlier_deadline_unparks() {
    let (driver, unparks) = driver();
    let start = Instant::now();
    let here = At(start, vec![driver.clone()]);
    let mut timers: Vec<_> = (0..4).map(|_| timer()).collect();
    for (timer, (seconds, expected)) in timers.iter_mut().zip([(10, 1), (20, 1), (5, 2), (7, 2)]) {
        assert!(timer.as_mut().poll(start + SECOND * seconds, Waker::noop(), &here).is_pending());
        assert_eq!(unparks.load(Ordering::SeqCst), expected);
    }
    timers[1].as_mut().reset(start + SECOND);
    assert_eq!(unparks.load(Ordering::SeqCst), 3);
    timers[1].as_mut().reset(start + 30 * SECOND);
    assert_eq!(unparks.load(Ordering::SeqCst), 3);
}

#[test]
fn the_published_deadline_is_tight_and_never_late() {
    let (driver, _) = driver();
    let start = Instant::now();
    let here = At(start, vec![driver.clone()]);
    assert_eq!(driver.next_deadline(), None);
    assert_eq!(driver.process(start + 100 * SECOND), 0);
    let mut timer = timer();
    let deadline = start + 10 * SECOND;
    assert!(timer.as_mut().poll(deadline, Waker::noop(), &here).is_pending());
    let published = driver.next_deadline().expect("a timer is pending");
    // One wake-up for one timer, however far: no cascade in between.
    assert!(published >= deadline && published < deadline + TICK);
    assert_eq!(driver.process(deadline - SECOND), 0);
    assert_eq!(driver.process(published), 1);
    assert_eq!(driver.next_deadline(), None);
    assert_eq!(timer.as_mut().poll(deadline, Waker::noop(), &here), Poll::Ready(()));
}

#[test]
fn more_than_a_batch_fires_in_one_call() {
    let (driver, _) = driver();
    let start = Instant::now();
    let here = At(start, vec![driver.clone()]);
    let (wakes, waker) = CountWakes::new();
    let mut timers: Vec<_> = (0..1000).map(|_| timer()).collect();
    for (timer, i) in timers.iter_mut().zip(0..) {
        assert!(timer.as_mut().poll(start + TICK * (2 + i % 7), &waker, &here).is_pending());
    }
    assert_eq!(driver.process(start + SECOND), 1000);
    assert_eq!(wakes.count(), 1000);
    assert!(timers.iter().all(|timer| timer.has_fired()));
}

/// A waker that calls back into the driver, from `wake` and from `drop`: no lock is held then.
#[test]
fn wakers_may_use_the_driver() {
    struct Reentrant(Arc<TimeDriver>, Instant);
    impl std::task::Wake for Reentrant {
        fn wake(self: Arc<Self>) {
            self.0.process(self.1);
        }
    }
    impl Drop for Reentrant {
        fn drop(&mut self) {
            self.0.process(self.1);
        }
    }
    let (driver, _) = driver();
    let start = Instant::now();
    let here = At(start, vec![driver.clone()]);
    let mut timers: Vec<_> = (0..100).map(|_| timer()).collect();
    for timer in &mut timers {
        for _ in 0..2 {
            let waker = Waker::from(Arc::new(Reentrant(driver.clone(), start + 2 * SECOND)));
            assert!(timer.as_mut().poll(start + 20 * SECOND, &waker, &here).is_pending());
        }
    }
    timers.truncate(50);
    assert_eq!(driver.process(start + 30 * SECOND), 50);
}

#[test]
fn a_closed_driver_sends_its_timers_elsewhere() {
    let (old, _) = driver();
    let (new, _) = driver();
    let start = Instant::now();
    let here = At(start, vec![old.clone(), new.clone()]);
    let (wakes, waker) = CountWakes::new();
    let mut timers: Vec<_> = (0..70).map(|_| timer()).collect();
    for timer in &mut timers {
        assert!(timer.as_mut().poll(start + SECOND, &waker, &here).is_pending());
    }
    assert_eq!(new.next_deadline(), None);
    old.close();
    assert_eq!(wakes.count(), 70);
    assert_eq!(old.next_deadline(), None);
    for timer in &mut timers {
        assert!(!timer.has_fired());
        assert!(timer.as_mut().poll(start + SECOND, &waker, &here).is_pending());
    }
    assert_eq!(old.process(start + 2 * SECOND), 0);
    assert_eq!(new.process(start + 2 * SECOND), 70);
    // Closing twice, and resetting what a close has ended, are no errors.
    old.close();
    new.close();
    timers[0].as_mut().reset(start + 3 * SECOND);
    drop(timers);
}

/// No driver at all (its thread cannot be started): the task polls until there is one.
#[test]
fn without_a_driver_a_timer_polls() {
    let (old, _) = driver();
    old.close();
    let start = Instant::now();
    let (wakes, waker) = CountWakes::new();
    let mut timer = timer();
    assert!(timer.as_mut().poll(start + SECOND, &waker, &At(start, vec![old])).is_pending());
    assert_eq!(wakes.count(), 1);
    assert!(timer.as_mut().poll(start + SECOND, &waker, &At(start + SECOND, vec![])).is_ready());
}
