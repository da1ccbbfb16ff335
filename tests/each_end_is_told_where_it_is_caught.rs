//! However something ends, by a value, an error, a stop or a panic: the innermost place that catches such an end is told which it was, once,
//! when what has ended is gone; and nobody else is.

mod ends;
mod support;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use ends::End::{self, Error, Panic, Stop, Value};
use ends::{PANIC, number, result};
use futures_util::FutureExt;
use support::{Census, Counted, payload_text, runtime, watchdog, without_panic_messages};
use tress::executor::{Handlers, Inline, Manual, Prioritized, launch, run_on};
use tress::stop::{self, Outcome, StopSource, stopped_as_error, stopped_as_option};
use tress::task::{CountingScope, JoinError, JoinSet, lazy};
use tress::time::sleep;
use tress::{Handle, Runtime, env};

const LONG: Duration = Duration::from_secs(3600);

type Ended = Result<i32, &'static str>;

/// What ends somehow, in a place that catches that.
type Line = Pin<Box<dyn Future<Output = Ended> + Send>>;

/// A place that catches ends: runs a line there, and says what it has been told.
struct Place {
    what: &'static str,
    told: fn(&Runtime, Line) -> End,
}

const PLACES: [Place; 11] = [
    Place { what: "a handle", told: |runtime, line| joined(runtime.block_on(runtime.spawn(line))) },
    Place {
        what: "a handle of another runtime's task",
        told: |runtime, line| {
            let other = support::runtime(1);
            let handle = other.handle().clone();
            joined(runtime.block_on(runtime.spawn(async move { handle.spawn(line).await })).unwrap())
        },
    },
    Place {
        what: "a handle of what is launched",
        told: |runtime, line| {
            let lane = Prioritized::new(runtime.handle().clone()).low();
            joined(launch(Inline).block_on(launch(lane).spawn(line)).unwrap())
        },
    },
    Place {
        what: "launch and block",
        told: |runtime, line| {
            let handle = runtime.handle().clone();
            caught(catch_unwind(AssertUnwindSafe(|| launch(handle).block_on(line))))
                .map_or_else(|end| end, joined)
        },
    },
    Place {
        what: "handlers",
        told: |runtime, line| {
            let (said, told) = mpsc::channel();
            let [values, errors, stops, panics] = [(); 4].map(|()| said.clone());
            drop(said);
            let handlers = Handlers::new()
                .ok(move |number| values.send(Value(number)).unwrap())
                .error(move |error| errors.send(Error(error)).unwrap())
                .stop(move || stops.send(Stop).unwrap())
                .panic(move |payload| panics.send(panicked(payload)).unwrap());
            launch(runtime.handle().clone()).detach_with(line, handlers);
            let end = told.recv().unwrap();
            assert_eq!(told.recv(), Err(mpsc::RecvError), "another one is called");
            end
        },
    },
    Place {
        what: "a set",
        told: |runtime, line| {
            runtime.block_on(async {
                let mut set = JoinSet::new();
                set.spawn(line);
                let end = joined(set.join_next().await.unwrap());
                assert!(set.join_next().await.is_none());
                end
            })
        },
    },
    Place {
        what: "a handle of a scope's task",
        told: |runtime, line| {
            runtime.block_on(async {
                let scope = CountingScope::new();
                let end = joined(scope.spawn(line).unwrap().await);
                scope.join().await;
                end
            })
        },
    },
    Place { what: "outcome", told: |runtime, line| in_task(runtime, outcome(line)) },
    Place {
        what: "outcome of what runs elsewhere",
        told: |runtime, line| {
            let lane = Prioritized::new(runtime.handle().clone()).high();
            in_task(runtime, outcome(Box::pin(run_on(lane, line))))
        },
    },
    Place {
        what: "stopped_as_option",
        told: |runtime, line| {
            in_task(runtime, async { stopped_as_option(line).await.map_or(Stop, returned) })
        },
    },
    Place {
        what: "stopped_as_error",
        told: |runtime, line| {
            in_task(runtime, async { stopped_as_error(line, Stop).await.map_or_else(|end| end, returned) })
        },
    },
];

fn returned(ended: Ended) -> End {
    ended.map_or_else(Error, Value)
}

fn joined(ended: Result<Ended, JoinError>) -> End {
    match ended {
        Ok(ended) => returned(ended),
        Err(error) if error.is_stopped() => Stop,
        Err(error) => panicked(error.into_panic()),
    }
}

fn panicked(payload: Box<dyn std::any::Any + Send>) -> End {
    assert_eq!(payload_text(payload), PANIC);
    Panic
}

