//! Who runs a call, and what becomes of it when its caller leaves, is stopped, is forgotten, or is inside another one.

mod holder;
mod support;

use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use holder::Holder;
use support::{block_on_foreign, runtime, watchdog, without_panic_messages};
use tress::executor::{Manual, launch};
use tress::stop::StopSource;
use tress::strand::{Actor, CallError, TryCallError};
use tress::task::yield_now;

/// Polls once.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Says on which thread it is dropped.
struct Dropped(mpsc::Sender<ThreadId>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().id());
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn what_is_queued_is_run_by_the_holder_and_what_borrows_by_its_caller() {
    let _watchdog = watchdog();
    let actor = Actor::new(());
    let holder = Holder::of(&actor);
    let (id, here) = (holder.id(), thread::current().id());
    let mut call = actor.call(|()| thread::current().id());
    let mut with = actor.with(|()| thread::current().id());
    let mut last = actor.call(|()| thread::current().id());
    assert!(poll(&mut call).is_pending() && poll(&mut with).is_pending() && poll(&mut last).is_pending());
    holder.release();
    assert_eq!(poll(&mut call), Poll::Ready(Ok(id)));
    assert!(poll(&mut last).is_pending(), "it is behind one that has to be polled");
    assert_eq!(poll(&mut with), Poll::Ready(Ok(here)));
    assert_eq!(poll(&mut last), Poll::Ready(Ok(here)), "whoever has the state runs it");
}

#[test]
fn who_leaves_before_it_has_begun_drops_the_closure_himself() {
    let _watchdog = watchdog();
    let actor = Actor::new(());
    let holder = Holder::of(&actor);
    let (tx, rx) = mpsc::channel();
    let guard = Dropped(tx);
    let mut call = actor.call(move |()| {
        let _guard = guard;
        unreachable!("nobody wants it");
    });
    assert!(poll(&mut call).is_pending());
    drop(call);
    assert_eq!(rx.try_recv(), Ok(thread::current().id()));
    holder.release();
    assert_eq!(rx.try_recv(), Err(mpsc::TryRecvError::Disconnected), "once");
}

#[test]
fn who_leaves_while_it_is_run_does_not_wait_and_the_holder_drops_the_result() {
    let _watchdog = watchdog();
    let actor = Actor::new(0);
    let holder = Holder::of(&actor);
    let id = holder.id();
    let ((begun, has_begun), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel::<()>());
    let (tx, rx) = mpsc::channel();
    let result = Dropped(tx);
    let mut call = actor.call(move |sum| {
        begun.send(()).expect("somebody waits");
        may_go_on.recv().expect("somebody says so");
        *sum += 1;
        result
    });
    assert!(poll(&mut call).is_pending());
    drop(holder.go_on);
    has_begun.recv().expect("it is run");
    // A drop that waited would wait for ever.
    drop(call);
    assert!(rx.try_recv().is_err());
    go_on.send(()).expect("it is at it still");
    holder.thread.join().expect("it ends");
    assert_eq!(rx.recv(), Ok(id));
    assert_eq!(actor.try_call(|sum| *sum), Ok(1), "it was run to its end");
}

#[test]
fn a_result_that_is_there_is_dropped_with_its_call() {
    let _watchdog = watchdog();
    let actor = Actor::new(());
    let holder = Holder::of(&actor);
    let (tx, rx) = mpsc::channel();
    let result = Dropped(tx);
    let mut call = actor.call(move |()| result);
    assert!(poll(&mut call).is_pending());
    holder.release();
    assert!(rx.try_recv().is_err(), "it waits for its caller");
    drop(call);
    assert_eq!(rx.try_recv(), Ok(thread::current().id()));
    assert_eq!(rx.try_recv(), Err(mpsc::TryRecvError::Disconnected), "once");
}

