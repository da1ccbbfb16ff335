//! Calls of an actor: one at a time, each once, with its result or its panic; and what becomes of those that are cancelled.

mod holder;
mod support;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use holder::Holder;
use support::{runtime, watchdog, without_panic_messages};
use tress::Runtime;
use tress::executor::Manual;
use tress::strand::{Actor, CallError, PostError, TryCallError};

/// Polls once.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn calls_of_many_tasks_are_all_made() {
    let _watchdog = watchdog();
    const TASKS: u64 = 16;
    const CALLS: u64 = 5_000;
    for workers in [1, 2, 4] {
        let runtime = runtime(workers);
        runtime.block_on(async {
            let actor = Actor::new((0_u64, false));
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| {
                    let actor = actor.clone();
                    tress::spawn(async move {
                        for _ in 0..CALLS {
                            let sum = actor.call(|(sum, is_inside)| {
                                assert!(!std::mem::replace(is_inside, true));
                                *sum += 1;
                                *is_inside = false;
                                *sum
                            });
                            assert!(sum.await.expect("it is made") > 0);
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("it ends");
            }
            assert_eq!(actor.call(|(sum, _)| *sum).await, Ok(TASKS * CALLS));
        });
    }
}

#[test]
fn every_kind_of_call_takes_its_turn() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    runtime.block_on(async {
        let actor = Actor::new(0_u64);
        let tasks: Vec<_> = (0..8_u64)
            .map(|task| {
                let actor = actor.clone();
                tress::spawn(async move {
                    for round in 0..1_000_u64 {
                        match (task + round) % 5 {
                            0 => actor.call(|sum| *sum += 1).await.expect("it is made"),
                            1 => actor.with(|sum| *sum += 1).await.expect("it is made"),
                            2 => actor
                                .call_async(async |sum| {
                                    let before = *sum;
                                    tress::task::yield_now().await;
                                    *sum = before + 1;
                                })
                                .await
                                .expect("it is made"),
                            3 => actor
                                .call_interleaved(async |access| {
                                    tress::task::yield_now().await;
                                    access.with(|sum| *sum += 1);
                                    tress::task::yield_now().await;
                                })
                                .await
                                .expect("it is made"),
                            _ => actor.post(|sum| *sum += 1).expect("there is room"),
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("it ends");
        }
        assert_eq!(actor.call(|sum| *sum).await, Ok(8_000));
    });
}

#[test]
fn others_run_at_the_awaits_of_an_interleaved_call_only() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    runtime.block_on(async {
        let actor = Actor::new(Vec::new());
        let (first, second) = tress::join!(
            actor.call_interleaved(async |access| {
                access.with(|words| words.push("before"));
                tress::task::yield_now().await;
                access.with(|words| words.push("after"));
            }),
            actor.call(|words: &mut Vec<&str>| words.push("between")),
        );
        assert_eq!((first, second), (Ok(()), Ok(())));
        assert_eq!(
            actor.call(|words| words.clone()).await.expect("it is made"),
            ["before", "between", "after"]
        );
        let (first, second) = tress::join!(
            actor.call_async(async |words| {
                words.push("1");
                tress::task::yield_now().await;
                words.push("2");
            }),
            actor.call(|words: &mut Vec<&str>| words.push("3")),
        );
        assert_eq!((first, second), (Ok(()), Ok(())));
        assert_eq!(actor.call(|words| words[3..].to_vec()).await.expect("it is made"), ["1", "2", "3"]);
    });
}

#[test]
fn a_call_inside_a_call_is_an_error() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let actor = Actor::builder(0_u32).executor(runtime.handle().clone()).build();
    let own = actor.clone();
    let nested = actor.try_call(move |_| {
        let mut call = own.call(|_| ());
        let mut with = own.with(|_| ());
        (poll(&mut call), poll(&mut with), own.try_call(|_| ()))
    });
    let reentrant = Poll::Ready(Err(CallError::Reentrant));
    assert_eq!(nested, Ok((reentrant, reentrant, Err(TryCallError::Reentrant))));
    runtime.block_on(async {
        let nested = actor.call_async(async |_| actor.call(|_| ()).await).await;
        assert_eq!(nested, Ok(Err(CallError::Reentrant)));
        // Below a frame that is polled by itself, too.
        let own = actor.clone();
        let nested = actor
            .call_async(async move |_| {
                tress::task::lazy(async move {
                    tress::task::yield_now().await;
                    own.call(|_| ()).await
                })
                .await
            })
            .await;
        assert_eq!(nested, Ok(Err(CallError::Reentrant)));
        // Not only once there is a future.
        let nested = actor.call_async(|_: &mut u32| {
            let nested = poll(&mut actor.call(|_| ()));
            async move { nested }
        });
        assert_eq!(nested.await, Ok(reentrant));
        // A detached task waits until the call is over.
        let own = actor.clone();
        let task = actor.call_async(async move |_| tress::spawn(async move { own.call(|_| 7).await })).await;
        assert_eq!(task.expect("it is made").await.expect("it ends"), Ok(7));
    });
}

#[test]
fn a_panic_is_its_callers_and_the_state_stays_as_it_is() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    without_panic_messages(|| panics(&runtime));
}

fn panics(runtime: &Runtime) {
    let actor = Actor::builder(0_u32).executor(runtime.handle().clone()).build();
    let holder = Holder::of(&actor);
    let own = actor.clone();
    let queued = runtime.spawn(async move { own.call(|_| -> u32 { panic!("expected: queued") }).await });
    let own = actor.clone();
    let next = runtime.spawn(async move { own.call(|number| *number).await });
    thread::sleep(std::time::Duration::from_millis(20));
    holder.release();
    runtime.block_on(async {
        assert!(queued.await.expect_err("it panics").is_panic());
        assert_eq!(next.await.expect("it ends"), Ok(0));
        let inline = tress::spawn({
            let actor = actor.clone();
            async move { actor.call(|_| panic!("expected: inline")).await }
        });
        assert!(inline.await.expect_err("it panics").is_panic());
        let polled = tress::spawn({
            let actor = actor.clone();
            async move { actor.call_async(async |_| panic!("expected: async")).await }
        });
        assert!(polled.await.expect_err("it panics").is_panic());
        assert_eq!(actor.call(|number| *number).await, Ok(0));
        assert!(!actor.is_poisoned());
    });
}

#[test]
fn an_actor_that_poisons_says_so_until_it_is_cleared() {
    let _watchdog = watchdog();
    let actor = Actor::builder(7).poison(true).build();
    let unwound = without_panic_messages(|| {
        catch_unwind(AssertUnwindSafe(|| actor.try_call(|_| panic!("expected: it poisons"))))
    });
    assert!(unwound.is_err());
    assert!(actor.is_poisoned());
    assert_eq!(actor.try_call(|_| ()), Err(TryCallError::Poisoned));
    assert_eq!(poll(&mut actor.call(|_| ())), Poll::Ready(Err(CallError::Poisoned)));
    actor.clear_poison();
    assert_eq!(actor.try_call(|number| *number), Ok(7));
}

/// Says when it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_call_cancelled_before_it_began_is_dropped_at_once_and_never_made() {
    let _watchdog = watchdog();
    let actor = Actor::new(0_u32);
    let holder = Holder::of(&actor);
    let dropped = Arc::new(AtomicUsize::new(0));
    let guard = Dropped(Arc::clone(&dropped));
    let mut call = actor.call(move |number| {
        let _guard = guard;
        *number += 1;
    });
    assert!(poll(&mut call).is_pending());
    drop(call);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    let mut with = pin!(actor.with(|number| *number += 1));
    assert!(poll(&mut with).is_pending());
    drop(actor.call(|number| *number += 1));
    holder.release();
    // It was the turn of the one that waits.
    assert_eq!(actor.try_call(|_| ()), Err(TryCallError::Busy));
    assert_eq!(poll(&mut with), Poll::Ready(Ok(())));
    assert_eq!(actor.try_call(|number| *number), Ok(1));
}

#[test]
fn a_waiter_that_is_dropped_passes_its_turn_on() {
    let _watchdog = watchdog();
    let actor = Actor::new(0_u32);
    let holder = Holder::of(&actor);
    let mut first = Box::pin(actor.with(|number| *number += 1));
    let mut second = Box::pin(actor.with(|number| *number += 10));
    let mut call = actor.call(|number| *number += 100);
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending() && poll(&mut call).is_pending());
    holder.release();
    drop(first);
    assert!(poll(&mut call).is_pending(), "it is behind the second");
    drop(second);
    assert_eq!(poll(&mut call), Poll::Ready(Ok(())));
    assert_eq!(actor.try_call(|number| *number), Ok(100));
}

#[test]
fn a_full_actor_refuses_and_gives_the_closure_back() {
    let _watchdog = watchdog();
    let actor = Actor::builder(0_u32).capacity(1).build();
    let holder = Holder::of(&actor);
    let mut queued = actor.call(|number| *number += 1);
    assert!(poll(&mut queued).is_pending());
    assert_eq!(poll(&mut actor.call(|_| ())), Poll::Ready(Err(CallError::Full)));
    let PostError::Full(f) = actor.post(|number| *number += 10).expect_err("there is no room") else {
        panic!("it says why")
    };
    holder.release();
    assert_eq!(poll(&mut queued), Poll::Ready(Ok(())));
    actor.post(f).expect("there is room");
    assert_eq!(actor.try_call(|number| *number), Ok(11));
}

#[test]
fn who_reserves_waits_for_room_and_loses_nothing() {
    let _watchdog = watchdog();
    let actor = Actor::builder(Vec::new()).capacity(2).build();
    let holder = Holder::of(&actor);
    let permit = poll(&mut pin!(actor.reserve()));
    let Poll::Ready(Ok(permit)) = permit else { panic!("there is room") };
    actor.post(|numbers: &mut Vec<u32>| numbers.push(1)).expect("there is room");
    assert!(matches!(actor.post(|_| ()), Err(PostError::Full(_))), "the permit keeps its room");
    let (mut second, mut third) = (Box::pin(actor.reserve()), Box::pin(actor.reserve()));
    assert!(poll(&mut second).is_pending() && poll(&mut third).is_pending());
    // Who leaves takes nothing, and who has not used his room gives it to the next one.
    drop(second);
    drop(permit);
    let Poll::Ready(Ok(permit)) = poll(&mut third) else { panic!("room was given back") };
    permit.post(|numbers| numbers.push(2));
    assert!(matches!(actor.post(|_| ()), Err(PostError::Full(_))));
    holder.release();
    assert_eq!(actor.try_call(|numbers| numbers.clone()).expect("it is idle"), [1, 2]);
    for number in 3..100 {
        let Poll::Ready(Ok(permit)) = poll(&mut pin!(actor.reserve())) else { panic!("all was given back") };
        permit.post(move |numbers| numbers.push(number));
    }
    assert_eq!(actor.try_call(|numbers| numbers.len()), Ok(99));
}

#[test]
fn who_reserves_inside_a_call_of_the_same_actor_is_told_so() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let actor = Actor::builder(()).capacity(1).build();
    let own = actor.clone();
    runtime.block_on(async {
        let inside = actor.call_async(async move |()| own.reserve().await.map(drop)).await;
        assert_eq!(inside.expect("it is called"), Err(CallError::Reentrant));
    });
}