fn caught<T>(result: thread::Result<T>) -> Result<T, End> {
    result.map_err(panicked)
}

async fn outcome(line: Line) -> End {
    match stop::outcome(line).await {
        Outcome::Value(ended) => returned(ended),
        Outcome::Stopped => Stop,
    }
}

/// What a line gives in a task, where a panic is caught, too; the task goes on after each.
fn in_task(runtime: &Runtime, told: impl Future<Output = End> + Send + 'static) -> End {
    let task = runtime.spawn(async move {
        let end = caught(AssertUnwindSafe(told).catch_unwind().await).unwrap_or_else(|end| end);
        tress::task::yield_now().await;
        end
    });
    runtime.block_on(task).unwrap()
}

/// Ends in this way, and is there until it is dropped, whatever it has ended with.
struct Held(Line, #[expect(dead_code, reason = "it is there to be dropped")] Counted);

impl Held {
    fn new(end: End, census: &Census) -> Self {
        Self(Box::pin(result(end)), census.count())
    }
}

impl Future for Held {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        self.0.as_mut().poll(cx)
    }
}

/// Lines that end in this way, at different depths, and the census of what each holds.
fn lines(end: End, there: &Handle) -> Vec<(Census, Line)> {
    let held = |census: &Census| Held::new(end, census);
    let mut lines: Vec<(Census, Line)> = Vec::new();
    let mut add = |make: &dyn Fn(&Census) -> Line| {
        let census = Census::default();
        let line = make(&census);
        lines.push((census, line));
    };
    add(&|census| Box::pin(held(census)));
    add(&|census| Box::pin(lazy(lazy(lazy(held(census))))));
    add(&|census| Box::pin(run_on(there.clone(), held(census))));
    add(&|census| Box::pin(run_on(there.clone(), run_on(Inline, lazy(held(census))))));
    if end == Stop {
        add(&|census| asked_to_stop(held(census)));
        add(&|census| asked_to_stop(run_on(there.clone(), lazy(held(census)))));
    }
    lines
}

/// What does not get to its end, since somebody asks it to stop.
fn asked_to_stop(line: impl Future<Output = Ended> + Send + 'static) -> Line {
    let source = StopSource::new();
    let scope = env::scope().stop(source.token());
    Box::pin(scope.run(async move {
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(2));
            source.request_stop();
        });
        sleep(LONG).await;
        line.await
    }))
}

#[test]
fn each_end_in_each_place() {
    let _watchdog = watchdog();
    let (runtime, other) = (runtime(2), support::runtime(1));
    without_panic_messages(|| {
        for place in &PLACES {
            for end in [Value(6), Value(7), Error("none"), Error("dusty"), Stop, Panic] {
                for (number, (census, line)) in lines(end, other.handle()).into_iter().enumerate() {
                    let told = (place.told)(&runtime, line);
                    assert_eq!(told, end, "{}, line {number}", place.what);
                    assert_eq!((census.made(), census.alive()), (1, 0), "{}, line {number}", place.what);
                }
            }
        }
    });
}

/// Also where whoever is told still has what it was told by.
#[test]
fn what_has_been_stopped_or_has_panicked_is_gone_by_then() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let census = Census::default();
    without_panic_messages(|| {
        let (inner, lane) = (census.clone(), Prioritized::new(runtime.handle().clone()).low());
        let task = runtime.spawn(async move {
            let mut outcome = pin!(stop::outcome(Held::new(Stop, &inner)));
            assert_eq!((outcome.as_mut().await, inner.alive()), (Outcome::Stopped, 0));
            let mut outcome = pin!(stop::outcome(lazy(Held::new(Stop, &inner))));
            assert_eq!((outcome.as_mut().await, inner.alive()), (Outcome::Stopped, 0));
            for end in [Value(6), Stop, Panic] {
                let mut handle = tress::spawn(Held::new(end, &inner));
                assert_eq!((joined((&mut handle).await), inner.alive()), (end, 0));
            }
            let mut panics = pin!(AssertUnwindSafe(run_on(lane, Held::new(Panic, &inner))).catch_unwind());
            assert!(panics.as_mut().await.is_err() && inner.alive() == 0);
        });
        runtime.block_on(task).unwrap();
        for end in [Value(6), Error("none"), Stop, Panic] {
            let (said, told) = mpsc::channel();
            let [values, stops, panics] = [(); 3].map(|()| (said.clone(), census.clone()));
            let handlers = Handlers::new()
                .value(move |ended| values.0.send((returned(ended), values.1.alive())).unwrap())
                .stop(move || stops.0.send((Stop, stops.1.alive())).unwrap())
                .panic(move |_| panics.0.send((Panic, panics.1.alive())).unwrap());
            launch(runtime.handle().clone()).detach_with(Held::new(end, &census), handlers);
            assert_eq!(told.recv().unwrap(), (end, 0));
        }
    });
}

