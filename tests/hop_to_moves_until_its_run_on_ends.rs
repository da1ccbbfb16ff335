//! `hop_to`: what is inside a `run_on` goes on on another executor, and whoever awaits that does not notice.

mod support;

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use support::{Random, panic_text, runtime, stress, watchdog, without_panic_messages};
use tress::executor::{
    self, AnyExecutor, CurrentThread, Executor, HopError, Inline, Manual, Prioritized, Runnable, hop_to,
    launch, run_on,
};
use tress::future::FutureExt;
use tress::stop::{self, Outcome, stopped};
use tress::stream::{FuturesUnordered, StreamExt};
use tress::task::{lazy, yield_now};
use tress::time::sleep;
use tress::{Handle, Runtime, env, join};

/// So many runtimes of one worker each, and their handles.
fn runtimes<const COUNT: usize>() -> ([Runtime; COUNT], [Handle; COUNT]) {
    let runtimes = std::array::from_fn(|_| runtime(1));
    let handles = std::array::from_fn(|place| {
        let runtimes: &[Runtime; COUNT] = &runtimes;
        runtimes[place].handle().clone()
    });
    (runtimes, handles)
}

/// Notes where it is dropped.
struct DroppedOn(Handle, Arc<Mutex<Vec<bool>>>);

impl Drop for DroppedOn {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0.is_current());
    }
}

#[test]
fn it_moves_now_and_gives_the_former_one() {
    let _watchdog = watchdog();
    let ([runtime, _one, _two], [home, a, b]) = runtimes::<3>();
    let task = runtime.spawn(async move {
        let mut visited = Vec::new();
        run_on(a.clone(), async {
            for _ in 0..100 {
                assert_eq!(hop_to(b.clone()).await, Ok(AnyExecutor::new(a.clone())));
                assert!(b.is_current());
                assert_eq!(executor::current(), Some(AnyExecutor::new(b.clone())));
                // It stays there, whoever wakes it.
                sleep(Duration::from_micros(10)).await;
                yield_now().await;
                assert!(b.is_current());
                let spawned = tress::spawn(async { executor::current() });
                visited.push(spawned.await.unwrap());
                assert_eq!(hop_to(a.clone()).await, Ok(AnyExecutor::new(b.clone())));
                assert!(a.is_current());
            }
            hop_to(b.clone()).await.unwrap();
        })
        .await;
        assert!(home.is_current(), "the end does not leak to whoever awaits");
        assert_eq!(executor::current(), Some(AnyExecutor::new(home)));
        assert!(visited.iter().all(|executor| *executor == Some(AnyExecutor::new(b.clone()))));
        visited.len()
    });
    assert_eq!(runtime.block_on(task).unwrap(), 100);
}

#[test]
fn an_error_where_nothing_can_be_moved() {
    let _watchdog = watchdog();
    let ([runtime, _other], [home, there]) = runtimes();
    let task = runtime.spawn({
        let there = there.clone();
        async move { (hop_to(there).await.is_err(), home.is_current()) }
    });
    assert_eq!(runtime.block_on(task).unwrap(), (true, true));
    let error: HopError = runtime.block_on(hop_to(there)).unwrap_err();
    assert!(error.to_string().contains("not inside a `run_on`"));
}

#[test]
fn value_panic_stop_and_drop_come_home() {
    let _watchdog = watchdog();
    let ([runtime, _one, _two], [home, a, b]) = runtimes::<3>();
    let log = Arc::new(Mutex::new(Vec::new()));
    let locals = log.clone();
    let task = runtime.spawn(async move {
        let local = || DroppedOn(b.clone(), locals.clone());
        let stopped = stop::outcome(run_on(a.clone(), async {
            let _local = local();
            hop_to(b.clone()).await.unwrap();
            match stopped().await {}
        }));
        assert_eq!(stopped.await, Outcome::<()>::Stopped);
        assert!(home.is_current());
        let panicked = std::panic::AssertUnwindSafe(run_on(a.clone(), async {
            let _local = local();
            hop_to(b.clone()).await.unwrap();
            panic!("expected");
        }));
        assert!(panicked.catch_unwind().await.is_err());
        assert!(home.is_current());
        // Dropped in the middle: by whoever awaits, at home or where it was moved to.
        let moved = run_on(a.clone(), async {
            hop_to(b.clone()).await.unwrap();
            pending::<()>().await;
        });
        assert!(tress::time::timeout(Duration::from_millis(5), moved).await.is_err());
        yield_now().await;
        assert!(home.is_current());
    });
    without_panic_messages(|| runtime.block_on(task).unwrap());
    assert_eq!(*log.lock().unwrap(), [true, true], "what ends there is dropped there");
    let ([runtime, _one, _two], [_home, a, _b]) = runtimes::<3>();
    let task = runtime.spawn(async move {
        run_on(a, async {
            hop_to(Inline).await.unwrap();
            panic!("expected")
        })
        .await
    });
    without_panic_messages(|| assert_eq!(panic_text(runtime.block_on(task).unwrap_err()), "expected"));
}