#[test]
fn posts_run_behind_what_is_queued_and_not_before_post_returns() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let actor = Actor::builder(Vec::new()).executor(manual.executor()).build();
    actor.post(|words: &mut Vec<&str>| words.push("first")).expect("there is room");
    let mut call = actor.call(|words| words.push("second"));
    assert!(poll(&mut call).is_pending());
    actor.post(|words| words.push("third")).expect("there is room");
    assert!(manual.run_until_idle(10) >= 1);
    assert_eq!(poll(&mut call), Poll::Ready(Ok(())));
    assert_eq!(actor.try_call(|words| words.clone()).expect("it is idle"), ["first", "second", "third"]);
}

#[test]
fn an_executor_that_drops_what_is_queued_refuses_its_callers() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let actor = Actor::builder(0_u32).executor(manual.executor()).build();
    let dropped = Arc::new(AtomicUsize::new(0));
    let guard = Dropped(Arc::clone(&dropped));
    actor
        .post(move |number| {
            let _guard = &guard;
            *number += 1;
        })
        .expect("there is room");
    let mut call = actor.call(|_| ());
    let mut with = actor.with(|_| ());
    assert!(poll(&mut call).is_pending() && poll(&mut with).is_pending());
    drop(manual);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    assert_eq!(poll(&mut call), Poll::Ready(Err(CallError::Refused)));
    assert_eq!(poll(&mut with), Poll::Ready(Err(CallError::Refused)));
    // An idle one goes on.
    assert_eq!(actor.try_call(|number| *number), Ok(0));
}

