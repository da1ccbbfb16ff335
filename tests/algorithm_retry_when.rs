//! `retry_when` tries again while its policy says so, waits in between, and starves nobody.

mod leaves;
mod support;

use std::cell::Cell;
use std::future::ready;
use std::iter::from_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use support::{Census, Pend, block_on_foreign, runtime, wait_until, watchdog, without_panic_messages};
use tress::algorithm::{Backoff, retry_when};
use tress::env;
use tress::stop::{self, Outcome, StopSource};

const MS: Duration = Duration::from_millis(1);

#[test]
fn the_first_value_ends_it() {
    let calls = Cell::new(0);
    let value = retry_when(Backoff::new(Duration::ZERO), || {
        calls.set(calls.get() + 1);
        let call = calls.get();
        Pend(1).map(move |()| if call < 4 { Err(call) } else { Ok(call) })
    });
    assert_eq!(block_on_foreign(value), Ok(4));
    assert_eq!(calls.get(), 4);
}

/// The last error is returned, after as many attempts as are allowed.
#[test]
fn attempts_are_counted() {
    for max_attempts in [1, 2, 5] {
        let mut calls = 0;
        let failure = retry_when(Backoff::new(Duration::ZERO).max_attempts(max_attempts), || {
            calls += 1;
            ready(Err::<(), _>(calls))
        });
        assert_eq!(block_on_foreign(failure), Err(max_attempts));
        assert_eq!(calls, max_attempts);
    }
}

/// A closure is a policy that sees the errors.
#[test]
fn some_errors_are_final() {
    let mut calls = 0;
    let failure = retry_when(
        |error: &u32| (*error < 3).then_some(Duration::ZERO),
        || {
            calls += 1;
            ready(Err::<(), _>(calls))
        },
    );
    assert_eq!(block_on_foreign(failure), Err(3));
}

#[test]
fn delays_are_waited_for() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let begun = Instant::now();
    let mut delays = [5 * MS, 10 * MS].into_iter();
    let failure = runtime.block_on(retry_when(|_: &()| delays.next(), || ready(Err::<(), ()>(()))));
    assert_eq!(failure, Err(()));
    assert!(begun.elapsed() >= 15 * MS);
}

#[test]
fn a_panic_goes_on() {
    let mut retry = Box::pin(retry_when(Backoff::new(Duration::ZERO), || async {
        panic!("expected: an attempt panics");
        #[expect(unreachable_code, reason = "it gives the block its type")]
        Ok::<(), ()>(())
    }));
    without_panic_messages(|| {
        let poll = || retry.poll_unpin(&mut Context::from_waker(Waker::noop()));
        let panic = catch_unwind(AssertUnwindSafe(poll)).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"expected: an attempt panics"));
    });
}

/// A task that waits for its next attempt says so in a dump, at the line of the call, and can be aborted.
#[test]
fn dropping_it_ends_the_delay() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let census = Census::default();
    let counted = census.count();
    let here = format!("{}:{}", file!(), line!() + 1);
    let retry = retry_when(
        |_: &()| Some(600_000 * MS),
        move || {
            let _counted = &counted;
            ready(Err::<(), ()>(()))
        },
    );
    let task = runtime.spawn(retry);
    let dump = || tress::trace::dump(runtime.handle()).to_string();
    wait_until(
        || dump().contains("retry") && dump().contains(&here),
        "the dump shows what is waited for, and where",
    );
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
    assert_eq!(census.alive(), 0);
}

/// A stop ends a delay, and no attempt comes after it, also where there is no delay.
#[test]
fn a_stop_ends_it() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    for delay in [Duration::ZERO, 600_000 * MS] {
        let (source, attempts) = (StopSource::new(), Cell::new(0));
        let retries = retry_when(
            |(): &()| {
                source.request_stop();
                Some(delay)
            },
            || {
                attempts.set(attempts.get() + 1);
                ready(Err::<(), ()>(()))
            },
        );
        let stopped = runtime.block_on(stop::outcome(env::scope().stop(source.token()).run(retries)));
        assert_eq!((stopped, attempts.get()), (Outcome::Stopped, 1));
    }
}

/// What fails at once, always and without a delay, takes turns with others on the same worker.
#[test]
fn others_have_their_turn() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let flag = Arc::new(AtomicBool::new(false));
    let retries = runtime.spawn({
        let flag = Arc::clone(&flag);
        retry_when(Backoff::new(Duration::ZERO), move || {
            ready(if flag.load(Ordering::SeqCst) { Ok(()) } else { Err(()) })
        })
    });
    let sets = runtime.spawn(async move { flag.store(true, Ordering::SeqCst) });
    assert_eq!(block_on_foreign(retries).unwrap(), Ok(()));
    block_on_foreign(sets).unwrap();
}

#[test]
fn a_million_attempts_need_no_stack() {
    let _watchdog = watchdog();
    let thread = thread::Builder::new().stack_size(64 << 10).spawn(|| {
        let mut attempts = 0_u32;
        let last = retry_when(Backoff::new(Duration::ZERO), || {
            attempts += 1;
            ready(if attempts == 1_000_000 { Ok(attempts) } else { Err(()) })
        });
        assert_eq!(block_on_foreign(last), Ok(1_000_000));
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn delays_grow_up_to_their_bound_and_are_spread_out() {
    let delays: Vec<Vec<Duration>> = (0..1000)
        .map(|seed| {
            let mut backoff = Backoff::new(8 * MS).max_delay(50 * MS).max_attempts(7).seed(seed);
            from_fn(|| backoff.next_delay()).collect()
        })
        .collect();
    assert!(delays.iter().all(|delays| delays.len() == 6));
    for (number, bound) in [8, 16, 32, 50, 50, 50].into_iter().enumerate() {
        let bound = bound * MS;
        let column = || delays.iter().map(|delays| delays[number]);
        assert!(column().all(|delay| delay <= bound));
        // Full jitter: evenly from nothing to the bound.
        let mean = column().sum::<Duration>() / 1000;
        assert!(mean > bound * 4 / 10 && mean < bound * 6 / 10, "{mean:?} of {bound:?}");
        assert!(column().min() < Some(bound / 20) && column().max() > Some(bound * 19 / 20));
    }
}

#[test]
fn seeds_repeat_and_clones_differ() {
    let mut backoff = Backoff::new(Duration::from_secs(1)).max_attempts(50);
    let draw = |mut backoff: Backoff| -> Vec<Duration> { from_fn(|| backoff.next_delay()).collect() };
    assert_ne!(draw(backoff.clone()), draw(backoff.clone()));
    let seeded = backoff.clone().seed(42);
    assert_eq!(draw(seeded.clone()), draw(seeded.clone()));
    assert_ne!(draw(seeded), draw(backoff.clone().seed(43)));

    assert_eq!(from_fn(|| backoff.next_delay()).count(), 49);
    assert_eq!(backoff.next_delay(), None);
    backoff.reset();
    assert!(backoff.next_delay().is_some());
}

/// Far beyond the exponents that fit.
#[test]
fn delays_do_not_overflow() {
    let mut backoff = Backoff::new(Duration::MAX).max_delay(Duration::MAX);
    assert!((0..100).all(|_| backoff.next_delay().is_some()));
    let mut backoff = Backoff::new(Duration::from_nanos(1)).max_delay(MS);
    assert!((0..1000).all(|_| backoff.next_delay().is_some_and(|delay| delay <= MS)));
    assert_eq!(Backoff::new(Duration::ZERO).next_delay(), Some(Duration::ZERO));
}
