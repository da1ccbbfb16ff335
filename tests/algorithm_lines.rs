//! The algorithms that are a line of plain Rust: what each gives for a value, an error, a stop and a panic.

mod ends;
mod support;

use std::future::{Future, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use ends::End::{Error, Panic, Stop, Value};
use ends::{End, PANIC, assert_ends, assert_may_fail, end_of, ends, number, result};
use support::{Census, Pend, payload_text, runtime, watchdog, without_panic_messages};
use tress::Handle;
use tress::algorithm::{bulk, join_all, try_bulk, try_bulk_chunked};
use tress::env;
use tress::executor::{Executor, Handlers, Prioritized, launch, run_on};
use tress::stop::{self, Outcome, StopSource};
use tress::stream::{self, StreamExt, TryStreamExt};
use tress::sync::Barrier;
use tress::task::{CountingScope, JoinHandle, SharedLazy, lazy, scope};

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
            assert!(there.is_current());
            number(end).await
        }))
        .await;
        assert!(before.is_current());
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

/// What a task elsewhere ends with, as if it had been awaited here.
async fn elsewhere<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(value) => value,
        Err(error) if error.is_stopped() => match stop::stopped().await {},
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// Says whether it is dropped on an executor.
struct Here<E: Executor>(E, mpsc::Sender<bool>);

impl<E: Executor> Drop for Here<E> {
    fn drop(&mut self) {
        self.1.send(self.0.is_current()).unwrap();
    }
}

#[test]
fn what_ends_elsewhere() {
    let _watchdog = watchdog();
    let (runtime, other) = (runtime(2), support::runtime(1));
    let lane = Prioritized::new(runtime.handle().clone()).normal();
    let (dropped, was_here) = mpsc::channel();
    without_panic_messages(|| {
        for (end, expected) in ends(half) {
            let (here, elsewhere) =
                (Here(lane.clone(), dropped.clone()), elsewhere(other.spawn(number(end))));
            let affine_on = async move {
                let number = elsewhere.await;
                assert!(here.0.is_current());
                half(number)
            };
            assert_eq!(end_of(runtime.block_on(launch(lane.clone()).spawn(affine_on))), expected);
            assert!(was_here.recv().unwrap(), "{end:?}");
        }
        for end in [Value(7), Error("none"), Stop, Panic] {
            let here = Here(runtime.handle().clone(), dropped.clone());
            let elsewhere = elsewhere(other.spawn(result(end)));
            let affine_on = async move {
                let number = elsewhere.await?;
                assert!(here.0.is_current());
                Ok(number)
            };
            assert_may_fail(&runtime, affine_on, end);
            assert!(was_here.recv().unwrap(), "{end:?}");
        }
    });
}

/// A line that calls something for each number below [`CALLS`], which counts; one of the calls ends in this way.
type CallsLine = fn(End, Arc<AtomicUsize>) -> Pin<Box<dyn Future<Output = Result<(), &'static str>> + Send>>;

const CALLS: usize = 500;

/// Whether that is the call that ends in its own way.
fn is_odd_one(n: usize) -> bool {
    n == CALLS / 2
}

/// What is called for a number. A stop has to come from outside: this does not wait.
fn call(n: usize, end: End, calls: &AtomicUsize) -> Result<(), &'static str> {
    calls.fetch_add(1, Ordering::SeqCst);
    match end {
        Error(error) if is_odd_one(n) => Err(error),
        Panic if is_odd_one(n) => panic!("{PANIC}"),
        _ => Ok(()),
    }
}

/// The same as a task of its own.
async fn work(n: usize, end: End, calls: Arc<AtomicUsize>) -> Result<(), &'static str> {
    calls.fetch_add(1, Ordering::SeqCst);
    if is_odd_one(n) { result(end).await.map(drop) } else { Ok(()) }
}

const BULK: CallsLine = |end, calls| Box::pin(try_bulk(CALLS, move |n| call(n, end, &calls)));

