//! A task that ends gives its worker to the task that joins it, without a trip through a queue: on a flat stack, for a bounded
//! number of times in a row, and so that others get their turn.

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use support::{runtime, wait_until, watchdog};
use tress::task::{JoinHandle, lazy, yield_now};
use tress::{Builder, Handle, Runtime};

const JOINS: u64 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

/// Pushes and hand-overs of the runtime's only worker.
fn counters(runtime: &Runtime) -> (u64, u64) {
    let workers = runtime.handle().metrics().workers();
    (workers[0].pushes, workers[0].handovers)
}

/// Where the stack ends at the moment.
fn stack_pointer() -> usize {
    let here = 0_u8;
    std::hint::black_box(&raw const here).addr()
}

#[test]
fn and_nothing_is_queued_for_it() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let before = counters(&runtime);
    let joins = runtime.spawn(async {
        for n in 0..JOINS {
            assert_eq!(tress::spawn(async move { n }).await.unwrap(), n);
        }
    });
    runtime.block_on(joins).unwrap();
    let after = counters(&runtime);
    // One push a task: its spawn.
    assert_eq!((after.0 - before.0, after.1 - before.1), (JOINS, JOINS));
}

/// The joiner is a frame below a task.
#[test]
fn and_nothing_is_queued_for_a_frame() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let before = counters(&runtime);
    let joins = runtime.spawn(async {
        lazy(async {
            for n in 0..JOINS {
                assert_eq!(tress::spawn(async move { n }).await.unwrap(), n);
            }
        })
        .await;
    });
    runtime.block_on(joins).unwrap();
    let after = counters(&runtime);
    assert_eq!((after.0 - before.0, after.1 - before.1), (JOINS, JOINS));
}

#[test]
fn and_the_stack_stays_flat() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let joins = runtime.spawn(async {
        let (mut lowest, mut highest) = (usize::MAX, 0);
        for _ in 0..JOINS / 10 {
            let inner = tress::spawn(async { stack_pointer() }).await.unwrap();
            // Only the joiner's own polls are comparable with each other.
            std::hint::black_box(inner);
            let here = stack_pointer();
            (lowest, highest) = (lowest.min(here), highest.max(here));
        }
        (lowest, highest)
    });
    let (lowest, highest) = runtime.block_on(joins).unwrap();
    // By a hand-over or from the queue: two places in the loop, never one poll on top of another.
    assert!(highest - lowest < 4096, "the stack has grown by {} bytes", highest - lowest);
}

/// Each task of a chain joins the one that it has made, to some depth, and the end of the last leads up the whole chain.
#[test]
fn all_the_way_up() {
    let _watchdog = watchdog();
    fn nested(depth: u32) -> tress::task::JoinHandle<u32> {
        tress::spawn(async move { if depth == 0 { 0 } else { nested(depth - 1).await.unwrap() + 1 } })
    }
    let runtime = runtime(1);
    let joins = runtime.spawn(async { nested(10_000).await.unwrap() });
    assert_eq!(runtime.block_on(joins).unwrap(), 10_000);
}

/// A task that spawns and joins one after the other, until it is over. It has begun.
fn hand_over_for_ever(runtime: &Runtime) -> (Arc<AtomicBool>, JoinHandle<()>) {
    let (is_over, joins) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let endless = {
        let (is_over, joins) = (Arc::clone(&is_over), Arc::clone(&joins));
        runtime.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                tress::spawn(async {}).await.unwrap();
                joins.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    wait_until(|| joins.load(Ordering::Relaxed) > 1000, "the two do not run");
    (is_over, endless)
}

/// Two that hand over to each other for ever do not starve a third one.
#[test]
fn and_others_get_their_turn() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let (is_over, endless) = hand_over_for_ever(&runtime);
    let third = runtime.spawn(async {
        for _ in 0..1000 {
            yield_now().await;
        }
        tress::time::sleep(std::time::Duration::from_millis(1)).await;
    });
    wait_until(|| third.is_finished(), "the third task was starved");
    assert!(!endless.is_finished());
    is_over.store(true, Ordering::Relaxed);
    runtime.block_on(endless).unwrap();
}

