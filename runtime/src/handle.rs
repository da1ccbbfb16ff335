//! A handle to a runtime, from anywhere.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};

use crate::blocking::Call;
use crate::executor::{self, AnyExecutor, Executor, RawExecutor, Reason, Runnable};
use crate::frame::AllocatorRef;
use crate::metrics::RuntimeMetrics;
use crate::scheduler::PoolRef;
use crate::stop::StopToken;
use crate::task::{self, JoinHandle, Particulars, RawTask};
use crate::{context, env, frame, run, scheduler};

/// A handle to a runtime: spawns tasks, from any thread.
///
/// It keeps the runtime's memory, not the runtime: once that is shut down, what is spawned is refused.
///
/// # Examples
///
/// ```
/// let runtime = tress::Runtime::new()?;
/// let handle = runtime.handle().clone();
/// let thread = std::thread::spawn(move || handle.spawn(async { 1 + 1 }));
/// let task = thread.join().unwrap();
/// assert_eq!(runtime.block_on(task).unwrap(), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Handle {
    pub(crate) pool: PoolRef,
}

/// Makes a handle the thread's current one until it is dropped; see [`Handle::enter`].
#[derive(Debug)]
#[must_use = "dropping it at once leaves the runtime again"]
pub struct EnterGuard {
    _entered: context::Entered,
}

/// Spawns a task on the current runtime, or, from a task that was [launched](crate::executor::launch()) on another executor, on that.
///
/// The task starts soon, whether its handle is awaited or not; dropping the handle detaches it. Its frame comes from the
/// allocator whose window is open ([`with_allocator`](crate::frame::with_allocator)), else from the runtime's
/// ([`Builder::frames`](crate::Builder::frames)). If there is none to be had, the future is dropped and the handle gives an error
/// for which [`is_refused`](crate::task::JoinError::is_refused) holds. What it inherits of its spawner is in the table of [`env`](mod@crate::env).
///
/// # Panics
///
/// Outside a runtime, unless on another executor.
///
/// # Examples
///
/// ```
/// let runtime = tress::Runtime::new()?;
/// let sum = runtime.block_on(async {
///     let half = tress::spawn(async { 21 });
///     half.await.unwrap() * 2
/// });
/// assert_eq!(sum, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[inline]
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let caller = Location::caller();
    if !env::is_empty() {
        return spawn_in_env(future, caller);
    }
    let mut future = Some(future);
    let handle = context::with_pool(|pool| {
        pool.map(|pool| {
            let future = future.take().expect("the closure is called once");
            submit_as_it_is(pool, pool.executor(), future, None, caller)
        })
    });
    handle.expect(NO_RUNTIME)
}

#[cold]
#[inline(never)]
#[track_caller]
fn spawn_in_env<F>(future: F, caller: &'static Location<'static>) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match executor::inherited() {
        Some(executor) => executor::spawn_placed(executor, future, None, caller),
        None => {
            let Handle { pool } = Handle::current();
            submit_in_env(&pool, pool.executor(), future, None, caller)
        }
    }
}

/// Spawns on a pool, perhaps with a name.
#[track_caller]
pub(crate) fn spawn_named<F>(pool: &PoolRef, future: F, name: Option<&str>) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    submit(pool, pool.executor(), future, name, Location::caller())
}

/// Spawns on an executor of a pool; the task inherits what a detached task has of the current environment.
#[inline]
fn submit<F>(
    pool: &PoolRef,
    executor: RawExecutor,
    future: F,
    name: Option<&str>,
    spawned_at: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if env::is_empty() {
        submit_as_it_is(pool, executor, future, name, spawned_at)
    } else {
        submit_in_env(pool, executor, future, name, spawned_at)
    }
}

/// Where a task goes.
pub(crate) enum Place {
    Executor(AnyExecutor),
    Runtime(Handle),
}

impl Place {
    /// Where what is spawned goes if nobody says otherwise.
    ///
    /// # Panics
    ///
    /// If that is nowhere.
    #[track_caller]
    pub(crate) fn inherited() -> Self {
        executor::inherited().map_or_else(|| Self::Runtime(Handle::current()), Self::Executor)
    }
}

