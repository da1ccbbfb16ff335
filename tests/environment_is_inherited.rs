//! What is awaited has the environment of whoever awaits it, wherever it is polled from; what is spawned has its values.

mod leaves;
mod support;

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use leaves::{Gate, poll_once};
use support::{Census, Counted, block_on_foreign, burn, runtime, wait_until, watchdog};
use tress::env::{self, Env};
use tress::stop::{StopSource, StopToken};
use tress::task::{Lazy, block_in_place, lazy, spawn_blocking, yield_now};

#[derive(Clone, Copy, Debug, PartialEq)]
struct Depth(usize);

fn depth() -> Option<usize> {
    env::value::<Depth>().map(|depth| depth.0)
}

/// Runs a future with this depth.
fn at<F: Future>(depth: usize, future: F) -> impl Future<Output = F::Output> {
    env::scope().value(Depth(depth)).run(future)
}

#[test]
fn nothing_is_there_where_nobody_has_put_it() {
    let _watchdog = watchdog();
    assert_eq!(depth(), None);
    let runtime = runtime(1);
    let (value, token) = runtime
        .block_on(runtime.spawn(async { (depth(), env::with(Env::stop_token)) }))
        .expect("the task does not panic");
    assert_eq!((value, token), (None, StopToken::never()));
}

#[test]
fn the_nearest_value_of_a_type_wins() {
    let _watchdog = watchdog();
    runtime(1).block_on(async {
        let inner = async { (depth(), env::value::<&str>()) };
        let both = at(1, env::scope().value("name").value(Depth(2)).value(Depth(3)).run(inner));
        assert_eq!(both.await, (Some(3), Some("name")));
        let outer = at(1, async {
            at(2, async { assert_eq!(depth(), Some(2)) }).await;
            depth()
        });
        assert_eq!(outer.await, Some(1));
        assert_eq!(depth(), None);
    });
}

#[test]
fn two_futures_in_one_task_have_their_own() {
    let _watchdog = watchdog();
    let ask = || async {
        let mut seen = Vec::new();
        for _ in 0..10 {
            seen.push(depth());
            yield_now().await;
        }
        seen
    };
    let (one, two, none) = runtime(1).block_on(async { tress::join!(at(1, ask()), at(2, ask()), ask()) });
    assert_eq!((one, two, none), (vec![Some(1); 10], vec![Some(2); 10], vec![None; 10]));
}

/// Frames, each below a scope of its own, and a leaf that waits at the gate.
fn tower(height: usize, gate: Gate) -> Lazy<'static, Vec<Option<usize>>> {
    lazy(async move {
        let before = depth();
        let mut below = match height {
            0 => {
                gate.passed().await;
                Vec::new()
            }
            height => at(height, tower(height - 1, gate)).await,
        };
        // From here on the frame is polled by the loop, and not from above.
        assert_eq!(depth(), before);
        below.push(depth());
        below
    })
}

#[test]
fn frames_have_it_wherever_they_are_polled_from() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for height in [0, 1, 5, 300] {
        let gate = Gate::default();
        let task = runtime.spawn(tower(height, gate.clone()));
        wait_until(|| gate.polls() > 0, "the leaf is polled");
        // From a thread that has another environment.
        block_on_foreign(at(1000, async { gate.open() }));
        let seen = runtime.block_on(task).unwrap();
        let expected: Vec<_> = (1..=height).map(Some).chain([None]).collect();
        assert_eq!(seen, expected);
    }
}

