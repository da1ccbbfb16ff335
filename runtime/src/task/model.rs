//! Loom models of the task: wake, poll, abort, join, shutdown, and the end of the frame, on real frames.
//!
//! The executor is a queue that the model runs. What a wake, a runnable or a handle publishes is checked through data
//! that only `Relaxed` accesses touch. That nothing leaks, is dropped twice or used late is checked by loom's `Arc` in
//! each future and output, by the frames of [`stand_in`](crate::frame), and by the cells of the frame itself.
//!
//! Each model has been seen to fail on a broken variant; those are kept as `task-*.patch` in `ci/mutants`.
#![expect(unsafe_code, reason = "a hand-made executor, and tasks without their types")]

mod abort;
mod ending;
mod executor;
mod join;
mod scan;
mod trace;
mod waits;
mod wake;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Notify;

pub(crate) use self::abort::shut_down;

use super::JoinHandle;
use crate::executor::{RawExecutor, RawExecutorVtable, Reason, Runnable};
use crate::primitive::cell::UnsafeCell;
use crate::primitive::explore;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};
use crate::primitive::sync::{Arc, Mutex, PlainArc};

/// For the model's own books, which loom need not explore.
#[expect(clippy::disallowed_types, reason = "unseen by loom on purpose")]
pub(crate) type Count = std::sync::atomic::AtomicUsize;

#[expect(clippy::disallowed_types, reason = "unseen by loom on purpose")]
pub(crate) type PlainMutex<T> = std::sync::Mutex<T>;

/// An executor that keeps what it is given until the model asks for it.
pub(crate) struct Queue {
    runnables: Mutex<VecDeque<Runnable>>,
    /// False when it has been retired; loom checks that nobody hands anything over meanwhile.
    alive: UnsafeCell<bool>,
}

static VTABLE: RawExecutorVtable = RawExecutorVtable { schedule, count_completed: |_| (), hands_over: true };

unsafe fn schedule(queue: NonNull<()>, runnable: Runnable, _reason: Reason) {
    // SAFETY: models keep the queue until every thread has been joined.
    let queue = unsafe { queue.cast::<Queue>().as_ref() };
    queue.assert_alive();
    queue.runnables.lock().push_back(runnable);
    queue.assert_alive();
}

impl Queue {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { runnables: Mutex::new(VecDeque::new()), alive: UnsafeCell::new(true) })
    }

    fn assert_alive(&self) {
        // SAFETY: loom checks that nobody writes.
        assert!(self.alive.with(|alive| unsafe { *alive }), "the executor is gone");
    }

    /// What freeing an executor is to a model.
    pub(crate) fn end(&self) {
        // SAFETY: loom checks that nobody else is at it.
        self.alive.with_mut(|alive| unsafe { *alive = false });
    }

    /// Makes a task and queues it.
    pub(crate) fn spawn<F: Future>(&self, future: F) -> JoinHandle<F::Output> {
        // SAFETY: the queue may be used from any thread.
        let executor = unsafe { RawExecutor::new(NonNull::from(self).cast(), &VTABLE) };
        // SAFETY: the model keeps the queue; what it puts into tasks may be used on any thread.
        let made = unsafe { super::new(executor, future, |_| ()) };
        let Ok((runnable, handle)) = made else { unreachable!("the pool does not refuse") };
        self.runnables.lock().push_back(runnable);
        handle
    }

    /// Takes the next runnable.
    pub(crate) fn pop(&self) -> Option<Runnable> {
        self.runnables.lock().pop_front()
    }

    /// Runs until nothing is queued.
    pub(crate) fn run_all(&self) {
        while let Some(runnable) = self.pop() {
            assert!(runnable.execute().is_none());
        }
    }

    /// Runs until nothing is queued, as a thread of the executor does: also what is handed over.
    pub(crate) fn work(&self) {
        self.as_worker(|| {
            while let Some(runnable) = self.pop() {
                let mut transfer = runnable.execute();
                while let Some(next) = transfer {
                    transfer = next.into_runnable().execute();
                }
            }
        });
    }

    /// Has the thread run tasks of the executor meanwhile.
    pub(crate) fn as_worker<R>(&self, f: impl FnOnce() -> R) -> R {
        explore::as_worker(NonNull::from(self).cast(), f)
    }

    /// Drops what is queued, as the end of an executor does.
    pub(crate) fn drop_all(&self) {
        while let Some(runnable) = self.pop() {
            drop(runnable);
        }
    }
}

