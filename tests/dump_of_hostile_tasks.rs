//! What a task does in a poll that is part of a dump counts as in any other poll; and dumps may be made from anywhere.

mod support;

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use support::{Census, runtime, wait_until, watchdog};
use tress::task::{self, JoinHandle, lazy, lazy_borrowed};
use tress::time::sleep;
use tress::trace::{self, State};
use tress::{Handle, Runtime};

/// Ready once it may be, but wakes nobody for that.
async fn when(may: Arc<AtomicBool>) {
    poll_fn(move |_| if may.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }).await;
}

fn wait_until_idle<T>(runtime: &Runtime, task: &JoinHandle<T>) {
    let is_idle = || {
        let tasks = trace::dump(runtime.handle()).tasks;
        tasks.iter().any(|dumped| dumped.id == task.id() && dumped.state == State::Idle)
    };
    wait_until(is_idle, "the task does not become idle");
}

#[test]
fn that_become_ready() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let may = Arc::new(AtomicBool::new(false));
    let task = runtime.spawn({
        let may = Arc::clone(&may);
        async move {
            when(may).await;
            7
        }
    });
    wait_until_idle(&runtime, &task);
    assert!(!task.is_finished());
    may.store(true, Ordering::Relaxed);
    let dump = trace::dump(runtime.handle());
    assert_eq!(dump.tasks[0].state, State::Ended, "{dump}");
    assert!(task.is_finished());
    assert_eq!(runtime.block_on(task).unwrap(), 7);
}

#[test]
fn that_become_ready_deep_down() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let may = Arc::new(AtomicBool::new(false));
    let task = runtime.spawn({
        let may = Arc::clone(&may);
        async move {
            // The frames above it are polled by a worker, and go on from there.
            let deep = lazy(async { lazy(when(may)).await });
            deep.await;
            sleep(Duration::from_millis(1)).await;
            lazy(async { 7 }).await
        }
    });
    wait_until_idle(&runtime, &task);
    may.store(true, Ordering::Relaxed);
    let _ = trace::dump(runtime.handle());
    assert_eq!(runtime.block_on(task).unwrap(), 7);
}

#[test]
fn that_go_on_to_something_new() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let may = Arc::new(AtomicBool::new(false));
    let began = Arc::new(AtomicUsize::new(0));
    let task = runtime.spawn({
        let (may, began) = (Arc::clone(&may), Arc::clone(&began));
        async move {
            when(may).await;
            for _ in 0..3 {
                let (ours, frame) = (Arc::clone(&began), Arc::clone(&began));
                ours.fetch_add(1, Ordering::Relaxed);
                lazy(async move { frame.fetch_add(1, Ordering::Relaxed) }).await;
                lazy_borrowed(async { began.fetch_add(1, Ordering::Relaxed) }).await;
                sleep(Duration::from_millis(1)).await;
                tress::spawn(async {}).await.unwrap();
            }
        }
    });
    wait_until_idle(&runtime, &task);
    may.store(true, Ordering::Relaxed);
    let _ = trace::dump(runtime.handle());
    runtime.block_on(task).unwrap();
    assert_eq!(began.load(Ordering::Relaxed), 9);
}

#[test]
fn that_panic() {
    let _watchdog = watchdog();
    support::without_panic_messages(|| {
        let runtime = runtime(2);
        let census = Census::default();
        let may = Arc::new(AtomicBool::new(false));
        let panicking = |is_deep: bool| {
            let (may, counted) = (Arc::clone(&may), census.count());
            let panics = async move {
                let _counted = counted;
                when(may).await;
                panic!("expected: in a dump");
            };
            runtime.spawn(async move { if is_deep { lazy(panics).await } else { panics.await } })
        };
        let tasks = [panicking(false), panicking(true)];
        for task in &tasks {
            wait_until_idle(&runtime, task);
        }
        may.store(true, Ordering::Relaxed);
        let _ = trace::dump(runtime.handle());
        for task in tasks {
            let error = runtime.block_on(task).unwrap_err();
            assert_eq!(support::panic_text(error), "expected: in a dump");
        }
        census.wait_until_empty();
    });
}

