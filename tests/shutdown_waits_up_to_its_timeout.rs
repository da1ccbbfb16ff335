//! A shutdown waits for polls and blocking calls that do not end, but only up to its timeout, and names them.

mod support;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::{Census, wait_until, watchdog};
use tress::Builder;

const SHORT: Duration = Duration::from_millis(100);

/// Loose, for machines that are busy; what matters is that nothing waits for the stuck poll.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn drop_returns_while_a_poll_goes_on() {
    let _watchdog = watchdog();
    let runtime = Builder::new().worker_threads(2).shutdown_timeout(SHORT).build().unwrap();
    let census = Census::default();
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let counted = census.count();
    let stuck = runtime.spawn(async move {
        let _counted = counted;
        started.send(()).unwrap();
        let _ = released.recv();
        std::future::pending::<()>().await;
    });
    let parked = census.count();
    runtime.spawn(async move {
        let _parked = parked;
        std::future::pending::<()>().await;
    });
    has_started.recv().unwrap();
    let before = Instant::now();
    drop(runtime);
    let took = before.elapsed();
    assert!(took >= SHORT && took < SOON, "{took:?}");
    // The parked task is gone, the stuck one is left to itself.
    assert_eq!(census.alive(), 1);
    assert!(!stuck.is_finished());
    drop(release);
    census.wait_until_empty();
    assert!(support::block_on_foreign(stuck).unwrap_err().is_aborted());
}

#[test]
fn shutdown_gives_the_names_of_stuck_tasks() {
    const STUCK: usize = 20;
    let _watchdog = watchdog();
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let ready = started.clone();
    let poll = async move {
        ready.send(()).unwrap();
        let _ = released.recv();
    };
    let named = tress::task::Builder::new().name("sweeper").spawn_on(poll, runtime.handle());
    let calls: Vec<_> = (0..STUCK).map(|_| mpsc::channel::<()>()).collect();
    let (ends, calls): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
    for call in calls {
        let started = started.clone();
        drop(runtime.spawn_blocking(move || {
            started.send(()).unwrap();
            let _ = call.recv();
        }));
    }
    for _ in 0..=STUCK {
        has_started.recv().unwrap();
    }
    let error = runtime.shutdown(SHORT).unwrap_err();
    drop((release, ends));
    assert_eq!(error.tasks().len(), STUCK + 1);
    assert_eq!(error.name(named.id()), Some("sweeper"));
    assert_eq!(error.tasks().iter().filter(|task| error.name(**task).is_some()).count(), 1);
    let text = error.to_string();
    assert!(text.contains(&format!("{} threads did not end", STUCK + 1)), "{text}");
    assert!(text.ends_with(" and 5 more"), "{text}");
    let error = std::io::Error::from(error);
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), text);
}

#[test]
fn shutdown_names_the_stuck_tasks() {
    let _watchdog = watchdog();
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let ready = started.clone();
    let stuck = runtime.spawn(async move {
        ready.send(()).unwrap();
        let _ = released.recv();
    });
    let (end_call, call_ended) = mpsc::channel::<()>();
    let call = runtime.spawn_blocking(move || {
        started.send(()).unwrap();
        let _ = call_ended.recv();
        5
    });
    let idle = runtime.spawn(std::future::pending::<()>());
    has_started.recv().unwrap();
    has_started.recv().unwrap();
    let handle = runtime.handle().clone();
    let before = Instant::now();
    let error = runtime.shutdown(SHORT).unwrap_err();
    assert!(before.elapsed() >= SHORT && before.elapsed() < SOON);
    let mut named = error.tasks().to_vec();
    let mut expected = [stuck.id(), call.id()];
    named.sort();
    expected.sort();
    assert_eq!(named, expected);
    assert_eq!(error.threads(), 2);
    let text = error.to_string();
    assert!(expected.iter().all(|id| text.contains(&id.to_string())), "{text}");
    assert!(support::block_on_foreign(idle).unwrap_err().is_aborted());
    drop((release, end_call));
    // A call that had begun ends in the usual way.
    assert_eq!(support::block_on_foreign(call).unwrap(), 5);
    wait_until(|| handle.metrics().live_tasks() == 0, "tasks were left");
}

