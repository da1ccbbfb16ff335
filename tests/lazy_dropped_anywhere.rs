//! Dropping a lazy cancels it, wherever that happens: its future is gone before the drop returns, its leaf's wakers may
//! be used for ever after, and what panics meanwhile is seen.

mod leaves;
mod support;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use leaves::{Flag, Gate, Tally, never, poll_once};
use support::{
    Census, Pend, block_on_foreign, panic_text, runtime, stress, wait_until, watchdog, without_panic_messages,
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
        let parked = runtime.spawn(chain(depth, &gate, &census));
        wait_until(|| gate.wakers().len() > 1, "the second leaf was not polled");
        drop(runtime);
        assert_eq!(census.alive(), 0);
        assert!(block_on_foreign(parked).unwrap_err().is_aborted());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| gate.wake());
            }
        });
        let wakers = gate.wakers();
        drop(gate);
        for (at, waker) in wakers.into_iter().enumerate() {
            match at % 3 {
                0 => waker.wake(),
                1 => drop(waker),
                _ => waker.wake_by_ref(),
            }
        }
    }
}

/// Frames of every state, while threads wake each of them as fast as they can.
#[test]
fn in_a_storm_of_wakes() {
    stress(|workers, random| {
        let (runtime, census) = (runtime(workers), Census::default());
        let gates: Vec<_> = (0..30).map(|_| Gate::default()).collect();
        let is_over = Tally::default();
        thread::scope(|scope| {
            for _ in 0..3 {
                let (gates, is_over, mut random) = (&gates, &is_over, random.fork());
                scope.spawn(move || {
                    while is_over.count() == 0 {
                        let gate = &gates[random.below(gates.len())];
                        match random.below(10) {
                            0 => gate.open(),
                            1 => gate.wakers().into_iter().for_each(|waker| waker.wake_by_ref()),
                            _ => gate.wake(),
                        }
                    }
                });
            }
            let tasks: Vec<_> = gates
                .iter()
                .map(|gate| {
                    let (chain, mut random) = (chain(random.below(6), gate, &census), random.fork());
                    runtime.spawn(async move {
                        match random.below(4) {
                            0 => chain.await,
                            1 => {
                                let mut chain = pin!(chain);
                                for _ in 0..random.below(5) {
                                    if poll_once(chain.as_mut()).await.is_ready() {
                                        break;
                                    }
                                    yield_now().await;
                                }
                            }
                            2 => {
                                let rounds = random.below(20);
                                let mut chain = pin!(chain.fuse());
                                tress::select! {
                                    () = chain => {}
                                    () = Pend(rounds).fuse() => {}
                                }
                            }
                            _ => drop(tress::time::timeout(Duration::from_micros(100), chain).await),
                        }
                    })
                })
                .collect();
            // Some are aborted, some outlive the runtime, some end.
            for task in &tasks {
                if random.once_in(3) {
                    task.abort();
                }
            }
            thread::sleep(Duration::from_micros(random.below(1000) as u64));
            drop(runtime);
            assert_eq!(census.alive(), 0);
            is_over.add();
        });
    });
}

type Slot = Arc<Mutex<Option<Pin<Box<Lazy<'static, ()>>>>>>;

/// Polls what is in the slot, which is empty meanwhile; what has been replaced by then is dropped.
async fn poll_in(slot: Slot) {
    poll_fn(|cx| {
        loop {
            let mut polled = slot.lock().unwrap().take().unwrap();
            let poll = polled.as_mut().poll(cx);
            let mut place = slot.lock().unwrap();
            if poll.is_pending() && place.is_some() {
                drop(place);
                drop(polled);
                continue;
            }
            *place = Some(polled);
            return poll;
        }
    })
    .await;
}

