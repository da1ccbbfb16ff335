//! A lazy in its parent's frame may be polled with a waker that is not the task's: by a combinator with a waker of its
//! own, by a `block_on` inside the task's poll, by `now_or_never`. The last waker is the one that counts.

mod leaves;
mod support;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use leaves::{Flag, Gate, Tally, poll_once};
use support::{Census, Pend, block_on_foreign, runtime, stress, wait_until, watchdog};
use tress::task::{Lazy, lazy, lazy_borrowed, yield_now};

/// Passes some gates, below so many other frames.
fn chain(depth: usize, gates: &[Gate]) -> Lazy<'static, usize> {
    let gates = gates.to_vec();
    let leaf = lazy(async move {
        for gate in gates {
            gate.passed().await;
        }
        0
    });
    (0..depth).fold(leaf, |below, _| lazy(async move { below.await + 1 }))
}

const DEPTHS: [usize; 5] = [0, 1, 2, 20, 100];

/// Opens each gate when somebody waits for it.
fn open_each(gates: &[Gate]) {
    for gate in gates {
        wait_until(|| gate.polls() > 0, "nobody came to the gate");
        gate.wake();
        gate.open();
    }
}

/// As some combinators do: polls only when its own waker was woken, which wakes the task in turn.
async fn through_own_waker<F: Future>(mut future: Pin<&mut F>, polls: usize) -> Option<F::Output> {
    let flag = Arc::new(Flag::default());
    let (mut seen, mut left) = (None, polls);
    poll_fn(|cx| {
        flag.pass_to(cx.waker());
        let wakes = flag.wakes();
        if seen == Some(wakes) {
            return Poll::Pending;
        }
        seen = Some(wakes);
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(&mut Context::from_waker(&flag.waker())).map(Some)
    })
    .await
}

fn poll_with<F: Future>(flag: &Arc<Flag>, future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&flag.waker()))
}

/// Which waker a lazy sees, one after the other.
#[derive(Clone, Copy, Debug)]
enum Way {
    Own,
    Wrapped,
    Fresh,
    Nobody,
}

const WAYS: [Way; 4] = [Way::Own, Way::Wrapped, Way::Fresh, Way::Nobody];

/// Polls once in such a way.
async fn poll_in<F: Future>(way: Way, mut future: Pin<&mut F>) -> Poll<F::Output> {
    match way {
        Way::Own => poll_once(future).await,
        Way::Wrapped => {
            poll_fn(|cx| {
                let flag = Arc::new(Flag::default());
                flag.pass_to(cx.waker());
                Poll::Ready(future.as_mut().poll(&mut Context::from_waker(&flag.waker())))
            })
            .await
        }
        Way::Fresh => future.poll(&mut Context::from_waker(&Arc::new(Flag::default()).waker())),
        Way::Nobody => future.now_or_never().map_or(Poll::Pending, Poll::Ready),
    }
}

/// Goes on to the end in such a way.
async fn finish_in<F: Future>(way: Way, mut future: Pin<&mut F>) -> F::Output {
    match way {
        Way::Own => future.await,
        Way::Wrapped => through_own_waker(future, usize::MAX).await.unwrap(),
        Way::Fresh => {
            // Another waker for each poll.
            poll_fn(|cx| {
                let flag = Arc::new(Flag::default());
                flag.pass_to(cx.waker());
                future.as_mut().poll(&mut Context::from_waker(&flag.waker()))
            })
            .await
        }
        // The thread waits, and the task with it.
        Way::Nobody => block_on_foreign(future),
    }
}

#[test]
fn one_after_the_other() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for depth in DEPTHS {
        for first in WAYS {
            for second in WAYS {
                for last in WAYS {
                    let gates = [(); 3].map(|()| Gate::default());
                    let chain = chain(depth, &gates);
                    let task = runtime.spawn(async move {
                        let mut chain = pin!(chain);
                        for way in [first, second, first] {
                            assert!(poll_in(way, chain.as_mut()).await.is_pending());
                        }
                        finish_in(last, chain).await
                    });
                    // What has been polled by nobody may not have come to the gate yet; it does when it is awaited.
                    open_each(&gates);
                    assert_eq!(runtime.block_on(task).unwrap(), depth, "{first:?} {second:?} {last:?}");
                }
            }
        }
    }
}

