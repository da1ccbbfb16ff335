//! Tasks that end before whoever has begun them goes on.

#[cfg(all(test, tress_loom))]
mod model;

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::AbortHandle;
use super::group::{End, Group, TaskMember};
use crate::containment::discard_payload;
use crate::env::{self, Env};
use crate::handle::{self, Handle, Place};
use crate::leaf::Wait;
use crate::primitive::sync::{Arc, Mutex};
use crate::stop::{self, Outcome, StopSource, StopToken};
use crate::tree;

/// Runs a body that may spawn tasks, and waits until it and all of them have ended.
///
/// The first one that fails, be it the body or a task, stops the others, by the token of their [environment](crate::env); when all have
/// ended, its error is the result, or its panic goes on. If whoever awaits the scope is asked to stop, so are they; the scope waits for them
/// all the same, and then stops whoever awaits it if the body has been stopped. A task that is stopped or aborted is no failure.
///
/// Tasks may spawn further ones through clones of the [`Scope`], and inherit the environment of whoever does, but for the stop token, which is
/// the scope's.
///
/// # Errors
///
/// The first one.
///
/// # Panics
///
/// If the body or a task does, when all have ended. Of several failures, the first counts.
///
/// # Cancel safety
///
/// Dropping it aborts the tasks: each is dropped at its next await, on its executor, which may be a moment later. The task that drops it, or the
/// [`block_on`](crate::Runtime::block_on), goes on at once, but is not complete before they have been dropped, however it ends: whoever joins it
/// finds none of them at work. If it is a task of a scope itself, that one waits for them, too. Runtimes and other executors that end do not wait for
/// what their tasks have left on others.
///
/// So a `block_on` does not return while a task that it has left behind stands on an executor that nobody runs. Dropped where no task and no `block_on` is
/// being polled, as in a [`run_until`](crate::executor::CurrentThread::run_until), or by another thread in a [`run_on`](crate::executor::run_on()) outside tasks, the scope leaves its
/// tasks to themselves.
/// So does one that is leaked: they go on until they end, or their runtime does.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tress::{task, time};
///
/// let runtime = tress::Runtime::new()?;
/// let result: Result<(), &str> = runtime.block_on(task::scope(|scope| async move {
///     scope.spawn(async { Err("no such host") });
///     // It is stopped.
///     scope.spawn(async {
///         time::sleep(Duration::from_secs(60)).await;
///         Ok(())
///     });
///     Ok(())
/// }));
/// assert_eq!(result, Err("no such host"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn scope<T, E, B>(body: impl FnOnce(Scope<E>) -> B) -> impl Future<Output = Result<T, E>>
where
    B: Future<Output = Result<T, E>>,
{
    run(body, Location::caller())
}

async fn run<T, E, B>(body: impl FnOnce(Scope<E>) -> B, caller: &'static Location<'static>) -> Result<T, E>
where
    B: Future<Output = Result<T, E>>,
{
    let shared = Arc::new(Shared::new(StopSource::linked_to(&env::with(Env::stop_token))));
    let abort = AbortOnDrop(Arc::clone(&shared));
    let token = shared.stop.token();
    let own = Scope(Arc::clone(&shared));
    // In a block: by the time it panics, the closure may have spawned tasks.
    let attempt = Attempt { future: Some(async move { body(own).await }) };
    let outcome = stop::outcome(env::scope().stop(token).run(attempt)).await;
    let value = match outcome {
        Outcome::Value(Ok(Ok(value))) => Some(value),
        Outcome::Value(Ok(Err(error))) => {
            shared.fail(Failure::Error(error));
            None
        }
        Outcome::Value(Err(payload)) => {
            shared.fail(Failure::Panic(payload));
            None
        }
        Outcome::Stopped => {
            shared.stop.request_stop();
            None
        }
    };
    let mut wait = Wait::at("scope", caller);
    let mut end = End::of(Arc::clone(&shared.group));
    poll_fn(|cx| wait.poll_shielded(cx, |cx| end.poll(cx))).await;
    let failure = shared.state.lock().failure.take();
    drop(abort);
    match (failure, value) {
        (Some(Failure::Error(error)), _) => Err(error),
        (Some(Failure::Panic(payload)), _) => resume_unwind(payload),
        (None, Some(value)) => Ok(value),
        (None, None) => match stop::stopped().await {},
    }
}

/// Spawns tasks of a [`scope`]; a clone is of the same scope.
pub struct Scope<E>(Arc<Shared<E>>);

/// What a scope and its tasks share.
struct Shared<E> {
    group: Arc<Group>,
    stop: StopSource,
    state: Mutex<State<E>>,
}

struct State<E> {
    /// The first failure.
    failure: Option<Failure<E>>,
    /// The tasks that have not ended, by number; `None` while one is being spawned.
    tasks: HashMap<u64, Option<AbortHandle>>,
    next: u64,
    is_aborted: bool,
}

enum Failure<E> {
    Error(E),
    Panic(Payload),
}

type Payload = Box<dyn Any + Send>;

/// Aborts the tasks when dropped.
struct AbortOnDrop<E>(Arc<Shared<E>>);

