//! `when_all_of` gives every value in order, or the first error once the others have ended, whatever types the futures are of.

mod leaves;
mod support;

use std::future::{Future, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use leaves::{Flag, Gate, Tally, never};
use support::{
    Census, Pend, block_on_foreign, runtime, stress, wait_until, watchdog, without_panic_messages,
};
use tress::algorithm::{FutureTuple, when_all, when_all_of};
use tress::env;
use tress::stop::{self, Outcome, StopSource};
use tress::task::{lazy, yield_now};
use tress::time::sleep;

const LONG: Duration = Duration::from_secs(600);

/// Passes a gate and gives a value.
async fn behind<T>(gate: &Gate, value: T) -> Result<T, &'static str> {
    gate.passed().await;
    Ok(value)
}

/// Waits until it is stopped; nobody sees its value.
async fn waits<T: Default, E>(held: impl Sized) -> Result<T, E> {
    let _held = held;
    sleep(LONG).await;
    Ok(T::default())
}

#[test]
fn values_are_in_the_order_of_the_futures() {
    let gates = [(); 3].map(|()| Gate::default());
    let text = String::from("borrowed");
    let mut all = Box::pin(when_all_of((
        behind(&gates[0], 0_u8),
        behind(&gates[1], text.as_str()),
        behind(&gates[2], vec![2_u64]),
    )));
    let flag = Arc::new(Flag::default());
    let waker = flag.waker();
    let mut cx = Context::from_waker(&waker);
    for (wakes, number) in [2, 0].into_iter().enumerate() {
        assert!(all.poll_unpin(&mut cx).is_pending());
        gates[number].open();
        assert_eq!(flag.wakes(), wakes + 1);
    }
    assert!(all.poll_unpin(&mut cx).is_pending());
    gates[1].open();
    assert_eq!(all.poll_unpin(&mut cx), Poll::Ready(Ok((0, "borrowed", vec![2]))));
}

/// Every length that there is, with each of the futures woken in turn, from the last to the first.
#[test]
fn tuples_have_two_to_twelve_futures() {
    fn check<F>(gates: &[Gate], futures: F, values: F::Values)
    where
        F: FutureTuple<Values: PartialEq + std::fmt::Debug, Error = &'static str>,
    {
        let mut all = pin!(when_all_of(futures));
        let mut cx = Context::from_waker(Waker::noop());
        for gate in gates.iter().rev() {
            assert!(all.as_mut().poll(&mut cx).is_pending());
            gate.open();
        }
        assert_eq!(all.poll(&mut cx), Poll::Ready(Ok(values)));
        assert!(
            gates.iter().all(|gate| gate.polls() == 2),
            "each was polled once, and once more when it was woken"
        );
    }
    macro_rules! check {
        ($($value:expr),+) => {{
            let gates: Vec<Gate> = [$(stringify!($value)),+].map(|_| Gate::default()).into();
            let mut unused = gates.iter();
            check(&gates, ($(behind(unused.next().unwrap(), $value),)+), ($($value,)+));
        }};
    }
    check!(0_u8, "1");
    check!(0_u8, "1", 2.0);
    check!(0_u8, "1", 2.0, '3');
    check!(0_u8, "1", 2.0, '3', [4]);
    check!(0_u8, "1", 2.0, '3', [4], Some(5));
    check!(0_u8, "1", 2.0, '3', [4], Some(5), 6_i64);
    check!(0_u8, "1", 2.0, '3', [4], Some(5), 6_i64, "7".to_owned());
    check!(0_u8, "1", 2.0, '3', [4], Some(5), 6_i64, "7".to_owned(), vec![8]);
    check!(0_u8, "1", 2.0, '3', [4], Some(5), 6_i64, "7".to_owned(), vec![8], true);
    check!(0_u8, "1", 2.0, '3', [4], Some(5), 6_i64, "7".to_owned(), vec![8], true, 10_u128);
    check!(0_u8, "1", 2.0, '3', [4], Some(5), 6_i64, "7".to_owned(), vec![8], true, 10_u128, ());
}