/// The same without a task: in `block_on`, and in no runtime.
#[test]
fn one_after_the_other_in_block_on() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    for depth in [0, 2, 100] {
        for first in WAYS {
            for last in WAYS {
                for is_foreign in [true, false] {
                    let gates = [(); 3].map(|()| Gate::default());
                    let chain = chain(depth, &gates);
                    let output = thread::scope(|scope| {
                        scope.spawn(|| open_each(&gates));
                        let future = async {
                            let mut chain = pin!(chain);
                            for _ in 0..3 {
                                if let Poll::Ready(output) = poll_in(first, chain.as_mut()).await {
                                    return output;
                                }
                            }
                            finish_in(last, chain).await
                        };
                        if is_foreign { block_on_foreign(future) } else { runtime.block_on(future) }
                    });
                    assert_eq!(output, depth, "{first:?} {last:?} {is_foreign}");
                }
            }
        }
    }
}

/// The wrapped waker, and nobody else, is woken for what happens after it was left.
#[test]
fn and_the_last_is_woken() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for depth in DEPTHS {
        for starts_own in [true, false] {
            let (gate, chain) = (Gate::default(), Tally::default());
            let (leaf, polled, flag) = (gate.clone(), chain.clone(), Arc::new(Flag::default()));
            let task = {
                let flag = Arc::clone(&flag);
                runtime.spawn(async move {
                    let mut chain = pin!(chain_to(depth, &leaf));
                    while leaf.polls() == 0 {
                        if starts_own {
                            assert!(poll_once(chain.as_mut()).await.is_pending());
                        }
                        assert!(poll_with(&flag, chain.as_mut()).is_pending());
                        yield_now().await;
                    }
                    assert!(poll_with(&flag, chain.as_mut()).is_pending());
                    polled.add();
                    // Waits for nothing but the flag.
                    poll_fn(|cx| {
                        flag.pass_to(cx.waker());
                        if flag.wakes() > 0 { Poll::Ready(()) } else { Poll::Pending }
                    })
                    .await;
                    while poll_with(&flag, chain.as_mut()).is_pending() {
                        yield_now().await;
                    }
                })
            };
            wait_until(|| chain.count() == 1, "it was not polled");
            let wakes = flag.wakes();
            gate.open();
            wait_until(|| flag.wakes() > wakes, "the last waker was not woken");
            runtime.block_on(task).unwrap();
        }
    }
}

fn chain_to(depth: usize, gate: &Gate) -> Lazy<'static, usize> {
    chain(depth, std::slice::from_ref(gate))
}

/// A `block_on` that knows nothing of the runtime, inside a poll of a task, with a lazy that lies in the task's frame.
#[test]
fn of_a_block_on_inside_a_poll() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for depth in DEPTHS {
        for is_started in [true, false] {
            let gates = [(); 3].map(|()| Gate::default());
            let (leaf, chain) = (gates[0].clone(), chain(depth, &gates));
            let task = runtime.spawn(async move {
                let mut chain = pin!(chain);
                while is_started && leaf.polls() == 0 {
                    assert!(poll_once(chain.as_mut()).await.is_pending());
                    yield_now().await;
                }
                block_on_foreign(chain)
            });
            open_each(&gates);
            assert_eq!(runtime.block_on(task).unwrap(), depth);
        }
    }
}

/// The same in a frame below the root, and with frames that are made inside.
#[test]
fn of_a_block_on_inside_a_frame() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for depth in DEPTHS {
        let gates = [(); 2].map(|()| Gate::default());
        let (outer, inner) = (chain(depth, &gates[..1]), chain(depth, &gates[1..]));
        let task = runtime.spawn(lazy(async move {
            lazy(async move {
                let sum = block_on_foreign(async {
                    Pend(2).await;
                    let borrowed = &depth;
                    lazy_borrowed(async move { *borrowed }).await + lazy(outer).await
                });
                sum + inner.await
            })
            .await
        }));
        open_each(&gates);
        assert_eq!(runtime.block_on(task).unwrap(), 3 * depth);
    }
}

