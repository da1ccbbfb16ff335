//! On the executors of others, tokio and async-executor (smol's), a `Lazy` is a boxed future, and what waits between tasks works
//! as in ours: joins, calls of actors, strands, channels, timers and stops.

mod leaves;
mod support;

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use async_executor::Executor;
use futures_channel::oneshot;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use leaves::{Gate, poll_once};
use support::{Census, Pend, block_on_foreign, runtime, wait_until, watchdog, without_panic_messages};
use tress::env;
use tress::stop::{self, Outcome, StopSource};
use tress::strand::{Actor, Strand};
use tress::sync::{Mutex, mpsc};
use tress::task::{Lazy, lazy, lazy_borrowed, yield_now};
use tress::time::{interval, sleep, timeout};
use tress::trace;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(600);

/// What can be done with the task of another library.
type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Another library's executor, with threads that run it.
#[derive(Clone)]
enum Other {
    Tokio(tokio::runtime::Handle),
    Smol(Arc<Executor<'static>>),
}

impl Other {
    /// Spawns a task, which goes on also if what is returned is dropped.
    fn spawn<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Task<T> {
        match self {
            Self::Tokio(handle) => {
                let task = handle.spawn(future);
                Box::pin(async { task.await.expect("the task does not panic") })
            }
            Self::Smol(executor) => {
                let (ended, end) = oneshot::channel();
                let task = async move { drop(ended.send(future.await)) };
                executor.spawn(task).detach();
                Box::pin(async { end.await.expect("the task does not panic") })
            }
        }
    }
}

/// Runs a test as a task of two threads of tokio, on one thread of tokio, and as a task of two threads of async-executor.
fn on_each<F>(test: impl Fn(Other) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    use tokio::runtime::Builder;
    let threads = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let other = Other::Tokio(threads.handle().clone());
    threads.block_on(other.spawn(test(other.clone())));

    let thread = Builder::new_current_thread().build().unwrap();
    thread.block_on(test(Other::Tokio(thread.handle().clone())));

    let executor = Arc::new(Executor::new());
    let other = Other::Smol(executor.clone());
    let task = other.spawn(test(other.clone()));
    thread::scope(|scope| {
        let (end, ended) = oneshot::channel::<()>();
        let executor = &executor;
        scope.spawn(move || block_on_foreign(executor.run(ended)));
        block_on_foreign(executor.run(task));
        drop(end);
    });
}

/// Lazies, each of which awaits two, and pends in between.
fn tree(height: u32) -> Lazy<'static, u64> {
    lazy(async move {
        if height == 0 {
            Pend(1).await;
            return 1;
        }
        let left = tree(height - 1).await;
        yield_now().await;
        left + tree(height - 1).await
    })
}

fn chain(depth: usize, gate: Gate) -> Lazy<'static, usize> {
    lazy(async move {
        match depth {
            0 => {
                gate.passed().await;
                0
            }
            depth => chain(depth - 1, gate).await + 1,
        }
    })
}

#[test]
fn lazies_one_by_one_and_side_by_side() {
    let _watchdog = watchdog();
    on_each(|other| async move {
        assert_eq!(tree(8).await, 256);
        assert_eq!(tress::join!(tree(3), tree(5)), (8, 32));
        let mut all: FuturesUnordered<_> = (0..100).map(|number| tree(number % 5)).collect();
        let mut sum = 0;
        while let Some(leaves) = all.next().await {
            sum += leaves;
        }
        assert_eq!(sum, 20 * 31);
        let numbers = [1, 2, 3];
        assert_eq!(lazy_borrowed(async { numbers.iter().sum::<u32>() }).await, 6);

        // Woken from another thread, in the middle and at the end.
        let gate = Gate::default();
        let deep = other.spawn(chain(5_000, gate.clone()));
        let opening = thread::spawn({
            let gate = gate.clone();
            move || {
                wait_until(|| gate.polls() > 0, "the leaf is not polled");
                gate.wake();
                gate.open();
            }
        });
        assert_eq!(deep.await, 5_000);
        opening.join().unwrap();
    });
}

#[test]
fn lazies_that_are_no_part_of_a_task() {
    let _watchdog = watchdog();
    on_each(|_| async {
        let backtrace = lazy(async { lazy(async { trace::backtrace() }).await }).await;
        assert_eq!((backtrace.task, backtrace.frames.len()), (None, 2));
        assert_eq!(lazy(async { tress::task::try_id() }).await, None);
    });
}

