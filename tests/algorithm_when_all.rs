//! `when_all` gives every value in order, or the first error once the others have ended; it polls whom it has to, and loses no wake.

mod leaves;
mod support;

use std::future::{Future, Ready, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use leaves::{Flag, Gate, Tally, never};
use support::{
    Census, Pend, block_on_foreign, runtime, stress, wait_until, watchdog, without_panic_messages,
};
use tress::algorithm::when_all;
use tress::env;
use tress::stop::{self, Outcome, StopSource};
use tress::task::{lazy, yield_now};
use tress::time::sleep;

const LONG: Duration = Duration::from_secs(600);

type Child<T> = Pin<Box<dyn Future<Output = Result<T, &'static str>> + Send>>;

/// Passes a gate and gives a number.
fn behind(gate: &Gate, number: usize) -> Child<usize> {
    let gate = gate.clone();
    Box::pin(async move {
        gate.passed().await;
        Ok(number)
    })
}

#[test]
fn values_are_in_the_order_of_the_futures() {
    let gates = [(); 4].map(|()| Gate::default());
    let mut all = Box::pin(when_all(gates.iter().enumerate().map(|(number, gate)| behind(gate, number))));
    let flag = Arc::new(Flag::default());
    let waker = flag.waker();
    let mut cx = Context::from_waker(&waker);
    for (wakes, number) in [2, 0, 3].into_iter().enumerate() {
        assert!(all.poll_unpin(&mut cx).is_pending());
        gates[number].open();
        assert_eq!(flag.wakes(), wakes + 1);
    }
    assert!(all.poll_unpin(&mut cx).is_pending());
    gates[1].open();
    assert_eq!(all.poll_unpin(&mut cx), Poll::Ready(Ok(vec![0, 1, 2, 3])));

    assert_eq!(block_on_foreign(when_all([].map(|never: Ready<Result<(), ()>>| never))), Ok(vec![]));
}

/// Each wake leads to a poll of the child that was woken, and of no other.
#[test]
fn only_who_was_woken_is_polled() {
    let gates = [(); 8].map(|()| Gate::default());
    let mut all = Box::pin(when_all(gates.iter().enumerate().map(|(number, gate)| behind(gate, number))));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(all.poll_unpin(&mut cx).is_pending());
    // For nothing, twice, and by a parent that polls for reasons of its own.
    gates[5].wake();
    gates[5].wake();
    assert!(all.poll_unpin(&mut cx).is_pending());
    assert!(all.poll_unpin(&mut cx).is_pending());
    gates[1].open();
    assert!(all.poll_unpin(&mut cx).is_pending());
    assert_eq!(gates.each_ref().map(Gate::polls), [1, 2, 1, 1, 1, 2, 1, 1]);
}

/// The error is returned when the others are gone; which of them had not begun never does.
#[test]
fn the_first_error_stops_the_others() {
    let _watchdog = watchdog();
    let (census, begun, gate) = (Census::default(), Tally::default(), Gate::default());
    let child = |end: Child<()>| -> Child<()> {
        let (counted, begun) = (census.count(), begun.clone());
        Box::pin(async move {
            let _counted = counted;
            begun.add();
            end.await
        })
    };
    let fails = |error: &'static str| -> Child<()> {
        let gate = gate.clone();
        Box::pin(async move {
            gate.passed().await;
            Err(error)
        })
    };
    let waits = || -> Child<()> { Box::pin(sleep(LONG).map(Ok)) };

    // At once: the last one does not begin.
    let all = when_all([child(waits()), child(Box::pin(ready(Err("at once")))), child(waits())]);
    assert_eq!(block_on_foreign(all), Err("at once"));
    assert_eq!((census.alive(), begun.count()), (0, 2));

    // Later, by two of them: the first one is that which comes first.
    let mut all =
        Box::pin(when_all([child(waits()), child(fails("second")), child(fails("third")), child(waits())]));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(all.poll_unpin(&mut cx).is_pending());
    assert_eq!(census.alive(), 4);
    gate.open();
    assert_eq!(all.poll_unpin(&mut cx), Poll::Ready(Err("second")));
    assert_eq!(census.alive(), 0, "the others have ended before the error is returned");
}

/// What a future does after it was asked to stop is waited for.
#[test]
fn the_others_may_end_properly() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (begun, gate, ended) = (Gate::default(), Gate::default(), Tally::default());
    let cleans = |number: usize| -> Child<()> {
        let (gate, begun, ended) = (gate.clone(), begun.clone(), ended.clone());
        Box::pin(async move {
            let outcome = match number {
                0 => stop::outcome(sleep(LONG)).await,
                _ => lazy(async { stop::outcome(sleep(LONG)).await }).await,
            };
            assert!(outcome.is_stopped());
            begun.open();
            env::shield(async { gate.passed().await }).await;
            ended.add();
            Ok(())
        })
    };
    let fails = async {
        sleep(Duration::from_millis(1)).await;
        Err("failed")
    };
    let all = runtime.spawn(when_all([cleans(0), Box::pin(fails), cleans(1)]));
    runtime.block_on(begun.passed());
    assert!(!all.is_finished());
    gate.open();
    assert_eq!(runtime.block_on(all).unwrap(), Err("failed"));
    assert_eq!(ended.count(), 2);
}

