//! Recursion over borrowed data, a hundred thousand levels deep, on a stack of 64 KiB: what the levels need of a native
//! stack to be polled and dropped, they get from the heap.

mod leaves;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::thread;

use leaves::{Gate, poll_once};
use support::{Census, block_on_foreign, wait_until, watchdog, without_panic_messages};
use tress::task::{Lazy, LocalLazy, lazy_borrowed, lazy_local_borrowed};
use tress::{Builder, Runtime};

/// Each level is polled natively, and a build without optimisation takes kilobytes for that.
const DEPTH: usize = if cfg!(debug_assertions) { 20_000 } else { 100_000 };

const STACK_BYTES: usize = 64 << 10;

/// Runs on a thread that has a small stack.
fn on_small_stack<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| {
        let small = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, f).unwrap();
        small.join().unwrap_or_else(|payload| resume_unwind(payload))
    })
}

fn small_runtime() -> Runtime {
    Builder::new().worker_threads(2).thread_stack_size(STACK_BYTES).build().unwrap()
}

fn numbers() -> Vec<u64> {
    (1..=DEPTH as u64).collect()
}

const SUM: u64 = DEPTH as u64 * (DEPTH as u64 + 1) / 2;

/// Adds up, one level for each number; waits for the gate at the end.
fn sum<'a>(numbers: &'a [u64], gate: &'a Gate, census: &'a Census) -> Lazy<'a, u64> {
    lazy_borrowed(async move {
        let _counted = census.count();
        match numbers {
            [] => {
                gate.passed().await;
                0
            }
            [first, rest @ ..] => first + sum(rest, gate, census).await,
        }
    })
}

fn open() -> Gate {
    let gate = Gate::default();
    gate.open();
    gate
}

#[test]
fn when_all_is_ready() {
    let _watchdog = watchdog();
    let (numbers, census, gate) = (numbers(), Census::default(), open());
    assert_eq!(on_small_stack(|| block_on_foreign(sum(&numbers, &gate, &census))), SUM);
    let runtime = small_runtime();
    assert_eq!(on_small_stack(|| runtime.block_on(sum(&numbers, &gate, &census))), SUM);
    census.wait_until_empty();
    let task = {
        let census = census.clone();
        runtime.spawn(async move { sum(&numbers, &gate, &census).await })
    };
    assert_eq!(runtime.block_on(task).unwrap(), SUM);
    census.wait_until_empty();
}

#[test]
fn when_the_leaf_is_woken() {
    let _watchdog = watchdog();
    let (runtime, numbers, census) = (small_runtime(), numbers(), Census::default());
    let waker = |gate: &Gate| {
        wait_until(|| gate.polls() == 1, "the leaf was not polled");
        gate.wake();
        wait_until(|| gate.polls() == 2, "the leaf was not polled");
        gate.open();
    };
    for is_foreign in [true, false] {
        let gate = Gate::default();
        let total = thread::scope(|scope| {
            scope.spawn(|| waker(&gate));
            on_small_stack(|| {
                let sum = sum(&numbers, &gate, &census);
                if is_foreign { block_on_foreign(sum) } else { runtime.block_on(sum) }
            })
        });
        assert_eq!(total, SUM);
        census.wait_until_empty();
    }
    let gate = Gate::default();
    let task = {
        let (census, gate) = (census.clone(), gate.clone());
        runtime.spawn(async move { sum(&numbers, &gate, &census).await })
    };
    waker(&gate);
    assert_eq!(runtime.block_on(task).unwrap(), SUM);
    census.wait_until_empty();
}

