//! `repeat_until` goes on until the predicate holds, in constant stack, and starves nobody.

mod leaves;
mod support;

use std::cell::Cell;
use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::thread;

use futures_util::FutureExt;
use leaves::Gate;
use support::{Census, Pend, block_on_foreign, runtime, watchdog, without_panic_messages};
use tress::algorithm::repeat_until;
use tress::env;
use tress::stop::{self, Outcome, StopSource};

#[test]
fn the_output_for_which_it_holds_is_returned() {
    let calls = Cell::new(0);
    let output = repeat_until(
        |output| *output >= 3,
        || {
            calls.set(calls.get() + 1);
            let output = calls.get();
            Pend(1).map(move |()| output)
        },
    );
    assert_eq!(block_on_foreign(output), 3);
    assert_eq!(calls.get(), 3);
}

/// Errors are outputs: the predicate says whether they end it.
#[test]
fn errors_may_end_it() {
    let mut results = [Ok(1), Ok(2), Err("three"), Ok(4)].into_iter();
    let end = repeat_until(|result: &Result<i32, &str>| result.is_err(), || ready(results.next().unwrap()));
    assert_eq!(block_on_foreign(end), Err("three"));
    assert_eq!(results.next(), Some(Ok(4)));
}

#[test]
fn a_panic_goes_on() {
    let (census, mut rounds) = (Census::default(), 0);
    let mut panics = Box::pin(repeat_until(
        |_| false,
        || {
            rounds += 1;
            let (counted, panics) = (census.count(), rounds == 3);
            async move {
                let _counted = counted;
                assert!(!panics, "expected: a round panics");
            }
        },
    ));
    without_panic_messages(|| {
        let poll = || panics.poll_unpin(&mut Context::from_waker(Waker::noop()));
        let panic = catch_unwind(AssertUnwindSafe(poll)).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"expected: a round panics"));
    });
    drop(panics);
    assert_eq!((census.made(), census.alive()), (3, 0));
}

#[test]
fn dropping_it_drops_the_future_at_hand() {
    let _watchdog = watchdog();
    let (census, gate) = (Census::default(), Gate::default());
    let runtime = runtime(1);
    let task = runtime.spawn({
        let (census, gate) = (census.clone(), gate.clone());
        repeat_until(
            |()| false,
            move || {
                let (counted, gate) = (census.count(), gate.clone());
                async move {
                    let _counted = counted;
                    gate.passed().await;
                }
            },
        )
    });
    support::wait_until(|| gate.polls() > 0, "the first round begins");
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
    assert_eq!((census.made(), census.alive()), (1, 0));
}

/// After a stop no round begins, also where none of them waits.
#[test]
fn a_stop_ends_it() {
    let (source, mut rounds) = (StopSource::new(), 0);
    let inside = source.clone();
    let repeats = repeat_until(
        |()| false,
        || {
            rounds += 1;
            if rounds == 5 {
                inside.request_stop();
            }
            ready(())
        },
    );
    let stopped = block_on_foreign(stop::outcome(env::scope().stop(source.token()).run(repeats)));
    assert_eq!((stopped, rounds), (Outcome::Stopped, 5));
}

/// What is always ready takes turns with others on the same worker.
#[test]
fn others_have_their_turn() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let flag = Arc::new(AtomicBool::new(false));
    let repeats = runtime.spawn({
        let flag = Arc::clone(&flag);
        repeat_until(|is_set| *is_set, move || ready(flag.load(Ordering::SeqCst)))
    });
    let sets = runtime.spawn(async move { flag.store(true, Ordering::SeqCst) });
    assert!(support::block_on_foreign(repeats).unwrap());
    support::block_on_foreign(sets).unwrap();
}

#[test]
fn a_million_rounds_need_no_stack() {
    let _watchdog = watchdog();
    let thread = thread::Builder::new().stack_size(64 << 10).spawn(|| {
        let mut rounds = 0_u32;
        let last = repeat_until(
            |round| *round == 1_000_000,
            || {
                rounds += 1;
                ready(rounds)
            },
        );
        assert_eq!(block_on_foreign(last), 1_000_000);
    });
    thread.unwrap().join().unwrap();
}
