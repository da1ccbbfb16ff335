//! A wake polls the frame whose waker it was, and none of its ancestors: in chains, and in the branches of `join!` and
//! `select!`. What is not rooted is polled through its parent, like a boxed future.

mod leaves;
mod support;

use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use leaves::{Gate, OpenOnDrop, Tally, never};
use support::{runtime, wait_until, watchdog};
use tress::Runtime;
use tress::task::{JoinHandle, Lazy, lazy, lazy_borrowed};

/// A gate at the end of a chain of frames, and how often each of these is polled; the first is the outermost.
#[derive(Clone)]
struct Chain {
    levels: Arc<[Tally]>,
    gate: Gate,
}

impl Chain {
    fn new(depth: usize) -> Self {
        Self { levels: (0..depth).map(|_| Tally::default()).collect(), gate: Gate::default() }
    }

    fn start(&self) -> Lazy<'static, usize> {
        self.clone().level(0)
    }

    fn level(self, level: usize) -> Lazy<'static, usize> {
        lazy(self.levels[level].clone().polls(async move {
            if level + 1 == self.levels.len() {
                self.gate.passed().await;
                return 1;
            }
            self.level(level + 1).await + 1
        }))
    }

    fn counts(&self) -> Vec<usize> {
        self.levels.iter().map(Tally::count).collect()
    }

    /// Waits until the leaf is pending, and everything above has returned.
    fn wait_until_settled(&self, polls: usize) {
        wait_until(|| self.gate.polls() == polls, "the leaf was not polled, or too often");
    }

    /// One poll for each level, another for each wake of the last one.
    #[track_caller]
    fn assert_woken(&self, wakes: usize) {
        let (last, above) = self.counts().split_last().map(|(last, above)| (*last, above.to_vec())).unwrap();
        assert_eq!(last, 1 + wakes, "polls of the leaf's frame");
        assert!(above.iter().all(|&polls| polls == 1), "ancestors were polled: {above:?}");
    }

    /// As long as it is pending, wakes poll nothing but the leaf's frame; each level is resumed once in the end.
    fn is_woken_alone(&self, wakes: usize) {
        self.wait_until_settled(1);
        for wake in 1..=wakes {
            self.gate.wake();
            self.wait_until_settled(1 + wake);
        }
    }

    #[track_caller]
    fn assert_complete(&self, wakes: usize) {
        let (last, above) = self.counts().split_last().map(|(last, above)| (*last, above.to_vec())).unwrap();
        assert_eq!(last, 2 + wakes, "polls of the leaf's frame");
        assert!(above.iter().all(|&polls| polls == 2), "ancestors were not resumed once: {above:?}");
    }
}

const WAKES: usize = 10;

fn check_chain(depth: usize, run: impl FnOnce(Lazy<'static, usize>, Tally, &dyn Fn()) -> usize) {
    let (chain, root) = (Chain::new(depth), Tally::default());
    let wakes = || {
        // Should the test fail, then nobody waits for ever.
        let _open = OpenOnDrop(&chain.gate);
        chain.is_woken_alone(WAKES);
        chain.assert_woken(WAKES);
        assert_eq!(root.count(), 1, "the root was polled");
    };
    assert_eq!(run(chain.start(), root.clone(), &wakes), depth);
    chain.assert_complete(WAKES);
    assert_eq!(root.count(), 2);
}

const DEPTHS: [usize; 7] = [1, 2, 3, 31, 33, 100, 1000];

#[test]
fn in_chains_of_tasks() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for depth in DEPTHS {
        check_chain(depth, |chain, root, wakes| {
            let task = runtime.spawn(root.polls(chain));
            wakes();
            runtime.block_on(task).unwrap()
        });
        // An await below something else than the root's own body.
        check_chain(depth, |chain, root, wakes| {
            let task = runtime.spawn(root.polls(Tally::default().polls(chain)));
            wakes();
            runtime.block_on(task).unwrap()
        });
    }
}

#[test]
fn in_chains_of_block_on() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for depth in DEPTHS {
        check_chain(depth, |chain, root, wakes| {
            std::thread::scope(|scope| {
                let blocked = scope.spawn(|| runtime.block_on(root.polls(chain)));
                wakes();
                blocked.join().unwrap()
            })
        });
    }
}

