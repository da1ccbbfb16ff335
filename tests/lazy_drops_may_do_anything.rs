//! What a frame holds may do anything in its drop: drop other frames, spawn, abort its own task, block, drop its runtime, and that of others.

mod leaves;
mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use leaves::{Tally, poll_once};
use support::{Census, Counted, Random, block_on_foreign, runtime, stress, wait_until};
use tress::task::{AbortHandle, JoinHandle, Lazy, block_in_place, lazy, yield_now};
use tress::{Handle, Runtime};

/// What many share, and each may take away from the others.
#[derive(Default)]
struct World {
    boxed: Mutex<Vec<std::pin::Pin<Box<Lazy<'static, ()>>>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    aborts: Mutex<Vec<AbortHandle>>,
    wakers: Mutex<Vec<Waker>>,
    runtimes: Mutex<Vec<Runtime>>,
    drops: Tally,
}

/// Does something to the world when it is dropped, in a task or out of it.
struct Meddler {
    world: Arc<World>,
    random: Random,
    handle: Handle,
    _counted: Counted,
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.world.drops.add();
        let world = &*self.world;
        match self.random.below(10) {
            0 => {
                let taken = world.boxed.lock().unwrap().pop();
                drop(taken);
            }
            1 => {
                let taken = world.boxed.lock().unwrap().pop();
                if let Some(mut boxed) = taken
                    && boxed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
                {
                    world.boxed.lock().unwrap().push(boxed);
                }
            }
            2 => {
                let taken = world.tasks.lock().unwrap().pop();
                drop(taken);
            }
            3 => {
                // What is aborted may be dropped at once, and do the same: not under the lock.
                let aborts = world.aborts.lock().unwrap().clone();
                aborts.iter().for_each(AbortHandle::abort);
            }
            4 => {
                let wakers: Vec<_> = world.wakers.lock().unwrap().drain(..).collect();
                wakers.into_iter().for_each(Waker::wake);
            }
            5 => {
                let task = self.handle.spawn(lazy(yield_now()));
                world.tasks.lock().unwrap().push(task);
            }
            6 => block_on_foreign(lazy(yield_now())),
            7 if tress::task::try_id().is_some() => {
                // In a task, also while it is dropped.
                block_in_place(|| self.handle.block_on(async { lazy(yield_now()).await }));
            }
            8 => {
                let taken = world.runtimes.lock().unwrap().pop();
                if let Some(runtime) = taken {
                    let held = lazy(leaves::never());
                    drop(runtime.spawn(held));
                    drop(runtime);
                }
            }
            _ => {
                let mut local = pin!(Some(lazy(yield_now())));
                let polled =
                    local.as_mut().as_pin_mut().unwrap().poll(&mut Context::from_waker(Waker::noop()));
                assert!(polled.is_pending());
                thread::scope(|scope| scope.spawn(|| local.set(None)).join().unwrap());
            }
        }
    }
}

/// A tree whose frames each hold a meddler, and leave their wakers to the others.
fn tree(
    depth: usize,
    mut random: Random,
    world: &Arc<World>,
    census: &Census,
    handle: &Handle,
) -> Lazy<'static, ()> {
    let meddler = Meddler {
        world: Arc::clone(world),
        random: random.fork(),
        handle: handle.clone(),
        _counted: census.count(),
    };
    let children = if depth == 0 { 0 } else { random.below(3) };
    let mut child = || tree(depth - 1, random.fork(), world, census, handle);
    let (one, two) = ((children > 0).then(&mut child), (children > 1).then(&mut child));
    let (ends, world) = (random.below(4), Arc::clone(world));
    lazy(async move {
        let _meddler = meddler;
        let (mut one, mut two) = (pin!(one), pin!(two));
        for _ in 0..3 {
            for mut slot in [one.as_mut(), two.as_mut()] {
                if let Some(child) = slot.as_mut().as_pin_mut()
                    && poll_once(child).await.is_ready()
                {
                    slot.set(None);
                }
            }
            std::future::poll_fn(|cx| {
                world.wakers.lock().unwrap().push(cx.waker().clone());
                Poll::Ready(())
            })
            .await;
            yield_now().await;
        }
        match ends {
            0 => leaves::never().await,
            1 => one.set(None),
            _ => {}
        }
    })
}

#[test]
fn in_a_storm() {
    stress(|workers, random| {
        let (census, world) = (Census::default(), Arc::new(World::default()));
        let main = runtime(workers);
        world.runtimes.lock().unwrap().extend((0..2).map(|_| runtime(1)));
        for _ in 0..10 {
            let mut tree = || tree(3, random.fork(), &world, &census, main.handle());
            let (one, two, boxed) = (tree(), tree(), Box::pin(tree()));
            world.boxed.lock().unwrap().push(boxed);
            let other = world.runtimes.lock().unwrap().last().map(|runtime| runtime.handle().clone());
            let one = other.unwrap_or_else(|| main.handle().clone()).spawn(one);
            let two = main.spawn(two);
            world.aborts.lock().unwrap().extend([one.abort_handle(), two.abort_handle()]);
            world.tasks.lock().unwrap().extend([one, two]);
            let tree = tree();
            main.block_on(async move {
                let mut tree = pin!(tree);
                for _ in 0..2 {
                    if poll_once(tree.as_mut()).await.is_ready() {
                        break;
                    }
                    yield_now().await;
                }
            });
        }
        main.shutdown(std::time::Duration::from_secs(30)).unwrap();
        // Each of these may do something to the others.
        loop {
            let boxed = std::mem::take(&mut *world.boxed.lock().unwrap());
            let tasks = std::mem::take(&mut *world.tasks.lock().unwrap());
            let runtimes = std::mem::take(&mut *world.runtimes.lock().unwrap());
            let wakers = std::mem::take(&mut *world.wakers.lock().unwrap());
            world.aborts.lock().unwrap().clear();
            if boxed.is_empty() && tasks.is_empty() && runtimes.is_empty() && wakers.is_empty() {
                break;
            }
            drop((boxed, tasks, runtimes, wakers));
        }
        wait_until(|| census.alive() == 0, "not everything was dropped");
    });
}
