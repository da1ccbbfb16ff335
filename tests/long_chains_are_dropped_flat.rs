//! Tasks that wake each other when they are dropped: a shutdown's stack stays flat, however many they are.

mod support;

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use support::{Census, runtime, wait_until, watchdog};

type Slot = Arc<Mutex<Option<Waker>>>;

/// Wakes the next task of the chain when dropped.
struct WakeOnDrop(Slot);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        let waker = self.0.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Parks so many tasks, each of which wakes the one that was made before it.
fn chain(runtime: &tress::Runtime, len: usize, census: &Census) {
    let mut older = Slot::default();
    for _ in 0..len {
        let own = Slot::default();
        let (wake, mine, counted) = (WakeOnDrop(older), Arc::clone(&own), census.count());
        runtime.spawn(async move {
            let _held = (wake, counted);
            poll_fn(|cx| {
                *mine.lock().unwrap() = Some(cx.waker().clone());
                Poll::<()>::Pending
            })
            .await;
        });
        older = own;
    }
    wait_until(|| older.lock().unwrap().is_some(), "the last task did not start");
}

#[test]
fn when_dropped_by_a_foreign_thread() {
    let _watchdog = watchdog();
    let census = Census::default();
    let runtime = runtime(2);
    chain(&runtime, 100_000, &census);
    runtime.shutdown(Duration::from_secs(60)).unwrap();
    assert_eq!(census.alive(), 0);
}

#[test]
fn when_dropped_by_another_runtimes_worker() {
    let _watchdog = watchdog();
    let census = Census::default();
    let (outer, inner) = (runtime(1), runtime(2));
    chain(&inner, 100_000, &census);
    outer.block_on(outer.spawn(async move { drop(inner) })).unwrap();
    assert_eq!(census.alive(), 0);
}
