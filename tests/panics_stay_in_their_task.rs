//! A panic of a task (in its poll, its drop, its output's drop, even in the drop of what it panicked with) ends that task and
//! nothing else.

mod support;

use std::panic::panic_any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::{panic_text, runtime, stress, wait_until, watchdog, without_panic_messages};
use tress::task::{spawn_blocking, yield_now};
use tress::{Builder, Runtime};

/// Panics when dropped, unless a panic is already under way.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
        if !std::thread::panicking() {
            panic!("expected: a bomb");
        }
    }
}

static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// One worker, so that whatever kills it is noticed.
fn one_worker() -> Runtime {
    Builder::new().worker_threads(1).build().unwrap()
}

/// The worker still runs tasks and timers.
fn assert_alive(runtime: &Runtime) {
    let (send, receive) = std::sync::mpsc::channel();
    let task = runtime.spawn(async move {
        tress::time::sleep(Duration::from_millis(1)).await;
        yield_now().await;
        send.send(std::thread::current().name().map(str::to_owned)).unwrap();
    });
    let name = receive.recv_timeout(Duration::from_secs(10)).expect("the worker is dead");
    assert!(name.unwrap().contains("worker"));
    wait_until(|| task.is_finished(), "the task did not end");
    wait_until(|| runtime.handle().metrics().live_tasks() == 0, "tasks were left");
}

#[test]
fn in_poll() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = one_worker();
        let task = runtime.spawn(async {
            yield_now().await;
            panic!("expected: {}", 7)
        });
        let error = runtime.block_on(task).unwrap_err();
        assert!(error.is_panic() && !error.is_aborted() && !error.is_cancelled());
        assert_eq!(panic_text(error), "expected: 7");
        drop(runtime.spawn(async { panic!("expected: nobody listens") }));
        assert_alive(&runtime);
    });
}

#[test]
fn in_poll_and_then_in_drop() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = one_worker();
        // A future whose poll panics, and whose drop, which is not part of the unwinding, panics too.
        let mut bomb = Some(Bomb);
        let task = runtime.spawn(std::future::poll_fn(move |_| -> std::task::Poll<()> {
            let _ = bomb.as_mut();
            panic!("expected: the poll")
        }));
        assert!(runtime.block_on(task).unwrap_err().is_panic());
        assert_alive(&runtime);
    });
}

#[test]
fn in_the_drop_of_a_future_that_is_ready_with_a_bomb() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        struct Ready(Bomb);
        impl Future for Ready {
            type Output = Bomb;
            fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Bomb> {
                std::task::Poll::Ready(Bomb)
            }
        }
        let runtime = one_worker();
        drop(runtime.spawn(Ready(Bomb)));
        let error = runtime.block_on(runtime.spawn(Ready(Bomb))).err().expect("the drop has panicked");
        assert_eq!(panic_text(error), "expected: a bomb");
        assert_alive(&runtime);
    });
}

#[test]
fn in_the_drop_of_an_aborted_future() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = one_worker();
        // Parked, or not even started.
        for parked in [true, false] {
            let bomb = Bomb;
            let task = runtime.spawn(async {
                let _bomb = bomb;
                std::future::pending::<()>().await;
            });
            if parked {
                std::thread::sleep(Duration::from_millis(10));
            }
            task.abort();
            assert_eq!(panic_text(runtime.block_on(task).unwrap_err()), "expected: a bomb");
        }
        let detached = runtime.spawn(async {
            let _bomb = Bomb;
            std::future::pending::<()>().await;
        });
        detached.abort_handle().abort();
        drop(detached);
        assert_alive(&runtime);
    });
}

#[test]
fn in_the_drop_of_an_output_nobody_wants() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = one_worker();
        // Dropped by the worker, since the handle is gone.
        drop(runtime.spawn(async {
            yield_now().await;
            Bomb
        }));
        assert_alive(&runtime);
        // Dropped by the handle.
        let task = runtime.spawn(async { Bomb });
        wait_until(|| task.is_finished(), "the task did not end");
        drop(task);
        drop(runtime.spawn_blocking(|| Bomb));
        assert_alive(&runtime);
    });
}

#[test]
fn with_a_payload_whose_drop_panics() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = one_worker();
        drop(runtime.spawn(async {
            yield_now().await;
            panic_any(Bomb);
        }));
        assert_alive(&runtime);
        // The panic is that of a drop, and nobody takes the error.
        struct Nested;
        impl Drop for Nested {
            fn drop(&mut self) {
                panic_any(Bomb);
            }
        }
        drop(runtime.spawn(async { Nested }));
        let parked = runtime.spawn(async {
            let _nested = Nested;
            std::future::pending::<()>().await;
        });
        std::thread::sleep(Duration::from_millis(10));
        parked.abort();
        drop(parked);
        assert_alive(&runtime);
        let before = DROPPED.load(Ordering::Relaxed);
        let error = runtime.block_on(runtime.spawn(async { panic_any(Bomb) })).unwrap_err();
        let payload = error.into_panic().downcast::<Bomb>().unwrap();
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(payload))).is_err());
        assert!(DROPPED.load(Ordering::Relaxed) > before);
    });
}

#[test]
fn in_a_blocking_call() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = Builder::new().worker_threads(1).max_blocking_threads(1).build().unwrap();
        for _ in 0..3 {
            let call = runtime.spawn_blocking(|| panic!("expected: blocked"));
            assert_eq!(panic_text(runtime.block_on(call).unwrap_err()), "expected: blocked");
            drop(runtime.spawn_blocking(|| panic_any(Bomb)));
        }
        assert_eq!(runtime.block_on(async { spawn_blocking(|| 5).await.unwrap() }), 5);
        assert_alive(&runtime);
    });
}

#[test]
fn in_the_future_of_block_on() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = one_worker();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async {
                tress::spawn(async {}).await.unwrap();
                panic!("expected: the root");
            })
        }));
        assert!(caught.is_err());
        assert_eq!(runtime.block_on(async { 3 }), 3);
        assert_alive(&runtime);
    });
}

#[test]
fn at_the_shutdown() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        for parked in [true, false] {
            let runtime = one_worker();
            let before = DROPPED.load(Ordering::Relaxed);
            for _ in 0..10 {
                runtime.spawn(async move {
                    let _bomb = Bomb;
                    if parked {
                        std::future::pending::<()>().await;
                    }
                    loop {
                        yield_now().await;
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(10));
            runtime.shutdown(Duration::from_secs(60)).unwrap();
            assert!(DROPPED.load(Ordering::Relaxed) >= before + 10);
        }
    });
}

#[test]
fn in_storms() {
    without_panic_messages(|| {
        stress(|workers, random| {
            let runtime = runtime(workers);
            let mut aborts = Vec::new();
            for _ in 0..random.below(200) {
                let keep = random.once_in(2);
                let mut random = random.fork();
                let task = runtime.spawn(async move {
                    let bomb = random.once_in(3).then_some(Bomb);
                    while random.once_in(2) {
                        yield_now().await;
                    }
                    match random.below(5) {
                        0 => panic!("expected: a storm"),
                        1 => panic_any("expected: another"),
                        2 => std::future::pending().await,
                        _ => bomb,
                    }
                });
                if keep {
                    aborts.push(task);
                }
            }
            for task in &aborts {
                task.abort();
            }
            let handle = runtime.handle().clone();
            if random.once_in(2) {
                wait_until(|| aborts.iter().all(|task| task.is_finished()), "a task was left");
            }
            drop(runtime);
            assert_eq!(handle.metrics().live_tasks(), 0);
        });
    });
}
