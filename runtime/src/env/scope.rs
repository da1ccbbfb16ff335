//! Running a future with another environment.

use std::any::{Any, TypeId};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use pin_project_lite::pin_project;

use super::current::{self, within};
use super::node::{Env, Node, Value};
use crate::executor::AnyExecutor;
use crate::frame;
use crate::primitive::sync::PlainArc;
use crate::stop::{StopScope, StopSource, StopToken};
use crate::time::{Sleep, sleep_until};

/// Begins an environment that differs from the current one in what is said next; see [`Scope`].
///
/// # Examples
///
/// See the [module](super).
pub fn scope() -> Scope {
    Scope { base: None, executor: None, stop: None, deadline: None, values: Vec::new() }
}

/// Runs a future that nothing stops, whatever stops whoever awaits it.
///
/// # Cancel safety
///
/// As that of the future inside: it can still be dropped.
///
/// # Examples
///
/// A farewell that is said also when the task has been asked to stop:
///
/// ```
/// use std::time::Duration;
/// use tress::{Runtime, env, stop::StopSource, time};
///
/// let runtime = Runtime::new()?;
/// let source = StopSource::new();
/// source.request_stop();
/// runtime.block_on(env::scope().stop(source.token()).run(async {
///     env::shield(time::sleep(Duration::from_millis(1))).await;
/// }));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn shield<F: Future>(future: F) -> Scoped<F> {
    scope().stop(StopToken::never()).run(future)
}

/// The environment of a task that is spawned now and inherits all of the current one, with another stop token perhaps; `None` if that is empty.
pub(crate) fn child(stop: Option<StopToken>) -> Option<Scope> {
    let base = current::detached();
    // A registration of its own: what waits in it is woken by wakers of its own.
    let stop = stop.unwrap_or_else(|| super::with(Env::stop_token));
    let stop = Some(stop).filter(StopToken::is_stop_possible);
    (base.is_some() || stop.is_some()).then(|| Scope {
        base: Some(base.unwrap_or_default()),
        stop,
        ..scope()
    })
}

/// What an environment differs in; [`run`](Self::run) says for which future.
///
/// # Examples
///
/// ```
/// use tress::{Runtime, env, stop::{self, Outcome, StopSource}, time};
/// use std::time::Duration;
///
/// let runtime = Runtime::new()?;
/// let source = StopSource::new();
/// let nap = env::scope().stop(source.token()).value(7_u32).run(async {
///     assert_eq!(env::value(), Some(7_u32));
///     time::sleep(Duration::from_secs(60)).await;
/// });
/// let task = runtime.spawn(stop::outcome(nap));
/// source.request_stop();
/// assert_eq!(runtime.block_on(task).unwrap(), Outcome::Stopped);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "a scope does nothing until a future is run in it"]
pub struct Scope {
    /// What it differs from; `None` is whatever is current when the future is first polled.
    base: Option<Env>,
    /// Where what is spawned runs; the inner one is `None` for the runtime.
    executor: Option<Option<AnyExecutor>>,
    stop: Option<StopToken>,
    deadline: Option<Instant>,
    /// The nearest last.
    values: Vec<(TypeId, Box<dyn Any + Send + Sync>)>,
}

impl Scope {
    /// The same, on top of a given environment.
    pub(crate) fn on(base: Env) -> Self {
        Self { base: Some(base), ..scope() }
    }

    /// The executor that the future runs on: what it spawns is spawned there. `None` is the runtime.
    pub(crate) fn executor(self, executor: Option<AnyExecutor>) -> Self {
        Self { executor: Some(executor), ..self }
    }

    /// What stops the future, instead of what stops whoever awaits it.
    ///
    /// To be stopped by both, give it the token of a source that is [linked](crate::stop::StopSource::linked_to) to the outer token.
    pub fn stop(self, token: StopToken) -> Self {
        Self { stop: Some(token), ..self }
    }

