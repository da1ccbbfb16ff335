//! An executor of one's own: it runs one task at a time, on the workers of a runtime, and counts what it runs.
//!
//! ```text
//! cargo run --release --example own_executor
//! ```

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use tress::Handle;
use tress::executor::{Executor, Runnable, launch};
use tress::task::{JoinSet, yield_now};

/// A handle; every task that is launched on the executor holds one.
#[derive(Clone, Debug)]
struct Serial(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    handle: Handle,
    queue: Mutex<Queue>,
    runs: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    runnables: VecDeque<Runnable>,
    /// Whether somebody empties the queue, or is about to.
    is_busy: bool,
    /// Who runs what comes from it just now.
    runner: Option<ThreadId>,
}

impl Serial {
    fn new(handle: Handle) -> Self {
        Self(Arc::new(Shared { handle, queue: Mutex::default(), runs: AtomicU64::new(0) }))
    }

    fn queue(&self) -> impl std::ops::DerefMut<Target = Queue> + '_ {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a few of what is queued, and leaves the rest to another turn, so that other tasks of the runtime have theirs.
    fn drain(self) {
        for _ in 0..RUNS_PER_TURN {
            let next = {
                let mut queue = self.queue();
                let next = queue.runnables.pop_front();
                queue.runner = next.as_ref().map(|_| thread::current().id());
                queue.is_busy = next.is_some();
                next
            };
            let Some(runnable) = next else { return };
            self.0.runs.fetch_add(1, Ordering::Relaxed);
            runnable.run();
        }
        self.queue().runner = None;
        self.start();
    }

    fn start(&self) {
        let turn = Turn(Some(self.clone()));
        drop(self.0.handle.spawn(async move { turn.take() }));
    }
}

/// A turn to come. If the runtime drops it instead, what is queued is dropped, too: each task holds a handle of this executor, and would
/// otherwise keep it and itself for ever.
struct Turn(Option<Serial>);

impl Turn {
    fn take(mut self) {
        if let Some(serial) = self.0.take() {
            serial.drain();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(serial) = self.0.take() {
            let queue = std::mem::take(&mut *serial.queue());
            drop(queue);
        }
    }
}

impl Executor for Serial {
    fn post(&self, runnable: Runnable) {
        let is_first = {
            let mut queue = self.queue();
            queue.runnables.push_back(runnable);
            !std::mem::replace(&mut queue.is_busy, true)
        };
        if is_first {
            self.start();
        }
    }

    fn is_current(&self) -> bool {
        self.queue().runner == Some(thread::current().id())
    }

    fn runtime(&self) -> Option<&Handle> {
        Some(&self.0.handle)
    }
}

impl PartialEq for Serial {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Serial {}

#[tress::main(worker_threads = 2)]
async fn main() {
    let serial = Serial::new(Handle::current());
    let is_taken = Arc::new(AtomicBool::new(false));
    let mut all = JoinSet::new();
    for number in 1..=100_u64 {
        let is_taken = Arc::clone(&is_taken);
        let task = launch(serial.clone()).name("adder").spawn(async move {
            let mut sum = 0;
            for _ in 0..number {
                // Between two awaits nobody else is at work.
                assert!(!is_taken.swap(true, Ordering::Relaxed), "two at once");
                sum += 1;
                is_taken.store(false, Ordering::Relaxed);
                yield_now().await;
            }
            sum
        });
        all.spawn(task);
    }
    let mut sum = 0;
    while let Some(joined) = all.join_next().await {
        match joined {
            Ok(Ok(part)) => sum += part,
            Ok(Err(error)) | Err(error) => eprintln!("a part went missing: {error}"),
        }
    }
    println!("{sum} in {} runs, one at a time", serial.0.runs.load(Ordering::Relaxed));
}

const RUNS_PER_TURN: usize = 32;
