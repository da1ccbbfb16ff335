//! Random trees of lazies, woken in any order and from anywhere, give what plain recursion says they may give; and all
//! that they made is dropped, once.

mod leaves;
mod support;
mod trees;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::Waker;
use std::thread;

use futures_util::FutureExt;
use leaves::{Gate, Tally};
use support::{Census, Random, runtime, stress, without_panic_messages};
use trees::{Boxes, Forester, Frames, Lazies, Node, Outcome, Output, Soil, Thrown, grow, outcomes};
use tress::task::yield_now;

/// How many trees there are for each number of workers, at least.
const TREES: usize = if cfg!(debug_assertions) { 1_000 } else { 34_000 };

/// How many are grown at once.
const WOOD: usize = 100;

fn outcome(result: thread::Result<Output>) -> Outcome {
    match result {
        Ok(Ok(token)) => Outcome::Value(token.0),
        Ok(Err(error)) => Outcome::Error(error),
        Err(payload) => match payload.downcast::<Thrown>() {
            Ok(thrown) => Outcome::Panic(thrown.0),
            Err(other) => std::panic::resume_unwind(other),
        },
    }
}

/// Gates that are still to be opened, by several threads and tasks at once.
#[derive(Default)]
struct Closed {
    gates: Mutex<Vec<Gate>>,
    changed: Condvar,
    stale: Mutex<Vec<Waker>>,
}

impl Closed {
    fn add(&self, gates: impl IntoIterator<Item = Gate>) {
        self.gates.lock().unwrap().extend(gates);
        self.changed.notify_all();
    }

    /// Opens one, or only wakes those who wait for it, or wakes somebody who may be long gone.
    fn touch(&self, random: &mut Random) -> bool {
        let (gate, is_last) = {
            let mut gates = self.gates.lock().unwrap();
            if gates.is_empty() {
                return false;
            }
            let (at, is_last) = (random.below(gates.len()), random.once_in(2));
            (if is_last { gates.swap_remove(at) } else { gates[at].clone() }, is_last)
        };
        match random.below(4) {
            0 => gate.wake(),
            1 => {
                let mut stale = self.stale.lock().unwrap();
                stale.extend(gate.wakers());
                let excess = stale.len().saturating_sub(100);
                let old: Vec<_> = stale.drain(..excess).collect();
                drop(stale);
                old.into_iter().for_each(Waker::wake);
            }
            _ => {}
        }
        if is_last {
            gate.open();
        }
        true
    }

    fn keep_touching(&self, random: &mut Random, is_over: &Tally) {
        while is_over.count() == 0 {
            if !self.touch(random) {
                let gates = self.gates.lock().unwrap();
                if gates.is_empty() && is_over.count() == 0 {
                    let patience = std::time::Duration::from_millis(1);
                    drop(self.changed.wait_timeout(gates, patience).unwrap());
                }
            }
        }
    }
}

#[test]
fn in_any_order() {
    without_panic_messages(|| {
        stress(|workers, random| {
            let (runtime, census) = (runtime(workers), Census::default());
            let (closed, is_over) = (Arc::new(Closed::default()), Tally::default());
            thread::scope(|scope| {
                for _ in 0..2 {
                    let (closed, is_over, mut random) = (&closed, &is_over, random.fork());
                    scope.spawn(move || closed.keep_touching(&mut random, is_over));
                }
                let helper = runtime.spawn({
                    let (closed, mut random) = (Arc::clone(&closed), random.fork());
                    async move {
                        loop {
                            closed.touch(&mut random);
                            yield_now().await;
                        }
                    }
                });
                let end = AddOnDrop(&is_over);
                for _ in 0..TREES / WOOD {
                    grow_wood(&runtime, &census, &closed, random);
                    census.wait_until_empty();
                }
                drop(end);
                helper.abort();
                closed.stale.lock().unwrap().drain(..).for_each(Waker::wake);
            });
        });
    });
}

struct AddOnDrop<'a>(&'a Tally);

impl Drop for AddOnDrop<'_> {
    fn drop(&mut self) {
        self.0.add();
    }
}

