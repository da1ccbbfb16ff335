//! Spawning on executors, and whose code it is that runs.
#![expect(
    unsafe_code,
    reason = "the new task holds its executor; the runtime is kept until the task has ended"
)]

use std::future::Future;
use std::panic::Location;
use std::ptr::NonNull;

use super::queue::{LaunchedOn, Queue, QueueHandle};
use super::{AnyExecutor, Executor, RawExecutor, RawExecutorVtable, Reason};
use crate::env::{self, Env};
use crate::handle::make_counted;
use crate::task::{self, JoinHandle, Particulars, RawTask};
use crate::{Handle, context};

/// Of tasks whose executor stands on no runtime.
static APART_VTABLE: RawExecutorVtable =
    RawExecutorVtable { schedule: task::schedule_placed, count_completed: |_| (), hands_over: false };

/// Names the executors that stand on no runtime and drop no tasks.
static NOBODY: u8 = 0;

/// The executor of the calling code: the one that its task was launched on, or that a [`run_on`](super::run_on()) has gone to, or the runtime.
/// `None` outside all of them.
///
/// # Examples
///
/// ```
/// use tress::executor::{self, AnyExecutor, Inline, launch};
///
/// assert_eq!(executor::current(), None);
/// let task = launch(Inline).spawn(async { executor::current() });
/// let runtime = tress::Runtime::new()?;
/// assert_eq!(runtime.block_on(task).unwrap(), Some(AnyExecutor::new(Inline)));
/// assert_eq!(runtime.block_on(async { executor::current() }), Some(AnyExecutor::new(runtime.handle().clone())));
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn current() -> Option<AnyExecutor> {
    let own = env::with(|env| env.executor().cloned());
    own.or_else(|| home().map(AnyExecutor::new))
}

/// The runtime of the task that is being polled, also while that is elsewhere; or of the thread.
fn home() -> Option<Handle> {
    #[cfg(not(tress_loom))]
    if let Some(pool) = crate::scheduler::PoolOwner::of_current_task() {
        return Some(Handle { pool });
    }
    Handle::try_current().ok()
}

/// Spawns a task that inherits what a detached task does of the current environment, on an executor.
pub(crate) fn spawn_placed<F>(
    executor: AnyExecutor,
    future: F,
    name: Option<&str>,
    spawned_at: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let env = env::detached().unwrap_or_default();
    let scope = env::Scope::on(env).executor(Some(executor.clone()));
    spawn_placed_on(executor, scope.run(future), name, spawned_at)
}

/// Spawns a task as it is, on an executor.
pub(crate) fn spawn_placed_on<F>(
    executor: AnyExecutor,
    future: F,
    name: Option<&str>,
    spawned_at: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // SAFETY: the bounds allow any thread.
    unsafe { spawn_perhaps_bound(executor, future, false, name, spawned_at) }
}

/// Spawns a task as it is; `is_bound` says that it must not run anywhere else.
///
/// # Safety
///
/// The future and its output may be used on every thread that the executor runs on and drops on, and on those that hold the handle; on every
/// thread if it is not bound.
pub(super) unsafe fn spawn_perhaps_bound<F: Future + 'static>(
    executor: AnyExecutor,
    future: F,
    is_bound: bool,
    name: Option<&str>,
    spawned_at: &'static Location<'static>,
) -> JoinHandle<F::Output> {
    let runtime = executor.runtime().cloned();
    let (end, is_over) = match &runtime {
        Some(Handle { pool }) => {
            context::task_spawned(pool);
            (pool.placed_executor(), pool.is_closed())
        }
        None => {
            let queue = executor.downcast_ref::<QueueHandle>().map(QueueHandle::queue);
            let data = queue.map_or(NonNull::from(&NOBODY).cast(), Queue::identity);
            // SAFETY: the table does not use the data.
            let end = unsafe { RawExecutor::new(data, &APART_VTABLE) };
            (end, queue.is_some_and(Queue::is_closing))
        }
    };
    if is_over {
        return task::refuse(end, future);
    }
    let pool = runtime.as_ref().map(|runtime| &runtime.pool);
    let is_measured = pool.is_some_and(|pool| pool.config.measure_tasks);
    let strand = executor.strand_name();
    let make = || {
        let prepare = |task: RawTask| {
            if name.is_some() || strand.is_some() || is_measured {
                task.annotate(Particulars { name: name.map(Box::from), strand, spawned_at, is_measured });
            }
        };
        let launched = executor.downcast_ref().map(LaunchedOn::new);
        // SAFETY: a pool is retired only after its tasks have completed; the other executor is held by the task itself.
        unsafe { task::new_placed(end, (executor, launched), is_bound, future, prepare) }
    };
    match make_counted(end, pool.and_then(|pool| pool.hooks.frames.as_ref()), make) {
        Ok((runnable, handle)) => {
            // SAFETY: the task holds its executor, and `runtime` the pool.
            unsafe { end.schedule(runnable, Reason::Spawned) };
            handle
        }
        Err(future) => task::refuse(end, future),
    }
}

/// The executor that what is spawned now goes to, if the environment names one.
pub(crate) fn inherited() -> Option<AnyExecutor> {
    env::with(|env: &Env| env.executor().cloned())
}