/// A future that wants its own handle gone does not find that during its poll, since whoever polls has it. It is dropped as soon as its poll has ended.
#[test]
fn but_not_inside_its_own_poll() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    for is_in_frame in [false, true] {
        let (slot, gate, next_gate, drops) =
            (Slot::default(), Gate::default(), Gate::default(), Arc::new(Mutex::new(Vec::new())));
        let (own, leaf, counted) = (Arc::clone(&slot), gate.clone(), census.count());
        let (noted, next_leaf, next_counted) = (Arc::clone(&drops), next_gate.clone(), census.count());
        let mut next = Some(Box::pin(lazy(async move {
            let _counted = next_counted;
            next_leaf.passed().await;
        })));
        *slot.lock().unwrap() = Some(Box::pin(lazy(async move {
            let _counted = counted;
            let _noted = NotedInDrop(Arc::clone(&noted));
            poll_fn(|cx| {
                assert!(own.lock().unwrap().take().is_none(), "it has found its own handle");
                let poll = leaf.poll(cx);
                if leaf.polls() == 3 {
                    *own.lock().unwrap() = next.take();
                }
                noted.lock().unwrap().push("polled");
                poll
            })
            .await;
        })));
        let polls = poll_in(Arc::clone(&slot));
        let task = if is_in_frame { runtime.spawn(lazy(polls)) } else { runtime.spawn(polls) };
        for polls in 1..=3 {
            wait_until(|| gate.polls() == polls, "it was not polled");
            gate.wake();
        }
        wait_until(|| next_gate.polls() > 0, "what has replaced it was not polled");
        assert_eq!(*drops.lock().unwrap(), ["polled", "polled", "polled", "dropped"]);
        assert_eq!(census.alive(), 1);
        gate.open();
        next_gate.open();
        runtime.block_on(task).unwrap();
        assert_eq!(gate.polls(), 3, "a dropped frame was polled");
        assert!(slot.lock().unwrap().take().is_some());
        assert_eq!(census.alive(), 0);
    }
}

struct NotedInDrop(Arc<Mutex<Vec<&'static str>>>);

impl Drop for NotedInDrop {
    fn drop(&mut self) {
        self.0.lock().unwrap().push("dropped");
    }
}

/// A frame that takes away what it runs in: it ends after its poll, and all of it.
#[test]
fn by_an_abort_from_inside_its_poll() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    for depth in DEPTHS {
        for is_direct in [true, false] {
            for is_ready in [true, false] {
                let (abort, gate) = (Arc::<Mutex<Option<AbortHandle>>>::default(), Gate::default());
                let (own, leaf, counts) = (Arc::clone(&abort), gate.clone(), census.clone());
                let suicide = lazy(async move {
                    let _counted = counts.count();
                    if is_direct {
                        leaf.passed().await;
                    }
                    loop {
                        if let Some(abort) = &*own.lock().unwrap() {
                            abort.abort();
                            break;
                        }
                        yield_now().await;
                    }
                    if !is_ready {
                        never().await;
                    }
                    // An output that nobody takes.
                    counts.count()
                });
                let above = (0..depth).fold(suicide, |below, _| lazy(below));
                let task = runtime.spawn(above);
                *abort.lock().unwrap() = Some(task.abort_handle());
                gate.open();
                // It may have come to its end before it was dropped.
                match runtime.block_on(task) {
                    Ok(_) => assert!(is_ready),
                    Err(error) => assert!(error.is_aborted()),
                }
                census.wait_until_empty();
            }
        }
    }
}

/// The runtime is dropped by a frame of its own.
#[test]
fn with_its_runtime_from_inside_its_poll() {
    let _watchdog = watchdog();
    for depth in DEPTHS {
        let (runtime, census, gate) = (runtime(2), Census::default(), Gate::default());
        let handle = runtime.handle().clone();
        let (leaf, counted) = (gate.clone(), census.count());
        let last = lazy(async move {
            let _counted = counted;
            leaf.passed().await;
            drop(runtime);
            yield_now().await;
            never().await;
        });
        let task = handle.spawn((0..depth).fold(last, |below, _| lazy(below)));
        gate.open();
        assert!(block_on_foreign(task).unwrap_err().is_aborted());
        census.wait_until_empty();
    }
}

/// Locals with an opinion: their drop polls other lazies, wakes, and awaits.
struct PollsInDrop(Gate, Tally);

impl Drop for PollsInDrop {
    fn drop(&mut self) {
        self.0.wake();
        assert_eq!(lazy(async { 1 }).now_or_never(), Some(1));
        let text = String::from("borrowed");
        let output = block_on_foreign(lazy_borrowed(async {
            Pend(3).await;
            lazy(Pend(2)).await;
            text.len()
        }));
        assert_eq!(output, 8);
        let mut pending = Box::pin(lazy(never()));
        assert!(pending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        self.1.add();
    }
}

#[test]
fn by_who_polls_in_a_drop() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for depth in [0, 1, 20] {
        let (gate, drops) = (Gate::default(), Tally::default());
        let make = || {
            let (guard, leaf) = (PollsInDrop(gate.clone(), drops.clone()), gate.clone());
            let last = lazy(async move {
                let _guard = guard;
                leaf.passed().await;
            });
            (0..depth).fold(last, |below, _| {
                let guard = PollsInDrop(gate.clone(), drops.clone());
                lazy(async move {
                    let _guard = guard;
                    below.await;
                })
            })
        };
        let task = runtime.spawn(make());
        wait_until(|| gate.polls() > 0, "the leaf was not polled");
        task.abort();
        assert!(runtime.block_on(task).unwrap_err().is_aborted());
        assert_eq!(drops.count(), depth + 1);
        let chain = make();
        runtime.block_on(async {
            let mut slot = pin!(Some(chain));
            for _ in 0..3 {
                let _ = poll_once(slot.as_mut().as_pin_mut().unwrap()).await;
                yield_now().await;
            }
            slot.set(None);
        });
        assert_eq!(drops.count(), 2 * (depth + 1));
    }
}