/// Threads inside a poll, each with a branch that lies in the task's frame.
#[test]
fn of_threads_inside_a_poll() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for is_started in [true, false] {
        let gates = [(); 3].map(|()| Gate::default());
        let [a, b, c] = gates.each_ref().map(|gate| chain_to(3, gate));
        let task = runtime.spawn(async move {
            let (mut a, mut b, mut c) = (pin!(a), pin!(b), pin!(c));
            if is_started {
                for chain in [a.as_mut(), b.as_mut(), c.as_mut()] {
                    assert!(poll_once(chain).await.is_pending());
                }
            }
            thread::scope(|scope| {
                let threads = [a, b, c].map(|chain| scope.spawn(move || block_on_foreign(chain)));
                threads.map(|thread| thread.join().unwrap())
            })
        });
        open_each(&gates);
        assert_eq!(runtime.block_on(task).unwrap(), [3, 3, 3]);
    }
}

/// Sets of futures give each of theirs a waker of its own.
#[test]
fn of_sets() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for depth in DEPTHS {
        let gates = [(); 10].map(|()| Gate::default());
        let (some, others): (Vec<_>, Vec<_>) =
            gates.chunks(2).map(|pair| (chain(depth, pair), Tally::default())).unzip();
        let task = runtime.spawn(async move {
            let mut set: FuturesUnordered<_> =
                some.into_iter().zip(others).map(|(chain, polls)| polls.polls(chain)).collect();
            let mut sum = 0;
            while let Some(output) = set.next().await {
                sum += output;
            }
            sum
        });
        open_each(&gates);
        assert_eq!(runtime.block_on(task).unwrap(), 5 * depth);
    }
    // A set that is lent to a frame of its own while its members wait, and is dropped with some of them.
    let (gates, census) = ([(); 10].map(|()| Gate::default()), Census::default());
    let (leaves, counts) = (gates.clone(), census.clone());
    let task = runtime.spawn(async move {
        let mut set: FuturesUnordered<_> = leaves
            .iter()
            .map(|gate| {
                let (gate, counted) = (gate.clone(), counts.count());
                lazy(async move {
                    gate.passed().await;
                    drop(counted);
                })
            })
            .collect();
        assert!(poll_once(pin!(set.next())).await.is_pending());
        leaves[3].open();
        let () = lazy_borrowed(set.next()).await.unwrap();
        leaves[4].open();
        drop(set);
        assert_eq!(counts.alive(), 0);
    });
    runtime.block_on(task).unwrap();
    gates.iter().for_each(Gate::open);
    assert_eq!(census.alive(), 0);
}

/// Whatever the wakers, and whoever wakes.
#[test]
fn in_a_storm_of_wakes() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let all: Vec<_> = (0..20).map(|_| [(); 4].map(|()| Gate::default())).collect();
        let is_over = Tally::default();
        let tasks: Vec<_> = all
            .iter()
            .map(|gates| {
                let depth = random.below(4);
                let (chain, mut random) = (chain(depth, gates), random.fork());
                let task = runtime.spawn(async move {
                    let mut chain = pin!(chain);
                    for _ in 0..random.below(10) {
                        if let Poll::Ready(output) = poll_in(WAYS[random.below(4)], chain.as_mut()).await {
                            return output;
                        }
                        if random.once_in(3) {
                            yield_now().await;
                        }
                    }
                    // Not the last way: too many tasks that hold up their threads would wait for each other.
                    finish_in(WAYS[random.below(3)], chain).await
                });
                (task, depth)
            })
            .collect();
        thread::scope(|scope| {
            for _ in 0..2 {
                let (all, is_over, mut random) = (&all, &is_over, random.fork());
                scope.spawn(move || {
                    while is_over.count() == 0 {
                        let gate = &all[random.below(all.len())][random.below(4)];
                        match random.below(8) {
                            0 => gate.open(),
                            1 => gate.wakers().into_iter().for_each(Waker::wake),
                            _ => gate.wake(),
                        }
                    }
                });
            }
            for (task, depth) in tasks {
                assert_eq!(block_on_foreign(task).unwrap(), depth);
            }
            is_over.add();
        });
    });
}