/// What it borrows may be gone.
#[test]
fn a_borrowing_call_of_a_caller_who_was_forgotten_is_never_made() {
    let _watchdog = watchdog();
    let actor = Actor::new(());
    let ran = AtomicUsize::new(0);
    let holder = Holder::of(&actor);
    let mut with = Box::new(actor.with(|()| ran.fetch_add(1, Ordering::SeqCst)));
    assert!(poll(&mut with).is_pending());
    // Where a leak checker finds it.
    static KEPT: AtomicUsize = AtomicUsize::new(0);
    KEPT.store(std::ptr::from_ref(&*with).addr(), Ordering::SeqCst);
    std::mem::forget(with);
    let mut call = actor.call(|()| ());
    assert!(poll(&mut call).is_pending());
    holder.release();
    assert!(poll(&mut call).is_pending(), "the turn is that of the one who was forgotten");
    assert_eq!(actor.try_call(|()| ()), Err(TryCallError::Busy));
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}

#[test]
fn a_woken_waiter_that_leaves_wakes_the_next_one() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    for has_executor in [false, true] {
        let actor = match has_executor {
            false => Actor::new(0),
            true => Actor::builder(0).executor(manual.executor()).build(),
        };
        let holder = Holder::of(&actor);
        let wakes = [(); 3].map(|()| Arc::new(Wakes::default()));
        let woken = || wakes.each_ref().map(|wakes| wakes.0.load(Ordering::SeqCst));
        let [first, second, third] = wakes.each_ref().map(|wakes| Waker::from(Arc::clone(wakes)));
        let mut with = Box::pin(actor.with(|sum| *sum += 1));
        let mut held = Box::pin(actor.call_async(async |sum| *sum += 10));
        let mut interleaved = Box::pin(actor.call_interleaved(async |access| access.with(|sum| *sum += 100)));
        assert!(with.as_mut().poll(&mut Context::from_waker(&first)).is_pending());
        assert!(held.as_mut().poll(&mut Context::from_waker(&second)).is_pending());
        assert!(interleaved.as_mut().poll(&mut Context::from_waker(&third)).is_pending());
        holder.release();
        assert_eq!(woken(), [1, 0, 0]);
        drop(with);
        manual.run_until_idle(10);
        assert_eq!(woken(), [1, 1, 0], "has an executor: {has_executor}");
        drop(held);
        manual.run_until_idle(10);
        assert_eq!(woken(), [1, 1, 1], "has an executor: {has_executor}");
        drop(interleaved);
        manual.run_until_idle(10);
        assert_eq!(actor.try_call(|sum| *sum), Ok(0), "it is idle again");
    }
}

#[test]
fn who_leaves_in_the_middle_gives_the_state_to_the_next_one() {
    let _watchdog = watchdog();
    let actor = Actor::builder(0).poison(true).build();
    let (tx, rx) = mpsc::channel();
    let (guard, other) = (Dropped(tx.clone()), Dropped(tx));
    let mut held = Box::pin(actor.call_async(async move |sum| {
        let _guard = guard;
        *sum += 1;
        pending::<()>().await;
    }));
    assert!(poll(&mut held).is_pending());
    let mut call = actor.call(|sum| *sum);
    assert!(poll(&mut call).is_pending());
    assert_eq!(actor.try_call(|_| ()), Err(TryCallError::Busy));
    drop(held);
    assert_eq!(rx.try_recv(), Ok(thread::current().id()));
    assert_eq!(poll(&mut call), Poll::Ready(Ok(1)), "what it has done stays");
    let mut interleaved = Box::pin(actor.call_interleaved(async move |access| {
        let _guard = other;
        access.with(|sum| *sum += 1);
        pending::<()>().await;
    }));
    assert!(poll(&mut interleaved).is_pending());
    assert_eq!(actor.try_call(|sum| *sum), Ok(2), "it is idle at the await");
    drop(interleaved);
    assert_eq!(rx.try_recv(), Ok(thread::current().id()));
    assert!(!actor.is_poisoned(), "to leave is no panic");
}

