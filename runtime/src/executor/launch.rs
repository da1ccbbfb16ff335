//! Starting a future on an executor, with all that it is to have.

use crate::primitive::sync::PlainArc as Arc;
use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{Location, resume_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::caught::Caught;
use super::{AnyExecutor, Executor, placed};
use crate::frame::{self, AllocatorRef};
use crate::stop::{self, Outcome, StopToken};
use crate::task::{JoinError, JoinHandle};
use crate::{context, env};

/// Begins to launch a future on an executor; see [`Launch`].
///
/// # Examples
///
/// ```
/// use tress::executor::launch;
///
/// let runtime = tress::Runtime::new()?;
/// let task = launch(runtime.handle().clone()).name("sum").value(40_u32).spawn(async {
///     tress::env::value::<u32>().unwrap() + 2
/// });
/// assert_eq!(runtime.block_on(task).unwrap(), 42);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
///
/// P4003 (launch functions), P1471: executor, stop token, allocator and values are chosen by whoever launches, and not by a signature.
pub fn launch<'a>(executor: impl Executor) -> Launch<'a> {
    Launch { executor: AnyExecutor::new(executor), name: None, frames: None, scope: None }
}

/// What a future is launched with.
///
/// Besides what is said here it inherits what a detached task does: the values of the current [environment](crate::env), and not its stop
/// token.
#[must_use = "nothing is launched until `spawn`, `block_on` or `detach` is called"]
pub struct Launch<'a> {
    executor: AnyExecutor,
    name: Option<&'a str>,
    frames: Option<AllocatorRef>,
    scope: Option<env::Scope>,
}

impl<'a> Launch<'a> {
    /// What the task is called in [dumps](crate::trace::dump).
    pub fn name(self, name: &'a str) -> Self {
        Self { name: Some(name), ..self }
    }

    /// What stops the task.
    ///
    /// For a deadline, launch a future that [has one](crate::env::Scope::deadline): `env::scope().deadline(deadline).run(future)`.
    pub fn stop(self, token: StopToken) -> Self {
        self.scoped(|scope| scope.stop(token))
    }

    /// Where the memory of the task comes from, and that of what it spawns, boxes and awaits as a [`Lazy`](crate::task::Lazy).
    ///
    /// If there is none to be had, the future is dropped, and the handle gives an error for which
    /// [`is_refused`](crate::task::JoinError::is_refused) holds.
    pub fn frames(self, allocator: impl Into<AllocatorRef>) -> Self {
        Self { frames: Some(allocator.into()), ..self }
    }