#[test]
fn the_innermost_run_on_moves_and_no_other() {
    let _watchdog = watchdog();
    let ([runtime, _one, _two, _three], [home, a, b, c]) = runtimes::<4>();
    let task = runtime.spawn(async move {
        run_on(a.clone(), async {
            run_on(b.clone(), async {
                hop_to(c.clone()).await.unwrap();
                sleep(Duration::from_micros(100)).await;
                assert!(c.is_current());
            })
            .await;
            assert!(a.is_current());
            yield_now().await;
            assert!(a.is_current());
            // Inside frames, too.
            let inner = c.clone();
            lazy(async move { hop_to(inner).await.unwrap() }).await;
            assert!(c.is_current());
            run_on(a.clone(), async { yield_now().await }).await;
            assert!(c.is_current());
        })
        .await;
        assert!(home.is_current());
    });
    runtime.block_on(task).unwrap();
}

#[test]
fn values_and_stops_stay_what_they_were() {
    let _watchdog = watchdog();
    let ([runtime, _one, _two], [_home, a, b]) = runtimes::<3>();
    let source = stop::StopSource::new();
    let token = source.token();
    let inner = run_on(a, async move {
        hop_to(b.clone()).await.unwrap();
        assert_eq!((env::value::<u32>(), b.is_current()), (Some(7), true));
        source.request_stop();
        sleep(Duration::from_secs(3600)).await;
    });
    let task = runtime.spawn(stop::outcome(env::scope().value(7_u32).stop(token).run(inner)));
    assert_eq!(runtime.block_on(task).unwrap(), Outcome::Stopped);
}

/// Outside tasks, the thread waits while the executor polls, whichever that is.
#[test]
fn outside_tasks() {
    let _watchdog = watchdog();
    let ([runtime, _one, _two], [_home, a, b]) = runtimes::<3>();
    let visit = || async {
        run_on(a.clone(), async {
            assert!(a.is_current());
            hop_to(b.clone()).await.unwrap();
            assert!(b.is_current());
            sleep(Duration::from_millis(1)).await;
            assert!(b.is_current() && !a.is_current());
            hop_to(a.clone()).await.unwrap();
            assert!(a.is_current());
        })
        .await;
        assert!(!a.is_current() && !b.is_current());
    };
    runtime.block_on(visit());
    CurrentThread::new().run_until(visit());
    support::block_on_foreign(visit());
}

/// A hop inside other combinators, which poll a few at a time, and wake with wakers of their own.
#[test]
fn under_other_wakers_and_side_by_side() {
    let _watchdog = watchdog();
    let ([runtime, _one, _two], handles) = runtimes::<3>();
    let task = runtime.spawn(async move {
        let [_home, a, b] = &handles;
        let many: FuturesUnordered<_> = (0..20)
            .map(|number| {
                run_on(a.clone(), async move {
                    hop_to(b.clone()).await.unwrap();
                    assert!(b.is_current());
                    yield_now().await;
                    assert!(b.is_current());
                    number
                })
            })
            .collect();
        assert_eq!(many.collect::<Vec<_>>().await.len(), 20);
        run_on(a.clone(), async {
            // The last one counts; both are ready.
            let (first, second) = join!(hop_to(b.clone()), hop_to(Inline));
            assert_eq!(first, Ok(AnyExecutor::new(a.clone())));
            assert_eq!(second, Ok(AnyExecutor::new(b.clone())));
            assert_eq!(executor::current(), Some(AnyExecutor::new(Inline)));
            // A move that nobody waits for is made all the same.
            assert!(hop_to(b.clone()).now_or_never().is_none());
            yield_now().await;
            assert!(b.is_current());
            let mut several: FuturesUnordered<_> =
                [a, b, a].into_iter().map(|to| hop_to(to.clone())).collect();
            while let Some(former) = several.next().await {
                former.unwrap();
            }
        })
        .await;
    });
    runtime.block_on(task).unwrap();
}

