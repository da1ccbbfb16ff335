//! `run_on`: the future runs on the other executor, and nowhere else; whoever awaits it goes on at home, after value, error, panic and stop.

mod support;

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use support::{payload_text, runtime, watchdog, without_panic_messages};
use tress::executor::{self, AnyExecutor, CurrentThread, Executor, Inline, Manual, launch, run_on};
use tress::future::FutureExt;
use tress::stop::{self, Outcome, StopSource};
use tress::stream::FuturesUnordered;
use tress::sync::oneshot;
use tress::task::{lazy, yield_now};
use tress::time::sleep;
use tress::{Handle, Runtime, env};

/// Asserts in each poll, and when it is dropped, that the code runs on an executor.
struct Only<F> {
    future: Pin<Box<F>>,
    executor: AnyExecutor,
    polls: Arc<AtomicUsize>,
}

impl<F: Future> Future for Only<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        assert!(self.executor.is_current(), "polled elsewhere");
        self.polls.fetch_add(1, Ordering::SeqCst);
        self.future.as_mut().poll(cx)
    }
}

/// Notes where it is dropped.
struct DroppedOn(AnyExecutor, Arc<Mutex<Vec<bool>>>);

impl Drop for DroppedOn {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0.is_current());
    }
}

fn only<F: Future>(executor: impl Executor, future: F) -> Only<F> {
    Only { future: Box::pin(future), executor: AnyExecutor::new(executor), polls: Arc::default() }
}

/// Two runtimes, and their handles.
fn pair() -> ([Runtime; 2], Handle, Handle) {
    let runtimes = [runtime(1), runtime(1)];
    let (home, there) = (runtimes[0].handle().clone(), runtimes[1].handle().clone());
    (runtimes, home, there)
}

#[test]
fn a_value_and_borrows() {
    let _watchdog = watchdog();
    let ([runtime, _other], home, there) = pair();
    let task = runtime.spawn(async move {
        let mut list = vec![1];
        for round in 0..500 {
            assert!(home.is_current() && !there.is_current());
            let length = run_on(
                there.clone(),
                only(there.clone(), async {
                    yield_now().await;
                    if round % 50 == 0 {
                        sleep(Duration::from_micros(50)).await;
                    }
                    list.push(round);
                    list.len()
                }),
            )
            .await;
            assert_eq!(length, round + 2);
            assert_eq!(executor::current(), Some(AnyExecutor::new(home.clone())));
        }
        list.len()
    });
    assert_eq!(runtime.block_on(task).unwrap(), 501);
    assert_eq!(runtime.handle().metrics().executor_hops(), 500);
}

#[test]
fn panic_and_stop_come_home() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let ([runtime, _other], home, there) = pair();
        let drops = Arc::new(Mutex::new(Vec::new()));
        let (at_home, away) = (
            DroppedOn(AnyExecutor::new(home.clone()), drops.clone()),
            DroppedOn(AnyExecutor::new(there.clone()), drops.clone()),
        );
        let task = launch(home.clone()).spawn({
            let there = there.clone();
            async move {
                let _at_home = at_home;
                run_on(there, async move {
                    let _away = away;
                    yield_now().await;
                    panic!("expected")
                })
                .await
            }
        });
        let error = runtime.block_on(task).unwrap_err();
        assert_eq!(payload_text(error.into_panic()), "expected");
        assert_eq!(*drops.lock().unwrap(), [true, true]);

        drops.lock().unwrap().clear();
        let source = StopSource::new();
        let (at_home, away) = (
            DroppedOn(AnyExecutor::new(home.clone()), drops.clone()),
            DroppedOn(AnyExecutor::new(there.clone()), drops.clone()),
        );
        let task = launch(home.clone()).stop(source.token()).spawn(async move {
            let _at_home = at_home;
            run_on(there, async move {
                let _away = away;
                sleep(Duration::from_secs(3600)).await;
            })
            .await;
        });
        thread::sleep(Duration::from_millis(20));
        assert!(!task.is_finished());
        source.request_stop();
        assert!(runtime.block_on(task).unwrap_err().is_stopped());
        assert_eq!(*drops.lock().unwrap(), [true, true]);
    });
}

#[test]
fn a_stop_is_caught_at_home() {
    let _watchdog = watchdog();
    let ([runtime, _other], home, there) = pair();
    let task = runtime.spawn(async move {
        let outcome = stop::outcome(run_on(there.clone(), async {
            stop::stopped().await;
        }))
        .await;
        assert!(home.is_current());
        let inside = run_on(there.clone(), async {
            let outcome = stop::outcome(stop::stopped()).await;
            assert!(there.is_current());
            outcome.is_stopped()
        })
        .await;
        (outcome, inside)
    });
    assert_eq!(runtime.block_on(task).unwrap(), (Outcome::Stopped, true));
}

