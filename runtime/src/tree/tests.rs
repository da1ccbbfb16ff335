//! What models cannot show: promises that hold in one order of events, which these tests bring about.
#![expect(clippy::disallowed_types, reason = "tests on real threads")]

use std::future::{Future, pending, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::join;

use super::{counted, lazy, lazy_borrowed};
use crate::Runtime;
use crate::task::JoinHandle;
use crate::time::{sleep, timeout};
use crate::trace::{self, FrameDump, State};

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

const LONG: Duration = Duration::from_secs(600);

/// The frames of the runtime's only task, once it is idle.
fn frames_of_idle(runtime: &Runtime) -> Vec<FrameDump> {
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        let mut dump = trace::dump(runtime.handle());
        let task = dump.tasks.pop().expect("the task has not ended");
        if task.state == State::Idle {
            return task.frames;
        }
        assert!(Instant::now() < patience, "the task does not become idle");
        thread::yield_now();
    }
}

/// Parent, depth, and what it waits for, of each frame.
fn outline(frames: &[FrameDump]) -> Vec<(Option<usize>, usize, Vec<&'static str>)> {
    let waits = |frame: &FrameDump| frame.waits.iter().map(|wait| wait.what).collect();
    frames.iter().map(|frame| (frame.parent, frame.depth, waits(frame))).collect()
}

/// Panics whenever it is polled, and counts that.
fn panics(polls: &Arc<AtomicUsize>) -> impl Future<Output = ()> + Send + use<> {
    let polls = Arc::clone(polls);
    poll_fn(move |_| -> Poll<()> {
        polls.fetch_add(1, Ordering::SeqCst);
        panic!("expected: in a frame that is kept")
    })
}

/// A task that awaits `leaf` and what panics, both in one frame; it keeps that frame, with `leaf` below it, until `end` is ready. With
/// the number of polls of what panics.
fn keep_panicked(
    runtime: &Runtime,
    leaf: impl Future<Output = ()> + Send + 'static,
    end: impl Future<Output = ()> + Send + 'static,
) -> (JoinHandle<()>, Arc<AtomicUsize>) {
    let polls = Arc::default();
    let panics = panics(&polls);
    let task = runtime.spawn(async {
        // What is polled by `join` is not dropped when its poll panics, as the variables of an `async` block are.
        let mut panicked = pin!(AssertUnwindSafe(lazy(join(lazy(leaf), panics))).catch_unwind());
        assert!(panicked.as_mut().await.is_err());
        end.await;
    });
    (task, polls)
}

/// Waits for nobody and for ever.
async fn never_timed() {
    let _ = timeout(LONG, pending::<()>()).await;
}

/// A look does not poll a future that has panicked; what is below it is shown below the nearest frame that is polled.
#[test]
fn frames_below_one_that_has_panicked_are_shown_in_its_place() {
    let runtime = Runtime::new().unwrap();
    let leaf = async { lazy(sleep(LONG)).await };
    let (task, polls) = keep_panicked(&runtime, leaf, never_timed());
    for _ in 0..3 {
        let frames = frames_of_idle(&runtime);
        assert_eq!(
            outline(&frames),
            [(None, 0, vec!["timeout"]), (Some(0), 1, vec![]), (Some(1), 2, vec!["sleep"])]
        );
    }
    assert_eq!(polls.load(Ordering::SeqCst), 1);
    task.abort();
}

/// They go on by themselves, and nobody is polled when they end: in a look, or by a wake.
#[test]
fn frames_below_one_that_has_panicked_go_on() {
    for is_woken in [false, true] {
        let runtime = Runtime::new().unwrap();
        let (may, waker) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None::<Waker>)));
        let leaf = {
            let (may, waker) = (Arc::clone(&may), Arc::clone(&waker));
            poll_fn(move |cx| {
                *waker.lock().unwrap() = Some(cx.waker().clone());
                if may.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
            })
        };
        let end = Arc::new(AtomicBool::new(false));
        let ends = {
            let end = Arc::clone(&end);
            poll_fn(move |_| if end.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending })
        };
        let (task, polls) = keep_panicked(&runtime, leaf, ends);
        assert_eq!(outline(&frames_of_idle(&runtime)), [(None, 0, vec![]), (Some(0), 1, vec![])]);
        may.store(true, Ordering::SeqCst);
        if is_woken {
            let waker = waker.lock().unwrap().take().expect("the leaf has been polled");
            waker.wake();
        } else {
            // Shown once more, since this is the look in which it ends.
            assert_eq!(frames_of_idle(&runtime).len(), 2);
        }
        // Its output is there, and who awaits it has panicked.
        let patience = Instant::now() + Duration::from_secs(10);
        while frames_of_idle(&runtime).len() > 1 {
            assert!(is_woken && Instant::now() < patience, "the frame has not ended");
            thread::yield_now();
        }
        assert!(!task.is_finished());
        end.store(true, Ordering::SeqCst);
        while !task.is_finished() {
            drop(trace::dump(runtime.handle()));
        }
        runtime.block_on(task).unwrap();
        assert_eq!(polls.load(Ordering::SeqCst), 1);
    }
}

/// What is polled under its handle's poll is seen by nobody but whoever polls the handle. In the look in which it panics, what its
/// parent waits for after that is the parent's.
#[test]
fn frames_below_an_island_that_has_panicked_are_not_shown() {
    let runtime = Runtime::new().unwrap();
    let (may, polls) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let panics = {
        let (may, panics) = (Arc::clone(&may), panics(&polls));
        async move {
            poll_fn(|_| if may.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }).await;
            panics.await;
        }
    };
    let task = runtime.spawn(async {
        let leaf = lazy_borrowed(sleep(LONG));
        let mut panicked = pin!(AssertUnwindSafe(lazy_borrowed(join(leaf, panics))).catch_unwind());
        assert!(panicked.as_mut().await.is_err());
        never_timed().await;
    });
    let waits = |own| [(None, 0, own), (Some(0), 1, vec![]), (Some(1), 2, vec!["sleep"])];
    assert_eq!(outline(&frames_of_idle(&runtime)), waits(vec![]));
    may.store(true, Ordering::SeqCst);
    assert_eq!(outline(&frames_of_idle(&runtime)), waits(vec!["timeout"]));
    assert_eq!(outline(&frames_of_idle(&runtime)), [(None, 0, vec!["timeout"])]);
    assert_eq!(polls.load(Ordering::SeqCst), 1);
    task.abort();
}
