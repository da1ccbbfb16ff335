//! A dump of a hundred thousand idle tasks takes seconds at most, leaves them as they are, and so does one beside it.

mod support;

use std::time::{Duration, Instant};

use support::{runtime, wait_until, watchdog};
use tress::task::lazy;
use tress::time::sleep;
use tress::trace::{self, Dump, State};

const TASKS: usize = 100_000;

fn idle(dump: &Dump) -> usize {
    dump.tasks.iter().filter(|task| task.state == State::Idle && task.frames.len() == 2).count()
}

#[test]
fn takes_a_reasonable_time() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for _ in 0..TASKS {
        runtime.spawn(async { lazy(sleep(Duration::from_secs(600))).await });
    }
    let mut polls = 0;
    let all_idle = || {
        let dump = trace::dump(runtime.handle());
        polls = dump.tasks.iter().map(|task| u64::from(task.polls)).sum();
        idle(&dump) == TASKS
    };
    wait_until(all_idle, "the tasks do not become idle");

    let start = Instant::now();
    let dump = trace::dump(runtime.handle());
    let elapsed = start.elapsed();
    println!("{elapsed:?} for {TASKS} tasks");
    assert!(elapsed < Duration::from_secs(10));
    assert_eq!(idle(&dump), TASKS);

    // Two dumps at once: whatever one of them is looking at, the other sees running.
    let both = std::thread::scope(|scope| {
        let dumps = [(); 2].map(|()| scope.spawn(|| trace::dump(runtime.handle())));
        dumps.map(|dump| dump.join().unwrap())
    });
    assert!(both.iter().all(|dump| dump.tasks.len() == TASKS));
    assert!(both.iter().map(idle).sum::<usize>() >= TASKS);

    // Nobody was woken by it.
    let dump = trace::dump(runtime.handle());
    assert_eq!(idle(&dump), TASKS);
    assert_eq!(dump.tasks.iter().map(|task| u64::from(task.polls)).sum::<u64>(), polls);
}
