//! Tasks of tress alone, for a look at a change while working on it. Comparisons are the business of the `peers` binary.
//!
//! ```text
//! cargo bench -p tress-bench --bench tasks             # measure
//! cargo bench -p tress-bench --bench tasks -- --test   # run each once
//! ```

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_channel::oneshot;
use tress::{Builder, Runtime};

fn spawn(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("spawn");
    group.throughput(Throughput::Elements(TASKS));
    group.bench_function("join a batch", |bencher| {
        bencher.iter(|| {
            on_worker(&runtime, async {
                let tasks: Vec<_> = (0..TASKS).map(|_| tress::spawn(async {})).collect();
                for task in tasks {
                    task.await.expect("the task does not panic");
                }
            })
        });
    });
    group.bench_function("join one by one", |bencher| {
        bencher.iter(|| {
            on_worker(&runtime, async {
                for _ in 0..TASKS {
                    tress::spawn(async {}).await.expect("the task does not panic");
                }
            })
        });
    });
    group.finish();
}

fn yield_now(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("yield");
    group.throughput(Throughput::Elements(YIELDS));
    group.bench_function("alone", |bencher| {
        bencher.iter(|| {
            on_worker(&runtime, async {
                for _ in 0..YIELDS {
                    tress::task::yield_now().await;
                }
            })
        });
    });
    group.finish();
}

fn wake(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("wake");
    group.throughput(Throughput::Elements(TASKS));
    group.bench_function("across a oneshot", |bencher| {
        bencher.iter(|| {
            on_worker(&runtime, async {
                for _ in 0..TASKS {
                    let (sender, receiver) = oneshot::channel();
                    tress::spawn(async move { sender.send(()).expect("the receiver waits") });
                    receiver.await.expect("the task sends");
                }
            })
        });
    });
    group.finish();
}

fn runtime() -> Runtime {
    Builder::new().worker_threads(2).build().expect("the runtime starts")
}

/// Runs on a worker, where most programs spawn, and not on the thread that waits.
fn on_worker(runtime: &Runtime, future: impl Future<Output = ()> + Send + 'static) {
    runtime.block_on(async { tress::spawn(future).await }).expect("the task does not panic");
}

const TASKS: u64 = 1000;
const YIELDS: u64 = 1000;

criterion_group!(benches, spawn, yield_now, wake);
criterion_main!(benches);
