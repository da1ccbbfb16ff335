//! A started lazy that is leaked is never polled again: whatever it borrowed may be gone. Its memory outlives the wakers
//! that name it, and it holds up neither its task nor its runtime.
#![expect(unsafe_code, reason = "pins what is never dropped, which no safe code does")]

mod leaves;
mod support;

use std::future::Future;
use std::mem::{ManuallyDrop, MaybeUninit, forget};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use leaves::{Gate, Tally, poll_once};
use support::{Census, block_on_foreign, runtime, wait_until, watchdog, without_panic_messages};
use tress::Runtime;
use tress::task::{Lazy, lazy, lazy_borrowed, yield_now};

/// Forgets it in such a way that leak detectors still find it.
fn leak<T: ?Sized>(boxed: Pin<Box<T>>) {
    static LEAKED: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    LEAKED.lock().unwrap().push(std::ptr::from_ref(&*boxed).cast::<()>().addr());
    forget(boxed);
}

/// Wakes the leaf from here and from another thread, and gives tasks time to run.
async fn wake_all(gate: &Gate) {
    gate.wake();
    gate.open();
    let wakers = gate.wakers();
    thread::spawn(move || wakers.into_iter().for_each(Waker::wake)).join().unwrap();
    for _ in 0..100 {
        yield_now().await;
    }
}

/// Runs in a task, in `block_on`, and without a runtime.
fn in_each_root<F>(check: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let _watchdog = watchdog();
    let runtime = runtime(2);
    runtime.block_on(runtime.spawn(check())).unwrap();
    runtime.block_on(runtime.spawn(lazy(check()))).unwrap();
    runtime.block_on(check());
    block_on_foreign(check());
}

/// Is pending at the gate, and then looks at what it has borrowed.
fn looks_at<'a>(text: &'a str, gate: &Gate, polls: &Tally) -> Lazy<'a, usize> {
    let (gate, polls) = (gate.clone(), polls.clone());
    lazy_borrowed(polls.polls(async move {
        gate.passed().await;
        text.bytes().map(usize::from).sum()
    }))
}

#[test]
fn when_it_is_boxed_and_forgotten() {
    in_each_root(|| async {
        let (gate, polls) = (Gate::default(), Tally::default());
        let mut boxed = Box::pin(lazy(polls.clone().polls(gate.passed())));
        assert!(poll_once(boxed.as_mut()).await.is_pending());
        leak(boxed);
        wake_all(&gate).await;
        assert_eq!((polls.count(), gate.polls()), (1, 1));
    });
}

#[test]
fn when_what_it_borrowed_is_gone() {
    in_each_root(|| async {
        let (gate, polls) = (Gate::default(), Tally::default());
        {
            let text = String::from("gone soon");
            let mut boxed = Box::pin(looks_at(&text, &gate, &polls));
            assert!(poll_once(boxed.as_mut()).await.is_pending());
            leak(boxed);
        }
        wake_all(&gate).await;
        assert_eq!((polls.count(), gate.polls()), (1, 1));
    });
}

/// What is forgotten is not the lazy but a future around it, in whose memory its handle lies.
#[test]
fn when_what_it_lies_in_is_forgotten() {
    in_each_root(|| async {
        let (gate, polls, outer) = (Gate::default(), Tally::default(), Tally::default());
        {
            let text = String::from("gone soon");
            let mut boxed: Pin<Box<dyn Future<Output = usize> + Send + '_>> =
                Box::pin(outer.clone().polls(looks_at(&text, &gate, &polls)));
            assert!(poll_once(boxed.as_mut()).await.is_pending());
            leak(boxed);
        }
        wake_all(&gate).await;
        assert_eq!((polls.count(), outer.count(), gate.polls()), (1, 1, 1));
    });
    // The same with a frame around it, and frames below it.
    in_each_root(|| async {
        let (gate, tallies) = (Gate::default(), [(); 3].map(|()| Tally::default()));
        {
            let text = String::from("gone soon");
            let [a, b, c] = tallies.clone();
            let (leaf, text) = (gate.clone(), &text);
            let mut boxed = Box::pin(lazy_borrowed(a.polls(async move {
                lazy_borrowed(b.polls(async move { looks_at(text, &leaf, &c).await + text.len() })).await
            })));
            assert!(poll_once(boxed.as_mut()).await.is_pending());
            leak(boxed);
        }
        wake_all(&gate).await;
        assert_eq!(tallies.map(|polls| polls.count()), [1, 1, 1]);
    });
    in_each_root(|| async {
        let (gate, polls) = (Gate::default(), Tally::default());
        // Frames that own all they have, below one that is leaked.
        let chain = (0..50).fold(lazy(polls.clone().polls(gate.passed())), |inner, _| lazy(inner));
        let mut boxed = Box::pin(chain);
        for _ in 0..10 {
            assert!(poll_once(boxed.as_mut()).await.is_pending());
            yield_now().await;
        }
        assert!(gate.polls() >= 1);
        let before = polls.count();
        leak(boxed);
        wake_all(&gate).await;
        assert_eq!(polls.count(), before);
    });
}

