//! A scope goes on when its body and all of its tasks have ended, and the first that fails stops the others.

mod leaves;
mod support;

use std::future::{Pending, pending};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use leaves::{Gate, poll_once};
use support::{Census, panic_text, runtime, stress, wait_until, watchdog, without_panic_messages};
use tress::env;
use tress::stop::{self, Outcome, StopSource, stopped};
use tress::task::{CountingScope, Scope, lazy, scope, yield_now};
use tress::time::sleep;

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn it_waits_for_tasks_and_for_what_they_spawn() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let ended = Arc::new(AtomicUsize::new(0));
    fn grow(scope: Scope<()>, depth: usize, ended: Arc<AtomicUsize>) {
        for _ in 0..3 {
            let (inner, count) = (scope.clone(), ended.clone());
            scope.spawn(async move {
                yield_now().await;
                if depth > 0 {
                    grow(inner, depth - 1, count.clone());
                }
                count.fetch_add(1, Ordering::Relaxed);
                Ok(())
            });
        }
    }
    let count = ended.clone();
    let result = runtime.block_on(scope(|scope| async move {
        grow(scope, 4, count);
        Ok(7)
    }));
    assert_eq!((result, ended.load(Ordering::Relaxed)), (Ok(7), 3 + 9 + 27 + 81 + 243));
}

#[test]
fn the_first_error_stops_the_others_and_waits_for_them() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let census = Census::default();
    let waits = || {
        let counted = census.count();
        async move {
            lazy(sleep(LONG)).await;
            drop(counted);
            Ok(())
        }
    };
    // From a task; the body waits, too.
    let result: Result<(), _> = runtime.block_on(scope(|scope| async move {
        (0..10).for_each(|_| drop(scope.spawn(waits())));
        scope.spawn(async {
            yield_now().await;
            Err("first")
        });
        sleep(LONG).await;
        unreachable!("the body is stopped");
    }));
    assert_eq!((result, census.alive()), (Err("first"), 0));
    // From the body.
    let waits = || {
        let counted = census.count();
        async move {
            sleep(LONG).await;
            drop(counted);
            Ok(())
        }
    };
    let result: Result<(), _> = runtime.block_on(scope(|scope| async move {
        (0..10).for_each(|_| drop(scope.spawn(waits())));
        yield_now().await;
        Err("from the body")
    }));
    assert_eq!((result, census.alive()), (Err("from the body"), 0));
}

/// What fails because it is asked to stop does not hide why.
#[test]
fn of_several_failures_the_first_counts() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    /// Fails, or panics, when it is asked to stop.
    fn fail_later(scope: &Scope<&'static str>) {
        for panics in [true, false, true] {
            scope.spawn(async move {
                assert!(stop::outcome(sleep(LONG)).await.is_stopped());
                assert!(!panics, "expected: later");
                Err("later")
            });
        }
    }
    without_panic_messages(|| {
        for from_the_body in [false, true] {
            let error: Result<(), _> = runtime.block_on(scope(|scope| async move {
                fail_later(&scope);
                if from_the_body {
                    return Err("first");
                }
                scope.spawn(async { Err("first") });
                sleep(LONG).await;
                unreachable!("the body is stopped");
            }));
            assert_eq!(error, Err("first"));
            let panics = runtime.spawn(scope(move |scope| async move {
                fail_later(&scope);
                assert!(!from_the_body, "expected: first");
                scope.spawn(async { panic!("expected: first") });
                sleep(LONG).await;
                Err::<(), _>("unreachable")
            }));
            assert_eq!(panic_text(runtime.block_on(panics).unwrap_err()), "expected: first");
        }
    });
}

/// It stops its tasks, waits for them, and then whoever awaits the scope is stopped; unless a task has failed.
#[test]
fn a_body_that_stops_itself_stops_all() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for fails in [false, true] {
        let census = Census::default();
        let counted = census.count();
        let scoped = scope(|scope| async move {
            scope.spawn(async move {
                let _counted = counted;
                assert!(stop::outcome(sleep(LONG)).await.is_stopped());
                if fails { Err("failed") } else { Ok(()) }
            });
            yield_now().await;
            match stopped().await {}
        });
        let outcome: Outcome<Result<(), _>> = runtime.block_on(stop::outcome(scoped));
        assert_eq!(outcome, if fails { Outcome::Value(Err("failed")) } else { Outcome::Stopped });
        assert_eq!(census.alive(), 0);
    }
}