/// Tasks go on until one of them has been stolen, and has its environment on both threads.
#[test]
fn it_survives_migration() {
    let _watchdog = watchdog();
    let runtime = runtime(4);
    let has_moved = Arc::new(AtomicBool::new(false));
    let task = |number: usize| {
        let has_moved = has_moved.clone();
        async move {
            let mut threads = HashSet::new();
            let mut turns = 0;
            while turns < 200 || !has_moved.load(Ordering::Relaxed) {
                assert_eq!(depth(), Some(number));
                threads.insert(thread::current().id());
                lazy(async move {
                    // Others steal from who is busy.
                    burn(Duration::from_micros(number as u64 % 4));
                    yield_now().await;
                    assert_eq!(depth(), Some(number));
                })
                .await;
                threads.insert(thread::current().id());
                assert_eq!(depth(), Some(number));
                if threads.len() > 1 {
                    has_moved.store(true, Ordering::Relaxed);
                }
                turns += 1;
            }
            threads.len()
        }
    };
    let tasks: Vec<_> = (0..64).map(|number| runtime.spawn(at(number, task(number)))).collect();
    let threads = tasks.into_iter().map(|task| runtime.block_on(task).unwrap());
    assert!(threads.max().unwrap() > 1);
}

#[test]
fn spawned_tasks_have_the_values_and_not_the_stop() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let source = StopSource::new();
    let ask = || (depth(), env::with(Env::stop_token).is_stop_possible());
    let spawning = async move {
        let detached = tress::spawn(async move {
            let here = ask();
            yield_now().await;
            (here, ask(), tress::spawn(async move { ask() }).await.unwrap())
        });
        let blocking = spawn_blocking(ask);
        (ask(), detached.await.unwrap(), blocking.await.unwrap())
    };
    let scope = env::scope().stop(source.token()).value(Depth(3)).run(spawning);
    let (here, detached, blocking) = runtime.block_on(runtime.spawn(scope)).unwrap();
    assert_eq!(here, (Some(3), true));
    assert_eq!(detached, ((Some(3), false), (Some(3), false), (Some(3), false)));
    assert_eq!(blocking, (Some(3), false));
}

#[test]
fn a_nested_block_on_has_the_values_and_not_the_stop() {
    let _watchdog = watchdog();
    let runtime = Arc::new(runtime(2));
    let source = StopSource::new();
    source.request_stop();
    let inner = runtime.clone();
    let nested = async move {
        block_in_place(|| {
            // What the thread runs meanwhile has an environment of its own.
            let neighbour = inner.spawn(env::scope().value("neighbour").run(async {
                yield_now().await;
                (depth(), env::value::<&str>())
            }));
            let seen = inner.block_on(async {
                lazy(tress::time::sleep(std::time::Duration::from_millis(1))).await;
                (depth(), env::with(Env::stop_token).is_stop_possible(), neighbour.await.unwrap())
            });
            assert_eq!(depth(), Some(4));
            seen
        })
    };
    let scope = env::scope().stop(source.token()).value(Depth(4)).run(nested);
    let seen = runtime.block_on(runtime.spawn(scope)).unwrap();
    assert_eq!(seen, (Some(4), false, (Some(4), Some("neighbour"))));
}

#[test]
fn another_librarys_block_on_has_all_of_it() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let token = StopSource::new().token();
    let expected = token.clone();
    let scope = env::scope().stop(token).value(Depth(5)).run(async {
        block_on_foreign(async {
            support::Pend(3).await;
            (depth(), env::with(Env::stop_token))
        })
    });
    assert_eq!(runtime.block_on(runtime.spawn(scope)).unwrap(), (Some(5), expected));
}

#[test]
fn foreign_executors_poll_scopes_too() {
    let _watchdog = watchdog();
    let seen = block_on_foreign(at(6, async {
        let mut all: FuturesUnordered<_> =
            (0..100).map(|number| at(number, lazy(async { depth() }))).collect();
        let mut sum = 0;
        while let Some(depth) = all.next().await {
            sum += depth.unwrap();
        }
        (sum, depth())
    }));
    assert_eq!(seen, (4950, Some(6)));
}

#[test]
fn an_environment_can_be_kept_and_taken_elsewhere() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let kept = runtime.block_on(at(7, async { env::current() }));
    assert_eq!(kept.value::<Depth>(), Some(&Depth(7)));
    assert_eq!(kept.value::<usize>(), None);
    let elsewhere = thread::spawn(move || block_on_foreign(kept.run(async { depth() })));
    assert_eq!(elsewhere.join().unwrap(), Some(7));
}