#[test]
fn nested() {
    let _watchdog = watchdog();
    let runtimes = [runtime(1), runtime(1), runtime(1)];
    let [a, b, c] = [0, 1, 2].map(|place: usize| runtimes[place].handle().clone());
    let task = runtimes[0].spawn(async move {
        for _ in 0..200 {
            // What is around a nested hop is polled where that is, on the way: only what has none inside is asserted on.
            run_on(b.clone(), async {
                only(b.clone(), yield_now()).await;
                let inner = run_on(c.clone(), async {
                    only(c.clone(), sleep(Duration::from_micros(20))).await;
                    run_on(a.clone(), only(a.clone(), yield_now())).await;
                    assert!(c.is_current());
                    5
                });
                assert_eq!(inner.await, 5);
                assert!(b.is_current());
            })
            .await;
            assert!(a.is_current());
        }
    });
    runtimes[0].block_on(task).unwrap();
}

#[test]
fn two_at_once_are_each_polled_on_their_own() {
    let _watchdog = watchdog();
    let runtimes = [runtime(1), runtime(1), runtime(1)];
    let [home, b, c] = [0, 1, 2].map(|place: usize| runtimes[place].handle().clone());
    let task = runtimes[0].spawn(async move {
        for _ in 0..200 {
            let steps = || async {
                for _ in 0..5 {
                    yield_now().await;
                }
            };
            let (one, other) = (only(b.clone(), steps()), only(c.clone(), steps()));
            let polls = (one.polls.clone(), other.polls.clone());
            tress::join!(run_on(b.clone(), one), run_on(c.clone(), other));
            assert!(home.is_current());
            assert_eq!((polls.0.load(Ordering::SeqCst), polls.1.load(Ordering::SeqCst)), (6, 6));
        }
    });
    runtimes[0].block_on(task).unwrap();
}

#[test]
fn two_that_wait_do_not_run_in_circles() {
    let _watchdog = watchdog();
    let runtimes = [runtime(1), runtime(1), runtime(1)];
    let [b, c] = [1, 2].map(|place: usize| runtimes[place].handle().clone());
    let (tx, rx) = oneshot::channel::<()>();
    let polls = Arc::new(AtomicUsize::new(0));
    let count = polls.clone();
    let task = runtimes[0].spawn(async move {
        let counted = poll_fn(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Poll::<()>::Pending
        });
        let waits = run_on(b.clone(), async { rx.await.unwrap() });
        let mut others = pin!(async { tress::join!(run_on(c.clone(), pending::<()>()), counted) }.fuse());
        let mut waits = pin!(waits.fuse());
        tress::select! {
            () = waits => {}
            _ = others => unreachable!(),
        }
    });
    thread::sleep(Duration::from_millis(50));
    let before = polls.load(Ordering::SeqCst);
    thread::sleep(Duration::from_millis(50));
    assert_eq!(polls.load(Ordering::SeqCst), before, "it is polled though nobody has woken it");
    assert!(before < 20, "{before}");
    tx.send(()).unwrap();
    runtimes[0].block_on(task).unwrap();
}

#[test]
fn in_frames_and_under_other_wakers() {
    let _watchdog = watchdog();
    let ([runtime, _other], home, there) = pair();
    let task = runtime.spawn(async move {
        let frame = {
            let (home, there) = (home.clone(), there.clone());
            lazy(async move {
                let inner = there.clone();
                let value = run_on(
                    there.clone(),
                    only(there, async move {
                        yield_now().await;
                        // A frame below it.
                        lazy(async move {
                            sleep(Duration::from_micros(10)).await;
                            drop(inner);
                            3
                        })
                        .await
                    }),
                )
                .await;
                assert!(home.is_current());
                value
            })
        };
        assert_eq!(frame.await, 3);
        let mut all = FuturesUnordered::new();
        for number in 0..50 {
            let there = there.clone();
            all.push(run_on(
                there.clone(),
                only(there, async move {
                    yield_now().await;
                    sleep(Duration::from_micros(number)).await;
                    number
                }),
            ));
        }
        let mut sum = 0;
        while let Some(number) = tress::stream::StreamExt::next(&mut all).await {
            assert!(home.is_current());
            sum += number;
        }
        sum
    });
    assert_eq!(runtime.block_on(task).unwrap(), 49 * 50 / 2);
}