/// A future that has been polled.
struct Begun<T>(Pin<Box<Lazy<'static, T>>>);

/// Polls a future once, in vain.
async fn begin<T>(mut lazy: Pin<Box<Lazy<'static, T>>>) -> Begun<T> {
    assert!(poll_once(lazy.as_mut()).await.is_pending());
    Begun(lazy)
}

/// Begun in a task of ours, polled by one of theirs, and ended in one of ours again.
#[test]
fn lazies_that_change_hands() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    on_each(|other| {
        let handle = runtime.handle().clone();
        async move {
            for depth in [0, 1, 50] {
                let (census, gate) = (Census::default(), Gate::default());
                let (counted, inner) = (census.count(), gate.clone());
                let moving = Box::pin(lazy(async move {
                    let _counted = counted;
                    chain(depth, inner).await
                }));
                let Begun(moving) = handle.spawn(begin(moving)).await.unwrap();
                let Begun(moving) = other.spawn(begin(moving)).await;
                gate.open();
                assert_eq!(handle.spawn(moving).await.unwrap(), depth);
                assert_eq!(census.alive(), 0);
            }
        }
    });
}

#[test]
fn dropped_lazies_drop_what_they_hold() {
    let _watchdog = watchdog();
    on_each(|_| async {
        let census = Census::default();
        let waiting = (0..10).map(|depth| {
            let counted = census.count();
            lazy(async move {
                let _counted = counted;
                chain(depth, Gate::default()).await
            })
        });
        let waiting = waiting.collect::<Vec<_>>();
        assert!(timeout(SHORT, join_all(waiting)).await.is_err());
        assert_eq!((census.made(), census.alive()), (10, 0));
    });
}

#[test]
fn a_shared_lazy_runs_once_for_awaiters_everywhere() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    on_each(|other| {
        let handle = runtime.handle().clone();
        async move {
            let (runs, gate) = (Arc::new(AtomicUsize::new(0)), Gate::default());
            let shared = {
                let (runs, gate) = (runs.clone(), gate.clone());
                lazy(async move {
                    runs.fetch_add(1, Ordering::SeqCst);
                    gate.passed().await;
                    tree(3).await
                })
                .shared()
            };
            let theirs: Vec<_> = (0..8).map(|_| other.spawn(shared.clone())).collect();
            let ours: Vec<_> = (0..8).map(|_| handle.spawn(shared.clone())).collect();
            other.spawn(async move { gate.open() }).await;
            assert_eq!(join_all(theirs).await, [8; 8]);
            for output in join_all(ours).await {
                assert_eq!(output.unwrap(), 8);
            }
            assert_eq!((shared.await, runs.load(Ordering::SeqCst)), (8, 1));

            // The last who lets go of it cancels it.
            let census = Census::default();
            let counted = census.count();
            let shared = lazy(async move {
                let _counted = counted;
                pending::<()>().await;
            })
            .shared();
            let both = [shared.clone(), shared].map(|shared| other.spawn(timeout(SHORT, shared)));
            assert!(join_all(both).await.iter().all(Result::is_err));
            census.wait_until_empty();
        }
    });
}

#[test]
fn joins_of_tasks_of_ours() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    without_panic_messages(|| {
        on_each(|_| {
            let handle = runtime.handle().clone();
            async move {
                let tasks = (0..100_u64).map(|number| handle.spawn(async move { tree(3).await + number }));
                let outputs = join_all(tasks.collect::<Vec<_>>()).await;
                assert!(outputs.into_iter().map(Result::unwrap).eq(8..108));

                let waiting = handle.spawn(pending::<()>());
                waiting.abort();
                assert!(waiting.await.unwrap_err().is_aborted());
                let panicking = handle.spawn(async { panic!("expected: a task panics") });
                assert!(Result::<(), _>::unwrap_err(panicking.await).is_panic());
                let blocking = handle.spawn_blocking(|| 7);
                assert_eq!(blocking.await.unwrap(), 7);
            }
        });
    });
}

#[test]
fn calls_of_actors_and_what_strands_run() {
    const CALLERS: u64 = 8;
    const CALLS: u64 = 1_000;
    let _watchdog = watchdog();
    let runtime = runtime(2);
    on_each(|other| {
        let handle = runtime.handle().clone();
        async move {
            let actor = Actor::new(0_u64);
            let call_often = |actor: Actor<u64>| async move {
                for _ in 0..CALLS {
                    actor.call(|sum| *sum += 1).await.unwrap();
                    actor
                        .call_async(async |sum| {
                            Pend(1).await;
                            *sum += 1;
                        })
                        .await
                        .unwrap();
                }
            };
            let theirs: Vec<_> = (0..CALLERS).map(|_| other.spawn(call_often(actor.clone()))).collect();
            let ours: Vec<_> = (0..CALLERS).map(|_| handle.spawn(call_often(actor.clone()))).collect();
            join_all(theirs).await;
            for ended in join_all(ours).await {
                ended.unwrap();
            }
            assert_eq!(actor.call(|sum| *sum).await, Ok(2 * 2 * CALLERS * CALLS));

            // Tasks of a strand never overlap, whoever awaits them.
            let strand = Strand::new(handle);
            let inside = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = (0..100_u64)
                .map(|number| {
                    let (inside, strand_of_it) = (inside.clone(), strand.clone());
                    strand.spawn(async move {
                        assert!(strand_of_it.is_current());
                        assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                        inside.fetch_sub(1, Ordering::Relaxed);
                        yield_now().await;
                        number
                    })
                })
                .collect();
            let outputs = join_all(tasks).await;
            assert!(outputs.into_iter().map(Result::unwrap).eq(0..100));
            assert!(!strand.is_current());
        }
    });
}