/// Says which environment it was dropped in.
struct SaysWhere(Arc<Mutex<Vec<Option<usize>>>>);

impl Drop for SaysWhere {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(depth());
    }
}

#[test]
fn locals_are_dropped_in_it() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let gate = Gate::default();
    let log = seen.clone();
    let holding = move |gate: Gate| {
        let says = SaysWhere(log.clone());
        async move {
            let _says = says;
            gate.passed().await;
        }
    };
    let in_a_poll = holding.clone();
    // In the future itself, in a frame, in a frame's frame; by an abort, and by the end of a poll.
    let task = runtime.spawn(at(1, async move {
        tress::join!(
            holding(gate.clone()),
            at(2, lazy(holding(gate.clone()))),
            at(3, lazy(lazy(holding(gate))))
        );
    }));
    let aborted = runtime.block_on(async {
        while tress::trace::dump(runtime.handle()).tasks.iter().all(|task| task.polls == 0) {
            yield_now().await;
        }
        task.abort();
        task.await
    });
    assert!(aborted.unwrap_err().is_aborted());
    let mut dropped = std::mem::take(&mut *seen.lock().unwrap());
    dropped.sort_unstable();
    assert_eq!(dropped, [Some(1), Some(2), Some(3)]);

    runtime.block_on(async {
        let mut pending = pin!(at(4, lazy(in_a_poll(Gate::default()))));
        assert_eq!(poll_once(pending.as_mut()).await, Poll::Pending);
    });
    assert_eq!(*seen.lock().unwrap(), [Some(4)]);
}

struct Held(#[allow(dead_code, reason = "it is there to be dropped")] Counted);

#[test]
fn values_go_with_the_last_who_could_ask() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let census = Census::default();
    let gate = Gate::default();
    let scope = env::scope().value(Held(census.count()));
    let task = runtime.spawn(scope.run({
        let gate = gate.clone();
        async move {
            lazy(async move {
                tress::spawn(async move { gate.passed().await });
                yield_now().await;
            })
            .await;
        }
    }));
    runtime.block_on(task).unwrap();
    assert_eq!(census.alive(), 1, "the detached task has it");
    wait_until(|| gate.polls() > 0, "the detached task waits");
    gate.open();
    census.wait_until_empty();
}

#[test]
fn many_values_need_no_stack_when_they_go() {
    let _watchdog = watchdog();
    let census = Census::default();
    let scope = (0..200_000).fold(env::scope(), |scope, _| scope.value(Held(census.count())));
    block_on_foreign(scope.run(async { assert!(env::with(|env| env.value::<Held>().is_some())) }));
    assert_eq!((census.made(), census.alive()), (200_000, 0));
}

#[test]
fn a_scope_that_is_never_polled_drops_what_it_has() {
    let _watchdog = watchdog();
    let census = Census::default();
    let (value, local) = (Held(census.count()), census.count());
    drop(env::scope().value(value).stop(StopSource::new().token()).run(async move { drop(local) }));
    assert_eq!(census.alive(), 0);
}

#[test]
fn a_dump_and_a_shutdown_have_none_for_the_tasks_of_others() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let other = support::runtime(1);
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = log.clone();
    let polled = Gate::default();
    let (gate, says) = (polled.clone(), SaysWhere(log.clone()));
    other.spawn(async move {
        let _says = says;
        std::future::poll_fn(|cx| {
            seen.lock().unwrap().push(depth());
            gate.poll(cx)
        })
        .await;
    });
    wait_until(|| polled.polls() == 1, "the task is polled");
    let task = runtime.spawn(at(9, async move {
        while polled.polls() < 2 {
            drop(tress::trace::dump(other.handle()));
        }
        block_in_place(|| drop(other));
        depth()
    }));
    assert_eq!(runtime.block_on(task).unwrap(), Some(9));
    let seen = log.lock().unwrap();
    assert!(seen.len() >= 3 && seen.iter().all(Option::is_none), "{seen:?}");
}
