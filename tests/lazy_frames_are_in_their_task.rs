//! A frame that is polled by itself, after a wake, finds what its task has: its id, its runtime, its share of time.

mod leaves;
mod support;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use leaves::{Gate, Tally, poll_once};
use support::{Pend, block_on_foreign, runtime, wait_until, watchdog};
use tress::task::coop::consume_budget;
use tress::task::{self, Lazy, block_in_place, lazy, lazy_borrowed, yield_now};
use tress::time::sleep;
use tress::{Handle, spawn};

/// Looks around after the gate, below so many other frames.
fn below<T: Send + 'static>(
    depth: usize,
    gate: &Gate,
    look: impl Fn() -> T + Send + 'static,
) -> Lazy<'static, T> {
    let gate = gate.clone();
    let last = lazy(async move {
        gate.passed().await;
        look()
    });
    (0..depth).fold(last, |below, _| lazy(below))
}

#[test]
fn by_its_id() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for depth in [0, 1, 5, 50] {
        let gate = Gate::default();
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let frame = below(depth, &gate, task::try_id);
                runtime.spawn(async move {
                    let own = task::id();
                    let found = frame.await;
                    assert_eq!(task::id(), own);
                    (own, found)
                })
            })
            .collect();
        wait_until(|| gate.polls() == 4, "not all have come");
        gate.open();
        for handle in tasks {
            let id = handle.id();
            assert_eq!(runtime.block_on(handle).unwrap(), (id, Some(id)));
        }
    }
    // Nobody's.
    assert_eq!(block_on_foreign(lazy(async { task::try_id() })), None);
    // Of whoever polls it, and not of the one that it was started in.
    let gate = Gate::default();
    let mut boxed = Box::pin(below(3, &gate, task::try_id));
    let started = runtime.spawn(async move {
        assert!(poll_once(boxed.as_mut()).await.is_pending());
        [boxed]
    });
    let [boxed] = runtime.block_on(started).unwrap();
    let finished = runtime.spawn(boxed);
    gate.open();
    let id = finished.id();
    assert_eq!(runtime.block_on(finished).unwrap(), Some(id));
}

#[test]
fn by_its_runtime() {
    let _watchdog = watchdog();
    let (one, two) = (runtime(1), runtime(2));
    let gate = Gate::default();
    let look = || Handle::current().metrics().workers().len();
    let spawned = runtime_of(&one, below(4, &gate, look), &gate);
    assert_eq!(spawned, 1);
    let gate = Gate::default();
    assert_eq!(runtime_of(&two, below(4, &gate, look), &gate), 2);
}

fn runtime_of(runtime: &tress::Runtime, frame: Lazy<'static, usize>, gate: &Gate) -> usize {
    let task = runtime.spawn(frame);
    wait_until(|| gate.polls() > 0, "it was not polled");
    gate.open();
    // Not on this thread.
    block_on_foreign(task).unwrap()
}

/// What needs a runtime works in a frame that was woken by itself.
#[test]
fn to_do_all_that_a_task_may_do() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for depth in [0, 1, 50] {
        let gate = Gate::default();
        let leaf = gate.clone();
        let last = lazy(async move {
            leaf.passed().await;
            sleep(Duration::from_millis(1)).await;
            assert_eq!(spawn(lazy(async { 5 })).await.unwrap(), 5);
            assert_eq!(block_in_place(|| 6), 6);
            assert_eq!(block_in_place(|| Handle::current().block_on(lazy(async { 7 }))), 7);
            assert_eq!(task::spawn_blocking(|| 8).await.unwrap(), 8);
            let listener = tress::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tress::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let own = task::id();
            let inner = lazy_borrowed(async {
                yield_now().await;
                own == task::id()
            });
            assert!(inner.await);
            9
        });
        let task = runtime.spawn((0..depth).fold(last, |below, _| lazy(below)));
        wait_until(|| gate.polls() > 0, "it was not polled");
        gate.open();
        assert_eq!(runtime.block_on(task).unwrap(), 9);
    }
}

/// Frames that are always ready, and ask for leave to go on: they get it, and others get their turn in between.
#[test]
fn to_get_its_share_of_time() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let turns = Tally::default();
    let other = {
        let turns = turns.clone();
        runtime.spawn(async move {
            loop {
                turns.add();
                yield_now().await;
            }
        })
    };
    let greedy = |times| {
        lazy(async move {
            for _ in 0..times {
                lazy(consume_budget()).await;
                consume_budget().await;
            }
        })
    };
    wait_until(|| turns.count() > 0, "the other task has not begun");
    let before = turns.count();
    let task = runtime.spawn(async move {
        tress::join!(greedy(10_000), lazy(greedy(10_000)), Box::pin(greedy(10_000)), greedy(10_000).opaque());
    });
    block_on_foreign(task).unwrap();
    assert!(turns.count() > before + 10, "the other task was starved");
    other.abort();
    // The same without anybody else.
    block_on_foreign(runtime.spawn(greedy(100_000))).unwrap();
    runtime.block_on(greedy(100_000));
    block_on_foreign(greedy(1_000));
}

/// Frames of one task never run at the same time, whoever wakes them.
#[test]
fn and_never_beside_it() {
    let _watchdog = watchdog();
    let runtime = runtime(4);
    let gates: Vec<_> = (0..8).map(|_| Gate::default()).collect();
    let inside = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let is_over = Tally::default();
    let task = {
        let frames: Vec<_> = gates
            .iter()
            .map(|gate| {
                let (gate, inside) = (gate.clone(), Arc::clone(&inside));
                lazy(std::future::poll_fn(move |cx| {
                    assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                    support::burn(Duration::from_micros(5));
                    inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    gate.poll(cx)
                }))
            })
            .collect();
        runtime.spawn(async move {
            let mut frames = frames.into_iter();
            let mut next = || frames.next().unwrap();
            tress::join!(next(), next(), next(), next(), lazy(next()), lazy(next()), next(), next());
            let mut pended = pin!(lazy(Pend(3)).fuse());
            pended.as_mut().await;
        })
    };
    std::thread::scope(|scope| {
        for half in gates.chunks(4) {
            let is_over = &is_over;
            scope.spawn(move || {
                while is_over.count() == 0 {
                    half.iter().for_each(Gate::wake);
                }
            });
        }
        wait_until(|| gates.iter().all(|gate| gate.polls() > 100), "a frame was starved");
        gates.iter().for_each(Gate::open);
        is_over.add();
    });
    runtime.block_on(task).unwrap();
}