/// Spawns a task that inherits all of the current environment but the executor, or is stopped by this token instead of by what stops that.
pub(crate) fn spawn_child<F>(
    place: &Place,
    future: F,
    stop: Option<StopToken>,
    spawned_at: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let scope = env::child(stop);
    match (place, scope) {
        (Place::Executor(executor), scope) => {
            let future = scope.unwrap_or_else(env::scope).executor(Some(executor.clone())).run(future);
            executor::spawn_placed_on(executor.clone(), future, None, spawned_at)
        }
        (Place::Runtime(Handle { pool }), Some(scope)) => {
            submit_as_it_is(pool, pool.executor(), scope.executor(None).run(future), None, spawned_at)
        }
        (Place::Runtime(Handle { pool }), None) => {
            submit_as_it_is(pool, pool.executor(), future, None, spawned_at)
        }
    }
}

#[cold]
#[inline(never)]
#[expect(unsafe_code, reason = "what borrows nothing is lent for ever")]
fn submit_in_env<F>(
    pool: &PoolRef,
    executor: RawExecutor,
    future: F,
    name: Option<&str>,
    spawned_at: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // SAFETY: neither the future nor its output borrows.
    unsafe { submit_lent(pool, executor, future, name, spawned_at) }
}

#[inline]
#[expect(unsafe_code, reason = "what borrows nothing is lent for ever")]
fn submit_as_it_is<F>(
    pool: &PoolRef,
    executor: RawExecutor,
    future: F,
    name: Option<&str>,
    spawned_at: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // SAFETY: neither the future nor its output borrows.
    unsafe { submit_lent_as_it_is(pool, executor, future, name, spawned_at) }
}

/// Spawns a future that may borrow on an executor of a pool, as [`submit`] does.
///
/// # Safety
///
/// What the future borrows is there until the future has been dropped, in whatever way it ends, and what the output borrows until that has been dropped or
/// taken.
#[expect(unsafe_code, reason = "the caller's promise stands for a lifetime")]
pub(crate) unsafe fn submit_lent<F>(
    pool: &PoolRef,
    executor: RawExecutor,
    future: F,
    name: Option<&str>,
    spawned_at: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + Send,
    F::Output: Send,
{
    match env::detached() {
        // On this runtime, whatever the executor of the caller.
        Some(env) => {
            let future = env::Scope::on(env).executor(None).run(future);
            // SAFETY: the caller's promise; around the future there is nothing that borrows.
            unsafe { submit_lent_as_it_is(pool, executor, future, name, spawned_at) }
        }
        // SAFETY: the caller's promise.
        None => unsafe { submit_lent_as_it_is(pool, executor, future, name, spawned_at) },
    }
}

/// # Safety
///
/// That of [`submit_lent`].
#[inline]
#[expect(
    unsafe_code,
    reason = "the new task's executor is kept by the pool's owner until the task has ended"
)]
unsafe fn submit_lent_as_it_is<F>(
    pool: &PoolRef,
    executor: RawExecutor,
    future: F,
    name: Option<&str>,
    spawned_at: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + Send,
    F::Output: Send,
{
    context::task_spawned(pool);
    if pool.is_closed() {
        return task::refuse(executor, future);
    }
    // SAFETY: a pool is retired only after its tasks have completed, the bounds allow any thread, and the caller says that what is borrowed lasts.
    let make = || unsafe {
        task::new(executor, future, |task| {
            if name.is_some() || pool.config.measure_tasks {
                annotate(task, name, spawned_at, pool.config.measure_tasks);
            }
        })
    };
    match make_counted(executor, pool.hooks.frames.as_ref(), make) {
        Ok((runnable, handle)) => {
            // SAFETY: the caller's reference keeps the pool alive.
            unsafe { executor.schedule(runnable, Reason::Spawned) };
            handle
        }
        Err(future) => task::refuse(executor, future),
    }
}

/// Makes a task that has been counted as spawned, with its runtime's allocator unless another one's window is open.
#[inline(always)]
pub(crate) fn make_counted<R>(
    executor: RawExecutor,
    frames: Option<&AllocatorRef>,
    make: impl FnOnce() -> R,
) -> R {
    /// A task that is counted, but that an allocator's panic keeps from being made, counts as completed.
    struct NeverMade(RawExecutor);

    impl Drop for NeverMade {
        #[cold]
        fn drop(&mut self) {
            context::task_completed(&self.0);
        }
    }

    let never_made = NeverMade(executor);
    let made = match frames {
        Some(frames) if !frame::is_window_open() => frame::within(Some(frames), make),
        _ => make(),
    };
    std::mem::forget(never_made);
    made
}

/// Keeps what is known of a new task.
#[cold]
#[inline(never)]
fn annotate(task: RawTask, name: Option<&str>, spawned_at: &'static Location<'static>, is_measured: bool) {
    task.annotate(Particulars { name: name.map(Box::from), strand: None, spawned_at, is_measured });
}

// A panic of a task leaves the runtime as it was.
impl UnwindSafe for Handle {}
impl RefUnwindSafe for Handle {}

impl Handle {
    /// The handle of the runtime that the calling thread belongs to.
    ///
    /// # Panics
    ///
    /// Outside a runtime; [`try_current`](Self::try_current) does not.
    #[must_use]
    #[track_caller]
    pub fn current() -> Self {
        match Self::try_current() {
            Ok(handle) => handle,
            // As it is: `expect` would say it twice.
            Err(error) => panic!("{error}"),
        }
    }

    /// The handle of the runtime that the calling thread belongs to.
    ///
    /// # Errors
    ///
    /// Of the kind [`NotFound`](io::ErrorKind::NotFound) outside a runtime.
    pub fn try_current() -> io::Result<Self> {
        context::with_pool(|pool| pool.map(|pool| Self { pool: PoolRef::clone(pool) })).ok_or_else(no_runtime)
    }

    /// Spawns a task.
    ///
    /// Once the runtime is shut down, the future is dropped and the handle gives an error for which
    /// [`is_refused`](crate::task::JoinError::is_refused) holds.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        submit(&self.pool, self.pool.executor(), future, None, Location::caller())
    }

    /// Runs a closure that blocks; see [`spawn_blocking`](crate::task::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (executor, call) = (self.pool.blocking_executor(), Call::new(f, self.clone()));
        submit(&self.pool, executor, call, None, Location::caller())
    }

    /// Drives a future on the calling thread; see [`Runtime::block_on`](crate::Runtime::block_on).
    ///
    /// If the runtime is shut down meanwhile, the future goes on: its sockets then give errors, and timers go on
    /// working.
    ///
    /// # Panics
    ///
    /// From inside a runtime, unless in [`block_in_place`](crate::task::block_in_place) or
    /// [`spawn_blocking`](crate::task::spawn_blocking); and if the future is stopped, as [`Runtime::block_on`](crate::Runtime::block_on).
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        context::assert_outside("block_on");
        scheduler::block_on(&self.pool, future)
    }

    /// Makes this the runtime that [`spawn`], timers and sockets on this thread belong to, until the guard is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = tress::Runtime::new()?;
    /// let guard = runtime.handle().enter();
    /// let task = tress::spawn(async { 7 });
    /// drop(guard);
    /// assert_eq!(runtime.block_on(task).unwrap(), 7);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn enter(&self) -> EnterGuard {
        EnterGuard { _entered: context::enter(PoolRef::clone(&self.pool)) }
    }

    /// Figures about the runtime.
    #[must_use]
    pub fn metrics(&self) -> RuntimeMetrics {
        RuntimeMetrics::new(PoolRef::clone(&self.pool))
    }
}