#[test]
fn each_kind_of_call_is_stopped_while_it_waits() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let actor = Actor::new(0);
    let holder = Holder::of(&actor);
    let source = StopSource::new();
    let launch = || launch(runtime.handle().clone()).stop(source.token());
    let own = || actor.clone();
    let [one, two, three, four] = [own(), own(), own(), own()];
    let tasks = [
        launch().spawn(async move { one.call(|sum| *sum += 1).await }),
        launch().spawn(async move { two.with(|sum| *sum += 1).await }),
        launch().spawn(async move { three.call_async(async |sum| *sum += 1).await }),
        launch()
            .spawn(async move { four.call_interleaved(async |access| access.with(|sum| *sum += 1)).await }),
    ];
    thread::sleep(Duration::from_millis(20));
    source.request_stop();
    for task in tasks {
        assert!(runtime.block_on(task).expect_err("it is stopped").is_stopped());
    }
    holder.release();
    assert_eq!(actor.try_call(|sum| *sum), Ok(0));
}

#[test]
fn a_result_that_is_there_is_given_to_one_who_is_to_stop() {
    let _watchdog = watchdog();
    let (manual, actor, source) = (Manual::new(), Actor::new(0), StopSource::new());
    let holder = Holder::of(&actor);
    let own = actor.clone();
    let task = launch(manual.executor()).stop(source.token()).spawn(async move {
        own.call(|sum| {
            *sum += 1;
            *sum
        })
        .await
    });
    manual.run_until_idle(10);
    holder.release();
    source.request_stop();
    manual.run_until_idle(10);
    assert_eq!(block_on_foreign(task).expect("it was done before"), Ok(1));
}

/// From its second poll on, an interleaved call is its future's to stop.
#[test]
fn an_interleaved_call_that_has_begun_comes_to_its_end() {
    let _watchdog = watchdog();
    let (manual, actor, source) = (Manual::new(), Actor::new(0), StopSource::new());
    let (own, token) = (actor.clone(), source.token());
    let task = launch(manual.executor()).stop(token).spawn(async move {
        own.call_interleaved(async |access| {
            access.with(|sum| *sum += 1);
            yield_now().await;
            access.with(|sum| *sum += 10);
        })
        .await
    });
    assert!(manual.run_one());
    let holder = Holder::of(&actor);
    source.request_stop();
    manual.run_until_idle(10);
    assert!(!task.is_finished(), "it waits for the state");
    holder.release();
    manual.run_until_idle(10);
    assert_eq!(block_on_foreign(task).expect("nothing in it was stopped"), Ok(()));
    assert_eq!(actor.try_call(|sum| *sum), Ok(11));
}

#[test]
fn a_call_inside_each_kind_of_call_is_refused() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let reentrant = Err(CallError::Reentrant);
    runtime.block_on(async {
        let actor = Actor::new(0);
        let own = actor.clone();
        let inside_call = actor.call(move |_| poll(&mut own.call(|_| ())));
        assert_eq!(inside_call.await, Ok(Poll::Ready(reentrant)));
        let inside_with = actor.with(|_| poll(&mut pin!(actor.call_async(async |_| ()))));
        assert_eq!(inside_with.await, Ok(Poll::Ready(reentrant)));
        let inside = actor.call_interleaved(async |access| {
            let at_once = actor.call(|_| ()).await;
            let lent = access.with(|_| poll(&mut actor.with(|_| ())));
            (at_once, lent)
        });
        assert_eq!(inside.await, Ok((reentrant, Poll::Ready(reentrant))));
        // By way of another actor.
        let other = Actor::new(());
        let around = actor.call_async(async |_| other.call_async(async |()| actor.with(|_| ()).await).await);
        assert_eq!(around.await, Ok(Ok(reentrant)));
        // What is posted from inside is no call: it comes when the call is over.
        let own = actor.clone();
        let before = actor.call(move |sum| {
            own.post(|sum| *sum += 1).expect("there is no limit");
            *sum
        });
        assert_eq!(before.await, Ok(0));
        assert_eq!(actor.call(|sum| *sum).await, Ok(1));
    });
}

