//! Everybody who is ready gets a turn: beside tasks that yield, that wake each other, that are always ready, and that come
//! from outside.

mod support;

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use support::{runtime, watchdog};
use tress::Runtime;
use tress::task::{coop, yield_now};

/// What everybody else waits for.
const SOON: Duration = Duration::from_secs(10);

fn wait_for_progress(runtime: &Runtime, count: &AtomicU64, wanted: u64) {
    let end = Instant::now() + SOON;
    while count.load(Ordering::Relaxed) < wanted {
        assert!(Instant::now() < end, "starved: {:?}", runtime.handle().metrics());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn beside_a_task_that_yields() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let (polls, others) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let yields = Arc::clone(&polls);
    runtime.spawn(async move {
        loop {
            yields.fetch_add(1, Ordering::Relaxed);
            yield_now().await;
        }
    });
    for _ in 0..10 {
        let others = Arc::clone(&others);
        runtime.spawn(async move {
            for _ in 0..100 {
                yield_now().await;
            }
            others.fetch_add(1, Ordering::Relaxed);
        });
    }
    wait_for_progress(&runtime, &others, 10);
    // All take turns: a hundred rounds of the others are about a hundred of the first one.
    wait_for_progress(&runtime, &polls, 100);
}

/// Yielding lets everybody else who is ready on the worker run first.
#[test]
fn turns_are_fair() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let order: Arc<Mutex<Vec<u8>>> = Arc::default();
    let tasks = runtime.spawn({
        let order = Arc::clone(&order);
        async move {
            let tasks: Vec<_> = (0..4)
                .map(|name| {
                    let order = Arc::clone(&order);
                    tress::spawn(async move {
                        for _ in 0..100 {
                            order.lock().unwrap().push(name);
                            yield_now().await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        }
    });
    runtime.block_on(tasks).unwrap();
    let order = order.lock().unwrap();
    // Once all have begun, nobody gets two turns while another waits for one.
    for window in order[8..order.len() - 8].windows(7) {
        assert!((0..4).all(|name| window.contains(&name)), "{window:?}");
    }
}

/// A seat that two tasks keep offering each other.
#[derive(Default)]
struct Seat(Mutex<Option<Waker>>);

/// Two tasks that wake each other go through the next-task slot; it must not be theirs alone.
#[test]
fn beside_two_tasks_that_wake_each_other() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let (exchanges, others) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (left, right) = (Arc::new(Seat::default()), Arc::new(Seat::default()));
    for (mine, theirs) in [(&left, &right), (&right, &left)] {
        let (mine, theirs, exchanges) = (Arc::clone(mine), Arc::clone(theirs), Arc::clone(&exchanges));
        runtime.spawn(poll_fn(move |cx| {
            exchanges.fetch_add(1, Ordering::Relaxed);
            *mine.0.lock().unwrap() = Some(cx.waker().clone());
            let partner = theirs.0.lock().unwrap().take();
            if let Some(partner) = partner {
                partner.wake();
            }
            Poll::<()>::Pending
        }));
    }
    wait_for_progress(&runtime, &exchanges, 1000);
    for _ in 0..3 {
        let others = Arc::clone(&others);
        runtime.spawn(async move {
            for _ in 0..100 {
                yield_now().await;
            }
            others.fetch_add(1, Ordering::Relaxed);
        });
    }
    wait_for_progress(&runtime, &others, 3);
    let before = exchanges.load(Ordering::Relaxed);
    wait_for_progress(&runtime, &exchanges, before + 100);
}

/// Tasks from outside, events and timers get their turn although the local queue is never empty.
#[test]
fn outside_of_a_full_queue() {
    let _watchdog = watchdog();
    for workers in [1, 2] {
        let runtime = runtime(workers);
        for _ in 0..100 {
            runtime.spawn(async {
                loop {
                    yield_now().await;
                }
            });
        }
        std::thread::sleep(Duration::from_millis(20));
        for _ in 0..20 {
            let before = Instant::now();
            let task = runtime.spawn(async { tress::time::sleep(Duration::from_millis(1)).await });
            support::wait_until(|| task.is_finished(), "it was starved");
            assert!(before.elapsed() < SOON);
        }
    }
}

/// A leaf that is always ready spends its task's budget, and the task gives way.
#[test]
fn beside_a_leaf_that_is_always_ready() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let (stop, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let greedy = runtime.spawn({
        let (stop, most) = (Arc::clone(&stop), Arc::clone(&most));
        async move {
            let mut in_a_row = 0_u64;
            // Counts how often the leaf is ready between two polls of the task.
            let mut leaf = poll_fn(move |cx| {
                let Poll::Ready(unit) = coop::poll_proceed(cx) else {
                    in_a_row = 0;
                    return Poll::Pending;
                };
                unit.made_progress();
                in_a_row += 1;
                most.fetch_max(in_a_row, Ordering::Relaxed);
                Poll::Ready(())
            });
            while !stop.load(Ordering::Relaxed) {
                (&mut leaf).await;
            }
        }
    });
    let finite = runtime.spawn(async {
        for _ in 0..100 {
            yield_now().await;
        }
    });
    support::wait_until(|| finite.is_finished(), "the greedy task gives nobody a turn");
    stop.store(true, Ordering::Relaxed);
    runtime.block_on(greedy).unwrap();
    let most = most.load(Ordering::Relaxed);
    assert!((1..=1024).contains(&most), "{most} in one poll");
}

/// Handles of finished tasks are such leaves too, and so is `consume_budget`.
#[test]
fn beside_loops_over_ready_things() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let stop = Arc::new(AtomicBool::new(false));
    for kind in 0..2 {
        let stop = Arc::clone(&stop);
        runtime.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                if kind == 0 {
                    coop::consume_budget().await;
                } else {
                    tress::time::sleep(Duration::ZERO).await;
                }
            }
        });
    }
    let finite = runtime.spawn(async { yield_now().await });
    support::wait_until(|| finite.is_finished(), "a loop gives nobody a turn");
    stop.store(true, Ordering::Relaxed);
}

#[test]
fn unless_the_task_insists() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let polls = Arc::new(AtomicU64::new(0));
    let task = runtime.spawn({
        let polls = Arc::clone(&polls);
        let mut inner = Box::pin(coop::unconstrained(async {
            for _ in 0..10_000 {
                coop::consume_budget().await;
            }
            assert!(coop::has_budget_remaining());
        }));
        poll_fn(move |cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            inner.as_mut().poll(cx)
        })
    });
    runtime.block_on(task).unwrap();
    assert_eq!(polls.load(Ordering::Relaxed), 1);
}