/// Whoever awaits all is asked to stop: the children are, and end first.
#[test]
fn a_stop_from_outside_stops_all() {
    let _watchdog = watchdog();
    for workers in [1, 4] {
        let (runtime, census, source) = (runtime(workers), Census::default(), StopSource::new());
        let child = |counted| async move {
            let _counted = counted;
            sleep(LONG).await;
            Ok::<(), ()>(())
        };
        let all = when_all([(); 3].map(|()| child(census.count())));
        let task = runtime.spawn(env::scope().stop(source.token()).run(all));
        source.request_stop();
        assert!(runtime.block_on(task).unwrap_err().is_stopped());
        assert_eq!(census.alive(), 0);

        // Before it begins, and where it is caught.
        let all = when_all([(); 3].map(|()| child(census.count())));
        let caught = stop::outcome(env::scope().stop(source.token()).run(all));
        assert_eq!(runtime.block_on(caught), Outcome::Stopped);
        assert_eq!(census.alive(), 0);
        // One who does not wait is not stopped.
        let ready = env::scope().stop(source.token()).run(when_all([ready(Ok::<_, ()>(1)), ready(Ok(2))]));
        assert_eq!(runtime.block_on(ready), Ok(vec![1, 2]));
    }
}

/// A child that stops itself stops the others and whoever awaits all, unless somebody has failed.
#[test]
fn a_child_may_stop_itself() {
    let census = Census::default();
    let child = |number: usize, counted| -> Child<usize> {
        Box::pin(async move {
            let _counted = counted;
            match number {
                0 => match stop::stopped().await {},
                1 => stop::outcome(sleep(LONG)).await.value().ok_or("failed when it was stopped").map(|()| 1),
                number => {
                    sleep(LONG).await;
                    Ok(number)
                }
            }
        })
    };
    let all = |numbers: [usize; 3]| when_all(numbers.map(|number| child(number, census.count())));
    let mut cx = Context::from_waker(Waker::noop());
    let mut stopped = pin!(stop::outcome(all([2, 0, 3])));
    assert_eq!(stopped.as_mut().poll(&mut cx), Poll::Ready(Outcome::Stopped));
    assert_eq!(census.alive(), 0);
    let mut failed = pin!(all([2, 1, 0]));
    assert_eq!(failed.as_mut().poll(&mut cx), Poll::Ready(Err("failed when it was stopped")));
    assert_eq!(census.alive(), 0);
}

#[test]
fn a_panic_goes_on_when_the_others_are_gone() {
    let (census, gate) = (Census::default(), Gate::default());
    let child = |panics: bool, counted| {
        let gate = gate.clone();
        async move {
            let _counted = counted;
            gate.passed().await;
            assert!(!panics, "expected: a child panics");
            never().await;
            Ok::<(), ()>(())
        }
    };
    let mut all = Box::pin(when_all([false, true, false].map(|panics| child(panics, census.count()))));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(all.poll_unpin(&mut cx).is_pending());
    gate.open();
    without_panic_messages(|| {
        let panic = catch_unwind(AssertUnwindSafe(|| all.poll_unpin(&mut cx))).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"expected: a child panics"));
    });
    assert_eq!(census.alive(), 0);
}

/// What is dropped on the way may panic too, and takes nobody with it.
#[test]
fn a_panic_in_a_drop_is_a_panic() {
    struct PanicsInDrop(bool);
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            assert!(!self.0, "expected: a drop panics");
        }
    }
    let census = Census::default();
    let child = |number: usize| {
        let (counted, panics) = (census.count(), PanicsInDrop(number == 2));
        async move {
            let (_counted, _panics) = (counted, panics);
            if number == 1 {
                return Err(());
            }
            sleep(LONG).await;
            Ok(())
        }
    };
    // One that has begun, and one that has not, are stopped by an error.
    for order in [[2, 1, 0], [0, 1, 2]] {
        let mut all = Box::pin(when_all(order.map(child)));
        without_panic_messages(|| {
            let mut cx = Context::from_waker(Waker::noop());
            let panic = catch_unwind(AssertUnwindSafe(|| all.poll_unpin(&mut cx))).unwrap_err();
            assert_eq!(panic.downcast_ref::<&str>(), Some(&"expected: a drop panics"));
        });
        assert_eq!(census.alive(), 0);
    }
}

#[test]
#[should_panic(expected = "after it had completed")]
fn it_completes_once() {
    let mut all = Box::pin(when_all([ready(Ok::<(), ()>(()))]));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(all.poll_unpin(&mut cx).is_ready());
    let _panics = all.poll_unpin(&mut cx);
}

