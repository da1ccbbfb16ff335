//! `assume_unleaked` makes what borrows as good as what does not: with the promise that no handle is leaked, recursion
//! over borrowed data is rooted, so that a wake polls one frame, and a million levels need no stack.
#![expect(unsafe_code, reason = "the promise not to leak a handle is the caller's")]

mod leaves;
mod support;

use std::pin::pin;
use std::thread;

use futures_util::future::{Either, select};
use leaves::{Gate, Tally, poll_once};
use support::{Census, block_on_foreign, runtime, wait_until, watchdog};
use tress::task::{Lazy, lazy_borrowed};
use tress::{Builder, Runtime};

const DEPTH: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

const STACK_BYTES: usize = 64 << 10;

/// Adds up, one level for each number, and waits for the gate at the end.
fn sum<'a>(numbers: &'a [u64], polls: &'a [Tally], gate: &'a Gate, census: &'a Census) -> Lazy<'a, u64> {
    let level = async move {
        let _counted = census.count();
        match numbers {
            [] => {
                gate.passed().await;
                0
            }
            [first, rest @ ..] => first + sum(rest, polls.get(1..).unwrap_or_default(), gate, census).await,
        }
    };
    let lazy = match polls {
        [] => lazy_borrowed(level),
        [polls, ..] => lazy_borrowed(polls.clone().polls(level)),
    };
    // SAFETY: it is awaited where it is made, in this function's callers, and never leaked.
    unsafe { lazy.assume_unleaked() }
}

fn small_runtime() -> Runtime {
    Builder::new().worker_threads(2).thread_stack_size(STACK_BYTES).build().unwrap()
}

fn total(numbers: &[u64]) -> u64 {
    numbers.iter().sum()
}

#[test]
fn polls_only_what_was_woken() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for depth in [1, 5, 100] {
        let (gate, census) = (Gate::default(), Census::default());
        let polls: Vec<_> = (0..=depth).map(|_| Tally::default()).collect();
        let task = {
            let (gate, polls, census) = (gate.clone(), polls.clone(), census.clone());
            let numbers: Vec<u64> = (0..depth).collect();
            runtime.spawn(async move { sum(&numbers, &polls, &gate, &census).await })
        };
        wait_until(|| gate.polls() == 1, "the leaf was not polled");
        for wake in 1..=10 {
            gate.wake();
            wait_until(|| gate.polls() == 1 + wake, "the leaf was not polled");
        }
        let counts = |polls: &[Tally]| polls.iter().map(Tally::count).collect::<Vec<_>>();
        let (leaf, above) = polls.split_last().unwrap();
        assert_eq!(leaf.count(), 11);
        assert!(counts(above).iter().all(|&polls| polls == 1), "ancestors were polled: {:?}", counts(above));
        gate.open();
        assert_eq!(runtime.block_on(task).unwrap(), (0..depth).sum());
        assert_eq!(leaf.count(), 12);
        assert!(counts(above).iter().all(|&polls| polls == 2), "not resumed once: {:?}", counts(above));
        assert_eq!(census.alive(), 0);
    }
}

#[test]
fn needs_no_stack() {
    let _watchdog = watchdog();
    let numbers: Vec<u64> = (0..DEPTH as u64).collect();
    let runtime = small_runtime();
    // In `block_on`, on a small stack.
    let (gate, census) = (Gate::default(), Census::default());
    let output = thread::scope(|scope| {
        let small = thread::Builder::new().stack_size(STACK_BYTES);
        let small =
            small.spawn_scoped(scope, || runtime.block_on(sum(&numbers, &[], &gate, &census))).unwrap();
        wait_long_until(|| gate.polls() > 0);
        gate.open();
        small.join().unwrap()
    });
    assert_eq!(output, total(&numbers));
    census.wait_until_empty();
    // In a task, to its end; then aborted; then as the loser of a select.
    for end in 0..3 {
        let (gate, winner) = (Gate::default(), Gate::default());
        let expected = total(&numbers);
        let task = {
            let (gate, census, numbers, winner) =
                (gate.clone(), census.clone(), numbers.clone(), winner.clone());
            runtime.spawn(async move {
                let sum = sum(&numbers, &[], &gate, &census);
                match select(pin!(sum), pin!(winner.passed())).await {
                    Either::Left((sum, _)) => Some(sum),
                    Either::Right(_) => None,
                }
            })
        };
        wait_long_until(|| gate.polls() > 0);
        match end {
            0 => gate.open(),
            1 => task.abort(),
            _ => winner.open(),
        }
        match runtime.block_on(task) {
            Ok(output) => assert_eq!(output, (end == 0).then_some(expected)),
            Err(error) => assert!(end == 1 && error.is_aborted()),
        }
        census.wait_until_empty();
    }
}

/// A chain in a debug build takes a while.
#[track_caller]
fn wait_long_until(condition: impl Fn() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !condition() {
        assert!(std::time::Instant::now() < end, "the chain was not built");
        thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// What is borrowed may go as soon as the handle is dropped.
#[test]
fn is_dropped_before_what_it_borrows() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for depth in [0, 1, 5, 100] {
        let (gate, census) = (Gate::default(), Census::default());
        let (leaf, counts) = (gate.clone(), census.clone());
        let task = runtime.spawn(async move {
            for _ in 0..3 {
                let numbers: Vec<u64> = (0..depth).collect();
                {
                    let mut sum = pin!(sum(&numbers, &[], &leaf, &counts));
                    assert!(poll_once(sum.as_mut()).await.is_pending());
                    tress::task::yield_now().await;
                    leaf.wake();
                }
                assert_eq!(counts.alive(), 0);
                drop(numbers);
                leaf.wake();
                tress::task::yield_now().await;
                assert_eq!(counts.alive(), 0);
            }
        });
        runtime.block_on(task).unwrap();
    }
}

/// Boxed, or in no runtime, it is like any other lazy.
#[test]
fn works_where_nothing_is_rooted() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let numbers: Vec<u64> = (0..50).collect();
    let (gate, census) = (Gate::default(), Census::default());
    gate.open();
    assert_eq!(block_on_foreign(sum(&numbers, &[], &gate, &census)), total(&numbers));
    assert_eq!(runtime.block_on(Box::pin(sum(&numbers, &[], &gate, &census))), total(&numbers));
    assert_eq!(
        runtime.block_on(async { sum(&numbers, &[], &gate, &census).opaque().await }),
        total(&numbers)
    );
    drop(sum(&numbers, &[], &gate, &census));
    assert_eq!(census.alive(), 0);
}
