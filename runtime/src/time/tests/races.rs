//! Fire, poll, reset and drop from several threads at once.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use super::{CountWakes, Random, watched};
use crate::primitive::sync::atomic::{AtomicBool, Ordering};
use crate::primitive::sync::{Arc, Mutex};
use crate::time::TICK;
use crate::time::driver::TimeDriver;
use crate::time::timer::{Surroundings, Timer};

/// Timers on one driver, which two threads process while others poll, reset, hand on and drop them.
#[test]
fn fire_races_with_everything() {
    watched(|| {
        for seed in 0..4 {
            race(seed);
        }
    });
}

struct Here(Arc<TimeDriver>);

impl Surroundings for Here {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn drivers(&self) -> impl Iterator<Item = Arc<TimeDriver>> {
        std::iter::once(self.0.clone())
    }
}

/// A timer with what its owner knows of it.
struct Owned {
    timer: Pin<Box<Timer>>,
    deadline: Instant,
    wakes: Arc<CountWakes>,
    waker: Waker,
    /// Wakes of this waker before its last registration.
    seen: usize,
    is_pending: bool,
}

impl Owned {
    fn new() -> Self {
        let (wakes, waker) = CountWakes::new();
        let timer = Box::pin(Timer::new());
        Self { timer, deadline: Instant::now(), wakes, waker, seen: 0, is_pending: false }
    }

    fn poll(&mut self, here: &Here) {
        self.seen = self.wakes.count();
        self.is_pending = self.timer.as_mut().poll(self.deadline, &self.waker, here).is_pending();
        assert!(self.is_pending || Instant::now() >= self.deadline, "early");
    }
}

fn race(seed: u64) {
    let driver = TimeDriver::new(Box::new(|| ()));
    let stop = Arc::new(AtomicBool::new(false));
    let processors: Vec<_> = (0..2)
        .map(|_| {
            let (driver, stop) = (driver.clone(), stop.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    driver.process(Instant::now());
                    thread::yield_now();
                }
            })
        })
        .collect();
    let handed_on = Arc::new(Mutex::new(VecDeque::new()));
    let owners: Vec<_> = (0..3_u64)
        .map(|owner| {
            let (driver, handed_on) = (driver.clone(), handed_on.clone());
            let random = Random::new(seed * 3 + owner);
            thread::spawn(move || own(random, &Here(driver), &handed_on))
        })
        .collect();
    for owner in owners {
        owner.join().expect("no owner fails");
    }
    // Whatever still waits has been woken once everything is due.
    stop.store(true, Ordering::Relaxed);
    for processor in processors {
        processor.join().expect("no processor fails");
    }
    driver.process(Instant::now() + Duration::from_secs(1));
    for owned in handed_on.lock().drain(..) {
        let owned: Owned = owned;
        assert!(!owned.is_pending || owned.wakes.count() > owned.seen, "a wake was lost");
    }
    assert_eq!(driver.next_deadline(), None);
}

fn own(mut random: Random, here: &Here, handed_on: &Mutex<VecDeque<Owned>>) {
    let mut own: Vec<Owned> = (0..8).map(|_| Owned::new()).collect();
    for _ in 0..rounds() {
        let nth = random.below(own.len() as u64) as usize;
        let owned = &mut own[nth];
        match random.below(8) {
            0 => *owned = Owned::new(),
            1 | 2 => {
                owned.deadline = Instant::now() + TICK * random.below(6) as u32;
                owned.timer.as_mut().reset(owned.deadline);
            }
            3 => {
                (owned.wakes, owned.waker) = CountWakes::new();
                owned.poll(here);
            }
            4 => {
                let fresh = Owned::new();
                let given = std::mem::replace(owned, fresh);
                let mut handed_on = handed_on.lock();
                handed_on.push_back(given);
                if handed_on.len() > 4 {
                    let taken = handed_on.pop_front().expect("there are several");
                    drop(handed_on);
                    own[nth] = taken;
                }
            }
            _ => owned.poll(here),
        }
    }
    handed_on.lock().extend(own);
}

/// Fewer where each access is checked by a tool.
fn rounds() -> usize {
    if cfg!(tress_sanitize) { 5_000 } else { 30_000 }
}
