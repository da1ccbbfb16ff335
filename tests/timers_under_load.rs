//! Under load from tasks that compute, spawn and move between workers, no timer fires early and none is lost.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::{Random, burn, runtime, stress};
use tress::task::yield_now;
use tress::time::{interval, sleep, sleep_until, timeout};

/// One of the ways in which time is waited for.
async fn wait(mut random: Random) {
    let duration = Duration::from_micros(random.below(3000) as u64);
    let started = Instant::now();
    match random.below(5) {
        0 => sleep(duration).await,
        1 => sleep_until(started + duration).await,
        2 => assert!(timeout(duration, std::future::pending::<()>()).await.is_err()),
        3 => {
            let mut interval = interval(duration / 4 + Duration::from_nanos(1));
            for _ in 0..5 {
                interval.tick().await;
            }
        }
        _ => {
            // A timer that is dropped before it fires, and one that is reset.
            let _ = timeout(duration / 2, sleep(duration)).await;
            let mut sleep = std::pin::pin!(sleep(Duration::from_secs(3600)));
            let _ = tress::future::FutureExt::now_or_never(sleep.as_mut());
            sleep.as_mut().reset(started + duration);
            sleep.await;
        }
    }
    assert!(started.elapsed() >= duration, "{:?} early", duration - started.elapsed());
}

#[test]
fn none_is_early_and_none_is_lost() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let (stop, fired) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..random.below(6) {
            let (stop, pause) = (Arc::clone(&stop), Duration::from_micros(random.below(400) as u64));
            runtime.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    burn(pause);
                    yield_now().await;
                }
            });
        }
        let timers = 1 + random.below(500);
        for _ in 0..timers {
            let (fired, random) = (Arc::clone(&fired), random.fork());
            runtime.spawn(async move {
                wait(random).await;
                fired.fetch_add(1, Ordering::SeqCst);
            });
        }
        support::wait_until(|| fired.load(Ordering::SeqCst) == timers, "a timer was lost");
        stop.store(true, Ordering::Relaxed);
    });
}
