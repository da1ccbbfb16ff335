//! Timers on the pool: busy workers, migrations, and runtimes that go away under their timers.

use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::{Random, block_on, watched};
use crate::Runtime;
use crate::time::{Sleep, interval, sleep, timeout};

const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn a_sleep_outlives_the_runtime_that_it_was_registered_with() {
    watched(|| {
        let runtime = Runtime::new().expect("it starts");
        let started = Instant::now();
        let mut sleep = Box::pin(sleep(100 * MILLISECOND));
        let (send, receive) = std::sync::mpsc::channel::<Pin<Box<Sleep>>>();
        runtime.spawn(async move {
            assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            send.send(sleep).expect("the test waits for it");
        });
        let sleep = receive.recv().expect("the task does not panic");
        drop(runtime);
        block_on(sleep);
        assert!(started.elapsed() >= 100 * MILLISECOND);
    });
}

#[test]
fn dropping_a_runtime_drops_its_sleeping_tasks() {
    watched(|| {
        let runtime = Runtime::new().expect("it starts");
        let alive = crate::primitive::sync::Arc::new(());
        runtime.block_on(async {
            for _ in 0..1000 {
                let alive = alive.clone();
                crate::spawn(async move {
                    sleep(Duration::from_secs(600)).await;
                    drop(alive);
                });
            }
            sleep(5 * MILLISECOND).await;
        });
        drop(runtime);
        assert_eq!(crate::primitive::sync::Arc::strong_count(&alive), 1);
    });
}

/// Thousands of tasks that sleep, time out and tick, on workers that steal them from each other.
#[test]
fn every_timer_of_a_busy_pool_fires() {
    watched(|| {
        let runtime = Runtime::new().expect("it starts");
        runtime.block_on(async {
            let tasks: Vec<_> = (0..2000)
                .map(|seed| {
                    crate::spawn(async move {
                        let mut random = Random(seed);
                        for _ in 0..5 {
                            let duration = Duration::from_micros(random.below(3000));
                            let start = Instant::now();
                            match random.below(3) {
                                0 => sleep(duration).await,
                                1 => drop(timeout(duration, std::future::pending::<()>()).await),
                                _ => drop(timeout(Duration::from_secs(600), sleep(duration)).await),
                            }
                            assert!(start.elapsed() >= duration, "early");
                        }
                    })
                })
                .collect();
            let mut interval = interval(MILLISECOND);
            for _ in 0..10 {
                interval.tick().await;
            }
            for task in tasks {
                task.await.expect("no task fails");
            }
        });
    });
}

#[test]
fn a_sleep_may_change_its_executor() {
    watched(|| {
        let runtime = Runtime::new().expect("it starts");
        let mut sleep = pin!(sleep(20 * MILLISECOND));
        // Registered with the fallback first, then awaited on the pool.
        assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        runtime.block_on(sleep.as_mut());
        // And the other way round.
        sleep.as_mut().reset(Instant::now() + 20 * MILLISECOND);
        let mut registered = false;
        runtime.block_on(std::future::poll_fn(|cx| {
            registered = sleep.as_mut().poll(cx).is_pending();
            std::task::Poll::Ready(())
        }));
        assert!(registered);
        block_on(sleep);
    });
}