    /// A value of the task's [environment](crate::env), in front of others of its type.
    pub fn value<T: Send + Sync + 'static>(self, value: T) -> Self {
        self.scoped(|scope| scope.value(value))
    }

    fn scoped(self, change: impl FnOnce(env::Scope) -> env::Scope) -> Self {
        let scope = self.scope.unwrap_or_else(|| env::Scope::on(env::detached().unwrap_or_default()));
        Self { scope: Some(change(scope)), ..self }
    }

    /// Spawns the future as a task.
    ///
    /// If the executor stands on a runtime that has been shut down, or has itself ended, the future is dropped, and the handle gives an error for
    /// which [`is_refused`](crate::task::JoinError::is_refused) holds; if the executor drops what it is given,
    /// [`is_aborted`](crate::task::JoinError::is_aborted).
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let caller = Location::caller();
        let scope = self.scope.unwrap_or_else(|| env::Scope::on(env::detached().unwrap_or_default()));
        let future = scope.executor(Some(self.executor.clone())).run(future);
        match self.frames {
            None => placed::spawn_placed_on(self.executor, future, self.name, caller),
            Some(frames) => {
                // The window is open in each poll of the task anyway.
                frame::with_allocator(frames, || {
                    placed::spawn_placed_on(self.executor, future, self.name, caller)
                })
            }
        }
    }

    /// Spawns the future as a task, and blocks the thread until that has ended.
    ///
    /// The executor has to be run by another thread: [`CurrentThread::run_until`](super::CurrentThread::run_until) is for one's own.
    ///
    /// # Errors
    ///
    /// If the task was stopped, aborted or refused.
    ///
    /// # Panics
    ///
    /// If the task does, with its panic; and from inside a runtime, as [`Runtime::block_on`](crate::Runtime::block_on).
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::executor::launch;
    ///
    /// let runtime = tress::Runtime::new()?;
    /// assert_eq!(launch(runtime.handle().clone()).block_on(async { 7 }).unwrap(), 7);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn block_on<F>(self, future: F) -> Result<F::Output, JoinError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        context::assert_outside("block_on");
        match park_on(self.spawn(future)) {
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            result => result,
        }
    }

    /// Spawns the future as a task that nobody joins.
    #[track_caller]
    pub fn detach<F>(self, future: F)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        drop(self.spawn(future));
    }

    /// Spawns the future as a task that nobody joins, and which calls one of these when it ends, on its executor.
    ///
    /// None is called if the task is dropped instead: by an abort, by an executor that drops it, or because the runtime ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use tress::executor::{Handlers, launch};
    ///
    /// let runtime = tress::Runtime::new()?;
    /// let (tx, rx) = mpsc::channel();
    /// let (values, errors) = (tx.clone(), tx);
    /// let handlers = Handlers::new()
    ///     .ok(move |number: u32| values.send(number).unwrap())
    ///     .error(move |_: std::num::ParseIntError| errors.send(0).unwrap());
    /// launch(runtime.handle().clone()).detach_with(async { "42".parse() }, handlers);
    /// assert_eq!(rx.recv().unwrap(), 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn detach_with<F>(self, future: F, handlers: Handlers<F::Output>)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.detach(async move {
            let caught = Caught::new(future);
            match stop::outcome(caught).await {
                Outcome::Value(Ok(value)) => call(handlers.value, value),
                Outcome::Value(Err(payload)) => call(handlers.panic, payload),
                Outcome::Stopped => call(handlers.stop, ()),
            }
        });
    }
}

impl fmt::Debug for Launch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch")
            .field("executor", &self.executor)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

type Handler<T> = Option<Box<dyn FnOnce(T) + Send>>;

fn call<T>(handler: Handler<T>, value: T) {
    if let Some(handler) = handler {
        handler(value);
    }
}

/// What [`Launch::detach_with`] calls when the task ends, depending on how. What has no handler is dropped.
///
/// A panic of a handler is one of the task, which nobody joins: the panic hook reports it.
#[must_use = "it is for `Launch::detach_with`"]
pub struct Handlers<T> {
    value: Handler<T>,
    stop: Handler<()>,
    panic: Handler<Box<dyn Any + Send>>,
}

impl<T: 'static> Handlers<T> {
    /// None yet.
    pub fn new() -> Self {
        Self { value: None, stop: None, panic: None }
    }

    /// Called with what the future has returned.
    pub fn value(self, f: impl FnOnce(T) + Send + 'static) -> Self {
        Self { value: Some(Box::new(f)), ..self }
    }

    /// Called if the task was stopped.
    pub fn stop(self, f: impl FnOnce() + Send + 'static) -> Self {
        Self { stop: Some(Box::new(move |()| f())), ..self }
    }

    /// Called if the future has panicked, with what it panicked with.
    pub fn panic(self, f: impl FnOnce(Box<dyn Any + Send>) + Send + 'static) -> Self {
        Self { panic: Some(Box::new(f)), ..self }
    }
}

impl<T: 'static, E: 'static> Handlers<Result<T, E>> {
    /// Called with the value that the future has returned, if it is one; errors go where they went.
    pub fn ok(self, f: impl FnOnce(T) + Send + 'static) -> Self {
        let error = self.value;
        Self {
            value: Some(Box::new(move |result| match result {
                Ok(value) => f(value),
                Err(_) => call(error, result),
            })),
            ..self
        }
    }

    /// Called with the error that the future has returned, if it is one; values go where they went.
    pub fn error(self, f: impl FnOnce(E) + Send + 'static) -> Self {
        let value = self.value;
        Self {
            value: Some(Box::new(move |result| match result {
                Err(error) => f(error),
                Ok(_) => call(value, result),
            })),
            ..self
        }
    }
}

impl<T: 'static> Default for Handlers<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Handlers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers")
            .field("value", &self.value.is_some())
            .field("stop", &self.stop.is_some())
            .field("panic", &self.panic.is_some())
            .finish()
    }
}

/// Drives a future by parking the thread.
fn park_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