    /// When the future is stopped, if it has not ended by then, besides being stopped by whatever stops it otherwise.
    ///
    /// Unlike [`timeout`](crate::time::timeout), it drops nothing: what waits is stopped, and an operation that has moved something reports
    /// that.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use tress::{env, stop, time};
    ///
    /// # let runtime = tress::Runtime::new()?;
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// let nap = env::scope().deadline(deadline).run(time::sleep(Duration::from_secs(60)));
    /// assert!(runtime.block_on(stop::outcome(nap)).is_stopped());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn deadline(self, deadline: Instant) -> Self {
        let earliest = self.deadline.map_or(deadline, |other| other.min(deadline));
        Self { deadline: Some(earliest), ..self }
    }

    /// A value, in front of others of its type.
    pub fn value<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.values.push((TypeId::of::<T>(), Box::new(value)));
        self
    }

    /// Runs a future with this environment.
    ///
    /// # Cancel safety
    ///
    /// As that of the future inside, which is dropped with this environment, too, once it has been polled.
    ///
    /// # Panics
    ///
    /// If the future does; and when it is polled after it has completed.
    pub fn run<F: Future>(self, future: F) -> Scoped<F> {
        Scoped { stage: Stage::Fresh { scope: self }, future: Some(future) }
    }

    /// The environment, on top of the current one.
    fn begin(self) -> Begun {
        let is_kept = self.base.is_some();
        let base = self.base.unwrap_or_else(super::current);
        let deadline = self.deadline.map(|deadline| {
            let outer = self.stop.clone().unwrap_or_else(|| base.stop_token());
            // From the pool, whatever window is open: who sets a deadline reckons with no refusal.
            let sleep = frame::within(None, || frame::Box::pin(sleep_until(deadline)));
            Deadline { source: StopSource::linked_to(&outer), sleep }
        });
        let stop = deadline.as_ref().map(|deadline| deadline.source.token()).or(self.stop);
        // A kept environment's scope may have ended: what runs with it elsewhere is registered by itself.
        let stop = stop.or_else(|| is_kept.then(|| base.stop_token()));
        let is_own_stop = stop.is_some();
        let stop = match stop {
            None => base.stop().cloned(),
            Some(token) if token.is_stop_possible() => Some(StopScope::new(token)),
            Some(_) => None,
        };
        let values = base.0.as_ref().and_then(|node| node.values.clone());
        let values = self.values.into_iter().fold(values, |outer, value| Some(Value::on(outer, value)));
        let own_stop = stop.clone().filter(|_| is_own_stop);
        // That of whoever runs it, also where an environment was kept elsewhere.
        let executor = self.executor.unwrap_or_else(|| super::with(|env| env.executor().cloned()));
        Begun { env: Node::wrap(executor, stop, values), own_stop, deadline }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("stop", &self.stop)
            .field("values", &self.values.len())
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Stage {
    /// The future was never polled.
    Fresh {
        scope: Scope,
    },
    Begun(Begun),
    /// What stands here while a panic of somebody's destructor unwinds.
    Lost,
}

#[derive(Debug)]
struct Begun {
    env: Env,
    /// The stop scope that this environment does not share with the one around it.
    own_stop: Option<PlainArc<StopScope>>,
    deadline: Option<Deadline>,
}

/// Requests a stop when its time has come.
#[derive(Debug)]
struct Deadline {
    source: StopSource,
    sleep: Pin<frame::Box<Sleep>>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(stop) = &self.own_stop {
            stop.clear();
        }
    }
}

pin_project! {
    /// The future of [`Scope::run`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct Scoped<F> {
        stage: Stage,
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Scoped<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Stage::Begun(begun) = this.stage {
                within(&begun.env, || this.future.set(None));
            }
        }
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let Stage::Fresh { .. } = this.stage {
            let Stage::Fresh { scope } = std::mem::replace(this.stage, Stage::Lost) else { unreachable!() };
            let begun = scope.begin();
            *this.stage = Stage::Begun(begun);
        }
        let Stage::Begun(begun) = this.stage else { panic!("a scope was polled after a panic") };
        if let Some(deadline) = &mut begun.deadline
            // Nothing stops the timer.
            && within(&Env::empty(), || deadline.sleep.as_mut().poll(cx)).is_ready()
        {
            deadline.source.request_stop();
            begun.deadline = None;
        }
        let mut future = this.future;
        within(&begun.env, || {
            let inner = future.as_mut().as_pin_mut().expect("a scope was polled after it had completed");
            let poll = inner.poll(cx);
            if poll.is_ready() {
                future.set(None);
            }
            poll
        })
    }
}

impl<F> fmt::Debug for Scoped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").field("stage", &self.stage).finish_non_exhaustive()
    }
}
