//! Loom models of the scheduler: sleeping and waking, the next-task slot, closing, and the watch.
//!
//! Most run the real pool and its workers' real loop, on the reactor's and the queues' stand-ins. The clock stands still
//! and a nap never ends (see [`clock`](crate::primitive::clock) and the reactor's stand-in), so that nothing but the idle
//! protocol saves a wake: a wake that is lost is a deadlock, which loom reports.
//!
//! What needs a fence is explored with a *bare* injector (see [`deque`](crate::primitive::deque)): a lock would stand in
//! for it.
//!
//! Each model has been seen to fail on a broken variant; those are kept as `scheduler-*.patch` in `ci/mutants`.
#![expect(unsafe_code, reason = "a hand-made runnable")]

mod closing;
mod idle;
mod look;
mod next_task;
mod watch;
mod workers;

use std::ptr::{self, NonNull};
use std::time::Duration;

use loom::sync::Notify;
use loom::thread;

use super::config::{Config, Hooks};
use super::local::Local;
use super::parker::Parker;
use super::pool::{Pool, PoolOwner, PoolRef};
use super::remote::{Remote, Rouser};
use super::shutdown::Threads;
use crate::blocking::BlockingPool;
use crate::context;
use crate::executor::{Header, Runnable, RunnableVtable, Transfer};
use crate::primitive::cell::UnsafeCell;
use crate::primitive::deque::Worker as Deque;
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use crate::reactor::Reactor;
use crate::time::TimeDriver;

/// For the model's own books, which loom need not explore.
#[expect(clippy::disallowed_types, reason = "unseen by loom on purpose")]
type Count = std::sync::atomic::AtomicUsize;

/// What has become of a model's items.
struct Books {
    ran: Count,
    cancelled: Count,
    /// Told of each item that ends.
    ended: Notify,
}

impl Books {
    fn new() -> Arc<Self> {
        Arc::new(Self { ran: Count::new(0), cancelled: Count::new(0), ended: Notify::new() })
    }

    /// Makes a runnable that is entered here when it has been run or cancelled.
    fn item(books: &Arc<Self>) -> Runnable {
        let vtable = NonNull::from(&ITEM);
        let header = Header { state: AtomicUsize::new(0), link: AtomicPtr::new(ptr::null_mut()), vtable };
        let item = Item { header, books: books.clone(), content: UnsafeCell::new(0) };
        // SAFETY: loom checks that nobody else is at it.
        item.content.with_mut(|content| unsafe { *content = 1 });
        // SAFETY: the box is valid until the runnable is used up, and this is the only one.
        unsafe { Runnable::from_raw(NonNull::from(Box::leak(Box::new(item))).cast()) }
    }

    fn ran(&self) -> usize {
        self.ran.load(Ordering::Relaxed)
    }

    fn cancelled(&self) -> usize {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Sleeps until so many items have been run.
    fn wait_until_ran(&self, count: usize) {
        while self.ran() < count {
            self.ended.wait();
        }
    }
}

/// What stands behind a model's runnables.
#[repr(C)]
struct Item {
    header: Header,
    books: Arc<Books>,
    /// Written by who makes the item and by who ends it.
    content: UnsafeCell<u32>,
}

static ITEM: RunnableVtable = RunnableVtable { run: run_item, cancel: cancel_item };

unsafe fn run_item(header: NonNull<Header>) -> Option<Transfer> {
    // SAFETY: the runnable is used up.
    let books = unsafe { end_item(header) };
    books.ran.fetch_add(1, Ordering::Relaxed);
    books.ended.notify();
    None
}

unsafe fn cancel_item(header: NonNull<Header>) {
    // SAFETY: the runnable is used up.
    let books = unsafe { end_item(header) };
    books.cancelled.fetch_add(1, Ordering::Relaxed);
}

/// # Safety
///
/// The caller uses up the item's runnable.
unsafe fn end_item(header: NonNull<Header>) -> Arc<Books> {
    // SAFETY: runnables of models are made of boxes, and used up once.
    let item = unsafe { Box::from_raw(header.cast::<Item>().as_ptr()) };
    // SAFETY: loom checks that nobody else is at it.
    let content = item.content.with_mut(|content| unsafe { std::mem::replace(&mut *content, 0) });
    assert_eq!(content, 1, "an item is ended once");
    item.books.clone()
}

/// Makes a pool whose workers do not run yet.
fn pool(workers: usize) -> (PoolRef, Vec<Local>) {
    let config = Config {
        workers,
        pin: false,
        stack_size: None,
        queue_interval: 61,
        event_interval: 61,
        max_blocking_threads: 1,
        keep_alive: Duration::ZERO,
        shutdown_timeout: Duration::ZERO,
        measure_tasks: false,
    };
    let queues: Vec<_> = (0..workers).map(|_| Deque::new_fifo()).collect();
    let remote = |(index, queue): (usize, &Deque<Runnable>)| {
        let reactor = Reactor::new(index).expect("a stand-in cannot fail");
        let timers = TimeDriver::new(Box::new(|| ()));
        Remote::new(queue.stealer(), Arc::new(Parker::new()), Rouser::Worker { reactor, timers })
    };
    let remotes = queues.iter().enumerate().map(remote).collect();
    let blocking = BlockingPool::new(&config, &Arc::new(Threads::default()));
    let pool = PoolOwner::new(Pool::new(config, remotes, Vec::new(), blocking), Hooks::default());
    let local = |(index, queue)| Local::new(pool.clone(), index, queue);
    let locals = queues.into_iter().enumerate().map(local).collect();
    (pool, locals)
}

/// A worker that runs in a thread of its own; its thread says whether it counted as a searcher at the end.
fn start(local: Local) -> thread::JoinHandle<bool> {
    let local = OnThread(local);
    thread::spawn(move || {
        let OnThread(local) = { local };
        context::run_as_worker(&local, || local.run_worker());
        local.searching.get()
    })
}

/// A worker's own side on its way to its thread.
struct OnThread(Local);

// SAFETY: it is used on the thread only that it has been handed to.
unsafe impl Send for OnThread {}
