//! `stopped()` ends the frame, the catch point or the task in which it is awaited, and never resumes it.

mod leaves;
mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;
use leaves::{Gate, poll_once};
use support::{Census, block_on_foreign, panic_text, runtime, wait_until, watchdog, without_panic_messages};
use tress::stop::{self, Outcome, stopped};
use tress::task::{Lazy, lazy, lazy_borrowed, yield_now};

/// Writes down its name when it is dropped.
struct Says(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Drop for Says {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

async fn stop_here() -> u32 {
    match stopped().await {}
}

#[test]
fn the_task_says_so_and_its_locals_are_gone() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let log = Arc::new(Mutex::new(Vec::new()));
    let (one, two) = (log.clone(), log.clone());
    let task = runtime.spawn(async move {
        let _first = Says("first", one);
        let _second = Says("second", two);
        stop_here().await;
        unreachable!("it is never resumed");
    });
    let error = runtime.block_on(task).unwrap_err();
    assert!(error.is_stopped() && error.is_cancelled() && !error.is_aborted() && !error.is_panic());
    assert!(error.to_string().ends_with("was stopped"), "{error}");
    assert_eq!(*log.lock().unwrap(), ["second", "first"]);
}

/// Frames below each other, the lowest of which is stopped: at once, or when the gate opens.
fn chain(depth: usize, gate: Option<Gate>, census: &Census) -> Lazy<'static, u32> {
    let counted = census.count();
    let census = census.clone();
    lazy(async move {
        let _counted = counted;
        if depth > 0 {
            return chain(depth - 1, gate, &census).await + 1;
        }
        if let Some(gate) = gate {
            gate.passed().await;
        }
        stop_here().await
    })
}

#[test]
fn it_ends_every_frame_up_to_the_task() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for depth in [0, 1, 10, 100_000] {
        let census = Census::default();
        let task = runtime.spawn(chain(depth, None, &census));
        assert!(runtime.block_on(task).unwrap_err().is_stopped());
        census.wait_until_empty();

        let gate = Gate::default();
        let task = runtime.spawn(chain(depth, Some(gate.clone()), &census));
        wait_until(|| gate.polls() > 0, "the lowest frame waits");
        gate.open();
        assert!(runtime.block_on(task).unwrap_err().is_stopped());
        census.wait_until_empty();
    }
}

#[test]
fn an_outcome_in_a_frame_catches_it() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for (above, below) in [(0, 0), (0, 5), (5, 0), (5, 5)] {
        for waits in [false, true] {
            let (census, gate) = (Census::default(), Gate::default());
            let caught = chain(below, waits.then(|| gate.clone()), &census);
            let caught = lazy(async move {
                let outcome = stop::outcome(caught).await;
                // Whoever catches it goes on, also by waiting.
                yield_now().await;
                outcome
            });
            let task = runtime.spawn((0..above).fold(caught, |below, _| lazy(below)));
            if waits {
                wait_until(|| gate.polls() > 0, "the lowest frame waits");
                gate.open();
            }
            assert_eq!(runtime.block_on(task).unwrap(), Outcome::Stopped);
            assert_eq!(census.alive(), 0);
        }
    }
}

#[test]
fn one_that_loses_a_select_does_nothing() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let task = runtime.spawn(async {
        for _ in 0..3 {
            let mut lost = pin!(stopped().fuse());
            let mut won = pin!(async { 7 }.fuse());
            tress::select_biased! {
                never = lost => match never {},
                seven = won => assert_eq!(seven, 7),
            }
        }
        // Dropped, and nothing is left of it: also when this poll ends pending.
        {
            let mut dropped = pin!(stopped());
            assert!(poll_once(dropped.as_mut()).await.is_pending());
        }
        yield_now().await;
        8
    });
    assert_eq!(runtime.block_on(task).unwrap(), 8);
}

#[test]
fn one_that_is_kept_and_not_awaited_does_nothing() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let task = runtime.spawn(async {
        let mut first = Box::pin(stopped());
        let mut second = Box::pin(stopped());
        assert!(poll_once(first.as_mut()).await.is_pending());
        assert!(poll_once(second.as_mut()).await.is_pending());
        drop(first);
        yield_now().await;
        drop(second);
    });
    assert!(runtime.block_on(task).is_ok());
}