/// What a model remembers about its task.
pub(crate) struct Books {
    /// What wakers count up before they wake; seen by polls only through what the wake publishes.
    signal: AtomicUsize,
    polls: Count,
    /// Futures and outputs that have been dropped.
    futures: Count,
    outputs: Count,
    /// Wakers that the first poll has left for the model.
    wakers: PlainMutex<Vec<Waker>>,
}

impl Books {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            signal: AtomicUsize::new(0),
            polls: Count::new(0),
            futures: Count::new(0),
            outputs: Count::new(0),
            wakers: PlainMutex::default(),
        })
    }

    /// Leaves a waker for the model.
    pub(crate) fn keep(&self, waker: Waker) {
        self.wakers.lock().unwrap().push(waker);
    }

    pub(crate) fn waker(&self) -> Waker {
        self.wakers.lock().unwrap().pop().expect("the first poll left enough")
    }

    /// Drops the wakers that the model has not used.
    pub(crate) fn forget_wakers(&self) {
        drop(std::mem::take(&mut *self.wakers.lock().unwrap()));
    }

    /// Raises the signal, then wakes.
    pub(crate) fn raise(&self, wake: impl FnOnce()) {
        self.signal.fetch_add(1, Ordering::Relaxed);
        wake();
    }

    /// What those who have raised it have published.
    fn signal(&self) -> usize {
        self.signal.load(Ordering::Relaxed)
    }

    pub(crate) fn polls(&self) -> usize {
        self.polls.load(Ordering::Relaxed)
    }

    pub(crate) fn futures_dropped(&self) -> usize {
        self.futures.load(Ordering::Relaxed)
    }

    pub(crate) fn outputs_dropped(&self) -> usize {
        self.outputs.load(Ordering::Relaxed)
    }
}

/// Is ready when the signal has reached `until`; its first poll leaves so many wakers.
pub(crate) struct Until {
    pub(crate) books: Arc<Books>,
    pub(crate) until: usize,
    pub(crate) wakers: usize,
}

/// What it gives.
pub(crate) struct Output(Arc<Books>);

impl Future for Until {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        self.books.polls.fetch_add(1, Ordering::Relaxed);
        for _ in 0..std::mem::take(&mut self.wakers) {
            self.books.keep(cx.waker().clone());
        }
        if self.books.signal.load(Ordering::Relaxed) < self.until {
            return Poll::Pending;
        }
        Poll::Ready(Output(self.books.clone()))
    }
}

impl Drop for Until {
    fn drop(&mut self) {
        self.books.futures.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.0.outputs.fetch_add(1, Ordering::Relaxed);
    }
}

/// A task that is idle after its first poll, waiting for `until` signals, and so many wakers of it.
fn idle_task(queue: &Queue, until: usize, wakers: usize) -> (Arc<Books>, JoinHandle<Output>) {
    let books = Books::new();
    let handle = queue.spawn(Until { books: books.clone(), until, wakers });
    queue.run_all();
    assert_eq!(books.polls(), 1);
    (books, handle)
}

/// A joiner that sleeps until it is woken: a lost wake is a deadlock, which loom reports.
pub(crate) struct Joiner(Notify);

impl Joiner {
    pub(crate) fn new() -> PlainArc<Self> {
        PlainArc::new(Self(Notify::new()))
    }

    pub(crate) fn poll<T>(
        self: &PlainArc<Self>,
        handle: &mut JoinHandle<T>,
    ) -> Poll<Result<T, super::JoinError>> {
        let waker = Waker::from(self.clone());
        Pin::new(handle).poll(&mut Context::from_waker(&waker))
    }

    /// Waits for the task's end.
    pub(crate) fn join<T>(self: &PlainArc<Self>, handle: &mut JoinHandle<T>) -> Result<T, super::JoinError> {
        loop {
            match self.poll(handle) {
                Poll::Ready(result) => return result,
                Poll::Pending => self.0.wait(),
            }
        }
    }
}

impl Wake for Joiner {
    fn wake(self: PlainArc<Self>) {
        self.0.notify();
    }
}
