//! Threads for code that blocks.
//!
//! Threads are started when there is no idle one, up to a limit, and end after they have been idle for a while. A
//! blocking call is a task like any other, whose executor is this pool: it is joined, aborted before it begins, and
//! its panics are reported, in the same ways.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::executor::Runnable;
use crate::handle::Handle;
use crate::primitive::sync::{Arc, Mutex};
use crate::scheduler::{Config, PoolRef, Threads};
use crate::task::JoinHandle;
use crate::{context, frame};

/// Runs a closure that blocks on a thread where that does no harm.
///
/// The closure cannot be interrupted once it runs; aborting it works only before. It may use the runtime: spawn tasks,
/// or [`Handle::block_on`](crate::Handle::block_on) a future.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// let runtime = tress::Runtime::new()?;
/// let text = runtime.block_on(async {
///     tress::task::spawn_blocking(|| std::fs::read_to_string("Cargo.toml")).await
/// });
/// assert!(text.unwrap()?.contains("tress-runtime"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn spawn_blocking<F, R>(f: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    Handle::current().spawn_blocking(f)
}

/// Runs a closure that blocks on the current thread, after giving the worker's other tasks to others.
///
/// Inside it, [`Runtime::block_on`](crate::Runtime::block_on) is allowed. Outside a runtime it just calls the closure.
///
/// No thread takes the worker's place: with one worker, or with every worker in such a call, tasks wait until one
/// returns, unless the closure runs them itself through `block_on`. A closure that waits for one of them may wait for
/// ever; [`spawn_blocking`] has no such limit.
///
/// # Examples
///
/// ```
/// use tress::{Handle, task};
///
/// let runtime = tress::Runtime::new()?;
/// let task = runtime.spawn(async {
///     task::block_in_place(|| Handle::current().block_on(async { 42 }))
/// });
/// assert_eq!(runtime.block_on(task).unwrap(), 42);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn block_in_place<R>(f: impl FnOnce() -> R) -> R {
    context::suspend(f)
}

/// The threads for blocking calls.
#[derive(Debug)]
pub(crate) struct BlockingPool {
    sender: Sender<Job>,
    receiver: Receiver<Job>,
    state: Arc<Mutex<State>>,
    threads: Arc<Threads>,
    max_threads: usize,
    keep_alive: Duration,
    stack_size: Option<usize>,
}

#[derive(Debug)]
enum Job {
    Run(Runnable),
    Stop,
}

#[derive(Debug, Default)]
struct State {
    /// Threads that have not ended.
    threads: usize,
    /// Those of them that wait for a job.
    idle: usize,
    /// Calls in the channel.
    queued: usize,
    /// Threads started so far, for their names.
    started: usize,
    closed: bool,
}

impl BlockingPool {
    pub(crate) fn new(config: &Config, threads: &Arc<Threads>) -> Self {
        let (sender, receiver) = crossbeam_channel::unbounded();
        Self {
            sender,
            receiver,
            state: Arc::new(Mutex::new(State::default())),
            threads: Arc::clone(threads),
            max_threads: config.max_blocking_threads,
            keep_alive: config.keep_alive,
            stack_size: config.stack_size,
        }
    }

    /// Queues a call, and starts a thread for it if the idle ones do not suffice: one of the pool at this address.
    pub(crate) fn push(&self, runnable: Runnable, pool: NonZeroUsize) {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            return drop(runnable);
        }
        // The pool holds both ends, so the channel is open.
        let sent = self.sender.send(Job::Run(runnable));
        state.queued += usize::from(sent.is_ok());
        let start = state.queued > state.idle && state.threads < self.max_threads;
        if start {
            state.threads += 1;
            state.started += 1;
        }
        let number = state.started;
        drop(state);
        if start {
            self.start_thread(number, pool);
        }
        drop(sent);
    }

    /// Drops the calls that have not begun.
    pub(crate) fn drain(&self) {
        let mut stops = 0;
        while let Ok(job) = self.receiver.try_recv() {
            match job {
                Job::Run(runnable) => {
                    self.state.lock().queued -= 1;
                    drop(runnable);
                }
                Job::Stop => stops += 1,
            }
        }
        for _ in 0..stops {
            let _ = self.sender.send(Job::Stop);
        }
    }

    /// Lets no further call begin; the threads end when they have finished what they are at.
    pub(crate) fn close(&self) {
        let threads = {
            let mut state = self.state.lock();
            if state.closed {
                return;
            }
            state.closed = true;
            state.threads
        };
        self.drain();
        for _ in 0..threads {
            let _ = self.sender.send(Job::Stop);
        }
    }

    fn start_thread(&self, number: usize, pool: NonZeroUsize) {
        let mut builder = thread::Builder::new().name(format!("tress-blocking-{number}"));
        if let Some(stack_size) = self.stack_size {
            builder = builder.stack_size(stack_size);
        }
        self.threads.add();
        let (receiver, state, keep_alive) = (self.receiver.clone(), Arc::clone(&self.state), self.keep_alive);
        let threads = Arc::clone(&self.threads);
        let spawned = builder.spawn(move || {
            let _counted = threads.enter();
            // Also calls that are aborted, and outputs that nobody wants, are dropped on this thread.
            let _mark = context::mark_serving(pool);
            run_thread(&receiver, &state, keep_alive);
        });
        if spawned.is_err() {
            self.threads.remove();
            let mut state = self.state.lock();
            state.threads -= 1;
            let nobody = state.threads == 0;
            drop(state);
            if nobody {
                // Nobody would ever run the calls; their handles say that they were aborted.
                self.drain();
            }
        }
    }
}

/// A blocking thread's life.
fn run_thread(receiver: &Receiver<Job>, state: &Mutex<State>, keep_alive: Duration) {
    loop {
        state.lock().idle += 1;
        let job = receiver.recv_timeout(keep_alive);
        let mut state = state.lock();
        state.idle -= 1;
        match job {
            Ok(Job::Run(runnable)) => {
                state.queued -= 1;
                drop(state);
                runnable.execute();
                frame::flush();
            }
            // A call that came at the last moment relied on this thread.
            Err(RecvTimeoutError::Timeout) if state.queued > 0 => {}
            Ok(Job::Stop) | Err(_) => {
                state.threads -= 1;
                return;
            }
        }
    }
}

/// A closure as a future that is ready when it has been called.
pub(crate) struct Call<F> {
    f: Option<F>,
    /// What the closure may use; it also keeps the pool for as long as the call may run.
    handle: Handle,
}

impl<F> Call<F> {
    pub(crate) fn new(f: F, handle: Handle) -> Self {
        Self { f: Some(f), handle }
    }
}

impl<F> Unpin for Call<F> {}

impl<F: FnOnce() -> R, R> Future for Call<F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<R> {
        // A call that blocks has no turns, so it has no budget either.
        let _budget = crate::coop::enter(None);
        let _entered = context::enter(PoolRef::clone(&self.handle.pool));
        let f = self.f.take().expect("a call is polled once");
        Poll::Ready(f())
    }
}