#[test]
fn outside_tasks() {
    let _watchdog = watchdog();
    let ([runtime, _other], _home, there) = pair();
    let own = thread::current().id();
    let check = || async {
        let mut local = 0;
        let source = StopSource::new();
        for _ in 0..50 {
            run_on(
                there.clone(),
                only(there.clone(), async {
                    yield_now().await;
                    sleep(Duration::from_micros(10)).await;
                    local += 1;
                    assert_eq!(env::value::<u32>(), Some(9));
                }),
            )
            .await;
            assert_eq!(thread::current().id(), own);
        }
        source.request_stop();
        let stopped = env::scope().stop(source.token()).run(run_on(there.clone(), async {
            sleep(Duration::from_secs(3600)).await;
        }));
        assert!(stop::outcome(stopped).await.is_stopped());
        local
    };
    // The root of `block_on`; that of a `CurrentThread`; a task that is bound to its thread; another library's.
    assert_eq!(runtime.block_on(env::scope().value(9_u32).run(check())), 50);
    let local = CurrentThread::new();
    assert_eq!(local.run_until(env::scope().value(9_u32).run(check())), 50);
    let _entered = runtime.handle().enter();
    assert_eq!(support::block_on_foreign(env::scope().value(9_u32).run(check())), 50);
    let there = there.clone();
    let bound = local.spawn(async move {
        let mut sum = 0;
        for _ in 0..50 {
            // What is around it stays on the thread all the time.
            let beside = poll_fn(|_| {
                assert_eq!(thread::current().id(), own);
                Poll::Ready(())
            });
            tress::join!(run_on(there.clone(), async { sum += 1 }), async {
                yield_now().await;
                beside.await;
            });
            assert_eq!(thread::current().id(), own);
        }
        sum
    });
    assert_eq!(local.run_until(bound).unwrap(), 50);
    let executor = local.executor();
    assert_eq!(local.run_until(run_on(executor, async { 7 })), 7);
}

#[test]
fn a_panic_outside_tasks() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let ([runtime, _other], _home, there) = pair();
        let panic = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(run_on(there, async { panic!("expected") }));
        }));
        assert_eq!(payload_text(panic.unwrap_err()), "expected");
    });
}

#[test]
fn inside_anothers_block_on_in_a_task() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let ([runtime, _other], _home, there) = pair();
        let task = runtime.spawn(async move {
            support::block_on_foreign(run_on(there, async {
                // Never run.
                yield_now().await;
            }));
        });
        let error = runtime.block_on(task).unwrap_err();
        let text = payload_text(error.into_panic());
        assert!(text.contains("another library's executor"), "{text}");
    });
}

#[test]
fn dropped_on_the_way() {
    let _watchdog = watchdog();
    let ([runtime, _other], home, there) = pair();
    let task = runtime.spawn(async move {
        for round in 0..300 {
            let mut future = Box::pin(run_on(there.clone(), async {
                yield_now().await;
                sleep(Duration::from_secs(3600)).await;
            }));
            let polls = round % 4;
            for _ in 0..polls {
                let pending = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
                assert!(pending);
                if round % 8 >= 4 {
                    yield_now().await;
                }
            }
            drop(future);
            // The task is back soon, if it went, and stays.
            yield_now().await;
            yield_now().await;
            assert!(home.is_current());
        }
    });
    runtime.block_on(task).unwrap();
}

#[test]
fn aborted_and_shut_down_while_away() {
    let _watchdog = watchdog();
    let ([home, other], _, there) = pair();
    let drops = Arc::new(Mutex::new(Vec::new()));
    let spawn = |runtime: &Runtime| {
        let guard = DroppedOn(AnyExecutor::new(Inline), drops.clone());
        let there = there.clone();
        runtime.spawn(async move {
            run_on(there, async move {
                let _guard = guard;
                pending::<()>().await;
            })
            .await;
        })
    };
    let task = spawn(&home);
    thread::sleep(Duration::from_millis(20));
    task.abort();
    assert!(home.block_on(task).unwrap_err().is_aborted());
    assert_eq!(drops.lock().unwrap().len(), 1);
    let task = spawn(&home);
    thread::sleep(Duration::from_millis(20));
    drop(home);
    assert!(other.block_on(task).unwrap_err().is_aborted());
    assert_eq!(drops.lock().unwrap().len(), 2);
}

#[test]
fn on_a_manual_executor_step_by_step() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let manual = Manual::new();
    let executor = manual.executor();
    let task = runtime.spawn(async move { run_on(executor, async { yield_now().await }).await });
    let until = Instant::now() + Duration::from_secs(10);
    while manual.is_empty() && Instant::now() < until {
        thread::yield_now();
    }
    assert!(!task.is_finished());
    assert!(manual.run_one() && manual.len() == 1, "it has yielded");
    assert!(manual.run_one() && manual.is_empty());
    runtime.block_on(task).unwrap();
}