/// One's own, that passes on what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Own(AnyExecutor);

impl Executor for Own {
    fn post(&self, runnable: Runnable) {
        self.0.post(runnable);
    }

    fn is_current(&self) -> bool {
        self.0.is_current()
    }
}

#[test]
fn to_any_kind_of_executor() {
    let _watchdog = watchdog();
    let ([runtime], [home]) = runtimes();
    let lanes = Prioritized::new(home.clone());
    let (manual, lane) = (Manual::new(), lanes.low());
    let to_manual = manual.executor();
    let task = launch(lane.clone()).spawn(async move {
        run_on(lane.clone(), async {
            hop_to(to_manual.clone()).await.unwrap();
            assert!(to_manual.is_current());
            yield_now().await;
            assert!(to_manual.is_current());
            hop_to(lane.clone()).await.unwrap();
            assert_eq!(executor::current(), Some(AnyExecutor::new(lane.clone())));
            hop_to(home.clone()).await.unwrap();
            assert_eq!(executor::current(), Some(AnyExecutor::new(home.clone())));
            let own = Own(AnyExecutor::new(to_manual.clone()));
            hop_to(own.clone()).await.unwrap();
            sleep(Duration::from_micros(50)).await;
            assert!(to_manual.is_current() && executor::current() == Some(AnyExecutor::new(own.clone())));
            run_on(home.clone(), yield_now()).await;
            assert!(to_manual.is_current());
        })
        .await;
        assert_eq!(executor::current(), Some(AnyExecutor::new(lane)));
    });
    while !task.is_finished() {
        if !manual.run_one() {
            std::thread::yield_now();
        }
    }
    runtime.block_on(task).unwrap();
}

/// An executor that drops what it is given ends the task, as it does wherever one is.
#[test]
fn to_one_that_has_ended() {
    let _watchdog = watchdog();
    let ([runtime], [home]) = runtimes();
    let closed = Runtime::new().unwrap().handle().clone();
    let task = runtime.spawn(async move {
        run_on(home, async move {
            hop_to(closed).await.unwrap();
            unreachable!("nobody polls there");
        })
        .await
    });
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
}

#[test]
fn polled_after_its_end_it_panics() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let mut hop = Box::pin(hop_to(Inline));
        assert!(hop.as_mut().now_or_never().unwrap().is_err());
        let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| hop.as_mut().now_or_never()));
        assert!(support::payload_text(again.unwrap_err()).contains("after it had completed"));
    });
}

/// Ready is ready there: not in the poll that it was begun in, and not on the way of another hop.
#[test]
fn it_is_ready_where_it_is() {
    let _watchdog = watchdog();
    let ([runtime, _one, _two], [_home, a, b]) = runtimes::<3>();
    let task = runtime.spawn(async move {
        run_on(a.clone(), async {
            // What polls it does so again in the same poll.
            let mut several: FuturesUnordered<Pin<Box<dyn Future<Output = bool> + Send>>> =
                FuturesUnordered::new();
            let to = b.clone();
            several.push(Box::pin(async move {
                yield_now().await;
                hop_to(to.clone()).await.unwrap();
                to.is_current()
            }));
            for _ in 0..2 {
                several.push(Box::pin(async {
                    sleep(Duration::from_millis(1)).await;
                    true
                }));
            }
            while let Some(is_there) = several.next().await {
                assert!(is_there);
            }
        })
        .await;
        run_on(a.clone(), async {
            let other = run_on(b.clone(), async {
                for _ in 0..3 {
                    yield_now().await;
                }
            });
            let here = async {
                poll_fn(|_| if b.is_current() { Poll::Ready(()) } else { Poll::Pending }).await;
                hop_to(a.clone()).await.unwrap();
                assert!(a.is_current());
            };
            join!(other, here);
        })
        .await;
    });
    runtime.block_on(task).unwrap();
}