#[test]
fn without_stuck_tasks_it_is_quick() {
    let _watchdog = watchdog();
    for workers in [1, 2, 16] {
        let runtime = Builder::new().worker_threads(workers).build().unwrap();
        for _ in 0..1000 {
            runtime.spawn(async {
                tress::time::sleep(Duration::from_secs(3600)).await;
            });
        }
        let call = runtime.spawn_blocking(|| std::thread::sleep(Duration::from_millis(50)));
        wait_until(|| runtime.handle().metrics().injected_tasks() == 0, "tasks were left in the queue");
        let before = Instant::now();
        runtime.shutdown(Duration::from_secs(60)).unwrap();
        assert!(before.elapsed() < SOON, "{:?}", before.elapsed());
        drop(call);
    }
}

#[test]
fn calls_that_have_not_begun_are_aborted() {
    let _watchdog = watchdog();
    let runtime = Builder::new().worker_threads(1).max_blocking_threads(1).build().unwrap();
    let (started, has_started) = mpsc::channel();
    let first = runtime.spawn_blocking(move || {
        started.send(()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    });
    has_started.recv().unwrap();
    let census = Census::default();
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let counted = census.count();
            runtime.spawn_blocking(move || drop(counted))
        })
        .collect();
    runtime.shutdown(Duration::from_secs(60)).unwrap();
    assert!(support::block_on_foreign(first).is_ok());
    for call in waiting {
        assert!(support::block_on_foreign(call).unwrap_err().is_aborted());
    }
    assert_eq!(census.alive(), 0);
}

#[test]
fn a_timeout_of_zero_only_looks() {
    let _watchdog = watchdog();
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    let census = Census::default();
    for _ in 0..100 {
        let counted = census.count();
        runtime.spawn(async move {
            let _counted = counted;
            std::future::pending::<()>().await;
        });
    }
    // Either answer is right: the workers may or may not have ended in time.
    let _ = runtime.shutdown(Duration::ZERO);
    census.wait_until_empty();
}

/// A thread in `block_on` runs tasks too.
#[test]
fn polls_on_other_threads_in_block_on_are_waited_for_and_named() {
    let _watchdog = watchdog();
    for patient in [false, true] {
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        let handle = runtime.handle().clone();
        let (started, has_started) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let guest = std::thread::spawn(move || {
            handle.block_on(async move {
                let stuck = tress::spawn(async move {
                    started.send((tress::task::id(), std::thread::current().id())).unwrap();
                    let _ = released.recv();
                });
                let _ = stuck.await;
            });
        });
        let (id, on) = has_started.recv().unwrap();
        if patient {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(300));
                drop(release);
            });
            runtime.shutdown(Duration::from_secs(100)).expect("the poll has ended by then");
        } else {
            let error = runtime.shutdown(SHORT).unwrap_err();
            assert_eq!(error.tasks(), [id], "it runs on {on:?}");
            drop(release);
        }
        guest.join().unwrap();
    }
}

/// The drop does not wait for the task that it is part of, wherever that runs.
#[test]
fn a_drop_in_a_task_on_a_thread_in_block_on_returns() {
    let _watchdog = watchdog();
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let handle = runtime.handle().clone();
    let before = Instant::now();
    handle.block_on(async move {
        let _ = tress::spawn(async move { drop(runtime) }).await;
    });
    assert!(before.elapsed() < SOON);
}

#[test]
fn nor_does_one_in_a_task_of_another_runtime_that_it_blocks_on() {
    let _watchdog = watchdog();
    let (outer, inner) = (Builder::new().worker_threads(1), Builder::new().worker_threads(1));
    let (outer, inner) = (outer.build().unwrap(), inner.build().unwrap());
    let handle = outer.handle().clone();
    let before = Instant::now();
    handle.block_on(async move {
        let task = tress::spawn(async move {
            let dropping = async move {
                let _ = tress::spawn(async move { drop(outer) }).await;
            };
            tress::task::block_in_place(|| inner.block_on(dropping));
        });
        let _ = task.await;
    });
    assert!(before.elapsed() < SOON);
}