#[test]
fn the_last_handle_drops_what_was_posted() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let actor = Actor::builder(0_u32).executor(manual.executor()).build();
    let dropped = Arc::new(AtomicUsize::new(0));
    let guard = Dropped(Arc::clone(&dropped));
    let ran = Arc::new(AtomicUsize::new(0));
    let runs = Arc::clone(&ran);
    actor
        .post(move |_| {
            let _guard = &guard;
            runs.fetch_add(1, Ordering::SeqCst);
        })
        .expect("there is room");
    drop(actor);
    manual.run_until_idle(10);
    assert_eq!((dropped.load(Ordering::SeqCst), ran.load(Ordering::SeqCst)), (1, 0));
}

#[test]
fn the_last_handle_drops_what_waits_for_a_holder_who_was_forgotten() {
    let _watchdog = watchdog();
    let actor = Actor::new(0_u32);
    let mut forgotten = Box::pin(actor.call_async(async |_| std::future::pending::<()>().await));
    assert!(poll(&mut forgotten).is_pending());
    // Where a leak checker finds it.
    static KEPT: AtomicUsize = AtomicUsize::new(0);
    KEPT.store(std::ptr::from_ref(&*forgotten).addr(), Ordering::SeqCst);
    std::mem::forget(forgotten);
    let dropped = Arc::new(AtomicUsize::new(0));
    let guard = Dropped(Arc::clone(&dropped));
    let ran = Arc::new(AtomicUsize::new(0));
    let runs = Arc::clone(&ran);
    actor
        .post(move |_| {
            let _guard = &guard;
            runs.fetch_add(1, Ordering::SeqCst);
        })
        .expect("there is room");
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    drop(actor);
    assert_eq!((dropped.load(Ordering::SeqCst), ran.load(Ordering::SeqCst)), (1, 0));
}