#[test]
fn by_who_polls_while_a_panic_unwinds() {
    let _watchdog = watchdog();
    let (runtime, gate) = (runtime(2), Gate::default());
    without_panic_messages(|| {
        for depth in [0, 1, 20] {
            let drops = Tally::default();
            let guard = || PollsInDrop(Gate::default(), drops.clone());
            let (leaf, below) = (gate.clone(), guard());
            let last = lazy(async move {
                let _guard = below;
                leaf.passed().await;
                panic!("expected: below guards");
            });
            let chain = (0..depth).fold(last, |below, _| {
                let guard = guard();
                lazy(async move {
                    let _guard = guard;
                    below.await;
                })
            });
            let task = runtime.spawn(chain);
            gate.open();
            assert_eq!(panic_text(runtime.block_on(task).unwrap_err()), "expected: below guards");
            assert_eq!(drops.count(), depth + 1);
        }
    });
}

/// Panics when it is dropped, unless something else does already.
struct PanicsInDrop(Tally);

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        self.0.add();
        if !thread::panicking() {
            panic_any("expected: in a drop");
        }
    }
}

/// A panic in a future's drop comes out of the drop of its handle, as for a boxed future; the rest is dropped too.
#[test]
fn although_its_drop_panics() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    without_panic_messages(|| {
        for depth in [0, 1, 2, 20] {
            let (gate, drops) = (Gate::default(), Tally::default());
            let make = || {
                let (guard, leaf, counted) = (PanicsInDrop(drops.clone()), gate.clone(), census.count());
                let last = lazy(async move {
                    let _counted = counted;
                    let _guard = guard;
                    leaf.passed().await;
                    std::mem::forget(_guard);
                });
                (0..depth).fold(last, |below, _| {
                    let counted = census.count();
                    lazy(async move {
                        let _counted = counted;
                        below.await;
                    })
                })
            };
            // Boxed, inside no runtime.
            let mut boxed = Box::pin(make());
            while gate.polls() == 0 {
                assert!(boxed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            assert!(catch_unwind(AssertUnwindSafe(|| drop(boxed))).is_err(), "depth {depth}");
            assert_eq!((drops.count(), census.alive()), (1, 0), "depth {depth}");
            // In a frame.
            let (chain, polls, leaf) = (make(), gate.polls(), gate.clone());
            let task = runtime.spawn(async move {
                let mut slot = pin!(Some(chain));
                while leaf.polls() == polls {
                    assert!(poll_once(slot.as_mut().as_pin_mut().unwrap()).await.is_pending());
                    yield_now().await;
                }
                slot.set(None);
            });
            assert_eq!(
                panic_text(runtime.block_on(task).unwrap_err()),
                "expected: in a drop",
                "depth {depth}"
            );
            assert_eq!((drops.count(), census.alive()), (2, 0), "depth {depth}");
            // With its task, and with its runtime.
            let (chain, polls) = (make(), gate.polls());
            let task = runtime.spawn(chain);
            wait_until(|| gate.polls() > polls, "the leaf was not polled");
            task.abort();
            let error = runtime.block_on(task).unwrap_err();
            assert!(error.is_aborted() || error.is_panic());
            assert_eq!((drops.count(), census.alive()), (3, 0), "depth {depth}");
        }
    });
    let task = runtime.spawn(lazy(async { 1 }));
    assert_eq!(runtime.block_on(task).unwrap(), 1);
}

/// Panics of two branches, and of what unwinding drops: the first is the one that is seen.
#[test]
fn while_a_panic_of_its_sibling_unwinds() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    without_panic_messages(|| {
        for depth in [0, 1, 20] {
            let (gate, drops) = (Gate::default(), Tally::default());
            let (guard, leaf, sibling) =
                (PanicsInDrop(drops.clone()), gate.clone(), chain(depth, &Gate::default(), &census));
            let task = runtime.spawn(async move {
                let panics = lazy(async move {
                    leaf.passed().await;
                    panic!("expected: a branch");
                });
                let guarded = lazy(async move {
                    let _guard = guard;
                    sibling.await;
                });
                tress::join!(guarded, panics)
            });
            wait_until(|| gate.polls() > 0, "the leaf was not polled");
            gate.open();
            assert_eq!(panic_text(runtime.block_on(task).unwrap_err()), "expected: a branch");
            assert_eq!((drops.count(), census.alive()), (1, 0));
        }
    });
}

