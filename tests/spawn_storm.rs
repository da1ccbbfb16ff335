//! Every task that is spawned runs once and gives its output to its handle, whoever spawns it and from wherever.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{Census, Pend, Random, runtime, stress};
use tress::Handle;
use tress::task::{JoinHandle, yield_now};

/// Waits in one of the ways in which a task can wait.
async fn wait_a_little(random: &mut Random) {
    match random.below(5) {
        0 => yield_now().await,
        1 => Pend(random.below(4)).await,
        2 => tress::time::sleep(std::time::Duration::from_micros(random.below(300) as u64)).await,
        _ => {}
    }
}

#[test]
fn from_inside() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let census = Census::default();
        let tasks = 1 + random.below(2000);
        let sum = runtime.block_on(async {
            let spawn_one = |number: usize, mut random: Random| {
                let counted = census.count();
                tress::spawn(async move {
                    wait_a_little(&mut random).await;
                    drop(counted);
                    number
                })
            };
            let handles: Vec<_> = (0..tasks).map(|number| spawn_one(number, random.fork())).collect();
            let mut sum = 0;
            for handle in handles {
                sum += handle.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, tasks * (tasks - 1) / 2);
        assert_eq!(census.made(), tasks);
        assert_eq!(census.alive(), 0);
    });
}

#[test]
fn from_foreign_threads() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let ran = Arc::new(AtomicUsize::new(0));
        let tasks = 1 + random.below(500);
        let handles: Vec<JoinHandle<usize>> = std::thread::scope(|scope| {
            let spawner = |handle: Handle, mut random: Random| {
                let ran = Arc::clone(&ran);
                move || {
                    let spawn_one = |number| {
                        let (ran, mut random) = (Arc::clone(&ran), random.fork());
                        handle.spawn(async move {
                            wait_a_little(&mut random).await;
                            ran.fetch_add(1, Ordering::Relaxed);
                            number
                        })
                    };
                    (0..tasks).map(spawn_one).collect::<Vec<_>>()
                }
            };
            let threads: Vec<_> =
                (0..3).map(|_| scope.spawn(spawner(runtime.handle().clone(), random.fork()))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let sum = runtime.block_on(async {
            let mut sum = 0;
            for handle in handles {
                sum += handle.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 3 * tasks * (tasks - 1) / 2);
        assert_eq!(ran.load(Ordering::Relaxed), 3 * tasks);
    });
}

#[test]
fn in_trees() {
    fn tree(depth: usize, mut random: Random) -> JoinHandle<usize> {
        tress::spawn(async move {
            if depth == 0 {
                return 1;
            }
            wait_a_little(&mut random).await;
            let (left, right) = (tree(depth - 1, random.fork()), tree(depth - 1, random.fork()));
            left.await.unwrap() + right.await.unwrap()
        })
    }
    stress(|workers, random| {
        let runtime = runtime(workers);
        let depth = random.below(11);
        let leaves = runtime.block_on(async { tree(depth, random.fork()).await.unwrap() });
        assert_eq!(leaves, 1 << depth);
        support::wait_until(|| runtime.handle().metrics().live_tasks() == 0, "tasks were left");
    });
}

#[test]
fn in_chains_of_detached_tasks() {
    fn link(left: usize, ran: Arc<AtomicUsize>, mut random: Random) {
        drop(tress::spawn(async move {
            wait_a_little(&mut random).await;
            ran.fetch_add(1, Ordering::Relaxed);
            if left > 0 {
                link(left - 1, ran, random);
            }
        }));
    }
    stress(|workers, random| {
        let runtime = runtime(workers);
        let ran = Arc::new(AtomicUsize::new(0));
        let (chains, links) = (1 + random.below(8), random.below(200));
        let guard = runtime.enter();
        for _ in 0..chains {
            link(links, Arc::clone(&ran), random.fork());
        }
        drop(guard);
        let all = chains * (links + 1);
        support::wait_until(|| ran.load(Ordering::Relaxed) == all, "a task did not run");
    });
}
