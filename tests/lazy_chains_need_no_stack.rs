//! A chain of a million frames is built, completes, fails, panics, is aborted and is dropped on a stack of 64 KiB.

mod leaves;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use leaves::{Gate, never, poll_once};
use support::{Census, watchdog, without_panic_messages};
use tress::task::{JoinError, Lazy, lazy, yield_now};
use tress::{Builder, Runtime};

const DEPTH: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

const STACK_BYTES: usize = 64 << 10;

/// What is at the bottom of a chain.
#[derive(Clone)]
enum End {
    Ready,
    Waits(Gate),
    /// Polls itself again and again, so that it is never at rest.
    Yields,
    Fails(Gate),
    Panics(Gate),
}

type Result = std::result::Result<usize, &'static str>;

/// A chain of so many frames; each holds something that is counted.
fn chain(depth: usize, end: End, census: Census) -> Lazy<'static, Result> {
    lazy(async move {
        let _counted = census.count();
        if depth > 1 {
            return Ok(chain(depth - 1, end, census).await? + 1);
        }
        match end {
            End::Ready => {}
            End::Waits(gate) => gate.passed().await,
            End::Yields => loop {
                yield_now().await;
            },
            End::Fails(gate) => {
                gate.passed().await;
                return Err("the leaf has failed");
            }
            End::Panics(gate) => {
                gate.passed().await;
                panic!("expected: the leaf has panicked");
            }
        }
        Ok(1)
    })
}

/// The chains are large: one test at a time is enough.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A runtime whose workers have small stacks.
fn small_runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).thread_stack_size(STACK_BYTES).build().unwrap()
}

/// Runs on a thread that has a small stack.
fn on_small_stack<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| {
        let small = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, f).unwrap();
        small.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    })
}

/// Waits until a condition holds; a chain in a debug build takes a while.
#[track_caller]
fn wait_long_until(condition: impl Fn() -> bool, otherwise: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "{otherwise}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Awaits chains in a task and in `block_on`, both on small stacks, and opens their gates when they have been built.
fn in_each_root(end: impl Fn(Gate) -> End, check: impl Fn(thread::Result<Result>)) {
    let _alone = alone();
    let (runtime, census) = (small_runtime(2), Census::default());

    let gate = Gate::default();
    let task = runtime.spawn(chain(DEPTH, end(gate.clone()), census.clone()));
    wait_long_until(|| gate.polls() > 0 || task.is_finished(), "the chain was not built");
    gate.open();
    check(runtime.block_on(task).map_err(JoinError::into_panic));
    census.wait_until_empty();

    let (gate, finished) = (Gate::default(), AtomicBool::new(false));
    let chain = chain(DEPTH, end(gate.clone()), census.clone());
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            wait_long_until(
                || gate.polls() > 0 || finished.load(Ordering::SeqCst),
                "the chain was not built",
            );
            gate.open();
        });
        on_small_stack(|| {
            let result = catch_unwind(AssertUnwindSafe(|| runtime.block_on(chain)));
            finished.store(true, Ordering::SeqCst);
            result
        })
    });
    check(result);
    census.wait_until_empty();
}

#[test]
fn when_every_frame_is_ready() {
    let _watchdog = watchdog();
    in_each_root(|_| End::Ready, |result| assert_eq!(result.unwrap(), Ok(DEPTH)));
}

#[test]
fn when_the_leaf_is_woken() {
    let _watchdog = watchdog();
    in_each_root(End::Waits, |result| assert_eq!(result.unwrap(), Ok(DEPTH)));
}

#[test]
fn when_the_leaf_fails() {
    let _watchdog = watchdog();
    in_each_root(End::Fails, |result| assert_eq!(result.unwrap(), Err("the leaf has failed")));
}

#[test]
fn when_the_leaf_panics() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        in_each_root(End::Panics, |result| {
            let payload = result.unwrap_err();
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"expected: the leaf has panicked"));
        });
    });
}