#[test]
fn that_make_dumps_themselves() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    runtime.spawn(pending::<()>());
    let (dump, id) =
        runtime.block_on(runtime.spawn(async { (trace::dump(&Handle::current()), task::id()) })).unwrap();
    let own = dump.tasks.iter().find(|task| task.id == id).expect("it sees itself");
    assert_eq!(own.state, State::Running);
    assert!(own.frames.is_empty());
    assert!(dump.tasks.iter().any(|task| task.state == State::Idle), "{dump}");

    // In each of its polls, also in those that are part of a dump.
    let seen = Arc::new(AtomicUsize::new(0));
    let dumping = runtime.spawn({
        let seen = Arc::clone(&seen);
        poll_fn(move |_| {
            let dump = trace::dump(&Handle::current());
            seen.fetch_add(dump.tasks.len(), Ordering::Relaxed);
            Poll::<()>::Pending
        })
    });
    wait_until_idle(&runtime, &dumping);
    let before = seen.load(Ordering::Relaxed);
    let dump = trace::dump(runtime.handle());
    assert_eq!(dump.tasks.len(), 2, "{dump}");
    assert_eq!(seen.load(Ordering::Relaxed), before + 2);
}

#[test]
fn that_use_their_runtime() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let may = Arc::new(AtomicBool::new(false));
    let task = runtime.spawn({
        let may = Arc::clone(&may);
        async move {
            when(may).await;
            assert!(task::try_id().is_some());
            let child = tress::spawn(async { task::id() });
            let timer = sleep(Duration::from_millis(1));
            timer.await;
            child.await.unwrap()
        }
    });
    wait_until_idle(&runtime, &task);
    may.store(true, Ordering::Relaxed);
    // On a thread that belongs to another runtime.
    let other = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    other.block_on(async move { trace::dump(&handle) });
    runtime.block_on(task).unwrap();
    assert_eq!(other.handle().metrics().spawned_tasks(), 0);
}

#[test]
fn that_have_been_shut_down() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle().clone();
    runtime.spawn(pending::<()>());
    runtime.shutdown(Duration::from_secs(10)).unwrap();
    assert!(trace::dump(&handle).tasks.is_empty());
}

#[test]
fn that_have_hostile_names() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let names = ["\"},{\"id\":0", "\\", "\0\x01\x1f\x7f\n\r\t", "\u{2028}\u{1f980}é", "</script>", ""];
    for name in names {
        task::Builder::new().name(name).spawn_on(lazy(sleep(Duration::from_secs(600))), runtime.handle());
    }
    let mut dump = trace::dump(runtime.handle());
    wait_until(
        || {
            dump = trace::dump(runtime.handle());
            dump.tasks.iter().all(|task| task.state == State::Idle)
        },
        "the tasks do not become idle",
    );
    let json: serde_json::Value = serde_json::from_str(&dump.to_json()).expect("it is JSON");
    let tasks = json["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), names.len());
    for (task, name) in tasks.iter().zip(names) {
        assert_eq!(task["name"], name);
        assert_eq!(task["state"], "idle");
        assert!(task["age"].is_f64() && task["polls"].is_u64() && task["busy"].is_null());
        assert_eq!(task["spawned_at"]["file"], file!());
        assert_eq!(task["frames"][0]["parent"], serde_json::Value::Null);
        assert_eq!(task["frames"][1]["parent"], 0);
        assert_eq!(task["frames"][1]["waits"][0]["what"], "sleep");
        assert_eq!(task["frames"][1]["waits"][0]["location"]["file"], file!());
    }
    // Each name stays in its line.
    assert_eq!(dump.to_string().lines().filter(|line| line.starts_with("task ")).count(), names.len());
}