/// Each wake leads to a poll of the child that was woken, and of no other.
#[test]
fn only_who_was_woken_is_polled() {
    let gates = [(); 4].map(|()| Gate::default());
    let [a, b, c, d] = &gates;
    let mut all = Box::pin(when_all_of((behind(a, 'a'), behind(b, "b"), behind(c, ()), behind(d, 4))));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(all.poll_unpin(&mut cx).is_pending());
    // For nothing, twice, and by a parent that polls for reasons of its own.
    c.wake();
    c.wake();
    assert!(all.poll_unpin(&mut cx).is_pending());
    assert!(all.poll_unpin(&mut cx).is_pending());
    b.open();
    assert!(all.poll_unpin(&mut cx).is_pending());
    assert_eq!(gates.each_ref().map(Gate::polls), [1, 2, 2, 1]);
    // Who has ended is not polled for late wakes.
    b.wake();
    assert!(all.poll_unpin(&mut cx).is_pending());
    assert_eq!(gates.each_ref().map(Gate::polls), [1, 2, 2, 1]);
}

/// The error is returned when the others are gone; which of them had not begun never does.
#[test]
fn the_first_error_stops_the_others() {
    let _watchdog = watchdog();
    let (census, begun, gate) = (Census::default(), Tally::default(), Gate::default());

    // At once: the last one does not begin.
    let last = async {
        begun.add();
        waits::<u8, _>(census.count()).await
    };
    let fails = ready(Err::<(), _>("at once"));
    let all = when_all_of((waits::<String, _>(census.count()), fails, last));
    assert_eq!(block_on_foreign(all), Err("at once"));
    assert_eq!((census.alive(), begun.count()), (0, 0));

    // Later, by two of them: the first one is that which comes first.
    let fails = |error: &'static str| {
        let (gate, counted) = (gate.clone(), census.count());
        async move {
            let _counted = counted;
            gate.passed().await;
            Err::<(), _>(error)
        }
    };
    let mut all = Box::pin(when_all_of((
        waits::<u8, _>(census.count()),
        fails("second"),
        fails("third"),
        waits::<String, _>(census.count()),
    )));
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
    let cleans = || {
        let (gate, begun, ended) = (gate.clone(), begun.clone(), ended.clone());
        async move {
            assert!(stop::outcome(sleep(LONG)).await.is_stopped());
            begun.open();
            env::shield(async { gate.passed().await }).await;
            ended.add();
            Ok("late")
        }
    };
    let fails = async {
        sleep(Duration::from_millis(1)).await;
        Err::<u8, _>("failed")
    };
    let all = runtime.spawn(when_all_of((cleans(), fails, lazy(cleans()))));
    runtime.block_on(begun.passed());
    assert!(!all.is_finished());
    gate.open();
    assert_eq!(runtime.block_on(all).unwrap(), Err("failed"));
    assert_eq!(ended.count(), 2);
}

/// Values that came before the error are dropped by the time it is returned.
#[test]
fn values_are_dropped_with_the_error() {
    let census = Census::default();
    let gate = Gate::default();
    let fails = async {
        gate.passed().await;
        Err::<(), _>("failed")
    };
    let mut all = pin!(when_all_of((ready(Ok(census.count())), fails, behind(&gate, census.count()))));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(all.as_mut().poll(&mut cx).is_pending());
    gate.open();
    assert!(all.poll(&mut cx).map(|result| result.is_err()).is_ready());
    assert_eq!((census.made(), census.alive()), (2, 0));
}

/// Whoever awaits all is asked to stop: the children are, and end first.
#[test]
fn a_stop_from_outside_stops_all() {
    let _watchdog = watchdog();
    for workers in [1, 4] {
        let (runtime, census, source) = (runtime(workers), Census::default(), StopSource::new());
        let all = || when_all_of((waits::<u8, ()>(census.count()), waits::<String, ()>(census.count())));
        let task = runtime.spawn(env::scope().stop(source.token()).run(all()));
        source.request_stop();
        assert!(runtime.block_on(task).unwrap_err().is_stopped());
        assert_eq!(census.alive(), 0);

        // Before it begins, and where it is caught.
        let caught = stop::outcome(env::scope().stop(source.token()).run(all()));
        assert_eq!(runtime.block_on(caught), Outcome::Stopped);
        assert_eq!(census.alive(), 0);
        // One who does not wait is not stopped.
        let ready = when_all_of((ready(Ok::<_, ()>(1)), ready(Ok("two"))));
        let ready = env::scope().stop(source.token()).run(ready);
        assert_eq!(runtime.block_on(ready), Ok((1, "two")));
    }
}