/// What other tasks do on the same thread, inside a poll of this one, is theirs.
#[test]
fn a_task_that_runs_inside_does_not_move_it() {
    let _watchdog = watchdog();
    let ([runtime, _one, _two], [_home, a, b]) = runtimes::<3>();
    let task = runtime.spawn(async move {
        run_on(a.clone(), async {
            let (manual, there) = (Manual::new(), b.clone());
            let other = launch(manual.executor()).spawn(async move { hop_to(there).await.is_err() });
            while manual.run_one() {}
            let there = b.clone();
            let inline = launch(Inline).spawn(async move { hop_to(there).await.is_err() });
            yield_now().await;
            (other.await.unwrap(), inline.await.unwrap(), a.is_current())
        })
        .await
    });
    assert_eq!(runtime.block_on(task).unwrap(), (true, true, true));
}

/// Futures that have asked a task to move, and have been taken out of it, ask nothing any more.
#[test]
fn those_who_have_left_move_nobody() {
    let _watchdog = watchdog();
    let ([runtime, gone, _other], [home, a, b]) = runtimes::<3>();
    let task = runtime.spawn(async move {
        for is_kept in [false, true] {
            let mut kept = Vec::new();
            for _ in 0..500 {
                let mut away = Box::pin(run_on(a.clone(), pending::<()>()));
                assert!(poll_fn(|cx| Poll::Ready(away.as_mut().poll(cx).is_pending())).await);
                kept.push(away);
            }
            let keeper = std::thread::spawn(move || if is_kept { Some(kept) } else { None });
            let kept = keeper.join().unwrap();
            if kept.is_none() {
                yield_now().await;
                assert!(home.is_current(), "there is nobody who wants it to be elsewhere");
            }
            run_on(b.clone(), yield_now()).await;
            drop(kept);
        }
        drop(gone);
        yield_now().await;
        7
    });
    assert_eq!(runtime.block_on(task).unwrap(), 7);
}

/// Hops in random order, in nested and parallel `run_on`s, some of which are given up, each of which knows where it has to be.
#[test]
fn a_storm() {
    fn walk(
        depth: usize,
        handles: Arc<[Handle; 3]>,
        mut random: Random,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let mut here = random.below(3);
            let inner = handles.clone();
            run_on(handles[here].clone(), async move {
                let handles = inner;
                for _ in 0..6 {
                    assert!(handles[here].is_current());
                    match random.below(6) {
                        0 => {
                            here = random.below(3);
                            hop_to(handles[here].clone()).await.unwrap();
                        }
                        1 => yield_now().await,
                        2 if depth > 0 => walk(depth - 1, handles.clone(), random.fork()).await,
                        3 if depth > 0 => {
                            let [one, two] = [random.fork(), random.fork()];
                            join!(
                                walk(depth - 1, handles.clone(), one),
                                walk(depth - 1, handles.clone(), two)
                            );
                        }
                        4 if depth > 0 => {
                            let most = Duration::from_micros(random.below(300) as u64);
                            let inner = walk(depth - 1, handles.clone(), random.fork());
                            let _ = tress::time::timeout(most, inner).await;
                            yield_now().await;
                        }
                        5 if depth > 0 => {
                            // Begun here, and dropped elsewhere.
                            let mut inner = walk(depth - 1, handles.clone(), random.fork());
                            for _ in 0..random.below(3) {
                                if poll_fn(|cx| Poll::Ready(inner.as_mut().poll(cx))).await.is_ready() {
                                    break;
                                }
                                yield_now().await;
                            }
                            if random.once_in(2) {
                                tress::spawn(async move { drop(inner) }).await.unwrap();
                            } else {
                                drop(inner);
                            }
                            yield_now().await;
                        }
                        _ => sleep(Duration::from_micros(random.below(30) as u64)).await,
                    }
                    assert!(handles[here].is_current());
                }
            })
            .await;
        })
    }

    let _watchdog = watchdog();
    let ([runtime, _one, _two], handles) = runtimes::<3>();
    let handles = Arc::new(handles);
    stress(|_, random| {
        let tasks: Vec<_> = (0..4).map(|_| runtime.spawn(walk(3, handles.clone(), random.fork()))).collect();
        for task in tasks {
            runtime.block_on(task).unwrap();
        }
    });
}
