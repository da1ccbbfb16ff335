//! The algorithms that are a line of plain Rust take no stack, however many of them come one after the other.

mod leaves;
mod support;

use std::future::{Future, ready};

use leaves::Tally;
use support::{runtime, watchdog};
use tress::algorithm::{bulk, join_all};
use tress::env;
use tress::executor::{Executor, run_on};
use tress::stop::{self, Outcome};
use tress::stream::{self, StreamExt};
use tress::task::{lazy, scope};
use tress::{Builder, Handle};

/// One type for outputs of several.
enum Answer {
    Number(i32),
    Text(Result<i32, &'static str>),
}

/// So many turns of what is cheap.
#[track_caller]
fn a_million<F>(line: impl Fn(i32) -> F + Send + 'static)
where
    F: Future<Output = i32> + Send,
{
    in_turn(1_000_000, line);
}

/// Runs a loop in one task of a worker whose stack is small; each turn is a line that gives its number.
#[track_caller]
fn in_turn<F>(turns: i32, line: impl Fn(i32) -> F + Send + 'static)
where
    F: Future<Output = i32> + Send,
{
    let _watchdog = watchdog();
    let builder = Builder::new().worker_threads(1).thread_stack_size(128 << 10);
    let runtime = builder.build().unwrap();
    let task = runtime.spawn(async move {
        for turn in 0..turns {
            assert_eq!(line(turn).await, turn);
        }
        turns
    });
    assert_eq!(runtime.block_on(task).unwrap(), turns);
}

#[test]
fn a_million_values_need_no_stack() {
    a_million(|turn| async move {
        let number = async move { turn };
        let then = async move { number.await + 1 };
        let let_value = async move { ready(then.await - 1).await };
        let variant = async move { Answer::Number(let_value.await) };
        match variant.await {
            Answer::Number(number) => number,
            Answer::Text(_) => -1,
        }
    });
}

#[test]
fn a_million_errors_need_no_stack() {
    a_million(|turn| async move {
        let fails = async move { Err::<i32, _>(turn) };
        let upon_error = async move { fails.await.unwrap_or_else(|error| error + 1) };
        let fails = async move { Err::<i32, _>(upon_error.await - 1) };
        match fails.await {
            Ok(number) => number + 1,
            Err(error) => ready(error).await,
        }
    });
}

#[test]
fn a_million_stops_need_no_stack() {
    a_million(|turn| async move {
        stop::stopped_as_option(stop::stopped()).await.map_or(turn, |never| match never {})
    });
}

#[test]
fn a_million_outcomes_need_no_stack() {
    a_million(|turn| async move {
        let optional = stop::stopped_as_option(ready(turn)).await;
        let result = stop::stopped_as_error(ready(optional), ()).await;
        match stop::outcome(ready(result)).await {
            Outcome::Value(Ok(Some(number))) => number,
            _ => -1,
        }
    });
}

#[test]
fn a_million_environments_need_no_stack() {
    a_million(|turn| env::scope().value(turn).run(async { env::value::<i32>().unwrap_or(-1) }));
}

#[test]
fn a_million_splits_need_no_stack() {
    a_million(|turn| async move {
        let split = lazy(async move { turn }).shared();
        let other = split.clone().await;
        (split.await + other) / 2
    });
}

#[test]
fn many_tasks_need_no_stack() {
    in_turn(50_000, |turn| async move {
        drop(tress::spawn(async {}));
        tress::spawn(async move { turn }).await.unwrap()
    });
}

#[test]
fn a_million_of_variants_need_no_stack() {
    a_million(|turn| async move {
        let answers = join_all([ready(Answer::Number(turn)), ready(Answer::Text(Ok(1)))]).await;
        match answers[..] {
            [Answer::Number(number), Answer::Text(Ok(1))] => number,
            _ => -1,
        }
    });
}

/// Where it runs already, without a hop.
#[test]
fn many_places_need_no_stack() {
    in_turn(100_000, |turn| async move {
        let number = run_on(Handle::current(), async move { turn }).await;
        run_on(tress::executor::Inline, async move { number }).await
    });
}

#[test]
fn many_returns_need_no_stack() {
    let other = runtime(1);
    let there = other.handle().clone();
    in_turn(20_000, move |turn| {
        let (here, elsewhere) = (Handle::current(), there.spawn(async move { turn }));
        async move {
            let number = elsewhere.await.unwrap();
            assert!(here.is_current());
            number
        }
    });
}

#[test]
fn a_million_bulks_and_calls_need_no_stack() {
    a_million(|turn| async move {
        bulk(1, |_| ()).await;
        turn
    });
    in_turn(1, |turn| async move {
        let calls = Tally::default();
        let count = calls.clone();
        bulk(1_000_000, move |_| count.add()).await;
        assert_eq!(calls.count(), 1_000_000);
        turn
    });
}

#[test]
fn many_calls_in_tasks_need_no_stack() {
    in_turn(100, |turn| async move {
        let calls = Tally::default();
        let count = calls.clone();
        let bulk_unchunked = scope(|scope| async move {
            for _ in 0..500 {
                let count = count.clone();
                scope.spawn(async move {
                    count.add();
                    Ok::<_, ()>(())
                });
            }
            Ok(())
        });
        bulk_unchunked.await.unwrap();
        assert_eq!(calls.count(), 500);
        turn
    });
}

#[test]
fn a_million_items_are_filtered_in_no_stack() {
    in_turn(1, |turn| async move {
        let evens = stream::iter(0..1_000_000).filter(|n| ready(n % 2 == 0));
        assert_eq!(evens.count().await, 500_000);
        turn
    });
}
