//! A set of tasks gives them in the order in which they end, and takes them with it when it is dropped.

mod leaves;
mod support;

use std::future::pending;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use leaves::{Gate, poll_once};
use support::{Census, panic_text, runtime, stress, wait_until, watchdog, without_panic_messages};
use tress::env;
use tress::stop::{self, Outcome, StopSource};
use tress::task::{JoinSet, lazy, yield_now};
use tress::time::sleep;

#[test]
fn tasks_are_joined_as_they_end() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    runtime.block_on(async {
        let mut set = JoinSet::new();
        assert!(set.join_next().await.is_none() && set.is_empty());
        let gates: Vec<_> = (0..5).map(|_| Gate::default()).collect();
        for (number, gate) in gates.iter().enumerate() {
            let gate = gate.clone();
            set.spawn(async move {
                gate.passed().await;
                number
            });
        }
        assert_eq!((set.len(), set.try_join_next().is_none()), (5, true));
        for number in [3, 0, 4, 2, 1] {
            gates[number].open();
            assert_eq!(set.join_next().await.unwrap().unwrap(), number);
        }
        assert!(set.is_empty() && set.join_next().await.is_none());
    });
}

#[test]
fn a_join_that_is_dropped_loses_nothing() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    runtime.block_on(async {
        let mut set = JoinSet::new();
        for number in 0..100 {
            set.spawn(async move {
                yield_now().await;
                number
            });
        }
        let mut seen = Vec::new();
        while !set.is_empty() {
            let next = {
                let mut next = pin!(set.join_next());
                poll_once(next.as_mut()).await
            };
            match next {
                Poll::Ready(next) => seen.push(next.unwrap().unwrap()),
                Poll::Pending => yield_now().await,
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn each_end_is_told() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    without_panic_messages(|| {
        runtime.block_on(async {
            let mut set = JoinSet::new();
            let panics = set.spawn(async { panic!("expected: in a set") });
            let aborted = set.spawn(pending());
            let stops = set.spawn(async { match stop::stopped().await {} });
            let fine = set.spawn(async { 7 });
            aborted.abort();
            let mut seen = 0;
            while let Some((id, result)) = set.join_next_with_id().await {
                seen += 1;
                match result {
                    Ok(seven) => assert_eq!((id, seven), (fine.id(), 7)),
                    Err(error) if error.is_aborted() => assert_eq!(id, aborted.id()),
                    Err(error) if error.is_stopped() => assert_eq!(id, stops.id()),
                    Err(error) => {
                        assert_eq!(id, panics.id());
                        assert_eq!(panic_text(error), "expected: in a set");
                    }
                }
            }
            assert_eq!(seen, 4);
        });
    });
}

#[test]
fn a_dropped_set_aborts_and_a_detached_one_does_not() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (census, gate) = (Census::default(), Gate::default());
    let waits = || {
        let (counted, gate) = (census.count(), gate.clone());
        async move {
            gate.passed().await;
            drop(counted);
        }
    };
    runtime.block_on(async {
        let mut set = JoinSet::new();
        (0..10).for_each(|_| drop(set.spawn(waits())));
        drop(set);
    });
    census.wait_until_empty();
    runtime.block_on(async {
        let mut set = JoinSet::new();
        (0..10).for_each(|_| drop(set.spawn(waits())));
        set.detach_all();
        assert!(set.is_empty());
        set.spawn(async {});
        assert!(set.join_next().await.unwrap().is_ok() && set.join_next().await.is_none());
    });
    assert_eq!(census.alive(), 10);
    gate.open();
    census.wait_until_empty();
}

#[test]
fn a_shutdown_waits_until_all_have_been_dropped() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let census = Census::default();
    let source = StopSource::new();
    source.request_stop();
    // Also for somebody who is asked to stop.
    runtime.block_on(env::scope().stop(source.token()).run(async {
        let mut set = JoinSet::new();
        for _ in 0..100 {
            let counted = census.count();
            env::shield(async { set.spawn(async move { drop((pending::<()>().await, counted)) }) }).await;
        }
        set.shutdown().await;
        assert_eq!((set.len(), census.alive()), (0, 0));
    }));
}

#[test]
fn join_all_gives_every_output_or_the_panic() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let outputs = runtime.block_on(async {
        let mut set = JoinSet::new();
        (0..50).for_each(|number| drop(set.spawn(lazy(async move { number }))));
        set.join_all().await
    });
    assert_eq!(outputs.iter().sum::<i32>(), 1225);
    let census = Census::default();
    without_panic_messages(|| {
        let counted = census.count();
        let task = runtime.spawn(async move {
            let mut set = JoinSet::new();
            set.spawn(async move { drop((pending::<()>().await, counted)) });
            set.spawn(async { panic!("expected: one of all") });
            set.join_all().await
        });
        assert_eq!(panic_text(runtime.block_on(task).unwrap_err()), "expected: one of all");
    });
    census.wait_until_empty();
}

#[test]
fn its_tasks_inherit_the_stop_and_the_values() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let source = StopSource::new();
    let own = source.clone();
    let joined = env::scope().stop(source.token()).value(7_u32).run(async move {
        let mut set = JoinSet::new();
        for _ in 0..10 {
            set.spawn(async {
                assert_eq!(env::value::<u32>(), Some(7));
                lazy(sleep(Duration::from_secs(3600))).await;
            });
        }
        yield_now().await;
        own.request_stop();
        // The task itself is asked to stop, too.
        assert_eq!(stop::outcome(set.join_next()).await.map(|_| ()), Outcome::Stopped);
        env::shield(async {
            while let Some(result) = set.join_next().await {
                assert!(result.unwrap_err().is_stopped());
            }
        })
        .await;
    });
    runtime.block_on(runtime.spawn(joined)).unwrap();
}

#[test]
fn tasks_of_a_runtime_that_is_gone_are_told_of() {
    let _watchdog = watchdog();
    let (here, gone) = (runtime(1), runtime(1));
    let handle = gone.handle().clone();
    drop(gone);
    here.block_on(async {
        let mut set = JoinSet::new();
        set.spawn_on(async { 1 }, &handle);
        assert!(set.join_next().await.unwrap().unwrap_err().is_refused());
    });
}

#[test]
fn it_needs_a_runtime_to_spawn_on_only() {
    let runtime = runtime(1);
    let mut set = JoinSet::new();
    set.spawn_on(async { 8 }, runtime.handle());
    wait_until(|| set.try_join_next().is_some_and(|result| result.unwrap() == 8), "it ends");
    assert!(set.join_next().now_or_never().unwrap().is_none());
}

#[test]
fn sets_under_load_lose_nobody() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let census = Census::default();
        let (mut told, mut spawned) = (0, 0);
        runtime.block_on(async {
            let mut set = JoinSet::new();
            for _ in 0..500 {
                let kind = random.below(6);
                let counted = census.count();
                let abort = set.spawn(async move {
                    let _counted = counted;
                    match kind {
                        0 => yield_now().await,
                        1 => sleep(Duration::from_micros(50)).await,
                        2 => pending().await,
                        _ => {}
                    }
                });
                spawned += 1;
                if kind == 2 || random.once_in(10) {
                    abort.abort();
                }
                if random.once_in(3) && set.join_next().await.is_some() {
                    told += 1;
                }
                if set.try_join_next().is_some() {
                    told += 1;
                }
            }
            while set.join_next().await.is_some() {
                told += 1;
            }
        });
        assert_eq!((told, census.alive()), (spawned, 0));
    });
}
