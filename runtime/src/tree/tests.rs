//! What models cannot show: promises that hold in one order of events, which these tests bring about.
#![expect(clippy::disallowed_types, reason = "tests on real threads")]

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use futures_util::future::join;

use super::{counted, lazy};
use crate::Runtime;

/// Awaits a lazy until its first poll is over, which leaves it pending, then drops it on another thread.
async fn start_and_drop_elsewhere() {
    let mut slot = pin!(Some(lazy(pending::<()>())));
    poll_fn(|cx| {
        let started = slot.as_mut().as_pin_mut().expect("it is there");
        assert!(started.poll(cx).is_pending());
        thread::scope(|scope| {
            scope.spawn(|| slot.set(None));
        });
        Poll::Ready(())
    })
    .await;
}

/// A frame whose handle was dropped on another thread is released by its parent's end, and not once more when the loop comes
/// to what was queued for it.
#[test]
fn an_orphan_is_released_once_if_its_parent_ends_first() {
    let runtime = Runtime::new().unwrap();
    for _ in 0..100 {
        let task = runtime.spawn(async {
            lazy(start_and_drop_elsewhere()).await;
            // Whatever was released once too often is in use again now.
            let others: Vec<_> = (0..8).map(|number| lazy(async move { number })).collect();
            crate::task::yield_now().await;
            let mut sum = 0;
            for other in others {
                sum += other.await;
            }
            sum
        });
        assert_eq!(runtime.block_on(task).unwrap(), 28);
    }
}

/// The same, if it is an ancestor's detour that takes it out of the list.
#[test]
fn an_orphan_is_released_once_if_its_parent_is_isolated_first() {
    let runtime = Runtime::new().unwrap();
    let task = runtime.spawn(async {
        let mut parent = pin!(lazy(async {
            start_and_drop_elsewhere().await;
            pending::<()>().await;
        }));
        poll_fn(|cx| {
            assert!(parent.as_mut().poll(cx).is_pending());
            let mut cx = Context::from_waker(Waker::noop());
            assert!(parent.as_mut().poll(&mut cx).is_pending());
            Poll::Ready(())
        })
        .await;
        crate::task::yield_now().await;
    });
    runtime.block_on(task).unwrap();
}

/// To suspend, be woken and be polled again changes the frame's state five times: a waker is made, is used, and gives up its
/// reference; the frame is taken from its list, and the list's reference released.
#[test]
fn a_suspended_cycle_changes_the_state_five_times() {
    const CYCLES: u64 = 1000;
    let cell = Arc::new(Mutex::new(None::<Waker>));
    let frame = lazy({
        let cell = Arc::clone(&cell);
        async move {
            let mut turns = 0;
            poll_fn(|cx| {
                *cell.lock().unwrap() = Some(cx.waker().clone());
                turns += 1;
                if turns > CYCLES { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    });
    let wakes = async {
        for _ in 0..CYCLES {
            let waker = cell.lock().unwrap().take().expect("the frame has been polled since the last wake");
            waker.wake();
            crate::task::yield_now().await;
        }
    };
    let runtime = Runtime::new().unwrap();
    let before = counted::changes();
    runtime.block_on(join(frame, wakes));
    let changes = counted::changes() - before;
    // Beside the cycles there are a beginning and an end.
    assert!((5 * CYCLES..5 * CYCLES + 10).contains(&changes), "{changes} changes in {CYCLES} cycles");
}