/// Spawns a task on another thread, and waits until that has been done: from then on it stands in the queue that is for everybody.
fn spawn_from_outside(handle: &Handle, task: impl FnOnce() + Send + 'static) {
    let handle = handle.clone();
    thread::spawn(move || drop(handle.spawn(async { task() }))).join().unwrap();
}

/// What comes from outside has its turn at the interval that was asked for, whatever numbers the hand-overs make the polls skip.
#[test]
fn and_what_comes_from_outside_gets_its_turn() {
    const INTERVAL: u32 = 10;
    let _watchdog = watchdog();
    // Without looks at the clock, after which it may have its turn earlier.
    let builder = Builder::new().worker_threads(1).queue_interval(INTERVAL).event_interval(u32::MAX);
    let runtime = builder.build().unwrap();
    let handle = runtime.handle().clone();
    let waits = runtime.spawn(async move {
        let mut waits = Vec::new();
        for round in 0..20 {
            if round % 2 == 0 {
                // One poll more: rounds with even numbers are followed by some with odd ones.
                yield_now().await;
            }
            let (joins, reached) = (Arc::new(AtomicUsize::new(0)), Arc::new(OnceLock::new()));
            let reach = {
                let (joins, reached) = (Arc::clone(&joins), Arc::clone(&reached));
                move || reached.set(joins.load(Ordering::Relaxed)).unwrap()
            };
            spawn_from_outside(&handle, reach);
            while reached.get().is_none() {
                tress::spawn(async {}).await.unwrap();
                joins.fetch_add(1, Ordering::Relaxed);
            }
            waits.extend(reached.get().copied());
        }
        waits
    });
    // Waited for without taking part.
    wait_until(|| waits.is_finished(), "what comes from outside is starved");
    let waits = runtime.block_on(waits).unwrap();
    // A join is two polls.
    assert!(waits.iter().all(|joins| *joins <= INTERVAL as usize / 2 + 1), "{waits:?}");
}

/// A long row of hand-overs gives way to what comes from outside long before the interval.
#[test]
fn and_a_row_gives_way_to_what_comes_from_outside() {
    const DEPTH: usize = 10_000;
    /// Each ends because the one below it has ended; the last one when `below` has been called.
    fn chain(depth: usize, ended: Arc<AtomicUsize>, below: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        tress::spawn(async move {
            match depth {
                0 => below(),
                _ => chain(depth - 1, Arc::clone(&ended), below).await.unwrap(),
            }
            ended.fetch_add(1, Ordering::Relaxed);
        })
    }
    let _watchdog = watchdog();
    let builder = Builder::new().worker_threads(1).queue_interval(u32::MAX).event_interval(u32::MAX);
    let runtime = builder.build().unwrap();
    let (ended, reached) = (Arc::new(AtomicUsize::new(0)), Arc::new(OnceLock::new()));
    let below = {
        let (handle, ended, reached) = (runtime.handle().clone(), Arc::clone(&ended), Arc::clone(&reached));
        move || {
            let reach = move || reached.set(ended.load(Ordering::Relaxed)).unwrap();
            spawn_from_outside(&handle, reach);
        }
    };
    let task = {
        let ended = Arc::clone(&ended);
        runtime.spawn(async move { chain(DEPTH, ended, below).await.unwrap() })
    };
    wait_until(|| task.is_finished() && reached.get().is_some(), "the chain does not end");
    let (reached, ended) = (*reached.get().unwrap(), ended.load(Ordering::Relaxed));
    assert_eq!(ended, DEPTH + 1);
    assert!(reached <= 100, "after {reached} tasks of {ended}");
}

/// A task that joins many gets ahead of the others for a while only.
#[test]
fn and_gives_way_to_the_queue() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    // Waited for without taking part: its thread is the worker's.
    let finished = runtime.spawn(async {
        let tasks: Vec<_> = (0..1000).map(|_| tress::spawn(async {})).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    wait_until(|| finished.is_finished(), "the joins do not end");
    let (_, handovers) = counters(&runtime);
    assert!((1..=65).contains(&handovers), "{handovers} hand-overs in a row");
}