/// A child that stops itself stops the others and whoever awaits all, unless somebody has failed.
#[test]
fn a_child_may_stop_itself() {
    let census = Census::default();
    let stops = |counted| async move {
        let _counted = counted;
        match stop::stopped().await {}
    };
    let mut cx = Context::from_waker(Waker::noop());
    let all = when_all_of((
        waits::<u8, &str>(census.count()),
        stops(census.count()).map(Ok::<(), _>),
        waits::<String, _>(census.count()),
    ));
    let mut stopped = pin!(stop::outcome(all));
    assert_eq!(stopped.as_mut().poll(&mut cx), Poll::Ready(Outcome::Stopped));
    assert_eq!(census.alive(), 0);

    let fails = async {
        stop::outcome(waits::<u8, ()>(census.count())).await.value().ok_or("failed when it was stopped")
    };
    let stops = stops(census.count()).map(Ok::<(), _>);
    let mut failed = pin!(when_all_of((waits::<u8, _>(census.count()), fails, stops)));
    assert_eq!(failed.as_mut().poll(&mut cx), Poll::Ready(Err("failed when it was stopped")));
    assert_eq!(census.alive(), 0);
}

#[test]
fn a_panic_goes_on_when_the_others_are_gone() {
    let (census, gate) = (Census::default(), Gate::default());
    let panics = async {
        gate.passed().await;
        panic!("expected: a child panics");
    };
    let waits = |counted| async move {
        let _counted = counted;
        never().await;
        Ok::<_, ()>('a')
    };
    let mut all =
        Box::pin(when_all_of((waits(census.count()), panics.map(Ok::<(), ()>), waits(census.count()))));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(all.poll_unpin(&mut cx).is_pending());
    gate.open();
    without_panic_messages(|| {
        let panic = catch_unwind(AssertUnwindSafe(|| all.poll_unpin(&mut cx))).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"expected: a child panics"));
        assert_eq!(census.alive(), 0);
        // It is over.
        assert!(catch_unwind(AssertUnwindSafe(|| all.poll_unpin(&mut cx))).is_err());
    });
}

/// What is dropped on the way may panic too, and takes nobody with it.
#[test]
fn a_panic_in_a_drop_is_a_panic() {
    struct PanicsInDrop;
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("expected: a drop panics");
        }
    }
    let census = Census::default();
    let assert_panics = |poll: &mut dyn FnMut(&mut Context<'_>) -> bool| {
        without_panic_messages(|| {
            let mut cx = Context::from_waker(Waker::noop());
            let panic = catch_unwind(AssertUnwindSafe(|| poll(&mut cx))).unwrap_err();
            assert_eq!(panic.downcast_ref::<&str>(), Some(&"expected: a drop panics"));
        });
        assert_eq!(census.alive(), 0);
    };
    // One that has begun, and one that has not, are stopped by an error.
    let (before, after) = (waits::<u8, _>(census.count()), waits::<u8, _>(PanicsInDrop));
    let mut all = Box::pin(when_all_of((before, ready(Err::<(), _>(())), after)));
    assert_panics(&mut |cx| all.poll_unpin(cx).is_ready());
    let (before, after) = (waits::<u8, _>(PanicsInDrop), waits::<u8, _>(census.count()));
    let mut all = Box::pin(when_all_of((before, ready(Err::<(), _>(())), after)));
    assert_panics(&mut |cx| all.poll_unpin(cx).is_ready());
}

#[test]
#[should_panic(expected = "a `when_all_of` was polled after it had completed")]
fn it_completes_once() {
    let mut all = Box::pin(when_all_of((ready(Ok::<_, ()>(1)), ready(Ok("two")))));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(all.poll_unpin(&mut cx).is_ready());
    let _panics = all.poll_unpin(&mut cx);
}

