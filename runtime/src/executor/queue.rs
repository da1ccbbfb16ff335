//! A queue of runnables that one owner runs.

use crate::primitive::sync::PlainArc as Arc;
use crate::primitive::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::collections::VecDeque;
use std::fmt;
use std::ptr::NonNull;
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::{Executor, Runnable};
use crate::primitive::sync::{Condvar, Mutex};
use crate::task::{self, ToShutdown};
use crate::{context, run, tree};

/// The executor of a [`CurrentThread`](super::CurrentThread) or a [`Manual`](super::Manual): from any thread.
///
/// It keeps neither alive. What is posted when its owner is gone is dropped.
#[derive(Clone)]
pub struct QueueHandle(pub(super) Arc<Queue>);

/// Counts a task of a queue that has not ended.
pub(crate) struct LaunchedOn(Arc<Queue>);

/// What is queued, and who runs it.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    posted: Condvar,
    /// Set when the owner begins to end: nothing more is launched. What is posted is still taken, since a task that is bound to the owner's
    /// thread must not be dropped elsewhere.
    is_closing: AtomicBool,
    /// Tasks that have been launched on it and whose futures are there.
    live: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    runnables: VecDeque<Runnable>,
    /// The threads that are running something of it, with repetition.
    runners: Vec<ThreadId>,
    /// The owner waits in [`Queue::wait`], or is woken for another reason.
    is_roused: bool,
    /// The owner has ended, and with it every task.
    has_ended: bool,
}

/// The thread that made it runs the queue until it is dropped.
#[derive(Debug)]
pub(super) struct Running<'a>(&'a Queue);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let own = thread::current().id();
        let mut state = self.0.state.lock();
        if let Some(place) = state.runners.iter().rposition(|runner| *runner == own) {
            state.runners.remove(place);
        }
    }
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.state.lock().runnables.len()
    }

    /// What tells its tasks from others.
    pub(super) fn identity(&self) -> NonNull<()> {
        NonNull::from(self).cast()
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    fn push(&self, runnable: Runnable) {
        let mut state = self.state.lock();
        if state.has_ended {
            drop(state);
            return drop(runnable);
        }
        state.runnables.push_back(runnable);
        drop(state);
        self.posted.notify_one();
    }

    /// Has the calling thread count as one that runs it, until the result is dropped.
    pub(super) fn enter(&self) -> Running<'_> {
        self.state.lock().runners.push(thread::current().id());
        Running(self)
    }

    /// Runs the first of what is queued; false if nothing is.
    pub(super) fn run_one(&self) -> bool {
        let runnable = {
            let mut state = self.state.lock();
            let Some(runnable) = state.runnables.pop_front() else { return false };
            state.runners.push(thread::current().id());
            runnable
        };
        let _running = Running(self);
        runnable.run();
        true
    }

    /// Runs what is queued by now, and not what that queues. Returns how many that were.
    pub(super) fn run_queued(&self) -> usize {
        (0..self.len()).take_while(|_| self.run_one()).count()
    }

    /// Has [`wait`](Self::wait) return.
    pub(super) fn rouse(&self) {
        self.state.lock().is_roused = true;
        self.posted.notify_all();
    }

    /// Waits until something is queued, or until it is roused.
    pub(super) fn wait(&self) {
        let mut state = self.state.lock();
        while state.runnables.is_empty() && !std::mem::take(&mut state.is_roused) {
            state = self.posted.wait_timeout(&self.state, state, LONG);
        }
    }

    /// Ends: drops every task, on the calling thread.
    ///
    /// Waits for threads that are about to hand over a task that is bound to this thread. Others may be dropped anywhere: by whoever hands them over,
    /// or by the executor that they have gone to. A task that this very call is part of is dropped when it gives way.
    pub(super) fn end(&self) {
        self.is_closing.store(true, Ordering::Release);
        let _running = self.enter();
        context::apart(|| {
            loop {
                self.drop_queued();
                let mut busy = 0;
                task::for_each(self.identity(), |task| {
                    let is_busy = task.shut_down() == ToShutdown::Busy;
                    if is_busy && task.is_bound() && !tree::is_on_stack(task.id()) {
                        busy += 1;
                    }
                });
                if busy == 0 {
                    break;
                }
                thread::sleep(RETRY);
            }
            self.state.lock().has_ended = true;
            self.drop_queued();
        });
    }

    fn drop_queued(&self) {
        loop {
            let next = self.state.lock().runnables.pop_front();
            match next {
                Some(runnable) => drop(runnable),
                None => return,
            }
        }
    }

    /// Whether the calling thread runs something of it.
    fn is_run_here(&self) -> bool {
        self.state.lock().runners.contains(&thread::current().id())
    }

    /// How many tasks of it have not ended.
    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Acquire)
    }

    /// Runs until no task is left, and waits if nothing is queued.
    pub(super) fn run(&self) {
        loop {
            while self.run_one() {}
            if self.live() == 0 {
                return;
            }
            self.wait();
        }
    }
}

impl QueueHandle {
    pub(super) fn queue(&self) -> &Queue {
        &self.0
    }
}

impl LaunchedOn {
    pub(super) fn new(handle: &QueueHandle) -> Self {
        handle.0.live.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&handle.0))
    }
}

impl Drop for LaunchedOn {
    fn drop(&mut self) {
        if self.0.live.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Whoever waits for the last one may be another thread than the one that has dropped it.
            self.0.rouse();
        }
    }
}

impl Executor for QueueHandle {
    fn post(&self, runnable: Runnable) {
        self.0.push(runnable);
    }

    fn is_current(&self) -> bool {
        self.0.is_run_here()
    }

    fn is_innermost(&self) -> bool {
        self.is_current() && run::innermost_serial().is_null()
    }
}

impl PartialEq for QueueHandle {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for QueueHandle {}

impl fmt::Debug for QueueHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueHandle").field("queued", &self.0.len()).finish_non_exhaustive()
    }
}

/// How long to wait before looking again at tasks that are about to be handed over.
const RETRY: Duration = Duration::from_micros(50);

const LONG: Duration = Duration::from_secs(3600);