#[test]
fn what_cleans_up_is_waited_for() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (gate, cleaned) = (Gate::default(), Arc::new(Mutex::new(false)));
    let (inner, flag) = (gate.clone(), cleaned.clone());
    let task = runtime.spawn(scope(|scope| async move {
        scope.spawn(async move {
            let stopped = stop::outcome(sleep(LONG)).await;
            assert_eq!(stopped, Outcome::Stopped);
            inner.passed().await;
            *flag.lock().unwrap() = true;
            Ok(())
        });
        yield_now().await;
        Err::<(), _>("failed")
    }));
    wait_until(|| gate.polls() > 0, "the task is asked to stop");
    assert!(!task.is_finished());
    gate.open();
    assert_eq!(runtime.block_on(task).unwrap(), Err("failed"));
    assert!(*cleaned.lock().unwrap());
}

#[test]
fn a_panic_goes_on_when_all_have_ended() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let census = Census::default();
    without_panic_messages(|| {
        for from_the_body in [false, true] {
            let counted = census.count();
            let task = runtime.spawn(scope(move |scope| async move {
                scope.spawn(async move {
                    sleep(LONG).await;
                    drop(counted);
                    Ok::<_, ()>(())
                });
                if from_the_body {
                    panic!("expected: in a scope");
                }
                scope.spawn(async { panic!("expected: in a scope") });
                Ok(())
            }));
            assert_eq!(panic_text(runtime.block_on(task).unwrap_err()), "expected: in a scope");
            assert_eq!(census.alive(), 0);
        }
    });
}

/// The closure is part of the body, though it makes the future first.
#[test]
fn a_panic_of_the_closure_goes_on_when_all_have_ended() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (gate, census) = (Gate::default(), Census::default());
    let (inner, counted) = (gate.clone(), census.count());
    without_panic_messages(|| {
        let task = runtime.spawn(scope(|scope| -> Pending<Result<(), ()>> {
            assert_eq!(env::with(env::Env::stop_token), scope.token());
            scope.spawn(async move {
                let _counted = counted;
                // It is asked to stop, and not dropped.
                assert!(stop::outcome(sleep(LONG)).await.is_stopped());
                inner.passed().await;
                Ok(())
            });
            panic!("expected: in a scope")
        }));
        wait_until(|| gate.polls() > 0, "the task is asked to stop");
        assert!(!task.is_finished());
        gate.open();
        assert_eq!(panic_text(runtime.block_on(task).unwrap_err()), "expected: in a scope");
    });
    assert_eq!(census.alive(), 0);
}

#[test]
fn a_stop_from_outside_reaches_everybody_and_goes_on() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (census, source) = (Census::default(), StopSource::new());
    let counter = census.clone();
    let scoped = scope(|scope| async move {
        for _ in 0..10 {
            let counted = counter.count();
            scope.spawn(async move {
                sleep(LONG).await;
                drop(counted);
                Ok::<_, ()>(())
            });
        }
        sleep(LONG).await;
        Ok(())
    });
    let task = runtime.spawn(env::scope().stop(source.token()).run(scoped));
    wait_until(|| census.made() == 10, "the tasks are spawned");
    source.request_stop();
    assert!(runtime.block_on(task).unwrap_err().is_stopped());
    assert_eq!(census.alive(), 0);
}

#[test]
fn a_stopped_or_aborted_task_is_no_failure() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let result = runtime.block_on(scope(|scope| async move {
        scope.spawn(async { match stopped().await {} });
        scope.spawn(pending::<Result<(), ()>>()).expect("it is open").abort();
        Ok(7)
    }));
    assert_eq!(result, Ok(7));
}

#[test]
fn a_dropped_scope_aborts_its_tasks() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let census = Census::default();
    let handle = Arc::new(Mutex::new(None));
    runtime.block_on(async {
        let mut scoped = Box::pin(scope(|scope| {
            let (counted, handle) = (census.count(), handle.clone());
            async move {
                *handle.lock().unwrap() = Some(scope.clone());
                // It cannot be asked to stop.
                scope.spawn(async move {
                    drop((pending::<()>().await, counted));
                    Ok::<_, ()>(())
                });
                pending::<Result<(), ()>>().await
            }
        }));
        assert!(poll_once(scoped.as_mut()).await.is_pending());
        drop(scoped);
        let scope = handle.lock().unwrap().take().unwrap();
        assert!(scope.spawn(async { Ok(()) }).is_none(), "the scope has ended");
    });
    census.wait_until_empty();
}