/// An end that has been caught is a value for whoever is outside.
#[test]
fn the_innermost_is_told_and_nobody_else() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let task = runtime.spawn(async {
        let stop = || number(Stop);
        assert_eq!(stop::outcome(stop::outcome(stop())).await, Outcome::Value(Outcome::Stopped));
        assert_eq!(stopped_as_option(stopped_as_error(stop(), "stop")).await, Some(Err("stop")));
        assert_eq!(stopped_as_error(stopped_as_option(stop()), "stop").await, Ok(None));
        let joined = stop::outcome(tress::spawn(stop())).await;
        assert!(matches!(joined, Outcome::Value(Err(error)) if error.is_stopped()));
        let inside = stop::outcome(async {
            let inside = stop::outcome(stop()).await;
            // And again, where the outer one is the innermost.
            assert_eq!(inside, Outcome::Stopped);
            number(Stop).await
        });
        assert_eq!(inside.await, Outcome::Stopped);
        let panics = AssertUnwindSafe(number(Panic)).catch_unwind();
        assert!(matches!(stop::outcome(panics).await, Outcome::Value(Err(_))));
        let stops = AssertUnwindSafe(stop()).catch_unwind();
        assert!(stop::outcome(stops).await.is_stopped(), "a stop is no panic");
        9
    });
    without_panic_messages(|| assert_eq!(runtime.block_on(task).unwrap(), 9));
}

#[test]
fn the_relatives_of_outcome_say_it_their_way() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    runtime.block_on(async {
        assert_eq!(stopped_as_option(number(Stop)).await, None);
        assert_eq!(stopped_as_option(async { 7 }).await, Some(7));
        assert_eq!(stopped_as_error(number(Stop), "stopped").await, Err("stopped"));
        assert_eq!(stopped_as_error(async { 7 }, "stopped").await, Ok(7));
        assert_eq!(stop::outcome(async { 7 }).await.map(|seven| seven + 1), Outcome::Value(8));
    });
}

/// `block_on` gives a value or an error, and a panic goes on; a stop has nobody who could be told.
#[test]
fn block_on_gives_what_is_not_a_stop() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    without_panic_messages(|| {
        assert_eq!(runtime.block_on(result(Value(7))), Ok(7));
        assert_eq!(runtime.block_on(result(Error("none"))), Err("none"));
        let told = |end| catch_unwind(AssertUnwindSafe(|| runtime.block_on(lazy(result(end)))));
        assert_eq!(payload_text(told(Panic).unwrap_err()), PANIC);
        let text = payload_text(told(Stop).unwrap_err());
        assert!(text.contains("has been stopped") && text.contains("stop::outcome"), "{text}");
        assert_eq!(runtime.block_on(async { 7 }), 7);
    });
}

#[test]
fn block_on_of_a_launch_is_refused_inside() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    without_panic_messages(|| {
        let inside = runtime.block_on(async {
            let handle = Handle::current();
            catch_unwind(AssertUnwindSafe(|| launch(handle).block_on(async {}))).is_err()
        });
        assert!(inside);
    });
}

/// What has no handler is dropped, and so is what no handler is called for.
#[test]
fn handlers_are_called_for_ends_and_not_for_drops() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let census = Census::default();
    let counted = census.count();
    launch(runtime.handle().clone()).detach_with(async move { counted }, Handlers::new());
    census.wait_until_empty();

    let calls = Arc::new(AtomicUsize::new(0));
    let handlers = || {
        let [values, stops, panics] = [(); 3].map(|()| (calls.clone(), census.count()));
        let call = |(calls, _held): &(Arc<AtomicUsize>, _)| {
            calls.fetch_add(1, Ordering::SeqCst);
        };
        Handlers::new()
            .value(move |()| call(&values))
            .stop(move || call(&stops))
            .panic(move |_| call(&panics))
    };
    let manual = Manual::new();
    launch(manual.executor()).detach_with(std::future::pending(), handlers());
    launch(manual.executor()).detach_with(async {}, handlers());
    assert!(manual.run_one(), "the first one waits");
    drop(manual);
    assert_eq!((calls.load(Ordering::SeqCst), census.alive()), (0, 0));
    launch(Inline).detach_with(async {}, handlers());
    assert_eq!((calls.load(Ordering::SeqCst), census.alive()), (1, 0));
}
