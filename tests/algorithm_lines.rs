//! The algorithms that are a line of plain Rust: what each gives for a value, an error, a stop and a panic; and a million of them take no
//! stack.

mod support;

use std::future::{Future, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use support::{Census, Pend, payload_text, runtime, watchdog, without_panic_messages};
use tress::algorithm::join_all;
use tress::env;
use tress::executor::{Handlers, Prioritized, launch, run_on};
use tress::stop::{self, Outcome};
use tress::task::{CountingScope, JoinError, SharedLazy, lazy};
use tress::{Builder, Handle, Runtime};

/// How something ends: as what stands before the line, or as the line.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Value(i32),
    Error(&'static str),
    Stop,
    Panic,
}

use End::{Error, Panic, Stop, Value};

const PANIC: &str = "expected: on the line";

/// A number that comes at once or later, if it comes.
async fn number(end: End) -> i32 {
    Pend(end.pends()).await;
    match end {
        Value(number) => number,
        Error(error) => unreachable!("{error} is for those that may fail"),
        Stop => match stop::stopped().await {},
        Panic => panic!("{PANIC}"),
    }
}

/// The same of what may fail.
async fn result(end: End) -> Result<i32, &'static str> {
    match end {
        Error(error) => {
            Pend(end.pends()).await;
            Err(error)
        }
        end => Ok(number(end).await),
    }
}

impl End {
    /// Some are ready at once.
    const fn pends(self) -> usize {
        match self {
            Value(number) => number as usize % 2,
            Error(error) => error.len() % 2,
            Stop | Panic => 1,
        }
    }
}

fn half(number: i32) -> i32 {
    number / 2
}

fn length(error: &str) -> i32 {
    i32::try_from(error.len()).unwrap()
}

async fn ask(number: i32) -> i32 {
    Pend(1).await;
    number + 1
}

async fn recover(error: &str) -> i32 {
    Pend(1).await;
    length(error)
}

/// What a task has ended with.
fn end_of(joined: Result<i32, JoinError>) -> End {
    match joined {
        Ok(number) => Value(number),
        Err(error) if error.is_stopped() => Stop,
        Err(error) => {
            assert_eq!(payload_text(error.into_panic()), PANIC);
            Panic
        }
    }
}

/// Checks how a line ends in a task of its own.
#[track_caller]
fn assert_ends(runtime: &Runtime, line: impl Future<Output = i32> + Send + 'static, expected: End) {
    assert_eq!(end_of(runtime.block_on(runtime.spawn(line))), expected);
}

/// The same of a line that may fail.
#[track_caller]
fn assert_may_fail(
    runtime: &Runtime,
    line: impl Future<Output = Result<i32, &'static str>> + Send + 'static,
    expected: End,
) {
    let (said, error) = mpsc::channel();
    let line = async move {
        match line.await {
            Ok(number) => number,
            Err(error) => {
                said.send(error).unwrap();
                0
            }
        }
    };
    let end = end_of(runtime.block_on(runtime.spawn(line)));
    assert_eq!(error.recv().map_or(end, Error), expected);
}

/// The ends of what cannot fail, with what `f` makes of a value.
fn ends(f: impl Fn(i32) -> i32) -> [(End, End); 4] {
    [(Value(6), Value(f(6))), (Value(7), Value(f(7))), (Stop, Stop), (Panic, Panic)]
}

#[test]
fn beginnings() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    assert_ends(&runtime, async { 5 }, Value(5));
    assert_may_fail(&runtime, async { Err("no number") }, Error("no number"));
    assert_ends(&runtime, async { match stop::stopped().await {} }, Stop);

    let read_env = || async { env::value::<i32>() };
    assert_ends(
        &runtime,
        async move { env::scope().value(7).run(read_env()).await.unwrap_or_default() },
        Value(7),
    );
    assert_ends(&runtime, async move { read_env().await.map_or(-1, half) }, Value(-1));
}

#[test]
fn what_follows_a_value() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    without_panic_messages(|| {
        for (end, expected) in ends(half) {
            assert_ends(&runtime, async move { half(number(end).await) }, expected);
        }
        assert_ends(&runtime, async { number(Value(0)).await + panics() }, Panic);
        // With what fails, errors pass by.
        for end in [Value(6), Error("none"), Stop, Panic] {
            let expected = if end == Value(6) { Value(3) } else { end };
            assert_may_fail(&runtime, async move { result(end).await.map(half) }, expected);
        }
        for (end, expected) in ends(|number| number + 1) {
            assert_ends(&runtime, async move { ask(number(end).await).await }, expected);
            // And what it is asked for may end in each way itself.
            assert_ends(&runtime, async move { ask(0).await + number(end).await }, expected);
        }
        for end in [Value(6), Error("none"), Stop, Panic] {
            assert_may_fail(&runtime, async move { Ok(ask(result(end).await?).await) }, end.plus_one());
            assert_may_fail(
                &runtime,
                async move {
                    let _one = result(Value(1)).await?;
                    result(end).await
                },
                end,
            );
        }
    });
}

