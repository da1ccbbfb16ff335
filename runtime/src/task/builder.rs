//! Spawning with a name.

use std::future::Future;
use std::panic::Location;

use super::JoinHandle;
use crate::executor;
use crate::handle::{self, Handle};

/// Spawns a task with a name, which [`trace::dump`](crate::trace::dump) shows, together with the line that spawned it.
///
/// A named task has a second, small allocation.
///
/// # Examples
///
/// ```
/// use tress::{Runtime, task, trace};
///
/// let runtime = Runtime::new()?;
/// let task = task::Builder::new().name("sweeper").spawn_on(std::future::pending::<()>(), runtime.handle());
/// let dump = trace::dump(runtime.handle());
/// assert!(dump.tasks.iter().any(|task| task.name.as_deref() == Some("sweeper")));
/// # task.abort();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a builder does nothing until `spawn` is called"]
pub struct Builder<'a> {
    name: Option<&'a str>,
}

impl<'a> Builder<'a> {
    /// A builder of a task that has no name yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the task is called; names need not differ.
    pub fn name(self, name: &'a str) -> Self {
        Self { name: Some(name) }
    }

    /// Spawns the task where [`spawn`](crate::spawn) does.
    ///
    /// # Panics
    ///
    /// Outside a runtime, unless on another executor.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match executor::inherited() {
            Some(executor) => executor::spawn_placed(executor, future, self.name, Location::caller()),
            None => self.spawn_on(future, &Handle::current()),
        }
    }

    /// Spawns the task on another runtime; see [`Handle::spawn`].
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        handle::spawn_named(&handle.pool, future, self.name)
    }
}
