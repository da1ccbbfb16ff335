//! What is said to allocate nothing, counted: looks at an environment, stop callbacks, what has its memory from the frame pool, calls of an actor, items of a
//! strand.

mod allocations;
mod support;

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use allocations::{allocations, so_far};
use support::{block_on_foreign, runtime, watchdog};
use tress::env;
use tress::executor::Manual;
use tress::stop::{StopCallback, StopSource};
use tress::strand::{Actor, Strand};
use tress::task::{lazy, yield_now};

#[test]
fn the_count_counts() {
    assert_eq!(allocations(|| Box::new(1)), 1);
}

#[test]
fn by_looks_at_an_environment() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    assert_eq!(allocations(|| env::with(|env| env.value::<u32>().is_none())), 0);
    assert_eq!(allocations(env::current), 0);
    let inside = runtime.block_on(env::scope().value(7_u32).run(async {
        allocations(|| {
            assert_eq!(env::with(|env| env.value::<u32>().copied()), Some(7));
            env::current()
        })
    }));
    assert_eq!(inside, 0);
    let task = runtime.spawn(async { allocations(|| (env::with(env::Env::stop_token), env::current())) });
    assert_eq!(runtime.block_on(task).unwrap(), 0);
}

#[test]
fn by_stop_callbacks() {
    let source = StopSource::new();
    let token = source.token();
    let registered_and_dropped = allocations(|| {
        for _ in 0..100 {
            pin!(StopCallback::new(|| ())).register(&token);
        }
    });
    assert_eq!(registered_and_dropped, 0);
    let mut callbacks = [const { None }; 10].map(|_: Option<()>| Box::pin(StopCallback::new(|| ())));
    let called = allocations(|| {
        for callback in &mut callbacks {
            callback.as_mut().register(&token);
        }
        source.request_stop();
    });
    assert_eq!(called, 0);
}

/// The task, its annex and its frame are the pool's.
#[cfg(not(tress_sanitize))]
#[test]
fn by_tasks_with_frames() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let spawn_and_join = async || {
        let task = tress::spawn(async { lazy(async { yield_now().await }).await });
        task.await.unwrap();
    };
    let counting = runtime.spawn(async move {
        // Pages of the pool, for example, are needed once.
        for _ in 0..1000 {
            spawn_and_join().await;
        }
        let before = so_far();
        for _ in 0..100 {
            spawn_and_join().await;
        }
        so_far() - before
    });
    // In a runtime's own `block_on`, this thread would run some of it.
    assert_eq!(block_on_foreign(counting).unwrap(), 0);
}

/// Polls once.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn by_calls_of_an_actor() {
    let _watchdog = watchdog();
    let actor = Actor::new(0_u64);
    let idle = allocations(|| {
        for number in 0..100 {
            assert_eq!(poll(&mut actor.call(move |sum| *sum += number)), Poll::Ready(Ok(())));
            assert_eq!(poll(&mut actor.with(|sum| *sum += number)), Poll::Ready(Ok(())));
            assert_eq!(actor.try_call(|sum| *sum += number), Ok(()));
        }
    });
    assert_eq!(idle, 0);
    // One that has to wait has a frame of the pool, which is back there when whoever has the actor has come to it.
    let mut holder = Box::pin(actor.call_async(async |_| pending::<()>().await));
    let wait = || {
        for number in 0..100 {
            let mut call = actor.call(move |sum| *sum += number);
            let mut with = actor.with(|sum| *sum += number);
            assert!(poll(&mut call).is_pending() && poll(&mut with).is_pending());
        }
    };
    assert!(poll(&mut holder).is_pending());
    wait();
    drop(holder);
    let mut holder = Box::pin(actor.call_async(async |_| pending::<()>().await));
    assert!(poll(&mut holder).is_pending());
    assert_eq!(allocations(wait), 0);
    drop(holder);
    assert_eq!(actor.try_call(|sum| *sum), Ok(3 * 4950), "those have left");
}

#[test]
fn by_items_of_a_strand() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let strand = Strand::builder(manual.executor()).items(1000).time(Duration::from_secs(60)).build();
    let round = || {
        for number in 0..100_u64 {
            let inner = strand.clone();
            strand.post(move || inner.post(move || assert!(number < 100)));
        }
        assert_eq!(manual.run_until_idle(10), 1);
    };
    round();
    assert_eq!((allocations(round), strand.metrics().items), (0, 400));
}