/// A place in the task's own frame whose content is never dropped.
#[test]
fn when_it_is_never_dropped_where_it_lies() {
    in_each_root(|| async {
        let (gate, polls) = (Gate::default(), Tally::default());
        let lazy = lazy(polls.clone().polls(gate.passed()));
        // Boxed inside, since no safe code pins what is in a `ManuallyDrop`.
        let mut kept = ManuallyDrop::new(Box::pin(lazy));
        assert!(poll_once(kept.as_mut()).await.is_pending());
        leak(ManuallyDrop::into_inner(kept));
        wake_all(&gate).await;
        assert_eq!(polls.count(), 1);
    });
}

/// How a task ends in whose body a handle has been leaked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Returns,
    Panics,
    IsAborted,
    GoesWithItsRuntime,
}

/// The same with a frame that the loop polls: it goes on as long as its parent does, and is torn down with that.
#[test]
fn when_its_parent_ends_which_it_lies_in() {
    /// Bits of handles, so that leak detectors still find what those had.
    static LEAKED: Mutex<Vec<MaybeUninit<Lazy<'static, ()>>>> = Mutex::new(Vec::new());

    struct Parts {
        gate: Gate,
        polls: Tally,
        parent_polls: Tally,
        end: Gate,
        census: Census,
    }

    /// A body that leaks a frame, which has another one below it, and then waits for its own end.
    async fn leaks(parts: Arc<Parts>, how: End) {
        let (counted, below, gate) = (parts.census.count(), parts.census.count(), parts.gate.clone());
        let mut kept = ManuallyDrop::new(lazy(parts.polls.clone().polls(async move {
            let _counted = counted;
            lazy(async move {
                let _below = below;
                gate.passed().await;
            })
            .await;
            yield_now().await;
            unreachable!("the gate is not opened before the end");
        })));
        // SAFETY: it is not moved. That its place is given up without a drop is what this test is about: a frame does not need its handle.
        let mut handle = unsafe { Pin::new_unchecked(&mut *kept) };
        assert!(poll_once(handle.as_mut()).await.is_pending());
        // SAFETY: bits that are never used.
        LEAKED.lock().unwrap().push(unsafe { std::ptr::from_ref(&*handle).cast::<MaybeUninit<_>>().read() });
        parts.end.passed().await;
        assert_ne!(how, End::Panics, "expected: of the parent");
    }

    let _watchdog = watchdog();
    without_panic_messages(|| {
        for how in [End::Returns, End::Panics, End::IsAborted, End::GoesWithItsRuntime] {
            for is_in_frame in [false, true] {
                let runtime = runtime(2);
                let parts = Arc::new(Parts {
                    gate: Gate::default(),
                    polls: Tally::default(),
                    parent_polls: Tally::default(),
                    end: Gate::default(),
                    census: Census::default(),
                });
                let body = parts.parent_polls.clone().polls(leaks(Arc::clone(&parts), how));
                let task = match is_in_frame {
                    true => runtime.spawn(lazy(body)),
                    false => runtime.spawn(body),
                };
                // Where there is little stack, it is the loop that gets to the leaf, after that.
                wait_until(|| parts.end.polls() == 1 && parts.gate.polls() == 1, "the handle was not leaked");
                // Its leaf is reached without its parent.
                for wake in 1..=5 {
                    parts.gate.wake();
                    wait_until(|| parts.gate.polls() == 1 + wake, "the leaf was not polled");
                }
                assert_eq!((parts.polls.count(), parts.parent_polls.count()), (1, 1));
                assert_eq!(parts.census.alive(), 2);
                match how {
                    End::Returns => {
                        parts.end.open();
                        runtime.block_on(task).unwrap();
                    }
                    End::Panics => {
                        parts.end.open();
                        assert!(runtime.block_on(task).unwrap_err().is_panic());
                    }
                    End::IsAborted => {
                        task.abort();
                        assert!(runtime.block_on(task).unwrap_err().is_aborted());
                    }
                    End::GoesWithItsRuntime => {
                        drop(runtime);
                        assert!(block_on_foreign(task).unwrap_err().is_aborted());
                    }
                }
                // What it held is dropped, once, and it is not polled again.
                assert_eq!(parts.census.alive(), 0);
                let polls = parts.gate.polls();
                parts.gate.open();
                thread::sleep(Duration::from_millis(1));
                assert_eq!((parts.polls.count(), parts.gate.polls()), (1, polls));
            }
        }
    });
}