#[test]
fn channels_and_locks_between_them_and_us() {
    const MESSAGES: u64 = 2_000;
    let _watchdog = watchdog();
    let runtime = runtime(2);
    on_each(|other| {
        let handle = runtime.handle().clone();
        async move {
            let (there, mut at_theirs) = mpsc::channel::<u64>(1);
            let (back, mut at_ours) = mpsc::channel::<u64>(1);
            let echo = other.spawn(async move {
                while let Some(number) = at_theirs.recv().await {
                    back.send(number + 1).await.unwrap();
                }
            });
            let asking = handle.spawn(async move {
                for number in 0..MESSAGES {
                    there.send(number).await.unwrap();
                    assert_eq!(at_ours.recv().await, Some(number + 1));
                }
            });
            asking.await.unwrap();
            echo.await;

            let sum = Arc::new(Mutex::new(0_u64));
            let add = |sum: Arc<Mutex<u64>>| async move {
                for _ in 0..MESSAGES {
                    let mut sum = sum.lock().await;
                    *sum += 1;
                }
            };
            let theirs = [(), ()].map(|()| other.spawn(add(sum.clone())));
            let ours = [(), ()].map(|()| handle.spawn(add(sum.clone())));
            join_all(theirs).await;
            for ended in join_all(ours).await {
                ended.unwrap();
            }
            assert_eq!(*sum.lock().await, 4 * MESSAGES);
        }
    });
}

/// Where no runtime is current, timers are those of the process.
#[test]
fn timers() {
    let _watchdog = watchdog();
    on_each(|other| async move {
        let start = Instant::now();
        let sleeping = (0..20).map(|number| other.spawn(sleep(SHORT + Duration::from_millis(number))));
        join_all(sleeping.collect::<Vec<_>>()).await;
        assert!(start.elapsed() >= SHORT + Duration::from_millis(19));

        assert!(timeout(SHORT, pending::<()>()).await.is_err());
        assert_eq!(timeout(LONG, tree(2)).await, Ok(4));
        let start = Instant::now();
        let mut ticks = interval(Duration::from_millis(5));
        for _ in 0..5 {
            ticks.tick().await;
        }
        assert!(start.elapsed() >= Duration::from_millis(20));
    });
}

fn here() -> Option<u32> {
    env::value()
}

/// What it finds when it begins, and when it goes on.
fn asking(gate: Gate) -> Lazy<'static, [Option<u32>; 2]> {
    lazy(async move {
        let first = here();
        gate.passed().await;
        [first, here()]
    })
}

#[test]
fn environments_are_of_what_is_run_in_them() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    on_each(|other| {
        let handle = runtime.handle().clone();
        async move {
            assert_eq!(here(), None);
            // A scope goes wherever its future goes, from thread to thread.
            let scope = env::scope().value(7_u32).run(async move {
                for _ in 0..100 {
                    assert_eq!((here(), lazy(async move { here() }).await), (Some(7), Some(7)));
                    Pend(1).await;
                }
                env::current()
            });
            let kept = other.spawn(scope).await;
            assert_eq!(here(), None);
            assert_eq!(other.spawn(kept.run(async move { here() })).await, Some(7));

            // A lazy has that of whoever polls it here, not that of where it was made or has begun.
            let gate = Gate::default();
            let open = Gate::default();
            open.open();
            let inner = gate.clone();
            let made = env::scope()
                .value(8_u32)
                .run(async move { (asking(open), begin(Box::pin(asking(inner))).await) });
            let (fresh, Begun(begun)) = handle.spawn(made).await.unwrap();
            gate.open();
            assert_eq!(other.spawn(fresh).await, [None, None]);
            assert_eq!(other.spawn(begun).await, [Some(8), None]);
        }
    });
}

async fn stop_here() {
    match stop::stopped().await {}
}

#[test]
fn stops_end_what_waits_where_they_are_caught() {
    let _watchdog = watchdog();
    on_each(|other| async move {
        let source = StopSource::new();
        let waiting = env::scope().stop(source.token()).run(lazy(async { sleep(LONG).await }));
        let task = other.spawn(stop::outcome(waiting));
        let requesting = other.spawn(async move {
            sleep(SHORT).await;
            source.request_stop();
        });
        assert_eq!(task.await, Outcome::Stopped);
        requesting.await;
        // Where nobody catches it, nobody could be told: it waits.
        assert!(timeout(SHORT, lazy(stop_here())).await.is_err());
    });
}