/// In the middle: one has given its value, one waits, and both go.
#[test]
fn dropping_it_drops_the_futures() {
    let (census, gate) = (Census::default(), Gate::default());
    let parent = Arc::new(Flag::default());
    drop(when_all_of((waits::<u8, ()>(census.count()), ready(Ok(census.count())))));
    assert_eq!(census.alive(), 0);

    let waiting = async {
        let _counted = census.count();
        gate.passed().await;
        Ok::<_, ()>('a')
    };
    let mut all = Box::pin(when_all_of((waiting, ready(Ok(census.count())))));
    let waker = parent.waker();
    assert!(all.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(census.alive(), 2);
    drop((all, waker));
    assert_eq!(census.alive(), 0);
    // The gate has kept the waker of the future, which is nobody's now.
    assert_eq!(Arc::strong_count(&parent), 1);
    gate.open();
    assert_eq!(parent.wakes(), 0);
}

/// A child that is woken while it is polled has another turn in the parent's next poll, not in this one.
#[test]
fn a_child_that_is_always_woken_takes_turns() {
    let (polls, gate) = (Tally::default(), Gate::default());
    let always = polls.clone().polls(Pend(100)).map(Ok);
    let mut all = Box::pin(when_all_of((always, behind(&gate, 1))));
    let flag = Arc::new(Flag::default());
    let waker = flag.waker();
    let mut cx = Context::from_waker(&waker);
    for turn in 1..=100 {
        assert!(all.poll_unpin(&mut cx).is_pending());
        assert_eq!((polls.count(), flag.wakes()), (turn, turn));
    }
    assert!(all.poll_unpin(&mut cx).is_pending());
    gate.open();
    assert_eq!(all.poll_unpin(&mut cx), Poll::Ready(Ok(((), 1))));
    assert_eq!(gate.polls(), 2);
}

/// Wakes come from other threads, in any order, before, while and after the children are polled.
#[test]
fn wakes_in_any_order_lose_nobody() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let gates = [(); 4].map(|()| Gate::default());
        let mut order = [0, 1, 2, 3];
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        let fails = random.once_in(2).then(|| random.below(order.len()));
        let mut child = |number: usize| {
            let (pends, gate) = (random.below(3), gates[number].clone());
            async move {
                Pend(pends).await;
                gate.passed().await;
                yield_now().await;
                if Some(number) == fails { Err(number) } else { Ok(number) }
            }
        };
        let (a, b, c, d) = (child(0), lazy(child(1)), lazy(child(2)).opaque(), Box::pin(child(3)));
        let all = runtime.spawn(when_all_of((a, b.map(|b| b.map(Some)), c, d)));
        let (early, late) = order.split_at(random.below(order.len() + 1));
        thread::scope(|scope| {
            for numbers in [early, late] {
                let gates = &gates;
                scope.spawn(move || numbers.iter().for_each(|number| gates[*number].open()));
            }
        });
        let result = runtime.block_on(all).unwrap();
        assert_eq!(result, fails.map_or(Ok((0, Some(1), 2, 3)), Err));
    });
}

/// In a task that waits, nothing is polled until something happens; and a dump sees what the children wait for.
#[test]
fn a_dump_sees_the_children() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let notified = async { tress::sync::Notify::new().notified().map(Ok).await };
    let task = runtime.spawn(when_all_of((waits::<u8, ()>(()), notified)));
    let is_shown = || {
        let dump = tress::trace::dump(runtime.handle()).to_string();
        dump.contains("- sleep at ") && dump.contains("- notify at ")
    };
    wait_until(is_shown, "the dump shows what both wait for");
    task.abort();
}

/// One in another, and many in a row.
#[test]
fn it_nests() {
    let inner = |number: u32| when_all_of((ready(Ok::<_, ()>(number)), lazy(async { Ok("inner") })));
    let all = when_all_of((inner(1), when_all((2..4).map(inner))));
    let expected = ((1, "inner"), vec![(2, "inner"), (3, "inner")]);
    assert_eq!(block_on_foreign(all), Ok(expected));
}

#[test]
fn a_million_ready_rounds_need_no_stack() {
    let _watchdog = watchdog();
    let thread = thread::Builder::new().stack_size(64 << 10).spawn(|| {
        let rounds = async {
            let mut sum = 0;
            for number in 0..1_000_000_u64 {
                let (value, (), text) =
                    when_all_of((ready(Ok::<_, ()>(number)), async { Ok(()) }, ready(Ok("three")))).await?;
                sum += value + text.len() as u64;
            }
            Ok::<_, ()>(sum)
        };
        assert_eq!(block_on_foreign(rounds), Ok(499_999_500_000 + 5_000_000));

        // And one whose children are pending in every poll, and woken.
        let mut left = [100_000_u32; 2];
        let [one, two] = &mut left;
        fn counts(left: &mut u32) -> impl Future<Output = Result<(), ()>> {
            poll_fn(move |cx| {
                *left -= 1;
                cx.waker().wake_by_ref();
                if *left == 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
            })
        }
        assert_eq!(block_on_foreign(when_all_of((counts(one), counts(two)))), Ok(((), ())));
        assert_eq!(left, [0, 0]);
    });
    thread.unwrap().join().unwrap();
}
