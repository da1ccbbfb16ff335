//! A join handle gives the output once, to whatever executor awaits it; dropping it detaches; aborting works in every state.

mod support;

use std::sync::mpsc;
use std::time::Duration;

use support::{Census, block_on_foreign, runtime, wait_until, watchdog};
use tress::future::{FutureExt, join_all};
use tress::task::{self, JoinHandle, yield_now};
use tress::{Builder, Handle};

#[test]
fn are_awaited_by_foreign_executors() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            runtime.spawn(async move {
                tress::time::sleep(Duration::from_millis(number % 5)).await;
                number
            })
        })
        .collect();
    let outputs = block_on_foreign(join_all(tasks));
    assert!(outputs.into_iter().map(Result::unwrap).eq(0..100));
    // By another runtime.
    let task = runtime.spawn(async { "over there" });
    let other = support::runtime(1);
    assert_eq!(other.block_on(other.spawn(task)).unwrap().unwrap(), "over there");
}

#[test]
fn can_be_awaited_by_reference_and_moved_between_wakers() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let mut task = runtime.spawn(async {
        tress::time::sleep(Duration::from_millis(20)).await;
        3
    });
    assert!((&mut task).now_or_never().is_none());
    assert!((&mut task).now_or_never().is_none());
    assert!(runtime.block_on(tress::time::timeout(Duration::from_millis(1), &mut task)).is_err());
    assert_eq!(std::thread::spawn(move || block_on_foreign(task)).join().unwrap().unwrap(), 3);
}

#[test]
fn detach_when_dropped() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (send, receive) = mpsc::channel();
    drop(runtime.spawn(async move {
        yield_now().await;
        tress::time::sleep(Duration::from_millis(2)).await;
        send.send(9).unwrap();
    }));
    assert_eq!(receive.recv_timeout(Duration::from_secs(10)).unwrap(), 9);
}

#[test]
fn say_whether_the_task_is_finished() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let (send, receive) = mpsc::channel::<()>();
    let mut task = runtime.spawn_blocking(move || receive.recv());
    assert!(!task.is_finished());
    assert!(format!("{task:?}").contains("finished: false"));
    send.send(()).unwrap();
    wait_until(|| task.is_finished(), "the call has returned");
    assert!((&mut task).now_or_never().unwrap().unwrap().is_ok());
    assert!(task.is_finished());
}

#[test]
#[should_panic(expected = "after it had given its output")]
fn give_the_output_once() {
    let runtime = runtime(1);
    let mut task = runtime.spawn(async {});
    assert!(runtime.block_on(&mut task).is_ok());
    let _ = runtime.block_on(&mut task);
}

#[test]
fn know_their_task() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let task = runtime.spawn(async { task::id() });
    let (id, abort) = (task.id(), task.abort_handle());
    assert_eq!(abort.id(), id);
    assert_eq!(runtime.block_on(task).unwrap(), id);
    assert_ne!(runtime.spawn(async {}).id(), id);
    assert!(task::try_id().is_none());
}

/// One worker that is held, so that what is spawned stays queued.
fn held_worker() -> (tress::Runtime, mpsc::Sender<()>) {
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel();
    runtime.spawn(async move {
        started.send(()).unwrap();
        let _ = released.recv();
    });
    has_started.recv().unwrap();
    (runtime, release)
}

fn assert_aborted<T: std::fmt::Debug>(task: JoinHandle<T>) {
    let error = block_on_foreign(task).unwrap_err();
    assert!(error.is_aborted() && error.is_cancelled() && !error.is_panic(), "{error:?}");
}

#[test]
fn abort_a_queued_task() {
    let _watchdog = watchdog();
    let census = Census::default();
    let (runtime, release) = held_worker();
    let counted = census.count();
    let task = runtime.spawn(async move {
        drop(counted);
        panic!("it was aborted before it began");
    });
    task.abort();
    task.abort();
    drop(release);
    assert_aborted::<()>(task);
    assert_eq!(census.alive(), 0);
}

#[test]
fn abort_a_parked_task() {
    let _watchdog = watchdog();
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let census = Census::default();
        let counted = census.count();
        let task = runtime.spawn(async move {
            let _counted = counted;
            tress::time::sleep(Duration::from_secs(3600)).await;
        });
        wait_until(|| runtime.handle().metrics().injected_tasks() == 0, "it was not taken");
        std::thread::sleep(Duration::from_millis(5));
        task.abort_handle().abort();
        assert_aborted(task);
        assert_eq!(census.alive(), 0);
    }
}

#[test]
fn abort_a_running_task_at_its_next_await() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (passed, has_passed) = mpsc::channel();
    let task = runtime.spawn(async move {
        started.send(()).unwrap();
        let _ = released.recv();
        passed.send(()).unwrap();
        yield_now().await;
        unreachable!("it was aborted");
    });
    has_started.recv().unwrap();
    task.abort();
    assert!(!task.is_finished());
    drop(release);
    assert_aborted::<()>(task);
    assert!(has_passed.recv().is_ok());
}

/// An abort that comes during the last poll comes too late.
#[test]
fn abort_a_task_in_its_last_poll_or_later() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let task = runtime.spawn(async move {
        started.send(()).unwrap();
        let _ = released.recv();
        8
    });
    has_started.recv().unwrap();
    task.abort();
    drop(release);
    assert_eq!(block_on_foreign(task).unwrap(), 8);

    let task = runtime.spawn(async { 9 });
    wait_until(|| task.is_finished(), "the task did not end");
    task.abort();
    assert_eq!(block_on_foreign(task).unwrap(), 9);
}

#[test]
fn abort_oneself() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (send, receive) = mpsc::channel::<task::AbortHandle>();
    let task = runtime.spawn(async move {
        receive.recv().unwrap().abort();
        std::future::pending::<()>().await;
    });
    send.send(task.abort_handle()).unwrap();
    assert_aborted(task);
}

#[test]
fn abort_a_blocking_call_only_before_it_begins() {
    let _watchdog = watchdog();
    let runtime = Builder::new().worker_threads(1).max_blocking_threads(1).build().unwrap();
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let first = runtime.spawn_blocking(move || {
        started.send(()).unwrap();
        let _ = released.recv();
        4
    });
    let second = runtime.spawn_blocking(|| panic!("it was aborted before it began"));
    has_started.recv().unwrap();
    first.abort();
    second.abort();
    drop(release);
    assert_eq!(block_on_foreign(first).unwrap(), 4);
    assert_aborted::<()>(second);
}

#[test]
fn are_send_and_sync_and_unpin() {
    use std::panic::{RefUnwindSafe, UnwindSafe};
    fn check<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + 'static>() {}
    check::<JoinHandle<u8>>();
    check::<task::AbortHandle>();
    check::<Handle>();
    check::<tress::Runtime>();
    fn error<T: std::error::Error + Send + Sync + 'static>() {}
    error::<task::JoinError>();
}
