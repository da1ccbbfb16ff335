//! `bulk` calls its function once for each number, on all workers, and stops early at an error, a panic, or when it is dropped.

mod leaves;
mod support;

use std::collections::HashSet;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use leaves::Tally;
use support::{
    Census, block_on_foreign, burn, panic_text, runtime, stress, wait_until, watchdog, without_panic_messages,
};
use tress::algorithm::{bulk, bulk_chunked, try_bulk, try_bulk_chunked};
use tress::env;
use tress::stop::{self, Outcome, StopSource};
use tress::task::yield_now;

/// How often each number was called.
#[derive(Clone)]
struct Calls(Arc<[AtomicU8]>);

impl Calls {
    fn new(n: usize) -> Self {
        Self((0..n).map(|_| AtomicU8::new(0)).collect())
    }

    fn call(&self, number: usize) {
        self.0[number].fetch_add(1, Ordering::Relaxed);
    }

    fn total(&self) -> usize {
        self.0.iter().map(|calls| usize::from(calls.load(Ordering::Relaxed))).sum()
    }

    fn is_each(&self, count: u8) -> bool {
        self.0.iter().all(|calls| calls.load(Ordering::Relaxed) == count)
    }
}

#[test]
fn every_number_is_called_once() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let n = match random.below(4) {
            0 => random.below(3),
            1 => random.below(100),
            _ => random.below(200_000),
        };
        let calls = Calls::new(n);
        let inside = calls.clone();
        let slow = if n < 100 { Duration::from_micros(100) } else { Duration::ZERO };
        let call = move |number| {
            burn(slow);
            inside.call(number);
        };
        match random.below(3) {
            0 => runtime.block_on(bulk(n, call)),
            1 => runtime.block_on(runtime.spawn(bulk(n, call))).unwrap(),
            _ => runtime
                .block_on(runtime.spawn(bulk_chunked(n, move |chunk| {
                    assert!(!chunk.is_empty());
                    chunk.for_each(&call);
                })))
                .unwrap(),
        }
        assert!(calls.is_each(1), "of {n}");
    });
}

#[test]
fn all_workers_take_part() {
    let _watchdog = watchdog();
    let runtime = runtime(3);
    // Nobody gets past it before all are there.
    let together = Arc::new(Barrier::new(3));
    let threads = Arc::new(Mutex::new(HashSet::new()));
    let inside = Arc::clone(&threads);
    runtime
        .block_on(runtime.spawn(bulk(3, move |_| {
            inside.lock().unwrap().insert(thread::current().id());
            together.wait();
        })))
        .unwrap();
    assert_eq!(threads.lock().unwrap().len(), 3);
}

#[test]
fn calls_have_the_values_wherever_they_run() {
    let _watchdog = watchdog();
    let runtime = runtime(3);
    let (together, seen) = (Arc::new(Barrier::new(3)), Arc::new(Mutex::new(Vec::new())));
    let (source, inside) = (StopSource::new(), Arc::clone(&seen));
    let calls = bulk(3, move |_| {
        // Each of them on another worker.
        together.wait();
        let is_stoppable = env::with(|env| env.stop_token().is_stop_possible());
        inside.lock().unwrap().push((env::value::<u32>(), is_stoppable));
    });
    runtime.block_on(runtime.spawn(env::scope().value(7_u32).stop(source.token()).run(calls))).unwrap();
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    assert_eq!(seen, [(Some(7), false), (Some(7), false), (Some(7), true)]);
}

/// It does not wait for helpers that have not come: here, they can't.
#[test]
fn the_caller_can_do_it_alone() {
    let _watchdog = watchdog();
    let calls = Calls::new(10_000);
    let inside = calls.clone();
    block_on_foreign(bulk(10_000, move |number| inside.call(number)));
    assert!(calls.is_each(1), "without a runtime");

    let runtime = runtime(2);
    let end = Arc::new(AtomicBool::new(false));
    let busy = Arc::new(Barrier::new(2));
    let blocks = runtime.spawn({
        let (end, busy) = (Arc::clone(&end), Arc::clone(&busy));
        async move {
            busy.wait();
            while !end.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
    });
    busy.wait();
    let calls = Calls::new(10_000);
    let inside = calls.clone();
    let alone = runtime.spawn(bulk(10_000, move |number| inside.call(number)));
    block_on_foreign(alone).unwrap();
    assert!(calls.is_each(1), "with one worker of two");
    end.store(true, Ordering::SeqCst);
    runtime.block_on(blocks).unwrap();
}

/// Once it has failed, no chunk begins; what is returned is the first error, when nobody runs anything any more.
#[test]
fn an_error_stops_it_early() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let (n, bad) = (1_000_000, random.below(1_000));
        let (calls, running) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let inside = (Arc::clone(&calls), Arc::clone(&running));
        let result = runtime.block_on(runtime.spawn(try_bulk_chunked(n, move |chunk: Range<usize>| {
            inside.1.fetch_add(1, Ordering::SeqCst);
            inside.0.fetch_add(chunk.len(), Ordering::SeqCst);
            burn(Duration::from_nanos(100) * u32::try_from(chunk.len()).unwrap());
            inside.1.fetch_sub(1, Ordering::SeqCst);
            if chunk.contains(&bad) { Err(bad) } else { Ok(()) }
        })));
        assert_eq!(result.unwrap(), Err(bad));
        assert_eq!(running.load(Ordering::SeqCst), 0);
        assert!(calls.load(Ordering::SeqCst) < n, "it stops early");
    });
}

