//! A worker that is handed over to a joiner is lost to nobody: whatever becomes of the joiner meanwhile, each one ends, once.

mod support;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use support::{Census, Pend, Random, block_on_foreign, runtime, stress, wait_until};
use tress::Handle;
use tress::task::{AbortHandle, JoinHandle, block_in_place, lazy, yield_now};

/// What the tasks of one round share.
struct World {
    handles: [Handle; 2],
    aborts: Mutex<Vec<AbortHandle>>,
    census: Census,
}

/// A task that joins others in one way or another, each of which does so too.
fn join_others(
    depth: usize,
    mut random: Random,
    world: Arc<World>,
) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        let counted = world.census.count();
        if depth == 0 {
            Pend(random.below(2)).await;
            return 1;
        }
        let mut spawn = || {
            // Now and then on the other runtime.
            let handle = &world.handles[usize::from(random.once_in(8))];
            let task = handle.spawn(join_others(depth - 1, random.fork(), Arc::clone(&world)));
            if random.once_in(4) {
                world.aborts.lock().unwrap().push(task.abort_handle());
            }
            task
        };
        let (one, two): (JoinHandle<usize>, JoinHandle<usize>) = (spawn(), spawn());
        let sum = |ended: [Result<usize, tress::task::JoinError>; 2]| -> usize {
            ended.into_iter().map(|ended| ended.unwrap_or(0)).sum()
        };
        let ended = match random.below(8) {
            0 => [one.await, two.await],
            1 => tress::join!(one, two).into(),
            2 => tress::join!(lazy(one), lazy(async move { lazy(two).await })).into(),
            3 => {
                let both: FuturesUnordered<_> = [one, two].into_iter().collect();
                return sum(both.collect::<Vec<_>>().await.try_into().unwrap());
            }
            // The worker gives away what it has.
            4 => {
                block_in_place(|| block_on_foreign(Pend(3)));
                [one.await, lazy(two).await]
            }
            5 => {
                drop(one);
                [Ok(0), two.await]
            }
            6 => {
                let aborts = std::mem::take(&mut *world.aborts.lock().unwrap());
                aborts.iter().for_each(AbortHandle::abort);
                [one.await, two.await]
            }
            // Whoever comes first, and then perhaps nobody.
            _ => {
                let mut both: FuturesUnordered<_> =
                    [lazy(one), lazy(two)].into_iter().map(Box::pin).collect();
                let first = both.next().await.unwrap();
                yield_now().await;
                drop(both);
                [first, Ok(0)]
            }
        };
        drop(counted);
        sum(ended)
    })
}

#[test]
fn in_a_storm() {
    stress(|workers, random| {
        let (here, there) = (runtime(workers), runtime(1));
        let census = Census::default();
        let handles = [here.handle().clone(), there.handle().clone()];
        let world = Arc::new(World { handles, aborts: Mutex::default(), census: census.clone() });
        let mut spawn = || {
            let handle = world.handles[random.below(2)].clone();
            handle.spawn(join_others(random.below(6), random.fork(), Arc::clone(&world)))
        };
        let tasks: Vec<_> = (0..4).map(|_| spawn()).collect();
        for task in tasks {
            assert!(block_on_foreign(task).is_ok());
        }
        let (one, two) = (spawn(), spawn());
        assert!(here.block_on(async { tress::join!(one, lazy(two)) }).0.is_ok());
        // The runtimes end while others are in the middle of it.
        let tasks: Vec<_> = (0..4).map(|_| spawn()).collect();
        if random.once_in(2) {
            std::thread::sleep(Duration::from_micros(random.below(500) as u64));
        }
        let _ = there.shutdown(Duration::from_secs(30));
        let _ = here.shutdown(Duration::from_secs(30));
        for task in tasks {
            let _ = block_on_foreign(task);
        }
        world.aborts.lock().unwrap().clear();
        wait_until(|| census.alive() == 0, "a task was lost");
    });
}
