//! The runtime itself.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use crate::error::ShutdownError;
use crate::primitive::sync::Arc;
use crate::scheduler::{self, Config, Hooks, PoolRef, Threads};
use crate::task::JoinHandle;
use crate::{Builder, Handle, context};

/// A pool of workers, each with its own queue, reactor and timers.
///
/// # Dropping it
///
/// Dropping a runtime lets each worker finish its current poll, and drops every task, parked ones included. It waits
/// for that up to the builder's [`shutdown_timeout`](Builder::shutdown_timeout); a poll or blocking call that takes
/// longer is left to itself, and dropped when it ends. [`shutdown`](Self::shutdown) says which tasks those are.
///
/// Dropped from inside one of its own tasks, it does not wait: the workers end by themselves, the one that runs the
/// task after the task's current poll.
///
/// # Examples
///
/// ```
/// let runtime = tress::Runtime::new()?;
/// assert_eq!(runtime.block_on(async { 40 + 2 }), 42);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Runtime {
    handle: Handle,
    threads: Arc<Threads>,
    shut_down: bool,
}

// A panic of a future leaves the runtime as it was.
impl UnwindSafe for Runtime {}
impl RefUnwindSafe for Runtime {}

impl Runtime {
    /// Makes a runtime with the default settings: one worker for each CPU that the process may use.
    ///
    /// # Errors
    ///
    /// When the system refuses threads or reactors.
    pub fn new() -> io::Result<Self> {
        Builder::new().build()
    }

    pub(crate) fn start(config: Config, hooks: Hooks, names: Vec<String>) -> io::Result<Self> {
        let threads = Arc::new(Threads::default());
        let pool = scheduler::start(config, hooks, names, &threads)?;
        Ok(Self { handle: Handle { pool }, threads, shut_down: false })
    }

    /// Drives a future to its end on the calling thread, and returns its output.
    ///
    /// The thread takes part in the pool meanwhile: what the future spawns runs here too, without a hop to another
    /// thread. The future itself is polled on this thread only, so it need not be `Send`. A panic of the future
    /// unwinds through the call.
    ///
    /// # Panics
    ///
    /// From inside a runtime, unless in [`block_in_place`](crate::task::block_in_place) or
    /// [`spawn_blocking`](crate::task::spawn_blocking): the thread would stop running the tasks that it is there for.
    /// And if the future is stopped, by [`stopped`](crate::stop::stopped) or by the token of its [environment](crate::env), outside an
    /// [`outcome`](crate::stop::outcome): there is nobody who could be told.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = tress::Runtime::new()?;
    /// let output = runtime.block_on(async { tress::spawn(async { "hello" }).await });
    /// assert_eq!(output.unwrap(), "hello");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }

    /// Spawns a task; see [`spawn`](crate::spawn).
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Runs a closure that blocks; see [`spawn_blocking`](crate::task::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.handle.spawn_blocking(f)
    }

    /// A handle, to use the runtime from elsewhere.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Makes this the current runtime of the thread; see [`Handle::enter`].
    pub fn enter(&self) -> crate::EnterGuard {
        self.handle.enter()
    }

    /// Ends the runtime: drops its tasks at their current await, and waits for its threads.
    ///
    /// # Errors
    ///
    /// When something does not end within `timeout`: a task whose poll does not return, or a blocking call. The error
    /// has the ids of the tasks, and the names of those that have one. They are left to themselves, and dropped when they return.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = tress::Runtime::new()?;
    /// runtime.spawn(std::future::pending::<()>());
    /// runtime.shutdown(Duration::from_secs(1)).expect("every task was parked");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown(mut self, timeout: Duration) -> Result<(), ShutdownError> {
        self.end(timeout)
    }

    fn end(&mut self, timeout: Duration) -> Result<(), ShutdownError> {
        self.shut_down = true;
        let pool = &self.handle.pool;
        pool.close();
        if context::is_own_thread(pool) {
            // The thread cannot wait for itself; the last thread of the pool drops what is left.
            self.threads.abandon(PoolRef::clone(pool));
            return Ok(());
        }
        // A timeout beyond what the clock can count is none.
        let deadline = Instant::now().checked_add(timeout);
        let left = if self.threads.wait(0, deadline) {
            let left = scheduler::clear(pool, deadline);
            if !left.iter().any(|task| task.is_running) {
                return Ok(());
            }
            left
        } else {
            let left = scheduler::drop_tasks(pool, Instant::now());
            pool.close_drivers();
            left
        };
        let stuck = left.into_iter().filter(|task| task.is_running).map(|task| (task.id, task.name));
        Err(ShutdownError::new(stuck, self.threads.count()))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if !self.shut_down {
            let timeout = self.handle.pool.config.shutdown_timeout;
            // A drop has nobody to tell.
            let _ = self.end(timeout);
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("handle", &self.handle).field("threads", &self.threads).finish()
    }
}