#[test]
fn in_chains_whose_handle_is_pinned() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    check_chain(5, |chain, root, wakes| {
        let task = runtime.spawn(root.polls(async {
            let mut chain = pin!(chain);
            chain.as_mut().await
        }));
        wakes();
        runtime.block_on(task).unwrap()
    });
    check_chain(5, |chain, root, wakes| {
        let task = runtime.spawn(root.polls(async {
            let mut chain = pin!(Some(chain));
            let output = chain.as_mut().as_pin_mut().unwrap().await;
            chain.set(None);
            output
        }));
        wakes();
        runtime.block_on(task).unwrap()
    });
}

/// Lets one branch after the other be woken, then opens them in another order.
fn check_branches(
    runtime: &Runtime,
    spawn: impl FnOnce(&Runtime, [Lazy<'static, usize>; 3], Tally) -> JoinHandle<usize>,
) {
    let (chains, root) = ([Chain::new(1), Chain::new(3), Chain::new(50)], Tally::default());
    let task = spawn(runtime, [chains[0].start(), chains[1].start(), chains[2].start()], root.clone());
    for chain in &chains {
        chain.is_woken_alone(WAKES);
    }
    for chain in &chains {
        chain.assert_woken(WAKES);
    }
    assert_eq!(root.count(), 1, "a wake of a branch polled the parent");
    for chain in [1, 0, 2] {
        chains[chain].gate.open();
        let chain = &chains[chain];
        let polls = if chain.levels.len() == 1 { 2 + WAKES } else { 2 };
        wait_until(|| chain.levels[0].count() == polls, "the branch was not resumed");
    }
    assert_eq!(runtime.block_on(task).unwrap(), 54);
    for chain in &chains {
        chain.assert_complete(WAKES);
    }
    // Fewer if one branch ends while the parent is being resumed for another.
    assert!(root.count() <= 4, "the parent is resumed once for each branch, not {} times", root.count() - 1);
}

#[test]
fn in_branches_of_join() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    check_branches(&runtime, |runtime, [a, b, c], root| {
        runtime.spawn(root.polls(async {
            let (a, b, c) = tress::join!(a, b, c);
            a + b + c
        }))
    });
    check_branches(&runtime, |runtime, [a, b, c], root| {
        runtime.spawn(root.polls(async {
            let (a, b, c) = futures_util::future::join3(a, b, c).await;
            a + b + c
        }))
    });
    check_branches(&runtime, |runtime, [a, b, c], root| {
        runtime.spawn(root.polls(async {
            let ok = |n: usize| Ok::<_, ()>(n);
            let (a, b, c) = tress::try_join!(a.map(ok), b.map(ok), c.map(ok)).unwrap();
            a + b + c
        }))
    });
}

#[test]
fn in_branches_of_select() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    // In the end all branches have been taken.
    check_branches(&runtime, |runtime, [a, b, c], root| {
        runtime.spawn(root.polls(async {
            let (mut a, mut b, mut c) = (pin!(a.fuse()), pin!(b.fuse()), pin!(c.fuse()));
            let mut sum = 0;
            loop {
                tress::select! {
                    n = a => sum += n,
                    n = b => sum += n,
                    n = c => sum += n,
                    complete => return sum,
                }
            }
        }))
    });
}

/// The loser of a select is left where it is, and the winner's wakes do not touch it.
#[test]
fn of_the_winner_only() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (winner, loser) = (Chain::new(4), Chain::new(4));
    let task = {
        let (winner, loser) = (winner.start(), loser.start());
        runtime.spawn(async move {
            match select(pin!(loser), pin!(winner)).await {
                Either::Left(_) => panic!("the loser has won"),
                Either::Right((n, _)) => n,
            }
        })
    };
    winner.is_woken_alone(WAKES);
    winner.gate.open();
    assert_eq!(runtime.block_on(task).unwrap(), 4);
    winner.assert_complete(WAKES);
    assert!(loser.counts()[..3].iter().all(|&polls| polls <= 2), "{:?}", loser.counts());
    loser.gate.open();
    assert!(loser.gate.polls() <= 2, "a dropped frame was polled");
}