impl PartialEq for Handle {
    /// Whether both are handles to the same runtime.
    fn eq(&self, other: &Self) -> bool {
        self.pool.data() == other.pool.data()
    }
}

impl Eq for Handle {}

/// The workers of the runtime.
impl Executor for Handle {
    fn post(&self, runnable: Runnable) {
        self.schedule(runnable, Reason::Woken);
    }

    fn defer(&self, runnable: Runnable) {
        self.schedule(runnable, Reason::Yielded);
    }

    fn is_current(&self) -> bool {
        context::is_current_pool(self.pool.data())
    }

    fn is_innermost(&self) -> bool {
        self.is_current() && run::innermost_serial().is_null()
    }

    fn runtime(&self) -> Option<&Handle> {
        Some(self)
    }
}

impl Handle {
    #[expect(unsafe_code, reason = "the executor is kept by the handle")]
    fn schedule(&self, runnable: Runnable, reason: Reason) {
        // SAFETY: the handle keeps the pool alive.
        unsafe { self.pool.executor().schedule(runnable, reason) };
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("pool", &self.pool).finish()
    }
}

/// What is said where a runtime is needed, and none is current.
#[cold]
pub(crate) fn no_runtime() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, NO_RUNTIME)
}

const NO_RUNTIME: &str = "there is no tress runtime on this thread: \
     call this from a task, inside `Runtime::block_on`, or under `Handle::enter`";
