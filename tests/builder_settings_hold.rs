//! Each setting of the builder does what it says, or names itself when it cannot.

mod support;

use std::collections::HashSet;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use support::{runtime, wait_until, watchdog, without_panic_messages};
use tress::Builder;
use tress::task::yield_now;

#[test]
fn wrong_ones_are_named() {
    let wrong = [
        ("worker_threads", Builder::new().worker_threads(0)),
        ("worker_threads", Builder::new().worker_threads(Builder::MAX_WORKERS + 1)),
        ("worker_threads", Builder::new().worker_threads(usize::MAX)),
        ("queue_interval", Builder::new().queue_interval(0)),
        ("event_interval", Builder::new().event_interval(0)),
        ("thread_stack_size", Builder::new().thread_stack_size(0)),
        ("thread_stack_size", Builder::new().thread_stack_size(usize::MAX)),
        ("max_blocking_threads", Builder::new().max_blocking_threads(0)),
    ];
    for (name, builder) in wrong {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let text = error.to_string();
        assert!(text.starts_with(name) && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn a_stack_that_cannot_be_had_is_an_error() {
    let _watchdog = watchdog();
    // More than an address space has: whichever way the system refuses, nothing is left behind.
    let refused = Builder::new().worker_threads(4).thread_stack_size(usize::MAX / 4).build();
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("thread_stack_size"), "{error}");
}

#[test]
fn as_many_workers_as_asked_for() {
    let _watchdog = watchdog();
    for workers in [1, 3, 100] {
        let runtime = runtime(workers);
        assert_eq!(runtime.handle().metrics().workers().len(), workers);
        assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
    }
    let default = tress::Runtime::new().unwrap();
    assert!(!default.handle().metrics().workers().is_empty());
}

/// The names of the threads that run tasks, when as many tasks as workers have to run at once.
fn names(runtime: &tress::Runtime, workers: usize) -> HashSet<String> {
    let meeting = Arc::new(Barrier::new(workers));
    let tasks: Vec<_> = (0..workers)
        .map(|_| {
            let meeting = Arc::clone(&meeting);
            runtime.spawn(async move {
                meeting.wait();
                std::thread::current().name().unwrap().to_owned()
            })
        })
        .collect();
    tasks.into_iter().map(|task| support::block_on_foreign(task).unwrap()).collect()
}

#[test]
fn names_of_threads() {
    let _watchdog = watchdog();
    let build = |builder: Builder| builder.worker_threads(3).build().unwrap();
    let set = |names: [&str; 3]| names.map(str::to_owned).into_iter().collect::<HashSet<_>>();
    let runtime = build(Builder::new());
    assert_eq!(names(&runtime, 3), set(["tress-worker-0", "tress-worker-1", "tress-worker-2"]));
    let runtime = build(Builder::new().thread_name("w"));
    assert_eq!(names(&runtime, 3), set(["w-0", "w-1", "w-2"]));
    let runtime = build(Builder::new().thread_name_fn(|index| ["a", "b", "c"][index].to_owned()));
    assert_eq!(names(&runtime, 3), set(["a", "b", "c"]));
    let blocking = runtime.spawn_blocking(|| std::thread::current().name().unwrap().to_owned());
    assert!(runtime.block_on(blocking).unwrap().starts_with("tress-blocking-"));
}

#[test]
fn pinning_does_not_fail() {
    let _watchdog = watchdog();
    // More workers than cores share them.
    for workers in [1, 2, 16] {
        let runtime = Builder::new().worker_threads(workers).pin_workers(true).build().unwrap();
        let tasks: Vec<_> = (0..100).map(|number| runtime.spawn(async move { number })).collect();
        let sum: i32 = tasks.into_iter().map(|task| runtime.block_on(task).unwrap()).sum();
        assert_eq!(sum, 4950);
    }
}

#[test]
fn hooks_are_called() {
    let _watchdog = watchdog();
    let counts: [Arc<AtomicUsize>; 4] = Default::default();
    let names: Arc<Mutex<HashSet<String>>> = Arc::default();
    let count = |place: usize| {
        let count = Arc::clone(&counts[place]);
        move || {
            count.fetch_add(1, Ordering::SeqCst);
        }
    };
    let started = Arc::clone(&names);
    let first = count(0);
    let runtime = Builder::new()
        .worker_threads(3)
        .on_thread_start(move || {
            started.lock().unwrap().insert(std::thread::current().name().unwrap().to_owned());
            first();
        })
        .on_thread_stop(count(1))
        .on_thread_park(count(2))
        .on_thread_unpark(count(3))
        .build()
        .unwrap();
    runtime.block_on(async {
        for _ in 0..3 {
            tress::time::sleep(Duration::from_millis(5)).await;
            yield_now().await;
        }
    });
    let read = |place: usize| counts[place].load(Ordering::SeqCst);
    wait_until(|| read(0) == 3 && read(2) > 0 && read(3) > 0, "hooks were not called");
    assert_eq!(read(1), 0);
    drop(runtime);
    assert_eq!((read(0), read(1)), (3, 3));
    assert_eq!(read(2), read(3), "each sleep ends");
    assert_eq!(names.lock().unwrap().len(), 3);
}

#[test]
fn hooks_that_panic_do_no_harm() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let hook = || panic!("expected: a hook");
        let runtime = Builder::new()
            .worker_threads(2)
            .on_thread_start(hook)
            .on_thread_stop(hook)
            .on_thread_park(hook)
            .on_thread_unpark(hook)
            .build()
            .unwrap();
        let sleeping = runtime.spawn(async { tress::time::sleep(Duration::from_millis(5)).await });
        runtime.block_on(sleeping).unwrap();
        runtime.shutdown(Duration::from_secs(60)).unwrap();
    });
}

#[test]
fn intervals_of_one_and_of_millions_work() {
    let _watchdog = watchdog();
    for interval in [1, u32::MAX] {
        let runtime = Builder::new()
            .worker_threads(2)
            .queue_interval(interval)
            .event_interval(interval)
            .build()
            .unwrap();
        let tasks: Vec<_> = (0..500)
            .map(|number| {
                runtime.spawn(async move {
                    yield_now().await;
                    tress::time::sleep(Duration::from_millis(number % 3)).await;
                })
            })
            .collect();
        for task in tasks {
            runtime.block_on(task).unwrap();
        }
    }
}
