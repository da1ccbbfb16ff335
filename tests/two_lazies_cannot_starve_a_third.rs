//! Two frames, or tasks, that wake each other for ever hold up nobody: not a third frame of the same task, not the
//! task's own body, not another task, not timers and sockets, and not an abort.

mod leaves;
mod support;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use leaves::Tally;
use support::{Census, Counted, block_on_foreign, runtime, wait_until, watchdog};
use tress::task::{Lazy, lazy, lazy_borrowed, yield_now};
use tress::time::sleep;

/// Two who wake each other until they are told to stop.
#[derive(Clone, Default)]
struct Rally(Arc<State>);

#[derive(Default)]
struct State {
    is_over: AtomicBool,
    wakers: Mutex<[Option<Waker>; 2]>,
    strokes: Tally,
}

impl Rally {
    /// One of the two. Whenever it is polled, it wakes the other.
    async fn play(self, player: usize, _counted: Option<Counted>) {
        poll_fn(|cx| {
            self.0.strokes.add();
            let other = {
                let mut wakers = self.0.wakers.lock().unwrap();
                wakers[player] = Some(cx.waker().clone());
                wakers[1 - player].clone()
            };
            if let Some(other) = other {
                other.wake();
            }
            if self.0.is_over.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn player(&self, player: usize) -> Lazy<'static, ()> {
        lazy(self.clone().play(player, None))
    }

    fn end(&self) {
        self.0.is_over.store(true, Ordering::Relaxed);
        let wakers = self.0.wakers.lock().unwrap().clone();
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn wait_until_it_goes_on(&self) {
        let strokes = self.0.strokes.count();
        wait_until(|| self.0.strokes.count() > strokes + 1000, "the two have stopped");
    }
}

/// Needs many polls, some timers, and others to run.
async fn work() {
    for _ in 0..1000 {
        yield_now().await;
    }
    for _ in 0..10 {
        sleep(Duration::from_millis(1)).await;
        tress::spawn(yield_now()).await.unwrap();
    }
}

#[test]
fn of_the_same_task() {
    let _watchdog = watchdog();
    for workers in [1, 2] {
        let (runtime, rally) = (runtime(workers), Rally::default());
        let ends = rally.clone();
        let third = lazy(async move {
            work().await;
            ends.end();
        });
        let (one, two) = (rally.player(0), rally.player(1));
        let task = runtime.spawn(async { tress::join!(one, two, third) });
        wait_until(|| task.is_finished(), "the third frame was starved");
        runtime.block_on(task).unwrap();
    }
}

#[test]
fn of_block_on() {
    let _watchdog = watchdog();
    let (runtime, rally) = (runtime(1), Rally::default());
    let (one, two) = (rally.player(0), rally.player(1));
    let third = async {
        lazy(work()).await;
        rally.end();
    };
    runtime.block_on(async { tress::join!(one, two, third) });
}

/// The body of the task, which awaits more than the two.
#[test]
fn that_is_their_parent() {
    let _watchdog = watchdog();
    let (runtime, rally) = (runtime(1), Rally::default());
    let task = runtime.spawn(async move {
        let mut players = pin!(async { tress::join!(rally.player(0), rally.player(1)) }.fuse());
        let mut work = pin!(work().fuse());
        loop {
            tress::select! {
                _ = players => break,
                () = work => rally.end(),
            }
        }
    });
    wait_until(|| task.is_finished(), "the parent was starved");
    runtime.block_on(task).unwrap();
}

#[test]
fn of_another_task() {
    let _watchdog = watchdog();
    for workers in [1, 2] {
        let (runtime, rally) = (runtime(workers), Rally::default());
        let (one, two) = (rally.player(0), rally.player(1));
        let players = runtime.spawn(async { tress::join!(one, two) });
        rally.wait_until_it_goes_on();
        let task = runtime.spawn(lazy(work()));
        wait_until(|| task.is_finished(), "the other task was starved");
        rally.wait_until_it_goes_on();
        rally.end();
        block_on_foreign(players).unwrap();
    }
}

#[test]
fn if_they_are_of_two_tasks() {
    let _watchdog = watchdog();
    for workers in [1, 2] {
        let (runtime, rally) = (runtime(workers), Rally::default());
        let players = [runtime.spawn(rally.player(0)), runtime.spawn(rally.player(1))];
        rally.wait_until_it_goes_on();
        let task = runtime.spawn(lazy(work()));
        wait_until(|| task.is_finished(), "the third task was starved");
        rally.wait_until_it_goes_on();
        rally.end();
        for player in players {
            block_on_foreign(player).unwrap();
        }
    }
}

/// Boxed, or borrowing: what is polled through its parent.
#[test]
fn if_they_are_not_rooted() {
    let _watchdog = watchdog();
    for workers in [1, 2] {
        let (runtime, rally) = (runtime(workers), Rally::default());
        let ends = rally.clone();
        let task = runtime.spawn(async move {
            let (one, two) = (Box::pin(ends.player(0)), lazy_borrowed(ends.clone().play(1, None)));
            let third = async {
                work().await;
                ends.end();
            };
            tress::join!(one, two, third)
        });
        wait_until(|| task.is_finished(), "the third frame was starved");
        runtime.block_on(task).unwrap();
    }
}

#[test]
fn that_is_to_be_aborted_with_them() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(1), Census::default());
    for depth in [0, 1, 40] {
        let rally = Rally::default();
        let counted = [census.count(), census.count()];
        let task = runtime.spawn({
            let rally = rally.clone();
            async move {
                let [one, two] = counted.map(Some);
                let (mut one, mut two) = (lazy(rally.clone().play(0, one)), lazy(rally.play(1, two)));
                for _ in 0..depth {
                    (one, two) = (lazy(one), lazy(two));
                }
                tress::join!(one, two)
            }
        });
        rally.wait_until_it_goes_on();
        task.abort();
        wait_until(|| task.is_finished(), "the abort was starved");
        assert!(block_on_foreign(task).unwrap_err().is_aborted());
        assert_eq!(census.alive(), 0);
    }
    let rally = Rally::default();
    let (one, two) = (census.count(), census.count());
    runtime.spawn({
        let rally = rally.clone();
        async move { tress::join!(lazy(rally.clone().play(0, Some(one))), lazy(rally.play(1, Some(two)))) }
    });
    rally.wait_until_it_goes_on();
    runtime.shutdown(Duration::from_secs(10)).unwrap();
    assert_eq!(census.alive(), 0);
}

/// Frames that wake themselves: the same, with one player.
#[test]
fn if_one_is_enough() {
    let _watchdog = watchdog();
    for workers in [1, 2] {
        let (runtime, is_over) = (runtime(workers), Arc::new(AtomicBool::new(false)));
        let busy = {
            let is_over = Arc::clone(&is_over);
            lazy(poll_fn(move |cx| {
                cx.waker().wake_by_ref();
                if is_over.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
            }))
        };
        let task = runtime.spawn(async move {
            tress::join!(busy, lazy(work()).map(|()| is_over.store(true, Ordering::Relaxed)))
        });
        wait_until(|| task.is_finished(), "the other frame was starved");
        runtime.block_on(task).unwrap();
    }
}
