//! Blocking calls get threads of their own: as many as allowed, ended when idle, reused when not.

mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use support::{Census, stress, wait_until, watchdog};
use tress::task::{coop, spawn_blocking};
use tress::{Builder, Handle, Runtime};

fn runtime(most: usize, keep_alive: Duration) -> Runtime {
    Builder::new().worker_threads(2).max_blocking_threads(most).thread_keep_alive(keep_alive).build().unwrap()
}

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn run_beside_each_other_up_to_the_limit() {
    let _watchdog = watchdog();
    let runtime = runtime(4, LONG);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let meeting = Arc::new(Barrier::new(4));
    let calls: Vec<_> = (0..40)
        .map(|number| {
            let (now, most, meeting) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&meeting));
            runtime.spawn_blocking(move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // Four at a time is not only allowed but had.
                meeting.wait();
                now.fetch_sub(1, Ordering::SeqCst);
                number
            })
        })
        .collect();
    let numbers: Vec<_> = calls.into_iter().map(|call| runtime.block_on(call).unwrap()).collect();
    assert!(numbers.into_iter().eq(0..40));
    assert_eq!(most.load(Ordering::SeqCst), 4);
}

#[test]
fn reuse_a_thread_that_is_idle() {
    let _watchdog = watchdog();
    let runtime = runtime(16, LONG);
    let mut threads = HashSet::new();
    for _ in 0..50 {
        threads.insert(runtime.block_on(runtime.spawn_blocking(|| thread::current().id())).unwrap());
        // The thread is idle a moment after its call has returned.
        thread::sleep(Duration::from_millis(1));
    }
    assert!(threads.len() < 10, "{} threads for calls one after the other", threads.len());
}

/// How many threads of blocking calls there are, of this process.
#[cfg(target_os = "linux")]
fn threads_named(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|comm| comm.trim_end() == name).count()
}

#[cfg(target_os = "linux")]
#[test]
fn threads_end_when_idle() {
    let _watchdog = watchdog();
    // Called from a call, so that its thread's name, which the kernel cuts short, can be changed to one that is ours.
    let runtime = runtime(8, Duration::from_millis(20));
    let meeting = Arc::new(Barrier::new(8));
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let meeting = Arc::clone(&meeting);
            runtime.spawn_blocking(move || {
                std::fs::write("/proc/thread-self/comm", "keepalive-test").unwrap();
                meeting.wait();
            })
        })
        .collect();
    for call in calls {
        runtime.block_on(call).unwrap();
    }
    wait_until(|| threads_named("keepalive-test") == 0, "idle threads did not end");
    assert_eq!(runtime.block_on(runtime.spawn_blocking(|| 6)).unwrap(), 6);
}

#[test]
fn may_use_the_runtime() {
    let _watchdog = watchdog();
    let runtime = runtime(2, LONG);
    let call = runtime.spawn_blocking(|| {
        let task = tress::spawn(async { 1 });
        let nested = spawn_blocking(|| 2);
        // A call has no turns, so it has no budget either.
        assert!((0..10_000).all(|_| coop::has_budget_remaining()));
        Handle::current().block_on(async {
            for _ in 0..1000 {
                coop::consume_budget().await;
            }
            task.await.unwrap() + nested.await.unwrap()
        })
    });
    assert_eq!(runtime.block_on(call).unwrap(), 3);
}

#[test]
fn do_not_hold_up_tasks() {
    let _watchdog = watchdog();
    let runtime = runtime(64, LONG);
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(std::sync::Mutex::new(released));
    for _ in 0..64 {
        let released = Arc::clone(&released);
        runtime.spawn_blocking(move || {
            let _ = released.lock().unwrap().recv();
        });
    }
    runtime.block_on(async {
        for _ in 0..100 {
            tress::spawn(async { tress::time::sleep(Duration::from_micros(100)).await }).await.unwrap();
        }
    });
    drop(release);
}

#[test]
fn storms_lose_none() {
    stress(|workers, random| {
        let most = 1 + random.below(8);
        let keep_alive = Duration::from_micros(random.below(300) as u64);
        let runtime = Builder::new()
            .worker_threads(workers)
            .max_blocking_threads(most)
            .thread_keep_alive(keep_alive)
            .build()
            .unwrap();
        let census = Census::default();
        for _ in 0..1 + random.below(5) {
            let calls: Vec<_> = (0..random.below(30))
                .map(|number| {
                    let (counted, pause) = (census.count(), random.below(100) as u64);
                    runtime.spawn_blocking(move || {
                        let _counted = counted;
                        thread::sleep(Duration::from_micros(pause));
                        number
                    })
                })
                .collect();
            if random.once_in(2) {
                for (number, call) in calls.into_iter().enumerate() {
                    assert_eq!(support::block_on_foreign(call).unwrap(), number);
                }
            }
            // Sometimes just as the threads are about to end.
            thread::sleep(Duration::from_micros(random.below(300) as u64));
        }
        drop(runtime);
        assert_eq!(census.alive(), 0);
    });
}
