//! A set of tasks to be joined in the order in which they end.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use super::{AbortHandle, Id, JoinError, JoinHandle};
use crate::containment::contain_panic;
use crate::handle::{self, Handle, Place};
use crate::leaf::Wait;
use crate::primitive::sync::{Arc, Mutex};
use crate::stop::StopToken;

/// Tasks that are joined in the order in which they end, and aborted if the set is dropped before.
///
/// They inherit the [environment](crate::env) of whoever spawns them, the stop token included. A task that has ended keeps its output until
/// it is joined.
///
/// # Examples
///
/// ```
/// use tress::task::JoinSet;
///
/// let runtime = tress::Runtime::new()?;
/// let squares = runtime.block_on(async {
///     let mut set = JoinSet::new();
///     for number in 1..=3 {
///         set.spawn(async move { number * number });
///     }
///     let mut squares = Vec::new();
///     while let Some(square) = set.join_next().await {
///         squares.push(square.unwrap());
///     }
///     squares.sort();
///     squares
/// });
/// assert_eq!(squares, [1, 4, 9]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct JoinSet<T> {
    ended: Arc<Ended>,
    /// The handles, at the places that the tasks know; `None` where nobody is.
    tasks: Vec<Option<JoinHandle<T>>>,
    /// The places where nobody is, nor is about to be.
    free: Vec<usize>,
    /// How many tasks there are.
    len: usize,
    /// A task that has said that it ends, and may not have done so yet.
    ending: Option<usize>,
}

/// Who has ended.
#[derive(Debug)]
pub(super) struct Ended(Mutex<State>);

#[derive(Debug)]
struct State {
    /// The places of those who have, the earliest first.
    places: VecDeque<usize>,
    /// Who waits for the next.
    waker: Option<Waker>,
}

/// Says that a task ends when it is dropped: with its future, whatever the reason.
#[derive(Debug)]
pub(super) struct SaysSo {
    ended: Arc<Ended>,
    place: usize,
}

impl Drop for SaysSo {
    fn drop(&mut self) {
        let mut state = self.ended.0.lock();
        state.places.push_back(self.place);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            contain_panic(|| waker.wake());
        }
    }
}

pin_project! {
    /// A task's future, which is dropped before the task says that it ends.
    struct Member<F> {
        #[pin]
        future: F,
        says_so: SaysSo,
    }
}

impl<F: Future> Future for Member<F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

impl Ended {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { places: VecDeque::new(), waker: None })))
    }

    /// The place of the next task that says that it ends.
    pub(super) fn poll_next(&self, cx: &Context<'_>) -> Poll<usize> {
        let mut state = self.0.lock();
        if let Some(place) = state.places.pop_front() {
            return Poll::Ready(place);
        }
        if state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        drop(state);
        // A foreign waker's clone and drop may do anything: they are called without the lock.
        let waker = cx.waker().clone();
        let mut state = self.0.lock();
        if let Some(place) = state.places.pop_front() {
            drop(state);
            return Poll::Ready(place);
        }
        let former = state.waker.replace(waker);
        drop(state);
        drop(former);
        Poll::Pending
    }
}

impl SaysSo {
    pub(super) fn new(ended: &Arc<Ended>, place: usize) -> Self {
        Self { ended: Arc::clone(ended), place }
    }
}