/// A future that owns itself: nobody ever drops it.
#[test]
fn when_it_is_part_of_a_cycle() {
    type Slot = Arc<Mutex<Option<Pin<Box<Lazy<'static, ()>>>>>>;
    static SLOTS: Mutex<Vec<Slot>> = Mutex::new(Vec::new());
    in_each_root(|| async {
        let (gate, polls, slot) = (Gate::default(), Tally::default(), Slot::default());
        let (leaf, own) = (gate.clone(), Arc::clone(&slot));
        let mut boxed = Box::pin(lazy(polls.clone().polls(async move {
            leaf.passed().await;
            drop(own);
        })));
        assert!(poll_once(boxed.as_mut()).await.is_pending());
        *slot.lock().unwrap() = Some(boxed);
        SLOTS.lock().unwrap().push(slot);
        wake_all(&gate).await;
        assert_eq!(polls.count(), 1);
    });
    SLOTS.lock().unwrap().drain(..).for_each(|slot| drop(slot.lock().unwrap().take()));
}

#[test]
fn when_its_task_and_its_runtime_are_gone() {
    let _watchdog = watchdog();
    let (gate, polls) = (Gate::default(), Tally::default());
    let runtime = runtime(2);
    let task = {
        let (gate, polls) = (gate.clone(), polls.clone());
        runtime.spawn(async move {
            for _ in 0..100 {
                let mut boxed = Box::pin(lazy(polls.clone().polls(gate.passed())));
                assert!(poll_once(boxed.as_mut()).await.is_pending());
                leak(boxed);
            }
        })
    };
    runtime.block_on(task).unwrap();
    gate.wake();
    drop(runtime);
    gate.open();
    assert_eq!(polls.count(), 100);
}

/// It keeps neither a task from ending nor an abort from being seen.
#[test]
fn and_holds_nobody_up() {
    let _watchdog = watchdog();
    let runtime: Runtime = runtime(2);
    let gate = Gate::default();
    let leaf = gate.clone();
    let task = runtime.spawn(async move {
        let mut boxed = Box::pin(lazy(leaf.passed()));
        assert!(poll_once(boxed.as_mut()).await.is_pending());
        leak(boxed);
        let mut own = pin!(lazy(leaf.passed()));
        own.as_mut().await;
    });
    wait_until(|| gate.polls() == 2, "the second leaf was not polled");
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
    gate.open();
    assert_eq!(gate.polls(), 2);
}

/// Without any executor at all.
#[test]
fn when_nobody_was_there_to_poll_it() {
    let _watchdog = watchdog();
    let (gate, polls) = (Gate::default(), Tally::default());
    {
        let text = String::from("gone soon");
        let mut boxed = Box::pin(looks_at(&text, &gate, &polls));
        assert!(boxed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        leak(boxed);
    }
    gate.open();
    assert_eq!(polls.count(), 1);
    drop(gate);
}