/// Its drop panics.
struct Fragile;

impl Drop for Fragile {
    fn drop(&mut self) {
        panic!("expected: the state panics as it is dropped");
    }
}

#[test]
fn a_state_that_panics_as_it_is_dropped_ends_nothing_else() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = runtime(1);
        let actor = Actor::builder(Fragile).executor(runtime.handle().clone()).build();
        let (release, released) = mpsc::channel::<()>();
        actor
            .post(move |_| {
                let _ = released.recv();
            })
            .expect("there is room");
        drop(actor);
        // The worker has the last of it now.
        drop(release);
        let (tx, rx) = mpsc::channel();
        drop(runtime.spawn(async move { tx.send(7) }));
        assert_eq!(rx.recv_timeout(LONG), Ok(7), "the worker is gone");

        let manual = Manual::new();
        let actor = Actor::builder(Fragile).executor(manual.executor()).build();
        actor.post(|_| ()).expect("there is room");
        drop(actor);
        // Its end drops what is queued, and that is the last of the actor.
        drop(manual);
        drop(Actor::new(Fragile));
    });
}

#[test]
fn calls_after_the_end_of_the_runtime_are_made_by_their_callers() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let actor = runtime.block_on(async { Actor::new(1) });
    drop(runtime);
    assert_eq!(poll(&mut actor.call(|number| *number)), Poll::Ready(Ok(1)));
    // There is nobody to run it later.
    actor.post(|number| *number += 1).expect("there is room");
    assert_eq!(actor.try_call(|number| *number), Ok(1));
}

