//! A runtime, a scope or a window says where frames come from: tasks, lazies, and what those make in turn, on whatever thread they are
//! polled, and whichever way a wake leads to them. Each frame holds its maker and goes back to it; one that refuses gives an error.

mod leaves;
mod support;

use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leaves::{Gate, Tally};
use support::{
    Census, Counted, panic_text, payload_text, runtime, wait_until, watchdog, without_panic_messages,
};
use tress::Builder;
use tress::algorithm::when_all_of;
use tress::env;
use tress::frame::{self, AllocError, Arena, Counting, Global, Pool, with_allocator};
use tress::task::{Lazy, lazy, lazy_borrowed, spawn_blocking, try_lazy, yield_now};

fn counting() -> Arc<Counting<Pool>> {
    Arc::new(Counting::new(Pool))
}

/// A chain of lazies, each of which is made when the one above it is polled.
fn chain(depth: usize, gate: Gate) -> Lazy<'static, usize> {
    lazy(async move {
        if depth == 0 {
            gate.passed().await;
            yield_now().await;
            0
        } else {
            chain(depth - 1, gate).await + 1
        }
    })
}

#[test]
fn of_a_runtime() {
    let _watchdog = watchdog();
    let frames = counting();
    let runtime = Builder::new().worker_threads(2).frames(frames.clone()).build().unwrap();
    let gate = Gate::default();
    for depth in [0, 1, 5, 500] {
        let before = frames.allocated();
        let gate = gate.clone();
        let task = runtime.spawn(async move {
            let inner = tress::spawn(chain(depth, gate.clone()));
            let below = chain(depth, gate.clone());
            gate.open();
            below.await + inner.await.unwrap()
        });
        assert_eq!(runtime.block_on(task).unwrap(), 2 * depth);
        assert_eq!(frames.allocated() - before, 2 + 2 * (depth + 1), "{depth}");
    }
    let before = frames.allocated();
    assert_eq!(runtime.block_on(async { lazy(async { 1 }).await }), 1);
    assert_eq!(frames.allocated() - before, 1, "what `block_on` makes is the runtime's");
    drop(runtime);
    assert_eq!(frames.live(), 0);
}

/// Frames that are polled by a wake, and not under the scope, are in it all the same.
#[test]
fn of_a_scope() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for depth in [0, 1, 5, 500] {
        let (frames, gate) = (counting(), Gate::default());
        let task = {
            let (frames, gate) = (frames.clone(), gate.clone());
            runtime.spawn(async move {
                let first = frame::scope(frames, async {
                    chain(depth, gate.clone()).await + tress::spawn(chain(0, gate)).await.unwrap()
                });
                // After the scope, frames are the pool's again.
                first.await + lazy(async { 1 }).await
            })
        };
        wait_until(|| gate.polls() > 0, "the chain has not come to its end");
        gate.open();
        assert_eq!(runtime.block_on(task).unwrap(), depth + 1);
        assert_eq!(frames.allocated(), depth + 1 + 2, "{depth}");
        // The gate has kept the wakers of those who waited at it, and they their frames.
        drop(gate);
        wait_until(|| frames.live() == 0, "a frame has not come home");
    }
}

/// What is made after a wake has led straight to a frame comes from the frame's maker.
#[test]
fn of_a_frame_that_was_woken() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (frames, gate) = (counting(), Gate::default());
    let task = {
        let (frames, gate) = (frames.clone(), gate.clone());
        runtime.spawn(async move {
            frame::scope(
                frames,
                lazy(async move {
                    gate.passed().await;
                    lazy(async { yield_now().await }).await;
                    lazy_borrowed(async { 3 }).await
                }),
            )
            .await
        })
    };
    wait_until(|| gate.polls() > 0, "the task does not run");
    assert_eq!(frames.allocated(), 0, "it was made before the scope began");
    gate.open();
    assert_eq!(runtime.block_on(task).unwrap(), 3);
    assert_eq!(frames.allocated(), 0, "a frame is polled in the window of its own maker, which is the pool");

    let (frames, gate) = (counting(), Gate::default());
    let task = {
        let gate = gate.clone();
        let made = with_allocator(frames.clone(), || {
            lazy(async move {
                gate.passed().await;
                lazy(async { yield_now().await }).await;
                lazy_borrowed(async { 3 }).await
            })
        });
        runtime.spawn(async move {
            let output = made.await;
            yield_now().await;
            output
        })
    };
    wait_until(|| gate.polls() > 0, "the task does not run");
    assert_eq!(frames.allocated(), 1);
    gate.open();
    assert_eq!(runtime.block_on(task).unwrap(), 3);
    assert_eq!(frames.allocated(), 3);
    drop(gate);
    wait_until(|| frames.live() == 0, "a frame has not come home");
}

