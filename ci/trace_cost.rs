//! What `ci/trace-cost.sh` counts the instructions of: `trace_cost <workload> <operations>`.
//!
//! One worker does all of it, so that the same instructions are run each time.

use std::env;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::mpsc;

use tress::Builder;
use tress::task::{lazy, yield_now};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [workload, operations] = &arguments[..] else { return usage() };
    let Ok(operations) = operations.parse() else { return usage() };
    match workload.as_str() {
        "spawn_join" => run(spawn_join(operations)),
        "lazy_call" => run(lazy_call(operations)),
        "lazy_pending" => run(lazy_pending(operations)),
        "yield" => run(yields(operations)),
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: trace_cost spawn_join|lazy_call|lazy_pending|yield <operations>");
    ExitCode::FAILURE
}

/// Runs it on the worker. This thread only waits: in `block_on` it would run tasks, too.
fn run(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = Builder::new().worker_threads(1).build().expect("a runtime can be built");
    let (ended, end) = mpsc::channel();
    drop(runtime.spawn(async move {
        work.await;
        ended.send(()).expect("somebody waits");
    }));
    end.recv().expect("the task does not panic");
}

/// Empty tasks, one by one: in batches, it would be chance how often the joiner finds one that has not ended.
async fn spawn_join(operations: u64) {
    for _ in 0..operations {
        tress::spawn(async {}).await.expect("the task does not panic");
    }
}

/// Frames whose futures are ready at once.
async fn lazy_call(operations: u64) {
    for number in 0..operations {
        black_box(lazy(async move { black_box(number) }).await);
    }
}

/// Frames that wait once.
async fn lazy_pending(operations: u64) {
    for number in 0..operations {
        let frame = lazy(async move {
            yield_now().await;
            black_box(number)
        });
        black_box(frame.await);
    }
}

/// Turns of a task.
async fn yields(operations: u64) {
    for _ in 0..operations {
        yield_now().await;
    }
}