#[test]
fn cancelled_at_any_moment_it_is_made_once_or_not_at_all() {
    let _watchdog = watchdog();
    for _ in 0..2_000 {
        let actor = Actor::new(0_u32);
        let (ran, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let barrier = Barrier::new(2);
        let holder = Holder::of(&actor);
        let (guard, runs) = (Dropped(Arc::clone(&dropped)), Arc::clone(&ran));
        let mut call = actor.call(move |_| {
            runs.fetch_add(1, Ordering::SeqCst);
            guard
        });
        assert!(poll(&mut call).is_pending());
        thread::scope(|scope| {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                holder.release();
            });
            barrier.wait();
            drop(call);
        });
        assert!(ran.load(Ordering::SeqCst) <= 1);
        assert_eq!(actor.try_call(|_| ()), Ok(()));
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn calls_honour_the_stop_token_and_give_what_has_been_done() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    runtime.block_on(async {
        let actor = Actor::new(0_u32);
        let holder = Holder::of(&actor);
        let source = tress::stop::StopSource::new();
        let own = actor.clone();
        let task = tress::executor::launch(tress::Handle::current())
            .stop(source.token())
            .spawn(async move { own.call(|number| *number += 1).await });
        tress::task::yield_now().await;
        source.request_stop();
        assert!(task.await.expect_err("it is stopped").is_stopped());
        holder.release();
        assert_eq!(actor.call(|number| *number).await, Ok(0));
    });
}

#[test]
fn foreign_executors_call_too() {
    let _watchdog = watchdog();
    let actor = Actor::new(0_u64);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let call = pin!(actor.call(|sum| *sum += 1));
                    let mut call = call;
                    let thread = thread::current();
                    let waker = Waker::from(Arc::new(Unpark(thread)));
                    let mut cx = Context::from_waker(&waker);
                    while call.as_mut().poll(&mut cx).is_pending() {
                        thread::park();
                    }
                }
            });
        }
    });
    assert_eq!(actor.try_call(|sum| *sum), Ok(6_000));
}

struct Unpark(thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn access_is_lent_in_polls_of_its_future_only() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    runtime.block_on(async {
        let actor = Actor::new(1_u32);
        let nested =
            actor.call_interleaved(async |access| access.with(|_| access.try_with(|_| ()).is_err())).await;
        assert_eq!(nested, Ok(true));
        let elsewhere = actor
            .call_interleaved(async |access| {
                let access = &access;
                thread::scope(|scope| {
                    scope.spawn(move || access.try_with(|_| ()).is_err()).join().expect("it ends")
                })
            })
            .await;
        assert_eq!(elsewhere, Ok(true));
        let polls = actor.call_interleaved(async |access| {
            let mut polls = 0;
            poll_fn(|cx| {
                access.with(|number| *number += 1);
                polls += 1;
                cx.waker().wake_by_ref();
                if polls < 10 { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
        });
        assert_eq!(polls.await, Ok(()));
        assert_eq!(actor.call(|number| *number).await, Ok(11));
    });
}

const LONG: Duration = Duration::from_secs(10);