#[test]
fn when_its_task_is_aborted() {
    let _watchdog = watchdog();
    let _alone = alone();
    let runtime = small_runtime(2);
    let census = Census::default();
    let gate = Gate::default();
    let task = runtime.spawn(chain(DEPTH, End::Waits(gate.clone()), census.clone()));
    wait_long_until(|| gate.polls() > 0, "the chain was not built");
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
    census.wait_until_empty();
    // Its waker is out of date.
    gate.open();
    assert_eq!(gate.polls(), 1);

    let task = runtime.spawn(chain(DEPTH, End::Yields, census.clone()));
    wait_long_until(|| census.made() == 2 * DEPTH, "the chain was not built");
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
    census.wait_until_empty();
}

#[test]
fn when_its_task_is_aborted_while_it_is_built() {
    let _watchdog = watchdog();
    let _alone = alone();
    let runtime = small_runtime(2);
    let census = Census::default();
    for part in [0, 1, DEPTH / 1000, DEPTH / 10, DEPTH / 2] {
        let built = census.made();
        let task = runtime.spawn(chain(DEPTH, End::Waits(Gate::default()), census.clone()));
        wait_long_until(|| census.made() - built >= part, "the chain was not built");
        task.abort();
        assert!(runtime.block_on(task).unwrap_err().is_aborted());
        census.wait_until_empty();
    }
}

#[test]
fn when_it_loses_a_select() {
    let _watchdog = watchdog();
    let _alone = alone();
    let (runtime, census) = (small_runtime(2), Census::default());
    let select_it = |gate: &Gate, winner: &Gate, census: &Census| {
        let chain = chain(DEPTH, End::Waits(gate.clone()), census.clone());
        let (winner, census) = (winner.clone(), census.clone());
        async move {
            let winner = lazy(async move { winner.passed().await });
            match select(pin!(chain), pin!(winner)).await {
                Either::Left(_) => panic!("the chain has won"),
                // It is pinned for as long as this is looked at.
                Either::Right(_) => assert_eq!(census.alive(), DEPTH),
            }
            assert_eq!(census.alive(), 0);
        }
    };
    let (gate, winner) = (Gate::default(), Gate::default());
    let task = runtime.spawn(select_it(&gate, &winner, &census));
    wait_long_until(|| gate.polls() > 0 && winner.polls() > 0, "the chain was not built");
    winner.open();
    runtime.block_on(task).unwrap();
    census.wait_until_empty();

    let (gate, winner) = (Gate::default(), Gate::default());
    let future = select_it(&gate, &winner, &census);
    thread::scope(|scope| {
        scope.spawn(|| {
            wait_long_until(|| gate.polls() > 0 && winner.polls() > 0, "the chain was not built");
            winner.open();
        });
        on_small_stack(|| runtime.block_on(future));
    });
    census.wait_until_empty();
}

#[test]
fn when_its_handle_is_dropped() {
    let _watchdog = watchdog();
    let _alone = alone();
    let (runtime, census) = (small_runtime(1), Census::default());
    let gate = Gate::default();
    let (chain, counts, leaf) =
        (chain(DEPTH, End::Waits(gate.clone()), census.clone()), census.clone(), gate.clone());
    let task = runtime.spawn(async move {
        let mut chain = pin!(Some(chain));
        while leaf.polls() == 0 {
            assert!(poll_once(chain.as_mut().as_pin_mut().unwrap()).await.is_pending());
            yield_now().await;
        }
        assert_eq!(counts.alive(), DEPTH);
        chain.set(None);
        // At once: the drop does not return before everything is gone.
        assert_eq!(counts.alive(), 0);
    });
    runtime.block_on(task).unwrap();
    gate.open();
    assert_eq!(gate.polls(), 1);
}

#[test]
fn when_its_runtime_is_dropped() {
    let _watchdog = watchdog();
    let _alone = alone();
    let census = Census::default();
    for end in [End::Waits(Gate::default()), End::Yields] {
        let (runtime, built) = (small_runtime(2), census.made());
        runtime.spawn(chain(DEPTH, end, census.clone()));
        wait_long_until(|| census.made() - built == DEPTH, "the chain was not built");
        on_small_stack(move || runtime.shutdown(Duration::from_secs(60)).unwrap());
        assert_eq!(census.alive(), 0);
    }
}