/// Some trees at once: as tasks, in tasks, and one in `block_on`; a few are aborted.
fn grow_wood(runtime: &tress::Runtime, census: &Census, closed: &Closed, random: &mut Random) {
    let mut tasks = Vec::new();
    for number in 0..WOOD {
        let (node, gates) = plant(random, true);
        let expected = outcomes(&node);
        let soil = Soil { census: census.clone(), gates: gates.clone(), log: None };
        let tree = grow::<Lazies>(node, 1, &soil);
        if number == 0 {
            closed.add(gates.iter().cloned());
            let output = catch_unwind(AssertUnwindSafe(|| runtime.block_on(tree)));
            let output = outcome(output);
            assert!(expected.contains(&output), "{output:?} is none of {expected:?}");
            continue;
        }
        let task = match random.below(3) {
            0 => runtime.spawn(tree),
            1 => runtime.spawn(async { pin!(tree).await }),
            _ => runtime.spawn(Box::pin(tree)),
        };
        if random.once_in(2) {
            thread::yield_now();
        }
        closed.add(gates.iter().cloned());
        if random.once_in(16) {
            task.abort();
            tasks.push((task, None));
        } else {
            tasks.push((task, Some(expected)));
        }
    }
    for (task, expected) in tasks {
        match (runtime.block_on(task), expected) {
            (Err(error), None) if error.is_aborted() => {}
            (_, None) => {}
            (result, Some(expected)) => {
                let output = outcome(result.map_err(tress::task::JoinError::into_panic));
                assert!(expected.contains(&output), "{output:?} is none of {expected:?}");
            }
        }
    }
}

/// A tree, and its gates.
fn plant(random: &mut Random, has_tasks: bool) -> (Node, Arc<[Gate]>) {
    let depth = 1 + random.below(4);
    let mut forester = Forester { random: random.fork(), gates: 0, has_tasks };
    let node = forester.tree(depth);
    (node, (0..forester.gates).map(|_| Gate::default()).collect())
}

/// Step by step, trees of lazies do what trees of boxes do: after each gate, the same parts have started, ended, and
/// been dropped.
#[test]
fn step_by_step() {
    without_panic_messages(|| {
        stress(|_, random| {
            let runtime = runtime(1);
            for _ in 0..TREES / 10 {
                let seed = random.next();
                let [lazies, boxes] = [steps::<Lazies>(&runtime, seed), steps::<Boxes>(&runtime, seed)];
                assert_eq!(lazies, boxes, "the seed of this tree is {seed}");
            }
        });
    });
}

/// What happens after each step, sorted, and what comes out at last.
fn steps<F: Frames>(runtime: &tress::Runtime, seed: u64) -> (Vec<Vec<String>>, Option<Outcome>) {
    let mut random = Random(seed);
    let (node, gates) = plant(&mut random, false);
    let expected = outcomes(&node);
    let census = Census::default();
    let log = Arc::new(Mutex::new(Vec::new()));
    let soil = Soil { census: census.clone(), gates: gates.clone(), log: Some(Arc::clone(&log)) };
    let mut steps = Vec::new();
    let output = runtime.block_on(async {
        let mut order: Vec<_> = gates.iter().collect();
        for at in (1..order.len()).rev() {
            order.swap(at, random.below(at + 1));
        }
        // Now and then, the tree is dropped before its end.
        let last = if random.once_in(4) { random.below(order.len() + 1) } else { order.len() };
        let mut tree = pin!(Some(AssertUnwindSafe(grow::<F>(node, 1, &soil)).catch_unwind()));
        let mut output = None;
        for step in 0..=last {
            // Each turn, whoever was woken is polled, and those above in the turns that follow.
            for _ in 0..TURNS {
                if output.is_none() {
                    let tree = tree.as_mut().as_pin_mut().expect("it is dropped below");
                    if let std::task::Poll::Ready(ready) = leaves::poll_once(tree).await {
                        output = Some(outcome(ready));
                    }
                }
                yield_now().await;
            }
            steps.push(log.lock().unwrap().drain(..).collect::<Vec<_>>());
            if let Some(gate) = order.get(step)
                && step < last
            {
                gate.open();
            }
        }
        tree.set(None);
        steps.push(log.lock().unwrap().drain(..).collect());
        output
    });
    assert_eq!(census.alive(), 0);
    assert!(output.is_none_or(|output| expected.contains(&output)), "{output:?} is none of {expected:?}");
    assert!(log.lock().unwrap().is_empty());
    steps.iter_mut().for_each(|step| step.sort());
    (steps, output)
}

/// More than a tree is deep.
const TURNS: usize = 24;
