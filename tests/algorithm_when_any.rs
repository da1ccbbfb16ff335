//! `when_any` gives the first value once the others have ended, or every error in order.

mod leaves;
mod support;

use std::future::{Future, Ready, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use leaves::{Gate, Tally, never};
use support::{Census, Pend, block_on_foreign, runtime, stress, watchdog, without_panic_messages};
use tress::algorithm::when_any;
use tress::env;
use tress::stop::{self, Outcome, StopSource};
use tress::time::sleep;

const LONG: Duration = Duration::from_secs(600);

type Child = Pin<Box<dyn Future<Output = Result<usize, usize>> + Send>>;

/// Passes a gate, and ends with its number.
fn behind(gate: &Gate, succeeds: bool, number: usize) -> Child {
    let gate = gate.clone();
    Box::pin(async move {
        gate.passed().await;
        if succeeds { Ok(number) } else { Err(number) }
    })
}

#[test]
fn the_first_value_stops_the_others() {
    let (census, begun, gate) = (Census::default(), Tally::default(), Gate::default());
    let child = |end: Child| -> Child {
        let (counted, begun) = (census.count(), begun.clone());
        Box::pin(async move {
            let _counted = counted;
            begun.add();
            end.await
        })
    };
    let waits = || -> Child { Box::pin(sleep(LONG).map(|()| Ok(0))) };

    // At once: the last one does not begin.
    let any = when_any([child(Box::pin(ready(Err(0)))), child(Box::pin(ready(Ok(1)))), child(waits())]);
    assert_eq!(block_on_foreign(any), Ok(1));
    assert_eq!((census.alive(), begun.count()), (0, 2));

    // Later, by two of them.
    let children = [waits(), behind(&gate, false, 1), behind(&gate, true, 2), behind(&gate, true, 3)];
    let mut any = Box::pin(when_any(children.map(child)));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(any.poll_unpin(&mut cx).is_pending());
    assert_eq!(census.alive(), 4);
    gate.open();
    assert_eq!(any.poll_unpin(&mut cx), Poll::Ready(Ok(2)));
    assert_eq!(census.alive(), 0, "the others have ended before the value is returned");
}

#[test]
fn all_errors_are_in_the_order_of_the_futures() {
    let gates = [(); 3].map(|()| Gate::default());
    let mut any =
        Box::pin(when_any(gates.iter().enumerate().map(|(number, gate)| behind(gate, false, number))));
    let mut cx = Context::from_waker(Waker::noop());
    for number in [2, 0] {
        gates[number].open();
        assert!(any.poll_unpin(&mut cx).is_pending());
    }
    gates[1].open();
    assert_eq!(any.poll_unpin(&mut cx), Poll::Ready(Err(vec![0, 1, 2])));
}

#[test]
fn of_no_futures_it_is_an_error() {
    assert_eq!(block_on_foreign(when_any([].map(|never: Ready<Result<(), ()>>| never))), Err(vec![]));
}

/// What a future does after it was asked to stop is waited for.
#[test]
fn the_others_may_end_properly() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (begun, gate) = (Gate::default(), Gate::default());
    let cleans: Child = {
        let (begun, gate) = (begun.clone(), gate.clone());
        Box::pin(async move {
            assert!(stop::outcome(sleep(LONG)).await.is_stopped());
            begun.open();
            env::shield(gate.passed()).await;
            Ok(0)
        })
    };
    let any = runtime.spawn(when_any([cleans, Box::pin(sleep(Duration::from_millis(1)).map(|()| Ok(1)))]));
    runtime.block_on(begun.passed());
    assert!(!any.is_finished());
    gate.open();
    assert_eq!(runtime.block_on(any).unwrap(), Ok(1));
}

/// One that was stopped is out of the race; with nobody left who could win, whoever awaits it is stopped.
#[test]
fn stops_are_no_errors() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let stops = || -> Child { Box::pin(async { match stop::stopped().await {} }) };
    let ends = |result: Result<usize, usize>| -> Child {
        Box::pin(sleep(Duration::from_millis(1)).map(move |()| result))
    };
    assert_eq!(runtime.block_on(when_any([stops(), ends(Ok(1))])), Ok(1));
    let stopped = stop::outcome(when_any([ends(Err(1)), stops()]));
    assert_eq!(runtime.block_on(stopped), Outcome::Stopped);

    let source = StopSource::new();
    let naps = when_any([(); 3].map(|()| sleep(LONG).map(Ok::<(), ()>)));
    let task = runtime.spawn(env::scope().stop(source.token()).run(naps));
    source.request_stop();
    assert!(runtime.block_on(task).unwrap_err().is_stopped());
}

#[test]
fn a_panic_goes_on_when_the_others_are_gone() {
    let (census, gate) = (Census::default(), Gate::default());
    let mut any = Box::pin(when_any([false, true, false].map(|panics| {
        let (gate, counted) = (gate.clone(), census.count());
        async move {
            let _counted = counted;
            gate.passed().await;
            assert!(!panics, "expected: a child panics");
            never().await;
            Ok::<(), ()>(())
        }
    })));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(any.poll_unpin(&mut cx).is_pending());
    gate.open();
    without_panic_messages(|| {
        let panic = catch_unwind(AssertUnwindSafe(|| any.poll_unpin(&mut cx))).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"expected: a child panics"));
    });
    assert_eq!(census.alive(), 0);
}

#[test]
#[should_panic(expected = "after it had completed")]
fn it_completes_once() {
    let mut any = Box::pin(when_any([ready(Ok::<(), ()>(()))]));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(any.poll_unpin(&mut cx).is_ready());
    let _panics = any.poll_unpin(&mut cx);
}

#[test]
fn dropping_it_drops_the_futures() {
    let census = Census::default();
    let mut any = Box::pin(when_any((0..3).map(|_| {
        let counted = census.count();
        async move {
            let _counted = counted;
            never().await;
            Ok::<(), ()>(())
        }
    })));
    assert!(any.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(any);
    assert_eq!(census.alive(), 0);
}

/// Wakes come from other threads in any order; whoever succeeds, nobody is lost.
#[test]
fn wakes_in_any_order_lose_nobody() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let children = 1 + random.below(32);
        let census = Census::default();
        let gates: Vec<_> = (0..children).map(|_| Gate::default()).collect();
        let succeed: Vec<_> = (0..children).map(|_| random.once_in(children)).collect();
        let any = when_any(gates.iter().zip(&succeed).enumerate().map(|(number, (gate, succeeds))| {
            let (pends, counted, end) = (random.below(3), census.count(), behind(gate, *succeeds, number));
            async move {
                let _counted = counted;
                Pend(pends).await;
                end.await
            }
        }));
        let any = runtime.spawn(any);
        let split = random.below(children + 1);
        thread::scope(|scope| {
            let (early, late) = gates.split_at(split);
            scope.spawn(move || early.iter().rev().for_each(Gate::open));
            scope.spawn(move || late.iter().for_each(Gate::open));
        });
        match runtime.block_on(any).unwrap() {
            Ok(number) => assert!(succeed[number]),
            Err(errors) => {
                assert!(errors.into_iter().eq(0..children) && !succeed.contains(&true));
            }
        }
        assert_eq!(census.alive(), 0);
    });
}

#[test]
fn a_million_failures_need_no_stack() {
    let _watchdog = watchdog();
    let thread = thread::Builder::new().stack_size(64 << 10).spawn(|| {
        let any = when_any((0..1_000_000).map(|number| ready(Err::<(), u32>(number))));
        assert!(block_on_foreign(any).unwrap_err().into_iter().eq(0..1_000_000));
    });
    thread.unwrap().join().unwrap();
}