/// A frame in the middle of the chain is dropped, with all that is below it, and those above go on.
#[test]
fn when_the_lower_half_is_dropped() {
    let _watchdog = watchdog();
    let _alone = alone();
    fn upper(depth: usize, lower: Lazy<'static, Result>, gate: Gate) -> Lazy<'static, usize> {
        lazy(async move {
            if depth > 1 {
                return upper(depth - 1, lower, gate).await + 1;
            }
            match select(pin!(lower), pin!(gate.passed())).await {
                Either::Left(_) => panic!("the lower half has won"),
                Either::Right(_) => 1,
            }
        })
    }
    let (runtime, census) = (small_runtime(2), Census::default());
    let (gate, leaf) = (Gate::default(), Gate::default());
    let lower = chain(DEPTH / 2, End::Waits(leaf.clone()), census.clone());
    let task = runtime.spawn(upper(DEPTH / 2, lower, gate.clone()));
    wait_long_until(|| leaf.polls() > 0 && gate.polls() > 0, "the chain was not built");
    gate.open();
    assert_eq!(runtime.block_on(task).unwrap(), DEPTH / 2);
    census.wait_until_empty();
}

/// At each level hangs another frame, which never ends: the tree is as wide as it is deep.
fn comb(depth: usize, end: Gate, census: Census) -> Lazy<'static, usize> {
    lazy(async move {
        let tooth = census.count();
        if depth == 0 {
            end.passed().await;
            return 0;
        }
        let mut tooth = pin!(lazy(async move {
            let _tooth = tooth;
            never().await;
        }));
        let _ = poll_once(tooth.as_mut()).await;
        match select(tooth, pin!(comb(depth - 1, end, census))).await {
            Either::Left(((), _)) => unreachable!("it never ends"),
            Either::Right((below, _)) => below + 1,
        }
    })
}

#[test]
fn when_it_is_a_comb() {
    let _watchdog = watchdog();
    let _alone = alone();
    let (runtime, census, depth) = (small_runtime(2), Census::default(), DEPTH / 4);
    for is_aborted in [false, true] {
        let gate = Gate::default();
        let task = runtime.spawn(comb(depth, gate.clone(), census.clone()));
        wait_long_until(|| gate.polls() > 0, "the comb was not built");
        if is_aborted {
            task.abort();
            assert!(runtime.block_on(task).unwrap_err().is_aborted());
            census.wait_until_empty();
            gate.open();
        } else {
            gate.open();
            assert_eq!(runtime.block_on(task).unwrap(), depth);
        }
        census.wait_until_empty();
    }
}

/// A chain that is made from the inside out, so that each frame holds the next before it is started.
fn inside_out(depth: usize, census: &Census) -> Lazy<'static, usize> {
    let counted = census.count();
    let mut chain = lazy(async move {
        let _counted = counted;
        1
    });
    for _ in 1..depth {
        let counted = census.count();
        chain = lazy(async move {
            let _counted = counted;
            chain.await + 1
        });
    }
    chain
}

#[test]
fn when_it_is_made_from_the_inside_out() {
    let _watchdog = watchdog();
    let _alone = alone();
    let (runtime, census) = (small_runtime(1), Census::default());
    let task = runtime.spawn(inside_out(DEPTH, &census));
    assert_eq!(runtime.block_on(task).unwrap(), DEPTH);
    census.wait_until_empty();
    let chain = inside_out(DEPTH, &census);
    assert_eq!(on_small_stack(|| runtime.block_on(chain)), DEPTH);
    census.wait_until_empty();
}

#[test]
fn when_it_is_dropped_before_it_started() {
    let _watchdog = watchdog();
    let _alone = alone();
    let (runtime, census) = (small_runtime(1), Census::default());
    let chain = inside_out(DEPTH, &census);
    on_small_stack(|| drop(chain));
    assert_eq!(census.alive(), 0);
    let chain = inside_out(DEPTH, &census);
    runtime.block_on(runtime.spawn(async move { drop(chain) })).unwrap();
    assert_eq!(census.alive(), 0);
}

/// Frames that end one after the other, each started by the one before: no chain at all, and no stack either.
#[test]
fn when_frames_follow_each_other() {
    let _watchdog = watchdog();
    let _alone = alone();
    let runtime = small_runtime(2);
    let task = runtime.spawn(async {
        let mut sum = 0;
        for step in 0..DEPTH {
            sum += lazy(async move {
                if step % 100 == 0 {
                    yield_now().await;
                }
                1
            })
            .await;
        }
        sum
    });
    assert_eq!(runtime.block_on(task).unwrap(), DEPTH);
}