#[test]
fn tasks_have_the_values_of_whoever_spawns_them_and_the_scopes_stop() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let scoped = scope(|scope| async move {
        let token = scope.token();
        assert_eq!(env::with(env::Env::stop_token), token);
        let inner = scope.clone();
        scope.spawn(env::scope().value(2_u32).run(async move {
            inner.spawn(async move {
                log.lock().unwrap().push((env::value::<u32>(), env::value::<&str>()));
                assert_eq!(env::with(env::Env::stop_token), token);
                Ok(())
            });
            Ok::<_, ()>(())
        }));
        Ok(())
    });
    runtime.block_on(env::scope().value(1_u32).value("outer").run(scoped)).unwrap();
    assert_eq!(*seen.lock().unwrap(), [(Some(2), Some("outer"))]);
}

#[test]
fn a_counting_scope_waits_for_the_last() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let scope = CountingScope::new();
    let (census, gate) = (Census::default(), Gate::default());
    runtime.block_on(async {
        for _ in 0..100 {
            let (counted, gate) = (census.count(), gate.clone());
            let spawned = scope.spawn(async move {
                gate.passed().await;
                drop(counted);
            });
            assert!(spawned.is_some());
        }
        assert_eq!(scope.len(), 100);
        let mut one = pin!(scope.join());
        let mut two = pin!(scope.join());
        assert!(poll_once(one.as_mut()).await.is_pending() && scope.is_closed());
        assert!(poll_once(two.as_mut()).await.is_pending());
        assert!(scope.spawn(async {}).is_none());
        gate.open();
        tress::join!(one, two);
        assert_eq!((census.alive(), scope.is_empty()), (0, true));
    });
}

#[test]
fn a_counting_scope_stops_its_own() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let scope = CountingScope::new();
    let outer = StopSource::new();
    let inner = scope.clone();
    runtime.block_on(env::scope().stop(outer.token()).run(async move {
        let task = inner.spawn(sleep(LONG)).unwrap();
        let aborted = inner.spawn(pending::<()>()).unwrap();
        aborted.abort();
        drop(inner.clone());
        inner.request_stop();
        assert!(task.await.unwrap_err().is_stopped());
        let late = inner.spawn(sleep(LONG)).unwrap();
        assert!(late.await.unwrap_err().is_stopped());
        inner.join().await;
    }));
    assert!(scope.is_empty());
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("expected: in a scope");
    }
}

/// A panic is that of its task: it is told to whoever joins that, the others go on, more may come, and the scope waits for them all.
#[test]
fn a_counting_scope_lives_through_a_panic() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    without_panic_messages(|| {
        for is_told in [true, false] {
            let (scope, census, gate) = (CountingScope::new(), Census::default(), Gate::default());
            let inner = scope.clone();
            let waits = || {
                let (counted, gate) = (census.count(), gate.clone());
                async move {
                    gate.passed().await;
                    drop(counted);
                    7
                }
            };
            runtime.block_on(async {
                let others: Vec<_> = (0..10).map(|_| scope.spawn(waits()).unwrap()).collect();
                let panics = [
                    scope.spawn(async { panic!("expected: in a scope") }).unwrap(),
                    scope
                        .spawn(lazy(async { lazy(async { panic!("expected: in a scope") }).await }))
                        .unwrap(),
                    // When it has spawned another one of the scope.
                    scope
                        .spawn(async move {
                            drop(inner.spawn(yield_now()));
                            yield_now().await;
                            panic!("expected: in a scope")
                        })
                        .unwrap(),
                    // In the drop of what it holds.
                    scope.spawn(async { drop(Bomb) }).unwrap(),
                    {
                        let bomb = Bomb;
                        let task = scope
                            .spawn(async move {
                                let _bomb = bomb;
                                pending::<()>().await;
                            })
                            .unwrap();
                        task.abort();
                        task
                    },
                ];
                for task in panics {
                    if is_told {
                        assert_eq!(panic_text(task.await.unwrap_err()), "expected: in a scope");
                    }
                }
                wait_until(|| scope.len() == 10, "those that have panicked still count");
                assert!(!scope.is_closed() && !scope.token().is_stop_requested());
                let late = scope.spawn(waits()).expect("it is open");
                let mut join = pin!(scope.join());
                assert!(poll_once(join.as_mut()).await.is_pending());
                assert_eq!(census.alive(), 11, "somebody was stopped");
                gate.open();
                join.await;
                assert_eq!((census.alive(), scope.len(), late.await.unwrap()), (0, 0, 7));
                for task in others {
                    assert_eq!(task.await.unwrap(), 7);
                }
            });
        }
    });
}