/// An output of which the drop panics, and one that nobody takes.
#[test]
fn after_it_has_completed() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    without_panic_messages(|| {
        let drops = Tally::default();
        let counted = [census.count(), census.count()];
        let (gate, leaf, guard) = (Gate::default(), Gate::default(), drops.clone());
        let task = {
            let (gate, leaf) = (gate.clone(), leaf.clone());
            runtime.spawn(async move {
                let [one, two] = counted;
                let mut completes = pin!(Some(lazy(async move {
                    leaf.passed().await;
                    (one, PanicsInDrop(guard))
                })));
                assert!(poll_once(completes.as_mut().as_pin_mut().unwrap()).await.is_pending());
                gate.passed().await;
                let _two = two;
                completes.set(None);
            })
        };
        wait_until(|| gate.polls() > 0, "it was not polled");
        leaf.open();
        // A rooted frame may have ended by itself, and then its output panics; or it is dropped while it waits.
        thread::sleep(Duration::from_millis(10));
        gate.open();
        match runtime.block_on(task) {
            Ok(()) => assert_eq!(drops.count(), 0),
            Err(error) => {
                assert_eq!(panic_text(error), "expected: in a drop");
                assert_eq!(drops.count(), 1);
            }
        }
        assert_eq!(census.alive(), 0);
    });
    // Complete in its frame, but its parent waits for more and is aborted.
    for _ in 0..100 {
        let (gate, counted) = (Gate::default(), census.count());
        let task = {
            let gate = gate.clone();
            runtime.spawn(async move {
                let completes = lazy(async move {
                    gate.passed().await;
                    counted
                });
                let (_counted, ()) = tress::join!(completes, never());
            })
        };
        wait_until(|| gate.polls() > 0, "it was not polled");
        gate.open();
        task.abort();
        assert!(runtime.block_on(task).unwrap_err().is_aborted());
        assert_eq!(census.alive(), 0);
    }
}

/// A waker that panics, in whatever it is called for.
#[test]
fn with_a_waker_that_panics() {
    struct Hostile;
    impl std::task::Wake for Hostile {
        fn wake(self: Arc<Self>) {
            panic!("expected: in a wake");
        }
    }
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(1), Census::default());
    without_panic_messages(|| {
        for depth in DEPTHS {
            for is_in_frame in [true, false] {
                let (gate, counts) = (Gate::default(), census.clone());
                let (leaf, chain) = (gate.clone(), chain(depth, &gate, &census));
                let task = runtime.spawn(async move {
                    let mut chain = pin!(chain);
                    if is_in_frame {
                        poll_until_started(chain.as_mut(), &leaf).await;
                    }
                    let hostile = Waker::from(Arc::new(Hostile));
                    while leaf.polls() == 0 {
                        assert!(chain.as_mut().poll(&mut Context::from_waker(&hostile)).is_pending());
                    }
                    assert!(chain.as_mut().poll(&mut Context::from_waker(&hostile)).is_pending());
                    let _ = catch_unwind(AssertUnwindSafe(|| leaf.open()));
                    // Whoever polls it properly gets the output all the same.
                    chain.await;
                    assert_eq!(counts.alive(), 0);
                });
                wait_until(|| task.is_finished(), "a waker's panic has stopped a task");
                runtime.block_on(task).unwrap();
            }
        }
        // Woken by another thread, after the task's own context.
        let (gate, flag) = (Gate::default(), Arc::new(Flag::default()));
        let mut boxed = Box::pin(chain(2, &gate, &census));
        while gate.polls() == 0 {
            assert!(
                boxed.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(Hostile)))).is_pending()
            );
        }
        let _ = catch_unwind(AssertUnwindSafe(|| gate.wake()));
        assert!(boxed.as_mut().poll(&mut Context::from_waker(&flag.waker())).is_pending());
        let _ = catch_unwind(AssertUnwindSafe(|| gate.open()));
        assert_eq!(block_on_foreign(poll_once(boxed.as_mut())), Poll::Ready(()));
    });
    assert_eq!(runtime.block_on(runtime.spawn(lazy(async { 1 }))).unwrap(), 1);
}
