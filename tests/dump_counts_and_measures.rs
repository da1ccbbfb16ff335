//! What a dump says of a task beside its frames: name, age, polls, busy time, and the line that spawned it.

mod support;

use std::time::Duration;

use support::{burn, runtime, wait_until, watchdog};
use tress::task::{self, lazy, yield_now};
use tress::time::sleep;
use tress::trace::{self, State, TaskDump};
use tress::{Builder, Runtime};

fn only_task(runtime: &Runtime) -> TaskDump {
    let mut tasks = Vec::new();
    wait_until(
        || {
            tasks = trace::dump(runtime.handle()).tasks;
            tasks.iter().all(|task| task.state == State::Idle)
        },
        "the task does not become idle",
    );
    assert_eq!(tasks.len(), 1);
    tasks.remove(0)
}

async fn work() {
    for _ in 0..9 {
        burn(Duration::from_millis(1));
        yield_now().await;
    }
    lazy(sleep(Duration::from_secs(600))).await;
}

#[test]
fn one_of_each_is_said_in_the_singular() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    runtime.spawn(sleep(Duration::from_secs(600)));
    assert!(only_task(&runtime).to_string().contains(": idle, 1 poll,"));
    let mut dump = trace::dump(runtime.handle());
    assert!(dump.to_string().starts_with("1 task\n"), "{dump}");
    dump.tasks.clear();
    assert_eq!(dump.to_string(), "0 tasks\n");
}

#[test]
fn of_a_plain_task() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    // On a worker, which knows the time.
    runtime.spawn(async { drop(tress::spawn(work())) });
    std::thread::sleep(Duration::from_millis(50));
    let task = only_task(&runtime);
    assert_eq!((task.name.as_deref(), task.busy, task.spawned_at), (None, None, None));
    assert_eq!(task.polls, 10);
    let age = task.age.expect("it was spawned on a worker");
    assert!(Duration::from_millis(10) < age && age < Duration::from_secs(60), "{age:?}");
    let later = only_task(&runtime);
    assert_eq!(later.polls, 10, "dumps do not count");
}

#[test]
fn of_a_task_that_was_spawned_elsewhere() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    std::thread::sleep(Duration::from_millis(300));
    runtime.spawn(sleep(Duration::from_secs(600)));
    let age = only_task(&runtime).age.expect("it has been polled");
    // Not since its worker fell asleep.
    assert!(age < Duration::from_millis(250), "{age:?}");
}

#[test]
fn of_a_named_task() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let line = line!() + 1;
    task::Builder::new().name("worker of mine").spawn_on(work(), runtime.handle());
    let task = only_task(&runtime);
    assert_eq!(task.name.as_deref(), Some("worker of mine"));
    let location = task.spawned_at.expect("it has a name");
    assert_eq!((location.file(), location.line()), (file!(), line));
    assert_eq!(task.busy, None);
    assert_eq!(task.frames.len(), 2, "{task}");

    let inside = runtime.spawn(async {
        task::Builder::new().name("of the current runtime").spawn(async {}).await.unwrap();
    });
    runtime.block_on(inside).unwrap();
}

#[test]
fn of_a_measured_task() {
    let _watchdog = watchdog();
    let runtime = Builder::new().worker_threads(2).measure_tasks(true).build().unwrap();
    let line = line!() + 1;
    runtime.spawn(work());
    let task = only_task(&runtime);
    let location = task.spawned_at.expect("the runtime measures tasks");
    assert_eq!((location.file(), location.line()), (file!(), line));
    let busy = task.busy.expect("the runtime measures tasks");
    assert!(Duration::from_millis(9) <= busy && busy < Duration::from_secs(5), "{busy:?}");
    assert!(task.to_string().contains(" busy, spawned at "), "{task}");
}
