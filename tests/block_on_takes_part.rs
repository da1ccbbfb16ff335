//! The thread in `block_on` is a worker meanwhile: what its future spawns runs there, while nobody else has to help. More
//! threads than there are seats can be in `block_on` at once.

mod support;

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::Duration;

use support::{runtime, stress, watchdog};
use tress::task::yield_now;

#[test]
fn what_it_spawns_runs_on_the_same_thread() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let own = thread::current().id();
    let mut here = 0;
    for _ in 0..1000 {
        let ran_on =
            runtime.block_on(async { tress::spawn(async { thread::current().id() }).await.unwrap() });
        here += usize::from(ran_on == own);
    }
    // A worker may step in when this thread is held up by something else on the machine.
    assert!(here > 900, "{here} of 1000");
}

#[test]
fn what_blocks_there_is_run_by_others() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let (send, receive) = std::sync::mpsc::channel();
    runtime.block_on(async {
        tress::spawn(async move { send.send(()).unwrap() });
        // The task is in this thread's slot, and this thread does not get round to it.
        receive.recv_timeout(Duration::from_secs(10)).expect("nobody took the task over");
    });
}

#[test]
fn what_is_left_goes_to_the_workers() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let own = thread::current().id();
    let tasks: Vec<_> = runtime
        .block_on(async { (0..100).map(|_| tress::spawn(async { thread::current().id() })).collect() });
    for task in tasks {
        assert_ne!(support::block_on_foreign(task).unwrap(), own);
    }
}

#[test]
fn more_callers_than_seats() {
    let _watchdog = watchdog();
    const CALLERS: usize = 24;
    let runtime = runtime(2);
    let (inside, ran) = (Barrier::new(CALLERS), AtomicUsize::new(0));
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (runtime, inside, ran) = (&runtime, &inside, &ran);
            scope.spawn(move || {
                let sum = runtime.block_on(async {
                    // All of them are in `block_on` at once.
                    tress::task::block_in_place(|| inside.wait());
                    let mut sum = 0;
                    for _ in 0..50 {
                        sum += tress::spawn(async move { caller }).await.unwrap();
                        yield_now().await;
                        tress::time::sleep(Duration::from_micros(50)).await;
                    }
                    sum
                });
                assert_eq!(sum, 50 * caller);
                ran.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(ran.load(Ordering::Relaxed), CALLERS);
}

/// Callers come and go while tasks move between their threads and the workers.
#[test]
fn callers_that_come_and_go() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        thread::scope(|scope| {
            for _ in 0..10 {
                let (runtime, mut random) = (&runtime, random.fork());
                scope.spawn(move || {
                    for _ in 0..random.below(10) {
                        let tasks = random.below(20);
                        let mut inner = random.fork();
                        let handles = runtime.block_on(async move {
                            let mut handles = Vec::new();
                            for _ in 0..tasks {
                                let yields = inner.below(5);
                                let handle = tress::spawn(async move {
                                    for _ in 0..yields {
                                        yield_now().await;
                                    }
                                    thread::current().id()
                                });
                                if inner.once_in(2) {
                                    handle.await.unwrap();
                                } else {
                                    handles.push(handle);
                                }
                            }
                            handles
                        });
                        for handle in handles {
                            let _: ThreadId = support::block_on_foreign(handle).unwrap();
                        }
                    }
                });
            }
        });
        support::wait_until(|| runtime.handle().metrics().live_tasks() == 0, "tasks were left");
    });
}

/// The root need not be `Send`, may borrow, and is polled again by wakes from anywhere.
#[test]
fn the_root_is_any_future() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (text, local) = (String::from("borrowed"), std::rc::Rc::new(5));
    let length = runtime.block_on(async {
        let local = std::rc::Rc::clone(&local);
        for _ in 0..1000 {
            yield_now().await;
        }
        tress::time::sleep(Duration::from_millis(1)).await;
        text.len() + *local
    });
    assert_eq!(length, 13);
}