impl End {
    fn plus_one(self) -> Self {
        if let Value(number) = self { Value(number + 1) } else { self }
    }
}

fn panics() -> i32 {
    panic!("{PANIC}")
}

#[test]
fn what_follows_an_error() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    without_panic_messages(|| {
        let ends = [
            (Value(6), Value(6)),
            (Error("none"), Value(4)),
            (Error("dusty"), Value(5)),
            (Stop, Stop),
            (Panic, Panic),
        ];
        for (end, expected) in ends {
            assert_ends(&runtime, async move { result(end).await.unwrap_or_else(length) }, expected);
            let let_error = async move {
                match result(end).await {
                    Ok(number) => number,
                    Err(error) => recover(error).await,
                }
            };
            assert_ends(&runtime, let_error, expected);
        }
        assert_ends(&runtime, async { result(Error("none")).await.unwrap_or_else(|_| panics()) }, Panic);
        for end in [Error("again"), Stop, Panic] {
            assert_may_fail(
                &runtime,
                async move {
                    match result(Error("none")).await {
                        Ok(number) => Ok(number),
                        Err(_) => result(end).await,
                    }
                },
                end,
            );
        }
    });
}

#[test]
fn what_follows_a_stop() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let let_stopped = |end: End, next: End| async move {
        match stop::outcome(number(end)).await {
            Outcome::Value(number) => number,
            Outcome::Stopped => number(next).await,
        }
    };
    without_panic_messages(|| {
        for next in [Value(2), Value(3), Stop, Panic] {
            assert_ends(&runtime, let_stopped(Value(7), next), Value(7));
            assert_ends(&runtime, let_stopped(Stop, next), next);
            assert_ends(&runtime, let_stopped(Panic, next), Panic);
        }
        for (end, expected) in [(Value(7), Value(7)), (Stop, Value(-1)), (Panic, Panic)] {
            let optional = async move { stop::stopped_as_option(number(end)).await.unwrap_or(-1) };
            assert_ends(&runtime, optional, expected);
        }
        for (end, expected) in [(Value(7), Value(7)), (Stop, Error("stopped")), (Panic, Panic)] {
            assert_may_fail(&runtime, stop::stopped_as_error(number(end), "stopped"), expected);
        }
        for end in [Value(7), Error("none"), Stop, Panic] {
            let line = async move { stop::stopped_as_error(result(end), "stopped").await? };
            assert_may_fail(&runtime, line, if end == Stop { Error("stopped") } else { end });
        }
    });
}

/// One type for outputs of several.
#[derive(Debug, PartialEq)]
enum Answer {
    Number(i32),
    Text(Result<i32, &'static str>),
}

impl Answer {
    async fn of(early: bool, end: End) -> Self {
        if early { Self::Number(number(end).await) } else { Self::Text(result(end).await) }
    }
}

#[test]
fn variants() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let run = |line: std::pin::Pin<Box<dyn Future<Output = Vec<Answer>> + Send>>| {
        runtime.block_on(runtime.spawn(line)).map_err(|error| end_of(Err(error)))
    };
    without_panic_messages(|| {
        for (early, end, expected) in [
            (true, Value(7), Ok(Answer::Number(7))),
            (false, Value(7), Ok(Answer::Text(Ok(7)))),
            (false, Error("none"), Ok(Answer::Text(Err("none")))),
            (true, Stop, Err(Stop)),
            (false, Stop, Err(Stop)),
            (true, Panic, Err(Panic)),
            (false, Panic, Err(Panic)),
        ] {
            let one = run(Box::pin(async move { vec![Answer::of(early, end).await] }));
            assert_eq!(one, expected.map(|answer| vec![answer]));
        }
        let all = |ends: [End; 2]| {
            run(Box::pin(join_all(
                [true, false].into_iter().zip(ends).map(|(early, end)| Answer::of(early, end)),
            )))
        };
        assert_eq!(all([Value(1), Value(2)]), Ok(vec![Answer::Number(1), Answer::Text(Ok(2))]));
        assert_eq!(all([Value(1), Error("two")]), Ok(vec![Answer::Number(1), Answer::Text(Err("two"))]));
        for end in [Stop, Panic] {
            assert_eq!(all([Value(1), end]), Err(end));
            assert_eq!(all([end, Error("two")]), Err(end));
        }
    });
}

#[test]
fn sync_waits() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    assert_eq!(runtime.block_on(number(Value(7))), 7);
    assert_eq!(runtime.block_on(result(Error("none"))), Err("none"));
    assert_eq!(runtime.block_on(Answer::of(false, Value(9))), Answer::Text(Ok(9)));
    without_panic_messages(|| {
        let wait = || runtime.block_on(number(Panic));
        assert_eq!(payload_text(catch_unwind(AssertUnwindSafe(wait)).unwrap_err()), PANIC);
    });
    // A stop has to be caught inside, or goes to a task.
    assert_eq!(runtime.block_on(stop::outcome(number(Stop))), Outcome::Stopped);
    let launched = launch(runtime.handle().clone()).block_on(number(Stop));
    assert!(launched.unwrap_err().is_stopped());
    // The runtime goes on after each.
    assert_eq!(runtime.block_on(number(Value(8))), 8);
}

