//! `join_all` gives every output in the order of the futures, polls only whom it has to, and loses no wake; a stop takes all of them.

mod leaves;
mod support;

use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use leaves::{Gate, Tally, never};
use support::{
    Census, Pend, block_on_foreign, runtime, stress, wait_until, watchdog, without_panic_messages,
};
use tress::algorithm::{JoinAll, join_all};
use tress::env;
use tress::stop::{self, Outcome, StopSource};
use tress::time::sleep;

const LONG: Duration = Duration::from_secs(600);

#[test]
fn outputs_are_in_the_order_of_the_futures() {
    let gates = [(); 3].map(|()| Gate::default());
    let mut all: JoinAll<_> = gates.iter().map(|gate| gate.passed()).enumerate().map(number_after).collect();
    let mut cx = Context::from_waker(Waker::noop());
    for number in [2, 0] {
        gates[number].open();
        assert!(all.poll_unpin(&mut cx).is_pending());
    }
    gates[1].open();
    assert_eq!(all.poll_unpin(&mut cx), Poll::Ready(vec![0, 1, 2]));
    // Each was polled when it began; two of them were woken since.
    assert_eq!(gates.each_ref().map(Gate::polls), [2, 2, 1]);

    assert_eq!(block_on_foreign(join_all([].map(ready::<()>))), []);
}

async fn number_after<F: Future>((number, future): (usize, F)) -> usize {
    future.await;
    number
}

/// An error is an output like any other.
#[test]
fn errors_stop_nobody() {
    let all = join_all([Ok(1), Err("two"), Ok(3)].map(|result| Pend(1).map(move |()| result)));
    assert_eq!(block_on_foreign(all), [Ok(1), Err("two"), Ok(3)]);
}

#[test]
fn a_panic_goes_on_when_the_others_are_gone() {
    let census = Census::default();
    let mut all = join_all([false, true, false].map(|panics| {
        let counted = census.count();
        async move {
            let _counted = counted;
            assert!(!panics, "expected: a child panics");
            never().await;
        }
    }));
    without_panic_messages(|| {
        let poll = || all.poll_unpin(&mut Context::from_waker(Waker::noop()));
        let panic = catch_unwind(AssertUnwindSafe(poll)).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"expected: a child panics"));
    });
    assert_eq!(census.alive(), 0);
}

#[test]
#[should_panic(expected = "after it had completed")]
fn it_completes_once() {
    let mut all = join_all([ready(())]);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(all.poll_unpin(&mut cx).is_ready());
    let _panics = all.poll_unpin(&mut cx);
}

#[test]
fn dropping_it_drops_the_futures() {
    let census = Census::default();
    let runtime = runtime(2);
    let task = runtime.spawn(join_all((0..3).map(|_| {
        let counted = census.count();
        async move {
            let _counted = counted;
            never().await;
        }
    })));
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
    census.wait_until_empty();
}

/// Nobody stops anybody here, but what stops one stops whoever awaits all of them, at once.
#[test]
fn a_stop_of_a_child_takes_all_with_it() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for number in 0..3 {
        let (census, source) = (Census::default(), StopSource::new());
        let others = Tally::default();
        let children = (0..3).map(|child| {
            let (counted, others) = (census.count(), others.clone());
            let source = if child == number { source.clone() } else { StopSource::new() };
            async move {
                let _counted = counted;
                others.add();
                env::scope().stop(source.token()).run(sleep(LONG)).await;
            }
        });
        let task = runtime.spawn(stop::outcome(join_all(children)));
        wait_until(|| others.count() == 3, "not all of them run");
        assert_eq!(census.alive(), 3);
        source.request_stop();
        assert_eq!(runtime.block_on(task).unwrap(), Outcome::Stopped);
        assert_eq!(census.alive(), 0, "the others are dropped with it");
    }
}

/// One that says so itself, rather than an operation of its.
#[test]
fn a_child_may_stop_all_of_them() {
    let _watchdog = watchdog();
    let census = Census::default();
    let all = join_all((0..3).map(|number| {
        let counted = census.count();
        async move {
            let _counted = counted;
            if number == 1 {
                stop::stopped().await;
            }
            never().await
        }
    }));
    assert_eq!(block_on_foreign(stop::outcome(all)), Outcome::Stopped);
    assert_eq!(census.alive(), 0);
}

/// The environment of the children is the one outside, and its stop theirs.
#[test]
fn a_stop_from_outside_reaches_the_children() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (census, source, told) = (Census::default(), StopSource::new(), Tally::default());
    let children = (0..3).map(|_| {
        let (counted, told) = (census.count(), told.clone());
        async move {
            let _counted = counted;
            let outcome = stop::outcome(sleep(LONG)).await;
            told.add();
            outcome
        }
    });
    let all = env::scope().stop(source.token()).run(join_all(children));
    let task = runtime.spawn(all);
    source.request_stop();
    // Whoever catches it has an output like any other.
    assert_eq!(runtime.block_on(task).unwrap(), [Outcome::Stopped; 3]);
    assert_eq!((told.count(), census.alive()), (3, 0));

    let waits = join_all((0..3).map(|_| {
        let counted = census.count();
        async move {
            sleep(LONG).await;
            drop(counted);
        }
    }));
    let source = StopSource::new();
    let task = runtime.spawn(env::scope().stop(source.token()).run(waits));
    source.request_stop();
    assert!(runtime.block_on(task).unwrap_err().is_stopped());
    assert_eq!(census.alive(), 0);
}

#[test]
fn tasks_of_other_workers_are_joined() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let pends: Vec<_> = (0..1 + random.below(200)).map(|_| random.below(4)).collect();
        let outputs = runtime.block_on(async {
            join_all(pends.iter().copied().map(|pends| tress::spawn(Pend(pends).map(move |()| pends)))).await
        });
        assert!(outputs.into_iter().map(Result::unwrap).eq(pends));
    });
}

#[test]
fn a_million_futures_need_no_stack() {
    let _watchdog = watchdog();
    let thread = thread::Builder::new().stack_size(64 << 10).spawn(|| {
        let all = join_all((0..1_000_000).map(ready::<u32>));
        assert!(block_on_foreign(all).into_iter().eq(0..1_000_000));
    });
    thread.unwrap().join().unwrap();
}