#[test]
fn each_kind_of_call_poisons() {
    let _watchdog = watchdog();
    type Panicking = fn(&Actor<u32>);
    let kinds: [(&str, Panicking); 6] = [
        ("call", |actor| {
            let _ = poll(&mut actor.call(|_| panic!("expected: in call")));
        }),
        ("queued call", |actor| {
            let holder = Holder::of(actor);
            let mut call = actor.call(|_| panic!("expected: in a queued call"));
            assert!(poll(&mut call).is_pending());
            holder.release();
            let _ = poll(&mut call);
        }),
        ("with", |actor| {
            let _ = poll(&mut actor.with(|_| panic!("expected: in with")));
        }),
        ("call_async", |actor| {
            let _ = poll(&mut pin!(actor.call_async(async |_| panic!("expected: in call_async"))));
        }),
        ("call_interleaved", |actor| {
            let _ =
                poll(&mut pin!(actor.call_interleaved(async |_| panic!("expected: in call_interleaved"))));
        }),
        ("post", |actor| {
            actor.post(|_| panic!("expected: in post")).expect("there is no limit");
        }),
    ];
    without_panic_messages(|| {
        for poisons in [false, true] {
            for (kind, panicking) in kinds {
                let actor = Actor::builder(7).poison(poisons).build();
                let unwound = catch_unwind(AssertUnwindSafe(|| panicking(&actor))).is_err();
                assert_eq!(unwound, kind != "post", "{kind}: a panic is its caller's");
                assert_eq!(actor.is_poisoned(), poisons, "{kind}");
                let expected = |value| if poisons { Err(CallError::Poisoned) } else { Ok(value) };
                let value: fn(&mut u32) -> u32 = |number| *number;
                assert_eq!(poll(&mut actor.call(value)), Poll::Ready(expected(7)), "{kind}");
                assert_eq!(poll(&mut actor.with(value)), Poll::Ready(expected(7)), "{kind}");
                let held = poll(&mut pin!(actor.call_async(async |number| *number)));
                assert_eq!(held, Poll::Ready(expected(7)), "{kind}");
                let interleaved =
                    poll(&mut pin!(actor.call_interleaved(async |access| access.with(|number| *number))));
                assert_eq!(interleaved, Poll::Ready(expected(7)), "{kind}");
                actor.post(|number| *number += 1).expect("there is no limit");
                actor.clear_poison();
                assert_eq!(actor.try_call(|number| *number), Ok(7 + u32::from(!poisons)), "{kind}");
            }
        }
    });
}

/// The limit is for what is put aside for others to run: calls and posts.
#[test]
fn who_runs_his_own_call_needs_no_room() {
    let _watchdog = watchdog();
    let actor = Actor::builder(0).capacity(0).build();
    assert_eq!(poll(&mut actor.call(|sum| *sum += 1)), Poll::Ready(Ok(())), "it is idle");
    let holder = Holder::of(&actor);
    assert_eq!(poll(&mut actor.call(|_| ())), Poll::Ready(Err(CallError::Full)));
    assert!(actor.post(|_| ()).is_err());
    let mut with = actor.with(|sum| *sum += 1);
    assert!(poll(&mut with).is_pending());
    let mut held = Box::pin(actor.call_async(async |sum| *sum += 1));
    assert!(poll(&mut held).is_pending());
    holder.release();
    assert_eq!((poll(&mut with), poll(&mut held)), (Poll::Ready(Ok(())), Poll::Ready(Ok(()))));
    assert_eq!(actor.try_call(|sum| *sum), Ok(3));
}

/// After the end of its executor an actor is called by its callers, also where one has to wait for another.
#[test]
fn those_who_wait_after_the_end_of_the_executor_have_their_turn_or_are_told() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let actor = Actor::builder(0).executor(manual.executor()).build();
    drop(manual);
    let holder = Holder::of(&actor);
    let mut call = actor.call(|sum| *sum += 1);
    let mut with = actor.with(|sum| *sum += 10);
    assert!(poll(&mut call).is_pending() && poll(&mut with).is_pending());
    holder.release();
    assert_eq!((poll(&mut call), poll(&mut with)), (Poll::Ready(Ok(())), Poll::Ready(Ok(()))));
    // Who is given the state and leaves it to the executor leaves what waits to be dropped.
    let holder = Holder::of(&actor);
    let mut with = Box::pin(actor.with(|_| ()));
    let mut call = actor.call(|_| ());
    assert!(poll(&mut with).is_pending() && poll(&mut call).is_pending());
    holder.release();
    drop(with);
    assert_eq!(poll(&mut call), Poll::Ready(Err(CallError::Refused)));
    assert_eq!(actor.try_call(|sum| *sum), Ok(11));
}