/// Wakes of a leaf do not poll the frame's parent through another leaf of the same task either.
#[test]
fn while_the_parent_waits_for_something_else_too() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (chain, own, root) = (Chain::new(3), Gate::default(), Tally::default());
    let task = {
        let (lazy, own) = (chain.start(), own.clone());
        runtime.spawn(root.clone().polls(async move { tress::join!(lazy, own.passed()).0 }))
    };
    chain.is_woken_alone(WAKES);
    assert_eq!((root.count(), own.polls()), (1, 1));
    // A wake of the root polls the branches that it holds, but a chain that was not woken has nothing to do.
    own.wake();
    wait_until(|| own.polls() == 2, "the root's own leaf was not polled");
    chain.assert_woken(WAKES);
    chain.gate.open();
    own.open();
    assert_eq!(runtime.block_on(task).unwrap(), 3);
    chain.assert_complete(WAKES);
}

/// `opaque` makes a lazy whose every poll goes through its parent, so that wrappers around it see all of them.
#[test]
fn unless_it_is_opaque() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (gate, parent, inner, root) = (Gate::default(), Tally::default(), Tally::default(), Tally::default());
    let task = {
        let leaf = lazy(inner.clone().polls(gate.passed())).opaque();
        runtime.spawn(root.clone().polls(lazy(parent.clone().polls(leaf))))
    };
    wait_until(|| gate.polls() == 1, "the leaf was not polled");
    for wake in 1..=WAKES {
        gate.wake();
        wait_until(|| gate.polls() == 1 + wake, "the leaf was not polled");
    }
    gate.open();
    runtime.block_on(task).unwrap();
    assert_eq!(inner.count(), 2 + WAKES);
    assert_eq!(parent.count(), 2 + WAKES, "polls have gone past the parent");
    // The parent itself is rooted.
    assert_eq!(root.count(), 2);
}

/// What borrows is polled through its parent.
#[test]
fn unless_it_borrows() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (gate, parent, inner) = (Gate::default(), Tally::default(), Tally::default());
    let task = {
        let (gate, inner, parent) = (gate.clone(), inner.clone(), parent.clone());
        runtime.spawn(parent.polls(async move {
            let text = String::from("borrowed");
            lazy_borrowed(inner.polls(async {
                gate.passed().await;
                text.len()
            }))
            .await
        }))
    };
    wait_until(|| gate.polls() == 1, "the leaf was not polled");
    for wake in 1..=WAKES {
        gate.wake();
        wait_until(|| gate.polls() == 1 + wake, "the leaf was not polled");
    }
    gate.open();
    assert_eq!(runtime.block_on(task).unwrap(), 8);
    assert_eq!((inner.count(), parent.count()), (2 + WAKES, 2 + WAKES));
}

/// A boxed handle is no worse than a boxed future: a wake polls it once, and its parent once.
#[test]
fn unless_its_handle_is_boxed() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (gate, parent, inner) = (Gate::default(), Tally::default(), Tally::default());
    let task = {
        let boxed = Box::pin(lazy(inner.clone().polls(gate.passed())));
        runtime.spawn(parent.clone().polls(boxed))
    };
    wait_until(|| gate.polls() == 1, "the leaf was not polled");
    for wake in 1..=WAKES {
        gate.wake();
        wait_until(|| gate.polls() == 1 + wake, "the leaf was not polled");
    }
    gate.open();
    runtime.block_on(task).unwrap();
    assert_eq!((inner.count(), parent.count()), (2 + WAKES, 2 + WAKES));
}

/// A frame that nobody wakes is not polled again, whatever goes on around it.
#[test]
fn and_no_frame_without_a_wake() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (busy, idle) = (Chain::new(2), Tally::default());
    let task = {
        let (busy, idle) = (busy.start(), idle.clone());
        runtime.spawn(async move {
            let mut idle = pin!(lazy(idle.polls(never())));
            let mut busy = pin!(busy);
            match select(idle.as_mut(), busy.as_mut()).await {
                Either::Left(_) => panic!("nothing has woken it"),
                Either::Right((n, _)) => n,
            }
        })
    };
    busy.is_woken_alone(100);
    busy.gate.open();
    assert_eq!(runtime.block_on(task).unwrap(), 2);
    assert_eq!(idle.count(), 1);
}
