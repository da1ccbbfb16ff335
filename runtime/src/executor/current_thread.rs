//! An executor that is bound to one thread.
#![expect(unsafe_code, reason = "tasks that are not `Send` are run and dropped on the thread that made them")]

use crate::primitive::sync::PlainArc as Arc;
use crate::primitive::sync::atomic::{AtomicBool, Ordering};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};

use super::AnyExecutor;
use super::placed::spawn_perhaps_bound;
use super::queue::{Queue, QueueHandle};
use crate::stop::{self, Outcome};
use crate::task::JoinHandle;
use crate::{coop, env, tree};

/// Runs tasks on the thread that made it, also such as are not `Send`.
///
/// It is woken from any thread. Sockets and timers are those of the runtime that is current where they are made: see
/// [`Handle::enter`](crate::Handle::enter). Dropped, it drops its tasks.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
/// use tress::executor::CurrentThread;
///
/// let local = CurrentThread::new();
/// let sum = Rc::new(Cell::new(0));
/// for number in 1..=4 {
///     let sum = Rc::clone(&sum);
///     drop(local.spawn(async move { sum.set(sum.get() + number) }));
/// }
/// local.run();
/// assert_eq!(sum.get(), 10);
/// ```
pub struct CurrentThread {
    spawner: LocalSpawner,
}

/// Spawns on a [`CurrentThread`], from its thread: for tasks that spawn others.
#[derive(Clone)]
pub struct LocalSpawner {
    queue: Arc<Queue>,
    _not_send: PhantomData<*const ()>,
}

/// Wakes the future of a `run_until`.
struct Root {
    queue: Arc<Queue>,
    is_woken: AtomicBool,
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            self.queue.rouse();
        }
    }
}

impl CurrentThread {
    /// An executor for the calling thread.
    #[must_use]
    pub fn new() -> Self {
        Self { spawner: LocalSpawner { queue: Arc::default(), _not_send: PhantomData } }
    }

    /// Its handle, which may be sent: for tasks that are `Send`, from any thread.
    #[must_use]
    pub fn executor(&self) -> QueueHandle {
        QueueHandle(Arc::clone(&self.spawner.queue))
    }

    /// What its own tasks spawn with.
    #[must_use]
    pub fn spawner(&self) -> LocalSpawner {
        self.spawner.clone()
    }

    /// Spawns a task, which need not be `Send`. It runs in [`run`](Self::run), [`run_until`](Self::run_until) or
    /// [`poll_one`](Self::poll_one).
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.spawner.spawn(future)
    }

    /// Runs one task that has been woken, once. False if there is none.
    pub fn poll_one(&self) -> bool {
        self.spawner.queue.run_one()
    }

    /// Runs until every task of it has ended, and waits while none can go on.
    pub fn run(&self) {
        self.spawner.queue.run();
    }

    /// Drives a future, and runs the tasks meanwhile, until the future is ready. Tasks that have not ended by then stay.
    ///
    /// The future inherits what a detached task does: the values of the caller's [environment](crate::env), and not its stop token.
    ///
    /// # Panics
    ///
    /// If the future does, or is [stopped](crate::stop::stopped) outside anything that catches it: there is nobody who could be told.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::executor::CurrentThread;
    ///
    /// let local = CurrentThread::new();
    /// let task = local.spawn(async { 7 });
    /// assert_eq!(local.run_until(task).unwrap(), 7);
    /// ```
    pub fn run_until<F: Future>(&self, future: F) -> F::Output {
        let queue = &self.spawner.queue;
        let _runs = queue.enter();
        let mut future = pin!(stop::outcome(env::detached().unwrap_or_default().run(future)));
        let root = Arc::new(Root { queue: Arc::clone(queue), is_woken: AtomicBool::new(true) });
        let waker = Waker::from(Arc::clone(&root));
        let mut cx = Context::from_waker(&waker);
        loop {
            if root.is_woken.swap(false, Ordering::AcqRel) {
                // Of its own: whoever calls may have used up what it had.
                let _budget = coop::enter(Some(coop::BUDGET_PER_POLL));
                // It is no part of what may be polled around this call.
                match tree::outside(|| future.as_mut().poll(&mut cx)) {
                    Poll::Ready(Outcome::Value(output)) => return output,
                    Poll::Ready(Outcome::Stopped) => panic!("{STOPPED}"),
                    Poll::Pending => {}
                }
            }
            // Not those that they wake, so that the future has its turn.
            if queue.run_queued() == 0 && !root.is_woken.load(Ordering::Acquire) {
                queue.wait();
            }
        }
    }
}

impl LocalSpawner {
    /// Spawns a task, which need not be `Send`.
    ///
    /// If the executor is gone, the future is dropped and the handle gives an error for which
    /// [`is_refused`](crate::task::JoinError::is_refused) holds.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let executor = AnyExecutor::new(QueueHandle(Arc::clone(&self.queue)));
        let env = env::detached().unwrap_or_default();
        let future = env::Scope::on(env).executor(Some(executor.clone())).run(future);
        // SAFETY: what is queued is run by the owner, which stays on its thread, as this does; what waits when the owner ends is dropped by
        // it, and it waits for those who are about to queue a task. So the future is polled and dropped on this thread only. Its output is
        // given to the handle, which is sent only if the output may be.
        unsafe { spawn_perhaps_bound(executor, future, true, None, Location::caller()) }
    }
}

impl Default for CurrentThread {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for CurrentThread {
    fn drop(&mut self) {
        self.spawner.queue.end();
    }
}

impl fmt::Debug for CurrentThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentThread").field("queued", &self.spawner.queue.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for LocalSpawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSpawner").finish_non_exhaustive()
    }
}

const STOPPED: &str = "the future of `run_until` has been stopped, and there is nobody who could be told: wrap it in `stop::outcome`";