#[test]
fn who_is_ready_is_not_stopped() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let ready = || async {
        let mut kept = pin!(stopped());
        assert!(poll_once(kept.as_mut()).await.is_pending());
        7
    };
    runtime.block_on(async {
        assert_eq!(stop::outcome(ready()).await, Outcome::Value(7));
        assert_eq!(lazy(ready()).await, 7);
        assert_eq!(tress::spawn(ready()).await.unwrap(), 7);
    });
}

#[test]
fn a_branch_of_a_join_stops_the_whole() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let census = Census::default();
    let counted = census.count();
    let joined = async move {
        tress::join!(
            async move {
                let _counted = counted;
                std::future::pending::<()>().await;
            },
            lazy(stop_here()),
            async {
                // This one catches its own.
                assert_eq!(stop::outcome(stop_here()).await, Outcome::Stopped);
            },
        )
    };
    assert!(runtime.block_on(runtime.spawn(joined)).unwrap_err().is_stopped());
    assert_eq!(census.alive(), 0);
}

#[test]
fn islands_pass_it_on() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let borrowed = 1;
    let outcome = runtime.block_on(stop::outcome(lazy_borrowed(async { stop_here().await + borrowed })));
    assert_eq!(outcome, Outcome::Stopped);
    let boxed = runtime.spawn(async { Box::pin(lazy(stop_here())).await });
    assert!(runtime.block_on(boxed).unwrap_err().is_stopped());
}

#[test]
fn other_executors_know_of_no_stop_but_that_of_an_outcome() {
    let _watchdog = watchdog();
    let mut cx = Context::from_waker(Waker::noop());
    let mut alone = pin!(stopped());
    assert!(alone.as_mut().poll(&mut cx).is_pending());
    let mut framed = pin!(lazy(stop_here()));
    assert_eq!(framed.as_mut().poll(&mut cx), Poll::Pending);
    assert_eq!(framed.as_mut().poll(&mut cx), Poll::Pending);
    let caught = block_on_foreign(stop::outcome(async {
        yield_once().await;
        lazy(async {
            yield_once().await;
            stop_here().await
        })
        .await
    }));
    assert_eq!(caught, Outcome::Stopped);
}

fn yield_once() -> support::Pend {
    support::Pend(1)
}

#[test]
fn a_panic_of_a_drop_says_more_than_the_stop() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("expected: dropped");
        }
    }
    let _watchdog = watchdog();
    let runtime = runtime(1);
    without_panic_messages(|| {
        let with_bomb = || async {
            let _bomb = Bomb;
            stop_here().await
        };
        let error = runtime.block_on(runtime.spawn(with_bomb())).unwrap_err();
        assert_eq!(panic_text(error), "expected: dropped");
        let error = runtime.block_on(runtime.spawn(async move { lazy(with_bomb()).await })).unwrap_err();
        assert_eq!(panic_text(error), "expected: dropped");
        let late = lazy(async move {
            yield_now().await;
            with_bomb().await
        });
        let error = runtime.block_on(runtime.spawn(late)).unwrap_err();
        assert_eq!(panic_text(error), "expected: dropped");
        let task = runtime.spawn(stop::outcome(with_bomb()));
        assert_eq!(panic_text(runtime.block_on(task).unwrap_err()), "expected: dropped");
    });
}

#[test]
fn a_handle_of_a_stopped_frame_may_be_dropped_or_polled_again() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let task = runtime.spawn(async {
        let outcome = stop::outcome(async {
            let mut frame = Box::pin(lazy(stop_here()));
            let mut placed = pin!(lazy(stop_here()));
            for _ in 0..3 {
                assert!(poll_once(frame.as_mut()).await.is_pending());
                assert!(poll_once(placed.as_mut()).await.is_pending());
            }
            7
        })
        .await;
        assert_eq!(outcome, Outcome::Value(7));
        8
    });
    assert_eq!(runtime.block_on(task).unwrap(), 8);
}
