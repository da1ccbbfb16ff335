//! How a pool begins.

use std::io;
use std::thread;

use super::config::{Config, Hooks};
use super::local::Local;
use super::parker::Parker;
use super::pool::{GUESTS, Pool, PoolOwner, PoolRef};
use super::remote::{Remote, Rouser};
use super::shutdown::Threads;
use crate::blocking::BlockingPool;
use crate::context;
use crate::executor::Runnable;
use crate::primitive::deque::Worker as Deque;
use crate::primitive::sync::Arc;
use crate::reactor::Reactor;
use crate::time::TimeDriver;

/// Makes a pool and starts its workers, which are called by these names.
pub(crate) fn start(
    config: Config,
    hooks: Hooks,
    names: Vec<String>,
    threads: &Arc<Threads>,
) -> io::Result<PoolRef> {
    let mut remotes = Vec::with_capacity(config.workers + GUESTS);
    let mut queues = Vec::with_capacity(config.workers);
    for index in 0..config.workers {
        let queue: Deque<Runnable> = Deque::new_fifo();
        let reactor = Reactor::new(index)?;
        let parker = Arc::new(Parker::new());
        let timers = TimeDriver::new(rouse(&parker, &reactor));
        remotes.push(Remote::new(queue.stealer(), parker, Rouser::Worker { reactor, timers }));
        queues.push(queue);
    }
    let mut guests = Vec::with_capacity(GUESTS);
    for index in config.workers..config.workers + GUESTS {
        let queue: Deque<Runnable> = Deque::new_fifo();
        remotes.push(Remote::new(queue.stealer(), Arc::new(Parker::new()), Rouser::Guest));
        guests.push((index, queue));
    }
    let blocking = BlockingPool::new(&config, threads);
    let pool = PoolOwner::new(Pool::new(config, remotes, guests, blocking), hooks);
    for (index, (queue, name)) in queues.into_iter().zip(names).enumerate() {
        if let Err(error) = start_worker(&pool, index, name, queue, threads) {
            pool.close();
            threads.wait(0, None);
            return Err(error);
        }
    }
    Ok(pool)
}

/// Makes a worker that sleeps look at its timers again. The worker itself, being awake, will do so anyway.
fn rouse(parker: &Arc<Parker>, reactor: &Arc<Reactor>) -> Box<dyn Fn() + Send + Sync> {
    let (parker, reactor) = (Arc::clone(parker), Arc::clone(reactor));
    Box::new(move || {
        if !context::is_own_parker(&parker) && parker.notify() {
            reactor.unpark();
        }
    })
}

fn start_worker(
    pool: &PoolRef,
    index: usize,
    name: String,
    queue: Deque<Runnable>,
    threads: &Arc<Threads>,
) -> io::Result<()> {
    let mut builder = thread::Builder::new().name(name);
    if let Some(stack_size) = pool.config.stack_size {
        builder = builder.stack_size(stack_size);
    }
    threads.add();
    let worker_pool = PoolRef::clone(pool);
    let worker_threads = Arc::clone(threads);
    let started = builder.spawn(move || {
        // Declared first, dropped last: the thread counts until everything else of it is gone.
        let _counted = worker_threads.enter();
        let local = Local::new(worker_pool, index, queue);
        run(&local);
    });
    if let Err(error) = started {
        threads.remove();
        let kind = error.kind();
        let stack = pool
            .config
            .stack_size
            .map_or_else(String::new, |bytes| format!(" with a thread_stack_size of {bytes} bytes"));
        return Err(io::Error::new(
            kind,
            format!("worker thread {index} could not be started{stack}: {error}"),
        ));
    }
    Ok(())
}

/// A worker thread's life.
fn run(local: &Local) {
    // A shutdown in a hook, or in what the thread drops, must not wait for this thread.
    let _mark = context::mark_serving(local.pool.data().addr());
    if local.pool.config.pin {
        pin_to_core(local.index);
    }
    let hooks = &local.pool.hooks;
    Hooks::call(hooks.on_start.as_ref());
    context::run_as_worker(local, || local.run_worker());
    Hooks::call(hooks.on_stop.as_ref());
}

/// Binds the thread to one of the cores that the process may use.
fn pin_to_core(index: usize) {
    let Some(cores) = core_affinity::get_core_ids() else { return };
    if let Some(core) = cores.get(index % cores.len().max(1)) {
        // A system that refuses leaves the thread where it is: pinning is a wish.
        core_affinity::set_for_current(*core);
    }
}
