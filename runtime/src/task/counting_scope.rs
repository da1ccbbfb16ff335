//! Tasks that are counted, so that one can wait until the last has ended.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::JoinHandle;
use super::group::{End, Group, TaskMember};
use crate::handle::{self, Handle, Place};
use crate::leaf::Wait;
use crate::primitive::sync::Arc;
use crate::stop::{StopSource, StopToken};

/// Counts tasks, and waits until they have ended.
///
/// For work that is begun here and there and outlives whoever begins it, such as a server's connections, and that has to have ended before
/// what it uses goes away. The scope stores nothing of a task: unlike a [`JoinSet`](super::JoinSet), it does not grow with those that have
/// ended. Its tasks inherit the values of the [environment](crate::env) of whoever spawns them, and are stopped by the scope's own stop.
///
/// Clones are the same scope. Dropping the last of them does nothing to the tasks.
///
/// # Examples
///
/// ```
/// use tress::task::{CountingScope, yield_now};
///
/// let runtime = tress::Runtime::new()?;
/// let scope = CountingScope::new();
/// runtime.block_on(async {
///     for _ in 0..10 {
///         scope.spawn(yield_now()).expect("it is open");
///     }
///     scope.join().await;
///     assert_eq!(scope.len(), 0);
///     assert!(scope.spawn(async {}).is_none(), "it has been closed");
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
///
/// P3149 (`counting_scope`).
#[derive(Clone)]
pub struct CountingScope {
    group: Arc<Group>,
    stop: StopSource,
}

pin_project! {
    /// A future that counts until it has been dropped.
    struct Counted<F> {
        #[pin]
        future: F,
        // After the future.
        member: TaskMember,
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

impl CountingScope {
    /// Makes an open scope without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self { group: Group::new(), stop: StopSource::new() }
    }

    /// Spawns a task of the scope on the current runtime, as [`spawn`](crate::spawn) does; `None`, and the future is dropped, if the scope has
    /// been closed.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Option<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_at(future, &Place::inherited(), Location::caller())
    }

    /// The same on another runtime.
    #[track_caller]
    pub fn spawn_on<F>(&self, future: F, handle: &Handle) -> Option<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_at(future, &Place::Runtime(handle.clone()), Location::caller())
    }

    fn spawn_at<F>(
        &self,
        future: F,
        place: &Place,
        caller: &'static Location<'static>,
    ) -> Option<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let member = Group::join_as_task(&self.group)?;
        let future = Counted { future, member };
        Some(handle::spawn_child(place, future, Some(self.stop.token()), caller))
    }

    /// Lets no further task in.
    pub fn close(&self) {
        self.group.close();
    }

    /// Whether no further task is let in.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.group.is_closed()
    }

    /// How many tasks have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.group.len()
    }

    /// Whether all tasks have ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks the tasks to stop, and those that are spawned later.
    pub fn request_stop(&self) {
        self.stop.request_stop();
    }

    /// The token that stops the tasks.
    #[must_use]
    pub fn token(&self) -> StopToken {
        self.stop.token()
    }

    /// Closes the scope when it is first awaited, and waits until all tasks have ended: until their futures have been dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing; the scope stays closed.
    #[track_caller]
    pub fn join(&self) -> impl Future<Output = ()> + use<> {
        let mut wait = Wait::at("counting scope", Location::caller());
        let group = Arc::clone(&self.group);
        let mut end = End::of(Arc::clone(&group));
        poll_fn(move |cx| {
            group.close();
            wait.poll(cx, |cx| end.poll(cx))
        })
    }
}

impl Default for CountingScope {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CountingScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountingScope")
            .field("len", &self.len())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