impl<T> JoinSet<T> {
    /// Makes an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self { ended: Ended::new(), tasks: Vec::new(), free: Vec::new(), len: 0, ending: None }
    }

    /// How many tasks are in it, those included that have ended and were not joined yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks for every task to be dropped at its next await; they are still to be joined.
    pub fn abort_all(&mut self) {
        self.tasks.iter().flatten().for_each(JoinHandle::abort);
    }

    /// Lets go of every task without aborting it.
    pub fn detach_all(&mut self) {
        mem::take(&mut self.tasks).into_iter().for_each(drop);
        *self = Self::new();
    }

    /// Waits until a task has ended, and takes it out; `None` if the set is empty.
    ///
    /// # Errors
    ///
    /// The inner error says why a task has no output.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    #[track_caller]
    pub fn join_next(&mut self) -> impl Future<Output = Option<Result<T, JoinError>>> {
        let next = self.join_next_at(Location::caller());
        async { next.await.map(|(_, result)| result) }
    }

    /// As [`join_next`](Self::join_next), with the task's id.
    ///
    /// # Errors
    ///
    /// The inner error says why a task has no output.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    #[track_caller]
    pub fn join_next_with_id(&mut self) -> impl Future<Output = Option<(Id, Result<T, JoinError>)>> {
        self.join_next_at(Location::caller())
    }

    fn join_next_at(
        &mut self,
        caller: &'static Location<'static>,
    ) -> impl Future<Output = Option<(Id, Result<T, JoinError>)>> {
        let mut wait = Wait::at("join set", caller);
        poll_fn(move |cx| wait.poll(cx, |cx| self.poll_next(cx)))
    }

    /// Takes out a task that has ended, if there is one.
    ///
    /// # Errors
    ///
    /// The inner error says why the task has no output.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        match self.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(next) => next.map(|(_, result)| result),
            Poll::Pending => None,
        }
    }

    /// Waits until all tasks have ended, and returns their outputs in the order in which they did.
    ///
    /// # Panics
    ///
    /// If a task has no output: with its own panic, if it has panicked. The others are aborted then.
    ///
    /// # Cancel safety
    ///
    /// Dropping it aborts the tasks.
    #[track_caller]
    pub fn join_all(mut self) -> impl Future<Output = Vec<T>> {
        let caller = Location::caller();
        async move {
            let mut outputs = Vec::with_capacity(self.len());
            while let Some((_, result)) = self.join_next_at(caller).await {
                match result.map_err(JoinError::try_into_panic) {
                    Ok(output) => outputs.push(output),
                    Err(Ok(payload)) => std::panic::resume_unwind(payload),
                    Err(Err(error)) => panic!("{error}"),
                }
            }
            outputs
        }
    }

    /// Aborts every task, and waits until they have ended, also if whoever waits is asked to stop.
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves the tasks aborted, and in the set.
    #[track_caller]
    pub fn shutdown(&mut self) -> impl Future<Output = ()> {
        self.abort_all();
        self.join_rest(Location::caller(), drop)
    }

    /// Joins every task, whoever is asked to stop meanwhile.
    pub(super) fn join_rest(
        &mut self,
        caller: &'static Location<'static>,
        mut each: impl FnMut(Result<T, JoinError>),
    ) -> impl Future<Output = ()> {
        let mut wait = Wait::at("join set", caller);
        poll_fn(move |cx| {
            while let Some((_, result)) = ready!(wait.poll_shielded(cx, |cx| self.poll_next(cx))) {
                each(result);
            }
            Poll::Ready(())
        })
    }

    /// Polls for a task that has ended: for who waits for several things at once.
    ///
    /// # Errors
    ///
    /// The inner error says why the task has no output.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_next(cx).map(|next| next.map(|(_, result)| result))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Id, Result<T, JoinError>)>> {
        while !self.is_empty() {
            let place = match self.ending {
                Some(place) => place,
                None => ready!(self.ended.poll_next(cx)),
            };
            self.ending = Some(place);
            let mut ended = None;
            if let Some(task) = &mut self.tasks[place] {
                let result = ready!(task.poll_shielded(cx));
                ended = Some((task.id(), result));
                self.len -= 1;
            }
            // Where nobody is after all, a spawn has panicked.
            self.ending = None;
            self.free.push(place);
            drop(self.tasks[place].take());
            if ended.is_some() {
                return Poll::Ready(ended);
            }
        }
        Poll::Ready(None)
    }
}

impl<T: Send + 'static> JoinSet<T> {
    /// Spawns a task of the set on the current runtime; see [`spawn`](crate::spawn).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
    {
        self.spawn_with(future, None, &Place::inherited(), Location::caller())
    }

    /// Spawns a task of the set on another runtime; see [`Handle::spawn`].
    #[track_caller]
    pub fn spawn_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
    {
        self.spawn_with(future, None, &Place::Runtime(handle.clone()), Location::caller())
    }

    /// Spawns a task that this token stops; without one, what stops whoever spawns it.
    pub(super) fn spawn_with<F>(
        &mut self,
        future: F,
        stop: Option<StopToken>,
        target: &Place,
        caller: &'static Location<'static>,
    ) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
    {
        let place = self.free.pop().unwrap_or_else(|| {
            self.tasks.push(None);
            self.tasks.len() - 1
        });
        let member = Member { future, says_so: SaysSo::new(&self.ended, place) };
        let task = handle::spawn_child(target, member, stop, caller);
        let abort = task.abort_handle();
        self.tasks[place] = Some(task);
        self.len += 1;
        abort
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish_non_exhaustive()
    }
}