#[test]
fn dropping_it_drops_the_futures() {
    let (census, gate) = (Census::default(), Gate::default());
    let parent = Arc::new(Flag::default());
    let mut all = Box::pin(when_all((0..3).map(|_| {
        let (gate, counted) = (gate.clone(), census.count());
        async move {
            let _counted = counted;
            gate.passed().await;
            Ok::<(), ()>(())
        }
    })));
    let waker = parent.waker();
    assert!(all.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
    drop((all, waker));
    assert_eq!(census.alive(), 0);
    // The gate has kept the wakers of the futures, which are nobody's now.
    assert_eq!(Arc::strong_count(&parent), 1);
    gate.open();
    assert_eq!(parent.wakes(), 0);
}

/// A child that is done may have left its waker with somebody: who uses it wakes no other child.
#[test]
fn wakers_outlive_their_children() {
    let gates = [(); 2].map(|()| Gate::default());
    let left = Gate::default();
    let child = |number: usize| {
        let (gate, left) = (gates[number % 2].clone(), left.clone());
        async move {
            if number >= 2 {
                poll_fn(|cx| {
                    let _pending = left.poll(cx);
                    if number >= 4 {
                        cx.waker().wake_by_ref();
                    }
                    Poll::Ready(())
                })
                .await;
            } else {
                gate.passed().await;
            }
            Ok::<usize, ()>(number)
        }
    };
    let flag = Arc::new(Flag::default());
    let waker = flag.waker();
    let mut cx = Context::from_waker(&waker);
    // Those that end at once come first, between and last.
    let mut all = Box::pin(when_all([2, 0, 3, 4, 1, 5].map(child)));
    assert!(all.poll_unpin(&mut cx).is_pending());
    assert_eq!(flag.wakes(), 1, "they were woken in that poll");
    assert!(all.poll_unpin(&mut cx).is_pending());
    let wakes = flag.wakes();
    assert_eq!(left.wakers().len(), 4);
    left.wake();
    assert_eq!(flag.wakes(), wakes, "nobody is there who could be woken");
    assert_eq!(gates.each_ref().map(Gate::polls), [1, 1]);
    gates[0].open();
    gates[1].open();
    assert_eq!(all.poll_unpin(&mut cx), Poll::Ready(Ok(vec![2, 0, 3, 4, 1, 5])));
}

/// A child that is woken while it is polled has another turn in the parent's next poll, not in this one.
#[test]
fn a_child_that_is_always_woken_takes_turns() {
    let polls = Tally::default();
    let mut all = Box::pin(when_all([polls.clone().polls(Pend(100)).map(Ok::<(), ()>)]));
    let flag = Arc::new(Flag::default());
    let waker = flag.waker();
    let mut cx = Context::from_waker(&waker);
    for turn in 1..=100 {
        assert!(all.poll_unpin(&mut cx).is_pending());
        assert_eq!((polls.count(), flag.wakes()), (turn, turn));
    }
    assert!(all.poll_unpin(&mut cx).is_ready());
}

/// Wakes come from other threads, in any order, before, while and after the children are polled.
#[test]
fn wakes_in_any_order_lose_nobody() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let children = 1 + random.below(64);
        let gates: Vec<_> = (0..children).map(|_| Gate::default()).collect();
        let mut order: Vec<_> = (0..children).collect();
        for last in (1..children).rev() {
            order.swap(last, random.below(last + 1));
        }
        let fails = random.once_in(2).then(|| random.below(children));
        let all = when_all(gates.iter().cloned().enumerate().map(|(number, gate)| {
            let (pends, frame) = (random.below(3), random.once_in(2));
            let body = async move {
                Pend(pends).await;
                gate.passed().await;
                yield_now().await;
                if Some(number) == fails { Err(number) } else { Ok(number) }
            };
            if frame { lazy(body) } else { lazy(body).opaque() }
        }));
        let all = runtime.spawn(all);
        let (early, late) = order.split_at(random.below(children + 1));
        thread::scope(|scope| {
            for numbers in [early, late] {
                let gates = &gates;
                scope.spawn(move || numbers.iter().for_each(|number| gates[*number].open()));
            }
        });
        let result = runtime.block_on(all).unwrap();
        match fails {
            None => assert_eq!(result, Ok((0..children).collect())),
            Some(number) => assert_eq!(result, Err(number)),
        }
    });
}

/// In a task that waits, nothing is polled until something happens; and a dump sees what the children wait for.
#[test]
fn a_dump_sees_the_children() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let task = runtime.spawn(when_all((0..3).map(|_| async {
        tress::time::sleep(std::time::Duration::from_secs(600)).await;
        Ok::<(), ()>(())
    })));
    wait_until(
        || tress::trace::dump(runtime.handle()).to_string().matches("sleep").count() >= 3,
        "the dump shows three sleeps",
    );
    task.abort();
}

#[test]
fn a_million_ready_futures_need_no_stack() {
    let _watchdog = watchdog();
    let thread = thread::Builder::new().stack_size(64 << 10).spawn(|| {
        let all = when_all((0..1_000_000).map(|number| ready(Ok::<u32, ()>(number))));
        let values = block_on_foreign(all).unwrap();
        assert!(values.iter().copied().eq(0..1_000_000));

        let all = when_all((0..1_000_000).map(|number| Pend(1).map(move |()| Ok::<u32, ()>(number))));
        let values = block_on_foreign(all).unwrap();
        assert!(values.into_iter().eq(0..1_000_000));
    });
    thread.unwrap().join().unwrap();
}
