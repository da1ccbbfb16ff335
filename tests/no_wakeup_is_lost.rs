//! A wake is never lost, wherever it comes from: foreign threads, other tasks, the task itself, many at once.

mod support;

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use support::{runtime, stress, wait_until};

/// A number that only grows, and whoever waits for it.
#[derive(Default)]
struct Watched {
    value: AtomicU64,
    waiter: Mutex<Option<Waker>>,
}

impl Watched {
    fn raise(&self, value: u64) {
        self.value.store(value, Ordering::Release);
        let waiter = self.waiter.lock().unwrap().take();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    async fn reaches(&self, value: u64) {
        poll_fn(|cx| {
            if self.value.load(Ordering::Acquire) >= value {
                return Poll::Ready(());
            }
            *self.waiter.lock().unwrap() = Some(cx.waker().clone());
            // What was raised before the waker was there has woken nobody.
            if self.value.load(Ordering::Acquire) >= value { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Foreign threads and tasks exchange numbers: one lost wake and all stops.
#[test]
fn from_foreign_threads() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let rounds = 1 + random.below(500) as u64;
        let pairs: Vec<_> = (0..4).map(|_| Arc::new((Watched::default(), AtomicU64::new(0)))).collect();
        for pair in &pairs {
            let pair = Arc::clone(pair);
            runtime.spawn(async move {
                for round in 1..=rounds {
                    pair.0.reaches(round).await;
                    pair.1.store(round, Ordering::Release);
                }
            });
        }
        std::thread::scope(|scope| {
            for pair in &pairs {
                let mut random = random.fork();
                scope.spawn(move || {
                    for round in 1..=rounds {
                        pair.0.raise(round);
                        if random.once_in(50) {
                            // Lets the pool fall asleep between two wakes, sometimes for good.
                            std::thread::sleep(Duration::from_micros(random.below(2000) as u64));
                        }
                        wait_until_spinning(|| pair.1.load(Ordering::Acquire) >= round);
                    }
                });
            }
        });
    });
}

/// As `wait_until`, but quick where the answer comes soon.
fn wait_until_spinning(condition: impl Fn() -> bool) {
    for _ in 0..100 {
        if condition() {
            return;
        }
        std::thread::yield_now();
    }
    wait_until(condition, "a wake was lost");
}

/// A ring of tasks hands numbers around.
#[test]
fn from_task_to_task() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let (members, laps) = (2 + random.below(20), 1 + random.below(200) as u64);
        let ring: Arc<Vec<Watched>> = Arc::new((0..members).map(|_| Watched::default()).collect());
        let tasks: Vec<_> = (0..members)
            .map(|place| {
                let ring = Arc::clone(&ring);
                runtime.spawn(async move {
                    for lap in 1..=laps {
                        ring[place].reaches(lap).await;
                        ring[(place + 1) % members].raise(if place + 1 == members { lap + 1 } else { lap });
                    }
                })
            })
            .collect();
        ring[0].raise(1);
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
}

/// Many threads wake the same task at once, also by clones of wakers that are long out of date.
#[test]
fn from_everybody_at_once() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let (wakers, polls) = (Arc::new(Mutex::new(Vec::<Waker>::new())), Arc::new(AtomicU64::new(0)));
        let wanted = 1 + random.below(2000) as u64;
        let task = {
            let (wakers, polls) = (Arc::clone(&wakers), Arc::clone(&polls));
            runtime.spawn(poll_fn(move |cx| {
                let polled = polls.fetch_add(1, Ordering::Relaxed) + 1;
                let mut wakers = wakers.lock().unwrap();
                wakers.push(cx.waker().clone());
                if wakers.len() > 64 {
                    wakers.remove(0);
                }
                if polled >= wanted { Poll::Ready(()) } else { Poll::Pending }
            }))
        };
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let (task, wakers, mut random) = (&task, &wakers, random.fork());
                scope.spawn(move || {
                    while !task.is_finished() {
                        let waker = {
                            let wakers = wakers.lock().unwrap();
                            wakers.get(random.below(wakers.len().max(1))).cloned()
                        };
                        match waker {
                            Some(waker) if random.once_in(2) => waker.wake(),
                            Some(waker) => waker.wake_by_ref(),
                            None => std::thread::yield_now(),
                        }
                    }
                });
            }
        });
        runtime.block_on(task).unwrap();
    });
}

/// A single push to a pool that has just gone to sleep, or is about to, is seen.
#[test]
fn of_a_pool_that_falls_asleep() {
    stress(|workers, random| {
        // A lone worker has nobody who keeps watch and finds what it misses.
        for workers in [1, workers] {
            let runtime = runtime(workers);
            for _ in 0..1000 {
                let task = runtime.spawn(async {});
                // No pause, so that the next push comes while the worker is on its way to sleep.
                let end = Instant::now() + Duration::from_secs(10);
                while !task.is_finished() {
                    assert!(Instant::now() < end, "a push was lost");
                    std::hint::spin_loop();
                }
                for _ in 0..random.below(200) {
                    std::hint::spin_loop();
                }
            }
        }
    });
}
