//! Dropping a lazy cancels it, wherever that happens: its future is gone before the drop returns, its leaf's wakers may
//! be used for ever after, and what panics meanwhile is seen.

mod leaves;
mod support;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, TryLockError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use leaves::{Flag, Gate, Tally, never, poll_once};
use support::{
    Census, Counted, Pend, block_on_foreign, panic_text, runtime, stress, wait_until, watchdog, without_panic_messages,
};
use tress::task::{AbortHandle, Lazy, lazy, lazy_borrowed, yield_now};

/// Waits at a gate below so many other frames, each of which holds something.
fn chain(depth: usize, gate: &Gate, census: &Census) -> Lazy<'static, ()> {
    let (gate, counted) = (gate.clone(), census.count());
    let leaf = lazy(async move {
        let _counted = counted;
        gate.passed().await;
    });
    (0..depth).fold(leaf, |below, _| {
        let counted = census.count();
        lazy(async move {
            let _counted = counted;
            below.await;
        })
    })
}

const DEPTHS: [usize; 5] = [0, 1, 2, 20, 200];

async fn poll_until_started<F: Future>(mut future: Pin<&mut F>, gate: &Gate) {
    while gate.polls() == 0 {
        assert!(poll_once(future.as_mut()).await.is_pending());
        yield_now().await;
    }
}

#[test]
fn in_its_parents_frame() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    for depth in DEPTHS {
        let gate = Gate::default();
        let (leaf, counts) = (gate.clone(), census.clone());
        let task = runtime.spawn(async move {
            let mut slot = pin!(Some(chain(depth, &leaf, &counts)));
            poll_until_started(slot.as_mut().as_pin_mut().unwrap(), &leaf).await;
            slot.set(None);
            assert_eq!(counts.alive(), 0);
            // Another one in the same place, and one more while that is pending.
            for _ in 0..3 {
                slot.set(Some(chain(depth, &leaf, &counts)));
                assert!(poll_once(slot.as_mut().as_pin_mut().unwrap()).await.is_pending());
            }
            leaf.wake();
            slot.set(None);
            assert_eq!(counts.alive(), 0);
            slot.set(Some(chain(depth, &leaf, &counts)));
            leaf.open();
            slot.as_mut().as_pin_mut().unwrap().await;
        });
        runtime.block_on(task).unwrap();
        gate.wake();
        assert_eq!(census.alive(), 0);
    }
}

/// When it has been woken, so that it stands in a list of what is to be polled.
#[test]
fn after_it_was_woken() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(1), Census::default());
    for depth in DEPTHS {
        let gate = Gate::default();
        let (leaf, counts) = (gate.clone(), census.clone());
        let task = runtime.spawn(async move {
            {
                let mut chain = pin!(chain(depth, &leaf, &counts));
                poll_until_started(chain.as_mut(), &leaf).await;
                leaf.open();
            }
            assert_eq!(counts.alive(), 0);
            let polls = leaf.polls();
            yield_now().await;
            assert_eq!(leaf.polls(), polls, "a dropped frame was polled");
        });
        runtime.block_on(task).unwrap();
    }
}

/// Its waker is used long after its parent, its task and its runtime are gone.
#[test]
fn before_its_wakers() {
    let _watchdog = watchdog();
    let census = Census::default();
    for depth in DEPTHS {
        let (runtime, gate) = (runtime(2), Gate::default());
        let task = runtime.spawn({
            let (chain, gate) = (chain(depth, &gate, &census), gate.clone());
            async move {
                let mut chain = pin!(chain);
                poll_until_started(chain.as_mut(), &gate).await;
            }
        });
        runtime.block_on(task).unwrap();
        assert_eq!(census.alive(), 0);
        gate.wake();
        let parked = runtime.spawn({
            let (chain, gate) = (chain(depth, &gate, &census), gate.clone());
            async move {
                let mut chain = pin!(chain);
                poll_until_started(chain.as_mut(), &Gate::default_after(&gate)).await;
                chain.await;
            }
        });
        wait_until(|| gate.wakers().len() > 1, "the second leaf was not polled");
        drop(runtime);
        assert_eq!(census.alive(), 0);
        assert!(block_on_foreign(parked).unwrap_err().is_aborted());
        let polls = gate.polls();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| gate.wake());
            }
        });
        gate.open();
        let wakers = gate.wakers();
        drop(gate);
        for (at, waker) in wakers.into_iter().enumerate() {
            match at % 3 {
                0 => waker.wake(),
                1 => drop(waker),
                _ => waker.wake_by_ref(),
            }
        }
        let _ = polls;
    }
}