/// Wakers, handles and outputs may be the last to let go of a frame.
#[test]
fn although_that_was_dropped_before() {
    let _watchdog = watchdog();
    let census = Census::default();
    let gate = Gate::default();
    let handle = {
        let runtime = runtime(1);
        let frames = Arc::new(Counting::new(Global));
        let watched = Arc::downgrade(&frames);
        let task = with_allocator(frames, || {
            let (gate, counted) = (gate.clone(), census.count());
            runtime.spawn(async move {
                let _counted = counted;
                lazy(async move { gate.passed().await }).await;
            })
        });
        wait_until(|| gate.polls() > 0, "the task does not run");
        assert!(watched.upgrade().is_some(), "its frames hold it");
        drop(runtime);
        assert_eq!(census.alive(), 0);
        task
    };
    // Now the gate's waker, and the handle, hold frames of an allocator that nobody else knows.
    gate.open();
    drop(gate);
    assert!(runtime(1).block_on(handle).unwrap_err().is_aborted());
}

#[test]
fn unless_it_refuses() {
    let _watchdog = watchdog();
    let census = Census::default();
    let arena = Arc::new(Arena::new(4096).unwrap());
    let runtime = Builder::new().worker_threads(1).frames(arena.clone()).build().unwrap();

    // A task that has no room is refused, and its future dropped.
    let (large, counted) = ([0_u8; 8192], census.count());
    let refused = runtime.spawn(async move {
        let _counted = counted;
        large.len()
    });
    assert!(runtime.block_on(refused).unwrap_err().is_refused());
    assert_eq!(census.alive(), 0);

    // A lazy that has no room says so, or panics where it is made: in a task that has room, or in a frame.
    fn try_large() -> Result<Lazy<'static, usize>, AllocError> {
        let large = [0_u8; 8192];
        try_lazy(async move { large.len() })
    }
    fn refused_lazy(counted: Counted) -> Lazy<'static, usize> {
        let large = [0_u8; 8192];
        lazy(async move {
            let _counted = counted;
            large.len()
        })
    }
    without_panic_messages(|| {
        for is_in_frame in [false, true] {
            let (census, begun) = (census.clone(), Tally::default());
            let has_begun = begun.clone();
            let task = runtime.spawn(async move {
                assert!(try_large().is_err());
                assert_eq!(try_lazy(async { 5 }).unwrap().await, 5);
                has_begun.add();
                let counted = census.count();
                match is_in_frame {
                    true => lazy(async move { refused_lazy(counted).await }).await,
                    false => refused_lazy(counted).await,
                }
            });
            let text = panic_text(runtime.block_on(task).unwrap_err());
            assert!(text.starts_with("a Lazy got no frame: "), "{text}");
            assert_eq!(begun.count(), 1);
        }
    });
    assert_eq!(census.alive(), 0);

    // What has been given back can be had again. The worker lets go of a task a little later than the task is joined.
    for round in 0..1000 {
        wait_until(|| arena.used_bytes() == 0, "a frame has not come home");
        let small = runtime.spawn(async move { lazy(async move { round }).await });
        assert_eq!(runtime.block_on(small).unwrap(), round);
    }
}

#[test]
fn of_blocking_calls_too() {
    let _watchdog = watchdog();
    let frames = counting();
    let runtime = Builder::new().worker_threads(1).frames(frames.clone()).build().unwrap();
    assert_eq!(runtime.block_on(async { spawn_blocking(|| 7).await.unwrap() }), 7);
    assert_eq!(frames.allocated(), 1);
    wait_until(|| frames.live() == 0, "the call's frame has not come home");
}

#[test]
fn of_futures_side_by_side() {
    let _watchdog = watchdog();
    let frames = counting();
    let pair = || when_all_of((async { Ok::<_, ()>(1) }, async { Ok("two") }));
    let values = runtime(1).block_on(frame::scope(frames.clone(), async move { pair().await }));
    assert_eq!((values, frames.allocated(), frames.live()), (Ok((1, "two")), 1, 0));

    let arena = Arc::new(Arena::new(64).unwrap());
    let large = [0_u8; 100];
    without_panic_messages(|| {
        let refused = catch_unwind(|| {
            with_allocator(arena, || {
                drop(when_all_of((async move { Ok::<_, ()>(large.len()) }, async { Ok(()) })))
            });
        });
        assert!(support::says_no_frame(&payload_text(refused.unwrap_err())));
    });
}

/// Whoever sets a deadline does not reckon with a refusal.
#[test]
fn but_not_of_what_nobody_sees() {
    let _watchdog = watchdog();
    let frames = counting();
    let scope = env::scope().deadline(Instant::now() + Duration::from_secs(600));
    runtime(1).block_on(frame::scope(frames.clone(), scope.run(yield_now())));
    assert_eq!(frames.allocated(), 0);
}