/// Others may be in the middle of a chunk when one fails: they end first.
#[test]
fn those_who_run_are_waited_for() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (both, has_ended) = (Arc::new(Barrier::new(2)), Arc::new(AtomicBool::new(false)));
    let inside = Arc::clone(&has_ended);
    let result = runtime.block_on(runtime.spawn(try_bulk(2, move |number| {
        both.wait();
        if number == 0 {
            return Err("failed");
        }
        burn(Duration::from_millis(20));
        inside.store(true, Ordering::SeqCst);
        Ok(())
    })));
    assert_eq!(result.unwrap(), Err("failed"));
    assert!(has_ended.load(Ordering::SeqCst));
}

#[test]
fn an_error_stops_its_own_chunk() {
    let runtime = runtime(1);
    let calls = Calls::new(1_000_000);
    let inside = calls.clone();
    let result = runtime.block_on(try_bulk(1_000_000, move |number| {
        inside.call(number);
        if number == 5_000 { Err("bad") } else { Ok(()) }
    }));
    // One participant goes through them in order.
    assert_eq!((result, calls.total()), (Err("bad"), 5_001));
}

#[test]
fn a_panic_goes_on_in_the_caller() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        for workers in support::WORKERS {
            let runtime = runtime(workers);
            let census = Census::default();
            let counted = census.count();
            let task = runtime.spawn(bulk(100_000, move |number| {
                let _counted = &counted;
                assert!(number != 70, "expected: a call panics");
            }));
            let error = runtime.block_on(task).unwrap_err();
            assert_eq!(panic_text(error), "expected: a call panics");
            census.wait_until_empty();
            // The workers have survived it.
            assert_eq!(runtime.block_on(runtime.spawn(async { 7 })).unwrap(), 7);
        }
    });
}

/// Chunks that others run end by themselves, and no other one begins.
#[test]
fn dropping_it_stops_it_early() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (calls, census) = (Arc::new(AtomicUsize::new(0)), Census::default());
    let (inside, counted) = (Arc::clone(&calls), census.count());
    let task = runtime.spawn(bulk(usize::MAX, move |_| {
        let _counted = &counted;
        inside.fetch_add(1, Ordering::Relaxed);
    }));
    wait_until(|| calls.load(Ordering::Relaxed) > 100_000, "it begins");
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
    census.wait_until_empty();
}

/// A stop ends it when nobody runs anything any more; if all has been run by then, it is too late.
#[test]
fn a_stop_ends_it_early() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (calls, running, source) = (Tally::default(), Arc::new(AtomicUsize::new(0)), StopSource::new());
    let inside = (calls.clone(), Arc::clone(&running));
    let endless = bulk(usize::MAX, move |_| {
        inside.1.fetch_add(1, Ordering::SeqCst);
        inside.0.add();
        inside.1.fetch_sub(1, Ordering::SeqCst);
    });
    let task = runtime.spawn(env::scope().stop(source.token()).run(stop::outcome(endless)));
    wait_until(|| calls.count() > 100, "it begins");
    source.request_stop();
    assert_eq!(runtime.block_on(task).unwrap(), Outcome::Stopped);
    assert_eq!(running.load(Ordering::SeqCst), 0);

    let stopped =
        |bulk: Pin<Box<dyn Future<Output = ()>>>| stop::outcome(env::scope().stop(source.token()).run(bulk));
    assert_eq!(runtime.block_on(stopped(Box::pin(bulk(0, |_| ())))), Outcome::Value(()));
    let late = bulk(5, |_| panic!("it was stopped before it began"));
    assert_eq!(runtime.block_on(stopped(Box::pin(late))), Outcome::Stopped);
}

/// While it computes on every worker, tasks are run, and timers and aborts are seen.
#[test]
fn others_have_their_turn() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let end = Arc::new(AtomicBool::new(false));
    let inside = Arc::clone(&end);
    let endless = runtime
        .spawn(try_bulk(usize::MAX, move |_| if inside.load(Ordering::Relaxed) { Err(()) } else { Ok(()) }));
    let others: Vec<_> = (0..10)
        .map(|_| {
            runtime.spawn(async {
                for _ in 0..10 {
                    yield_now().await;
                }
                tress::time::sleep(Duration::from_millis(1)).await;
            })
        })
        .collect();
    for other in others {
        block_on_foreign(other).unwrap();
    }
    end.store(true, Ordering::Relaxed);
    assert_eq!(block_on_foreign(endless).unwrap(), Err(()));
}

#[test]
fn bulks_may_be_nested() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let total = Arc::new(AtomicUsize::new(0));
    let sums = (0..20).map(|n| {
        let total = Arc::clone(&total);
        async move {
            bulk(n * 100, move |_| {
                total.fetch_add(1, Ordering::Relaxed);
            })
            .await;
        }
    });
    runtime.block_on(tress::algorithm::join_all(sums));
    assert_eq!(total.load(Ordering::Relaxed), 19_000);
}

#[test]
fn a_shutdown_does_not_hang_it() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let calls = Arc::new(AtomicUsize::new(0));
    let inside = Arc::clone(&calls);
    let task = runtime.spawn(bulk(usize::MAX, move |_| {
        inside.fetch_add(1, Ordering::Relaxed);
    }));
    wait_until(|| calls.load(Ordering::Relaxed) > 1000, "it begins");
    drop(runtime);
    assert!(block_on_foreign(task).is_err());
}

#[test]
fn it_completes_once_and_begins_when_polled() {
    let calls = Calls::new(3);
    let inside = calls.clone();
    let mut three = bulk(3, move |number| inside.call(number));
    assert_eq!(calls.total(), 0);
    let mut cx = Context::from_waker(Waker::noop());
    while three.poll_unpin(&mut cx).is_pending() {}
    assert!(calls.is_each(1));
    without_panic_messages(|| {
        assert!(catch_unwind(AssertUnwindSafe(|| three.poll_unpin(&mut cx))).is_err());
    });
}