const BULK_CHUNKED: CallsLine = |end, calls| {
    Box::pin(try_bulk_chunked(CALLS, move |chunk| chunk.into_iter().try_for_each(|n| call(n, end, &calls))))
};

const BULK_UNCHUNKED: CallsLine = |end, calls| {
    Box::pin(scope(move |scope| async move {
        for n in 0..CALLS {
            scope.spawn(work(n, end, calls.clone()));
        }
        Ok(())
    }))
};

#[test]
fn what_is_called_for_many_numbers() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    without_panic_messages(|| {
        for (what, line) in [("bulk", BULK), ("chunked", BULK_CHUNKED), ("unchunked", BULK_UNCHUNKED)] {
            for end in [Value(1), Error("none"), Error("dusty"), Panic] {
                let calls = Arc::new(AtomicUsize::new(0));
                let (all, expected) = (line(end, calls.clone()), end);
                assert_may_fail(&runtime, async move { all.await.map(|()| 1) }, expected);
                let calls = calls.load(Ordering::SeqCst);
                let is_right = if end == Value(1) { calls == CALLS } else { (1..=CALLS).contains(&calls) };
                assert!(is_right, "{what}: {calls} calls, of which one ends by {end:?}");
            }
            // From outside, before any is called.
            let (source, calls) = (StopSource::new(), Arc::new(AtomicUsize::new(0)));
            source.request_stop();
            let all = env::scope().stop(source.token()).run(line(Stop, calls.clone()));
            let expected = if what == "unchunked" { Value(1) } else { Stop };
            assert_may_fail(&runtime, async move { all.await.map(|()| 1) }, expected);
            // Tasks that do not wait are not stopped, and one that is stopped is no failure of its scope.
            assert_eq!(calls.load(Ordering::SeqCst), if what == "unchunked" { CALLS } else { 0 });
        }
        let panics = bulk(CALLS, |n| assert!(!is_odd_one(n), "{PANIC}"));
        assert_ends(
            &runtime,
            async move {
                panics.await;
                1
            },
            Panic,
        );
    });
}

/// Each call is in a task of its own, so that they may wait for one another.
#[test]
fn calls_that_meet() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let meeting = Arc::new(Barrier::new(CALLS));
    let bulk_unchunked = scope(|scope| async move {
        for _ in 0..CALLS {
            let meeting = meeting.clone();
            scope.spawn(async move {
                meeting.wait().await;
                Ok::<_, &str>(())
            });
        }
        Ok(1)
    });
    assert_may_fail(&runtime, bulk_unchunked, Value(1));
}

#[test]
fn what_is_filtered() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let is_even = |number: &i32| ready(number % 2 == 0);
    async fn sum(total: i32, number: i32) -> i32 {
        total + number
    }
    async fn try_sum(total: i32, number: i32) -> Result<i32, &'static str> {
        Ok(total + number)
    }
    without_panic_messages(|| {
        for (end, expected) in ends(|number| if number % 2 == 0 { 6 + number } else { 6 }) {
            let numbers = move || stream::iter(1..6).chain(stream::once(number(end)));
            assert_ends(&runtime, async move { numbers().filter(is_even).fold(0, sum).await }, expected);
            // What asks may wait, and end in each way, too.
            let asks = move |number: &i32| {
                let (is_last, is_even) = (*number == 5, number % 2 == 0);
                async move { if is_last { ends::number(end).await % 2 == 0 } else { is_even } }
            };
            let expected =
                if let Value(number) = end { Value(if number % 2 == 0 { 11 } else { 6 }) } else { end };
            assert_ends(
                &runtime,
                async move { stream::iter(1..6).filter(asks).fold(0, sum).await },
                expected,
            );
        }
        for end in [Value(6), Error("none"), Stop, Panic] {
            let numbers = stream::iter((1..6).map(Ok::<i32, &'static str>)).chain(stream::once(result(end)));
            let numbers = numbers.boxed();
            let filtered = async move { numbers.try_filter(is_even).try_fold(0, try_sum).await };
            assert_may_fail(&runtime, filtered, if end == Value(6) { Value(12) } else { end });
        }
    });
}