#[test]
fn spawns_there_inherit_it() {
    let _watchdog = watchdog();
    let ([runtime, _other], home, there) = pair();
    let task = runtime.spawn(async move {
        let inner =
            run_on(there.clone(), async { tress::spawn(async { executor::current() }).await.unwrap() }).await;
        assert_eq!(inner, Some(AnyExecutor::new(there)));
        assert_eq!(tress::spawn(async { executor::current() }).await.unwrap(), Some(AnyExecutor::new(home)));
    });
    runtime.block_on(task).unwrap();
}

#[test]
fn a_storm() {
    let _watchdog = watchdog();
    let runtimes = [runtime(2), runtime(2), runtime(2)];
    let handles: Vec<Handle> = runtimes.iter().map(|runtime| runtime.handle().clone()).collect();
    let tasks: Vec<_> = (0..200_usize)
        .map(|number| {
            let handles = handles.clone();
            runtimes[number % 3].spawn(async move {
                for step in 0..50_usize {
                    let to = &handles[(number + step) % 3];
                    let work = run_on(to.clone(), async {
                        for _ in 0..(number + step) % 3 {
                            yield_now().await;
                        }
                        assert!(to.is_current());
                    });
                    match step % 5 {
                        0 => {
                            let _ = tress::time::timeout(Duration::from_micros(number as u64), work).await;
                            // Dropped while it was away: it is back when it has waited.
                            yield_now().await;
                        }
                        1 => {
                            let other = run_on(handles[step % 3].clone(), yield_now());
                            tress::join!(work, other);
                        }
                        _ => work.await,
                    }
                    assert!(handles[number % 3].is_current());
                }
            })
        })
        .collect();
    for (number, task) in tasks.into_iter().enumerate() {
        if number % 10 == 9 {
            task.abort();
        }
        match runtimes[0].block_on(task) {
            Ok(()) => {}
            Err(error) => assert!(error.is_aborted(), "{error}"),
        }
    }
}

#[test]
fn one_that_leaves_the_hop_around_it_is_woken() {
    let _watchdog = watchdog();
    let runtimes = [runtime(1), runtime(1), runtime(1)];
    let [home, x, y] = [0, 1, 2].map(|place: usize| runtimes[place].handle().clone());
    for other_task in [false, true] {
        let (home, x, y) = (home.clone(), x.clone(), y.clone());
        let task = runtimes[0].spawn(async move {
            let inner = run_on(x, async {
                let mut inner = Box::pin(run_on(
                    y.clone(),
                    only(y, async {
                        sleep(Duration::from_millis(5)).await;
                        7
                    }),
                ));
                // It goes to the other executor while it is inside.
                let first = poll_fn(|cx| Poll::Ready(inner.as_mut().poll(cx))).await;
                assert!(first.is_pending());
                yield_now().await;
                (inner,)
            })
            .await
            .0;
            assert!(home.is_current());
            let value = if other_task { tress::spawn(inner).await.unwrap() } else { inner.await };
            assert!(home.is_current());
            value
        });
        assert_eq!(runtimes[0].block_on(task).unwrap(), 7);
    }
}

#[test]
fn what_is_beside_a_nested_hop_is_not_polled_at_home() {
    let _watchdog = watchdog();
    let runtimes = [runtime(1), runtime(1), runtime(1)];
    let [home, x, y] = [0, 1, 2].map(|place: usize| runtimes[place].handle().clone());
    let at_home = Arc::new(AtomicUsize::new(0));
    let count = at_home.clone();
    let task = runtimes[0].spawn(async move {
        let mut outside = pin!(
            async {
                loop {
                    // Keeps the task at home busy.
                    yield_now().await;
                }
            }
            .fuse()
        );
        for _ in 0..300 {
            let (home, count) = (home.clone(), count.clone());
            let beside = poll_fn(move |_| {
                count.fetch_add(usize::from(home.is_current()), Ordering::SeqCst);
                Poll::Ready(())
            });
            let mut inside = pin!(
                run_on(x.clone(), async {
                    tress::join!(run_on(y.clone(), sleep(Duration::from_micros(10))), async {
                        yield_now().await;
                        beside.await;
                    })
                })
                .fuse()
            );
            tress::select! {
                _ = inside => {}
                () = outside => unreachable!(),
            }
        }
    });
    runtimes[0].block_on(task).unwrap();
    assert_eq!(at_home.load(Ordering::SeqCst), 0);
}