#[test]
fn what_is_started_now() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    without_panic_messages(|| {
        for (end, expected) in ends(|number| number) {
            let (started, is_started) = mpsc::channel();
            let ensure_started = runtime.spawn(async move {
                started.send(()).unwrap();
                number(end).await
            });
            // Before anybody awaits it.
            is_started.recv().unwrap();
            assert_eq!(end_of(runtime.block_on(ensure_started)), expected);

            let scope = CountingScope::new();
            let future = scope.spawn_on(number(end), runtime.handle()).unwrap();
            assert_eq!(end_of(runtime.block_on(future)), expected);
            runtime.block_on(scope.join());
        }
        for end in [Value(7), Error("none")] {
            let expected = if let Error(error) = end { Err(error) } else { Ok(7) };
            assert_eq!(runtime.block_on(runtime.spawn(result(end))).unwrap(), expected);
        }
    });
}

#[test]
fn what_nobody_awaits() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    without_panic_messages(|| {
        let census = Census::default();
        for end in [Value(7), Error("none"), Stop, Panic] {
            let (counted, ran) = (census.count(), Arc::new(AtomicUsize::new(0)));
            let runs = ran.clone();
            drop(runtime.spawn(async move {
                let _counted = counted;
                runs.fetch_add(1, Ordering::SeqCst);
                result(end).await
            }));
            census.wait_until_empty();
            assert_eq!(ran.load(Ordering::SeqCst), 1, "{end:?}");

            let (said, ends) = mpsc::channel();
            let [values, errors, stops, panics] = [(); 4].map(|()| said.clone());
            let handlers = Handlers::new()
                .ok(move |number| values.send(Value(number)).unwrap())
                .error(move |error| errors.send(Error(error)).unwrap())
                .stop(move || stops.send(Stop).unwrap())
                .panic(move |_payload| panics.send(Panic).unwrap());
            launch(runtime.handle().clone()).detach_with(result(end), handlers);
            assert_eq!(ends.recv().unwrap(), end);
        }
    });
    assert_ends(&runtime, number(Value(8)), Value(8));
}

#[test]
fn what_is_split() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    without_panic_messages(|| {
        for (end, expected) in ends(|number| number) {
            let runs = Arc::new(AtomicUsize::new(0));
            let counts = runs.clone();
            let split: SharedLazy<'static, i32> = lazy(async move {
                counts.fetch_add(1, Ordering::SeqCst);
                number(end).await
            })
            .shared();
            let tasks = [(); 3].map(|()| runtime.spawn(split.clone()));
            drop(split);
            for task in tasks {
                match (runtime.block_on(task), expected) {
                    // One has its panic, the others one that says so.
                    (Err(error), Panic) => assert!(error.is_panic()),
                    (joined, expected) => assert_eq!(end_of(joined), expected),
                }
            }
            assert_eq!(runs.load(Ordering::SeqCst), 1, "{end:?}");
        }
        let split = lazy(result(Error("none"))).shared();
        assert_eq!(
            runtime.block_on(async { (split.clone().await, split.await) }),
            (Err("none"), Err("none"))
        );
    });
}

#[test]
fn what_runs_elsewhere() {
    let _watchdog = watchdog();
    let (runtime, other) = (runtime(2), support::runtime(1));
    let lane = Prioritized::new(runtime.handle().clone()).high();
    let there = other.handle().clone();
    async fn on(there: Handle, end: End) -> i32 {
        let before = Handle::current();
        // It comes back however it ends, where it goes on at all.
        let ended = stop::outcome(run_on(there.clone(), async move {
            assert!(tress::executor::Executor::is_current(&there));
            number(end).await
        }))
        .await;
        assert!(tress::executor::Executor::is_current(&before));
        match ended {
            Outcome::Value(number) => number,
            Outcome::Stopped => match stop::stopped().await {},
        }
    }
    without_panic_messages(|| {
        for (end, expected) in ends(|number| number) {
            assert_ends(&runtime, on(there.clone(), end), expected);
            assert_ends(&runtime, run_on(there.clone(), number(end)), expected);
            assert_ends(&runtime, run_on(lane.clone(), number(end)), expected);
            assert_eq!(end_of(runtime.block_on(launch(there.clone()).spawn(number(end)))), expected);
        }
        for (end, expected) in ends(half) {
            let there = there.clone();
            let continues_on = async move {
                let number = number(end).await;
                run_on(there, async move { half(number) }).await
            };
            assert_ends(&runtime, continues_on, expected);
        }
        for end in [Value(7), Error("none"), Stop, Panic] {
            assert_may_fail(&runtime, run_on(there.clone(), result(end)), end);
        }
    });
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
