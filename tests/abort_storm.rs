//! Whatever an abort meets (a task that is queued, running, parked, complete), the task's future and output are each
//! dropped once, and the handle gives either the output or an error that says "aborted".

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::{Census, Pend, Random, runtime, stress};
use tress::task::{AbortHandle, yield_now};

async fn live_a_while(mut random: Random) {
    for _ in 0..random.below(4) {
        match random.below(6) {
            0 => yield_now().await,
            1 => Pend(random.below(20)).await,
            2 => tress::time::sleep(Duration::from_micros(random.below(500) as u64)).await,
            3 => std::future::pending().await,
            4 => drop(tress::spawn(async {}).await),
            _ => support::burn(Duration::from_micros(random.below(30) as u64)),
        }
    }
}

#[test]
fn everything_is_dropped_once() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let (futures, outputs) = (Census::default(), Census::default());
        let (mut handles, mut aborts) = (Vec::new(), Vec::new());
        for _ in 0..1 + random.below(500) {
            let (future, outputs, random) = (futures.count(), outputs.clone(), random.fork());
            let task = runtime.spawn(async move {
                live_a_while(random).await;
                drop(future);
                outputs.count()
            });
            aborts.push(task.abort_handle());
            handles.push(task);
        }
        let aborter = |mut aborts: Vec<AbortHandle>, mut random: Random| {
            move || {
                while !aborts.is_empty() {
                    let abort = aborts.swap_remove(random.below(aborts.len()));
                    abort.abort();
                    if random.once_in(8) {
                        std::thread::yield_now();
                    }
                }
            }
        };
        let detached = handles.split_off(handles.len() / 2);
        let kept = handles.len();
        let (ended, aborted) = std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(aborter(aborts.clone(), random.fork()));
            }
            drop(detached);
            runtime.block_on(async {
                let (mut ended, mut aborted) = (0, 0);
                for handle in handles {
                    match handle.await {
                        Ok(_output) => ended += 1,
                        Err(error) if error.is_aborted() => aborted += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
                (ended, aborted)
            })
        });
        assert_eq!(ended + aborted, kept);
        support::wait_until(|| aborts.iter().all(AbortHandle::is_finished), "a task was left");
        futures.wait_until_empty();
        outputs.wait_until_empty();
        support::wait_until(|| runtime.handle().metrics().live_tasks() == 0, "a task was counted as alive");
    });
}

/// Tasks abort each other, and themselves.
#[test]
fn by_other_tasks() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let census = Census::default();
        let board: Arc<std::sync::Mutex<Vec<AbortHandle>>> = Arc::default();
        let survivors = Arc::new(AtomicUsize::new(0));
        for _ in 0..200 {
            let counted = census.count();
            let (board_of_all, survivors, mut random) =
                (Arc::clone(&board), Arc::clone(&survivors), random.fork());
            let task = runtime.spawn(async move {
                let _counted = counted;
                for _ in 0..random.below(6) {
                    live_a_while(random.fork()).await;
                    let victim = {
                        let board = board_of_all.lock().unwrap();
                        board.get(random.below(board.len().max(1))).cloned()
                    };
                    if let Some(victim) = victim {
                        victim.abort();
                    }
                }
                survivors.fetch_add(1, Ordering::Relaxed);
            });
            board.lock().unwrap().push(task.abort_handle());
        }
        for task in board.lock().unwrap().iter() {
            task.abort();
        }
        census.wait_until_empty();
        assert!(survivors.load(Ordering::Relaxed) <= 200);
    });
}
