//! A lazy that another thread drops in the middle of its parent's poll is let go of once, whatever becomes of its parent in that poll.

mod leaves;
mod support;

use std::pin::{Pin, pin};
use std::thread;

use leaves::{Gate, Tally, poll_once};
use support::{Census, Random, block_on_foreign, runtime, stress, watchdog};
use tress::task::{Lazy, lazy, yield_now};

/// Waits at a gate, below so many other frames.
fn chain(depth: usize, gate: &Gate, census: &Census) -> Lazy<'static, ()> {
    let (gate, counted) = (gate.clone(), census.count());
    let leaf = lazy(async move {
        let _counted = counted;
        gate.passed().await;
    });
    (0..depth).fold(leaf, |below, _| lazy(below))
}

/// How a parent goes on once its child has been dropped elsewhere.
#[derive(Clone, Copy, Debug)]
enum Then {
    IsReady,
    Panics,
    IsPending,
}

/// Starts a lazy, has another thread drop it, and goes on in the same poll.
fn lender(then: Then, gate: Gate, census: Census) -> Lazy<'static, usize> {
    lazy(async move {
        let mut slot = pin!(Some(chain(3, &gate, &census)));
        assert!(poll_once(slot.as_mut().as_pin_mut().unwrap()).await.is_pending());
        // The first poll is over, so that this one is made by the loop.
        yield_now().await;
        thread::scope(|scope| scope.spawn(|| slot.set(None)).join().unwrap());
        assert_eq!(census.alive(), 0);
        match then {
            Then::IsReady => {}
            Then::Panics => support::without_panic_messages(|| panic!("expected: of a lender")),
            Then::IsPending => yield_now().await,
        }
        1
    })
}

#[test]
fn and_its_parent_ends_at_once() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    for then in [Then::IsReady, Then::Panics, Then::IsPending] {
        for above in [0, 1, 3] {
            let gate = Gate::default();
            let future = (0..above).fold(lender(then, gate.clone(), census.clone()), |below, _| lazy(below));
            let task = runtime.spawn(async move {
                let output = lazy(future).await;
                // Whatever was queued is taken by further runs.
                for _ in 0..3 {
                    yield_now().await;
                }
                output
            });
            match runtime.block_on(task) {
                Ok(output) => assert_eq!(output, 1),
                Err(error) => assert!(error.is_panic() && matches!(then, Then::Panics)),
            }
            gate.open();
            assert_eq!(census.alive(), 0, "{then:?}");
        }
    }
}

/// It is dropped elsewhere, and what it lay in becomes an island after that, which takes all frames below it out of their lists.
#[test]
fn and_its_parent_becomes_an_island() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    for then in [Then::IsReady, Then::IsPending] {
        let (has_lent, gate) = (Tally::default(), Gate::default());
        let (leaf, counts, lent) = (gate.clone(), census.clone(), has_lent.clone());
        let task = runtime.spawn(async move {
            let mut lender = pin!(lazy(async move {
                let mut slot = pin!(Some(chain(3, &leaf, &counts)));
                assert!(poll_once(slot.as_mut().as_pin_mut().unwrap()).await.is_pending());
                thread::scope(|scope| scope.spawn(|| slot.set(None)).join().unwrap());
                lent.add();
                if matches!(then, Then::IsPending) {
                    yield_now().await;
                }
                leaf.passed().await;
            }));
            // The orphan is queued in this poll, if there is stack for it; its parent is polled by a detour before the loop takes it.
            assert!(poll_once(lender.as_mut()).await.is_pending());
            while has_lent.count() == 0 {
                yield_now().await;
            }
            gate.open();
            block_on_foreign(lender.as_mut());
            yield_now().await;
        });
        runtime.block_on(task).unwrap();
        assert_eq!(census.alive(), 0);
    }
}

/// Threads drop branches of one parent, while it polls, drops and makes others, and all of them are woken.
#[test]
fn in_a_storm() {
    stress(|workers, random| {
        let (runtime, census) = (runtime(workers), Census::default());
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let (mut random, census) = (random.fork(), census.clone());
                runtime.spawn(lazy(async move {
                    for _ in 0..8 {
                        storm(&mut random, &census).await;
                    }
                }))
            })
            .collect();
        tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
        assert_eq!(census.alive(), 0);
    });
}

fn storm(random: &mut Random, census: &Census) -> Lazy<'static, ()> {
    let (mut random, census) = (random.fork(), census.clone());
    lazy(async move {
        let gates: [Gate; 4] = Default::default();
        let mut slots = [pin!(None), pin!(None), pin!(None), pin!(None)];
        for _ in 0..4 {
            for (slot, gate) in slots.iter_mut().zip(&gates) {
                refill(slot.as_mut(), random.below(3), gate, &census).await;
            }
            if random.once_in(2) {
                yield_now().await;
            }
            thread::scope(|scope| {
                let waker = scope.spawn(|| gates.iter().for_each(Gate::wake));
                for (mut slot, gate) in slots.iter_mut().map(Pin::as_mut).zip(&gates) {
                    match random.below(4) {
                        0 => {
                            scope.spawn(move || slot.set(None));
                        }
                        1 => {
                            scope.spawn(move || {
                                gate.open();
                                slot.as_mut().as_pin_mut().map(block_on_foreign);
                                slot.set(None);
                            });
                        }
                        2 => slot.set(None),
                        _ => {}
                    }
                }
                waker.join().unwrap();
            });
        }
    })
}

/// Puts another lazy into a slot that is empty, and polls it once.
async fn refill(mut slot: Pin<&mut Option<Lazy<'static, ()>>>, depth: usize, gate: &Gate, census: &Census) {
    if slot.is_none() {
        slot.set(Some(chain(depth, gate, census)));
        if poll_once(slot.as_mut().as_pin_mut().unwrap()).await.is_ready() {
            slot.set(None);
        }
    }
}