/// A task of a scope, from before it is spawned until its future has been dropped.
struct Task<E> {
    shared: Arc<Shared<E>>,
    number: u64,
    #[expect(dead_code, reason = "it is there to be dropped")]
    member: TaskMember,
}

pin_project! {
    /// Runs a future, and gives what it panics with, its drop included.
    struct Attempt<F> {
        #[pin]
        future: Option<F>,
    }
}

impl<F: Future> Future for Attempt<F> {
    type Output = Result<F::Output, Payload>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<F::Output, Payload>> {
        let mut place = self.project().future;
        let future = place.as_mut().as_pin_mut().expect("it was polled after it had ended");
        let mut result = match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(payload),
        };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| place.set(None))) {
            match &result {
                Ok(_) => result = Err(payload),
                Err(_) => discard_payload(payload),
            }
        }
        Poll::Ready(result)
    }
}

pin_project! {
    /// The future of a task.
    struct Spawned<F, E> {
        #[pin]
        attempt: Attempt<F>,
        // After the future.
        task: Task<E>,
    }
}

impl<F: Future<Output = Result<(), E>>, E> Future for Spawned<F, E> {
    type Output = ();

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        match ready!(this.attempt.poll(cx)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => this.task.shared.fail(Failure::Error(error)),
            Err(payload) => this.task.shared.fail(Failure::Panic(payload)),
        }
        Poll::Ready(())
    }
}

impl<E: Send + 'static> Scope<E> {
    /// Spawns a task of the scope on the current runtime; `None`, and the future is dropped, if the scope has ended.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Option<AbortHandle>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        self.spawn_at(future, &Place::inherited(), Location::caller())
    }

    /// The same on another runtime.
    #[track_caller]
    pub fn spawn_on<F>(&self, future: F, handle: &Handle) -> Option<AbortHandle>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        self.spawn_at(future, &Place::Runtime(handle.clone()), Location::caller())
    }

    fn spawn_at<F>(&self, future: F, place: &Place, caller: &'static Location<'static>) -> Option<AbortHandle>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let shared = &self.0;
        let task = Shared::begin(shared)?;
        let number = task.number;
        let future = Spawned { attempt: Attempt { future: Some(future) }, task };
        let spawned = handle::spawn_child(place, future, Some(shared.stop.token()), caller);
        let abort = spawned.abort_handle();
        if shared.has_begun(number, &abort) {
            abort.abort();
        }
        Some(abort)
    }
}

impl<E> Scope<E> {
    /// The token that stops the tasks and the body.
    #[must_use]
    pub fn token(&self) -> StopToken {
        self.0.stop.token()
    }

    /// Asks the body and all tasks to stop.
    pub fn request_stop(&self) {
        self.0.stop.request_stop();
    }
}

impl<E> Shared<E> {
    fn new(stop: StopSource) -> Self {
        let state = State { failure: None, tasks: HashMap::new(), next: 0, is_aborted: false };
        Self { group: Group::new(), stop, state: Mutex::new(state) }
    }

    /// A task is about to be spawned; `None` if the scope has ended.
    fn begin(shared: &Arc<Self>) -> Option<Task<E>> {
        let member = Group::join_as_task(&shared.group)?;
        let mut state = shared.state.lock();
        let number = state.next;
        state.next += 1;
        state.tasks.insert(number, None);
        drop(state);
        Some(Task { shared: Arc::clone(shared), number, member })
    }

    /// A task has been spawned. True if the caller has to abort it, since the scope is gone.
    #[must_use]
    fn has_begun(&self, number: u64, abort: &AbortHandle) -> bool {
        let mut state = self.state.lock();
        if let Some(place) = state.tasks.get_mut(&number) {
            *place = Some(abort.clone());
        }
        state.is_aborted
    }

    /// Keeps the first failure, and stops the others.
    fn fail(&self, failure: Failure<E>) {
        let mut state = self.state.lock();
        let later = match state.failure {
            None => {
                state.failure = Some(failure);
                None
            }
            Some(_) => Some(failure),
        };
        drop(state);
        match later {
            Some(Failure::Panic(payload)) => discard_payload(payload),
            Some(Failure::Error(error)) => drop(error),
            None => {}
        }
        self.stop.request_stop();
    }

    fn abort_all(&self) {
        self.group.close();
        let mut state = self.state.lock();
        state.is_aborted = true;
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        for task in tasks.into_values().flatten() {
            task.abort();
        }
    }
}

impl<E> Drop for AbortOnDrop<E> {
    fn drop(&mut self) {
        self.0.abort_all();
        if self.0.group.len() != 0 {
            tree::outlive(&self.0.group);
        }
    }
}

impl<E> Drop for Task<E> {
    fn drop(&mut self) {
        // The handle's drop may free the task's memory: without the lock.
        let abort = self.shared.state.lock().tasks.remove(&self.number);
        drop(abort);
    }
}

impl<E> Clone for Scope<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> fmt::Debug for Scope<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("tasks", &self.0.group.len()).finish_non_exhaustive()
    }
}
