//! A runtime may be dropped wherever a value can be: in its own tasks, in another runtime's, in blocking calls, in drops.

mod support;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::{Census, runtime, stress, wait_until, watchdog};
use tress::task::{block_in_place, spawn_blocking, yield_now};
use tress::{Builder, Handle, Runtime};

const SOON: Duration = Duration::from_secs(10);

/// A runtime with a few tasks that are counted, in states of several kinds.
fn populated(workers: usize, census: &Census) -> Runtime {
    let runtime = runtime(workers);
    for kind in 0..9 {
        let counted = census.count();
        runtime.spawn(async move {
            let _counted = counted;
            match kind % 3 {
                0 => std::future::pending().await,
                1 => tress::time::sleep(Duration::from_secs(3600)).await,
                _ => loop {
                    yield_now().await;
                },
            }
        });
    }
    runtime
}

fn assert_gone(handle: &Handle, census: &Census) {
    census.wait_until_empty();
    wait_until(|| handle.metrics().live_tasks() == 0, "tasks were left");
}

#[test]
fn in_its_own_task() {
    let _watchdog = watchdog();
    for workers in [1, 2, 4] {
        let census = Census::default();
        let runtime = populated(workers, &census);
        let handle = runtime.handle().clone();
        let (send, receive) = mpsc::channel();
        let counted = census.count();
        handle.spawn(async move {
            let _counted = counted;
            drop(runtime);
            // The poll goes on; the task is dropped at its next await.
            send.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        receive.recv_timeout(SOON).expect("the drop waits for its own task");
        assert_gone(&handle, &census);
    }
}

#[test]
fn in_the_drop_of_its_own_task() {
    let _watchdog = watchdog();
    for workers in [1, 2] {
        let census = Census::default();
        let runtime = populated(workers, &census);
        let handle = runtime.handle().clone();
        let counted = census.count();
        let task = handle.spawn(async move {
            let _held = (runtime, counted);
            std::future::pending::<()>().await;
        });
        std::thread::sleep(Duration::from_millis(5));
        task.abort();
        assert_gone(&handle, &census);
    }
}

#[test]
fn as_the_output_of_its_own_task() {
    let _watchdog = watchdog();
    let census = Census::default();
    let runtime = populated(2, &census);
    let handle = runtime.handle().clone();
    drop(handle.spawn(async move { runtime }));
    assert_gone(&handle, &census);
}

#[test]
fn in_its_own_block_on() {
    let _watchdog = watchdog();
    let census = Census::default();
    let runtime = populated(2, &census);
    let handle = runtime.handle().clone();
    handle.block_on(async move {
        tress::spawn(async {}).await.unwrap();
        drop(runtime);
        assert!(tress::spawn(async {}).await.unwrap_err().is_refused());
        // Timers go on working without it.
        tress::time::sleep(Duration::from_millis(2)).await;
    });
    assert_gone(&handle, &census);
}

#[test]
fn in_a_blocking_call_of_its_own() {
    let _watchdog = watchdog();
    let census = Census::default();
    let runtime = populated(2, &census);
    let handle = runtime.handle().clone();
    let (send, receive) = mpsc::channel();
    handle.spawn_blocking(move || {
        drop(runtime);
        send.send(()).unwrap();
    });
    receive.recv_timeout(SOON).expect("the drop waits for its own call");
    assert_gone(&handle, &census);

    let runtime = populated(2, &census);
    let handle = runtime.handle().clone();
    let (send, receive) = mpsc::channel();
    handle.spawn(async move {
        block_in_place(|| drop(runtime));
        send.send(()).unwrap();
    });
    receive.recv_timeout(SOON).expect("the drop waits for the task that it is part of");
    assert_gone(&handle, &census);
}

#[test]
fn as_the_output_of_its_own_blocking_call() {
    let _watchdog = watchdog();
    let census = Census::default();
    let runtime = populated(2, &census);
    let handle = runtime.handle().clone();
    let before = Instant::now();
    drop(handle.spawn_blocking(move || runtime));
    assert_gone(&handle, &census);
    assert!(before.elapsed() < SOON / 2, "the thread waited for itself");
}

#[test]
fn in_a_blocking_call_of_its_own_that_is_aborted() {
    let _watchdog = watchdog();
    let census = Census::default();
    let runtime = Builder::new().worker_threads(1).max_blocking_threads(1).build().unwrap();
    let handle = runtime.handle().clone();
    let (send, receive) = mpsc::channel::<()>();
    drop(handle.spawn_blocking(move || receive.recv()));
    let counted = census.count();
    let call = handle.spawn_blocking(move || drop((runtime, counted)));
    call.abort();
    let before = Instant::now();
    drop(send);
    assert_gone(&handle, &census);
    assert!(before.elapsed() < SOON / 2, "the thread waited for itself");
}

#[test]
fn in_another_runtimes_task() {
    let _watchdog = watchdog();
    let outer = runtime(2);
    let census = Census::default();
    let inner = populated(2, &census);
    let handle = inner.handle().clone();
    let dropping = outer.spawn(async move { drop(inner) });
    outer.block_on(dropping).unwrap();
    assert_eq!(census.alive(), 0);
    assert_gone(&handle, &census);

    let inner = populated(2, &census);
    let handle = inner.handle().clone();
    outer.block_on(async { spawn_blocking(move || drop(inner)).await.unwrap() });
    assert_eq!(census.alive(), 0);
    assert_gone(&handle, &census);
}

/// Each holds the other: neither drop may wait for ever.
#[test]
fn in_each_others_tasks() {
    let _watchdog = watchdog();
    let (one_census, other_census) = (Census::default(), Census::default());
    let build =
        || Builder::new().worker_threads(2).shutdown_timeout(Duration::from_millis(500)).build().unwrap();
    let (one, other) = (build(), build());
    let (one_handle, other_handle) = (one.handle().clone(), other.handle().clone());
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(2));
    let (counted, meet) = (one_census.count(), std::sync::Arc::clone(&barrier));
    one_handle.spawn(async move {
        let _counted = counted;
        meet.wait();
        drop(other);
    });
    let counted = other_census.count();
    other_handle.spawn(async move {
        let _counted = counted;
        barrier.wait();
        drop(one);
    });
    assert_gone(&one_handle, &one_census);
    assert_gone(&other_handle, &other_census);
}

#[test]
fn with_an_entered_handle_and_after_its_handles() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let guard = runtime.enter();
    drop(runtime);
    assert!(support::block_on_foreign(tress::spawn(async {})).unwrap_err().is_refused());
    drop(guard);
    assert!(Handle::try_current().is_err());
}

#[test]
fn many_one_after_the_other() {
    stress(|workers, random| {
        let started = Instant::now();
        let census = Census::default();
        let runtime = populated(workers, &census);
        let handle = runtime.handle().clone();
        match random.below(4) {
            0 => drop(runtime),
            1 => drop(handle.spawn(async move { drop(runtime) })),
            2 => drop(handle.spawn_blocking(move || drop(runtime))),
            _ => drop(handle.spawn(async move {
                let _runtime = runtime;
                yield_now().await;
            })),
        }
        census.wait_until_empty();
        assert!(started.elapsed() < SOON, "a shutdown took {:?}", started.elapsed());
    });
}