/// An error is a value for whoever joins the task, and nothing to the scope: it stops nobody, other than in a `scope`.
#[test]
fn an_error_in_a_counting_scope_is_its_tasks() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for is_told in [true, false] {
        let (scope, census, gate) = (CountingScope::new(), Census::default(), Gate::default());
        let task = |end: Result<u32, &'static str>| {
            let (counted, gate) = (census.count(), gate.clone());
            scope.spawn(async move {
                if end.is_ok() {
                    gate.passed().await;
                }
                drop(counted);
                end
            })
        };
        runtime.block_on(async {
            let others: Vec<_> = (0..10).map(|number| task(Ok(number)).unwrap()).collect();
            let fails = ["one", "two"].map(|error| (task(Err(error)).unwrap(), error));
            for (task, error) in fails {
                if is_told {
                    assert_eq!(task.await.unwrap(), Err(error));
                }
            }
            wait_until(|| scope.len() == 10, "those that have failed still count");
            assert!(!scope.is_closed() && !scope.token().is_stop_requested());
            assert_eq!(census.alive(), 10, "somebody was stopped");
            let late = task(Ok(10)).expect("it is open");
            gate.open();
            scope.join().await;
            assert_eq!((census.alive(), late.await.unwrap()), (0, Ok(10)));
            for (task, number) in others.into_iter().zip(0..) {
                assert_eq!(task.await.unwrap(), Ok(number));
            }
        });
    }
}

/// Who stops waiting is forgotten, as is the waker that it was polled with before: however many come and go, nothing is kept of them.
#[test]
fn who_stops_waiting_for_a_scope_is_forgotten() {
    struct Counts(AtomicUsize);

    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    let _watchdog = watchdog();
    let runtime = runtime(1);
    let (scope, gate) = (CountingScope::new(), Gate::default());
    let leaf = gate.clone();
    let task = scope.spawn_on(async move { leaf.passed().await }, runtime.handle()).expect("it is open");
    let wakers = || [(); 3].map(|()| Arc::new(Counts(AtomicUsize::new(0))));
    let poll = |join: Pin<&mut dyn Future<Output = ()>>, waker: &Arc<Counts>| {
        join.poll(&mut Context::from_waker(&Waker::from(waker.clone())))
    };
    let mut stays = pin!(scope.join());
    let [first, last, gone] = wakers();
    for _ in 0..3 {
        for waker in [&first, &last] {
            assert!(poll(stays.as_mut(), waker).is_pending());
        }
    }
    assert_eq!((Arc::strong_count(&first), Arc::strong_count(&last)), (1, 2));
    for _ in 0..1000 {
        let mut join = Box::pin(scope.join());
        assert!(poll(join.as_mut(), &gone).is_pending());
        assert_eq!(Arc::strong_count(&gone), 2);
    }
    assert_eq!(Arc::strong_count(&gone), 1, "it is kept");
    gate.open();
    runtime.block_on(task).unwrap();
    wait_until(|| scope.is_empty(), "the task has not left");
    wait_until(|| last.0.load(Ordering::SeqCst) > 0, "it waits for ever");
    assert_eq!([&first, &last, &gone].map(|waker| waker.0.load(Ordering::SeqCst)), [0, 1, 0]);
    assert!(poll(stays.as_mut(), &last).is_ready());
    assert_eq!(Arc::strong_count(&last), 1);
}

#[test]
fn scopes_under_load_leave_nobody_behind() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let census = Census::default();
        let mut tasks = Vec::new();
        let mut sources = Vec::new();
        for _ in 0..16 {
            let mut random = random.fork();
            let census = census.clone();
            let source = StopSource::new();
            let scoped = scope(|scope| async move {
                for _ in 0..random.below(20) {
                    let (kind, counted) = (random.below(12), census.count());
                    let nested = scope.clone();
                    scope.spawn(async move {
                        let _counted = counted;
                        match kind {
                            0 => return Err(0),
                            1 => sleep(LONG).await,
                            2 => drop(nested.spawn(async { Ok(()) })),
                            3 => yield_now().await,
                            4 => sleep(Duration::from_micros(300)).await,
                            _ => {}
                        }
                        Ok(())
                    });
                    if random.once_in(8) {
                        yield_now().await;
                    }
                }
                scope.spawn(async { Err(1) });
                Ok(())
            });
            tasks.push(runtime.spawn(env::scope().stop(source.token()).run(scoped)));
            sources.push(source);
        }
        for (task, source) in tasks.iter().zip(&sources) {
            match random.below(4) {
                0 => task.abort(),
                1 => drop(source.request_stop()),
                _ => {}
            }
        }
        for task in tasks {
            match runtime.block_on(task) {
                Ok(result) => assert!(matches!(result, Err(0 | 1))),
                Err(error) => assert!(error.is_aborted() || error.is_stopped(), "{error}"),
            }
        }
        census.wait_until_empty();
    });
}