#[test]
fn when_it_is_dropped_while_it_waits() {
    let _watchdog = watchdog();
    let (runtime, numbers, census, gate) = (small_runtime(), numbers(), Census::default(), Gate::default());
    for is_foreign in [true, false] {
        on_small_stack(|| {
            let polled_and_dropped = async {
                {
                    let mut sum = pin!(sum(&numbers, &gate, &census));
                    assert!(poll_once(sum.as_mut()).await.is_pending());
                    assert_eq!(census.alive(), DEPTH + 1);
                }
                assert_eq!(census.alive(), 0);
            };
            if is_foreign {
                block_on_foreign(polled_and_dropped)
            } else {
                runtime.block_on(polled_and_dropped)
            }
        });
    }
    // Boxed, and dropped on another thread than the one it was polled on.
    let mut boxed = Box::pin(sum(&numbers, &gate, &census));
    on_small_stack(|| block_on_foreign(poll_once(boxed.as_mut())).is_pending().then_some(()).unwrap());
    on_small_stack(|| drop(boxed));
    assert_eq!(census.alive(), 0);
}

#[test]
fn when_its_task_is_aborted() {
    let _watchdog = watchdog();
    let (runtime, census, gate) = (small_runtime(), Census::default(), Gate::default());
    let task = {
        let (census, gate) = (census.clone(), gate.clone());
        runtime.spawn(async move { sum(&numbers(), &gate, &census).await })
    };
    wait_until(|| gate.polls() == 1, "the leaf was not polled");
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
    assert_eq!(census.alive(), 0);
}

#[test]
fn when_its_runtime_is_dropped() {
    let _watchdog = watchdog();
    let (runtime, census, gate) = (small_runtime(), Census::default(), Gate::default());
    {
        let (census, gate) = (census.clone(), gate.clone());
        runtime.spawn(async move { sum(&numbers(), &gate, &census).await });
    }
    wait_until(|| gate.polls() == 1, "the leaf was not polled");
    on_small_stack(move || drop(runtime));
    assert_eq!(census.alive(), 0);
}

#[test]
fn when_the_leaf_panics() {
    fn fail<'a>(numbers: &'a [u64], census: &'a Census) -> Lazy<'a, u64> {
        lazy_borrowed(async move {
            let _counted = census.count();
            match numbers {
                [] => panic!("expected: the last"),
                [first, rest @ ..] => first + fail(rest, census).await,
            }
        })
    }
    let _watchdog = watchdog();
    let (runtime, numbers, census) = (small_runtime(), numbers(), Census::default());
    let numbers = &numbers[..DEPTH / 10];
    without_panic_messages(|| {
        let payload = on_small_stack(|| {
            catch_unwind(AssertUnwindSafe(|| block_on_foreign(fail(numbers, &census)))).unwrap_err()
        });
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"expected: the last"));
        let payload = on_small_stack(|| {
            catch_unwind(AssertUnwindSafe(|| runtime.block_on(fail(numbers, &census)))).unwrap_err()
        });
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"expected: the last"));
    });
    census.wait_until_empty();
}

/// What is made from the inside out, and dropped without having been started.
#[test]
fn when_it_never_started() {
    let _watchdog = watchdog();
    let census = Census::default();
    let counts = &census;
    on_small_stack(|| {
        let mut lazy = lazy_borrowed(async { 0_u64 });
        for n in 1..=DEPTH as u64 {
            let counted = counts.count();
            lazy = lazy_borrowed(async move {
                let _counted = counted;
                lazy.await + n
            });
        }
        drop(lazy);
    });
    assert_eq!(census.alive(), 0);
}

#[test]
fn of_what_may_not_be_sent() {
    fn sum<'a>(numbers: &'a [Rc<u64>], gate: &'a Gate) -> LocalLazy<'a, Rc<u64>> {
        lazy_local_borrowed(async move {
            match numbers {
                [] => {
                    gate.passed().await;
                    Rc::new(0)
                }
                [first, rest @ ..] => Rc::new(**first + *sum(rest, gate).await),
            }
        })
    }
    let _watchdog = watchdog();
    let (runtime, gate) = (small_runtime(), open());
    for is_foreign in [true, false] {
        let total = on_small_stack(|| {
            let numbers: Vec<_> = numbers().into_iter().map(Rc::new).collect();
            let sum = sum(&numbers, &gate);
            *if is_foreign { block_on_foreign(sum) } else { runtime.block_on(sum) }
        });
        assert_eq!(total, SUM);
    }
}
