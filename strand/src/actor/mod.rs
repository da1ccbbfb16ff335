//! State that is called, on whichever thread is free for it.
#![expect(unsafe_code, reason = "reaches the state's core through a handle that does not name its type")]

#[cfg(doctest)]
mod bounds;
mod builder;
mod call;
mod core;
mod error;
mod hold;
#[cfg(not(tress_loom))]
mod permit;
mod post;
mod reentrance;
#[cfg(not(tress_loom))]
mod room;
#[cfg(tress_loom)]
#[path = "roomless.rs"]
mod room;

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use tress_runtime::leaf::Wait;

pub use self::builder::ActorBuilder;
pub use self::call::Call;
use self::core::Core;
pub use self::error::{CallError, PostError, TryCallError};
pub use self::hold::{Access, AccessError, With};
#[cfg(not(tress_loom))]
pub use self::permit::PostPermit;
use crate::StrandMetrics;
use crate::serial::{Handle, Place, Pushed, Serial};

/// State that is called from anywhere, by one caller at a time: as a mutex that nobody waits for with his thread, or a task with a channel, and cheaper
/// than both.
///
/// Who calls an idle actor runs his closure at once, on his own thread. Who finds it busy waits for a moment, then leaves the closure to whoever is at it, and
/// is woken with the result. So the state stays in the cache of one core while there is much to do, and nobody waits for a thread that has been
/// preempted with a lock held, unless that runs somebody's closure.
///
/// An `Actor` is a handle: its clones are the same actor. When the last one is dropped, what has been [posted](Self::post) and not been run is dropped.
///
/// | | runs | may borrow | other calls meanwhile |
/// |---|---|---|---|
/// | [`call`](Self::call) | on any caller's thread | no | wait |
/// | [`with`](Self::with) | in the caller's poll | yes | wait |
/// | [`call_async`](Self::call_async) | in the caller's polls | yes | wait until it is over, awaits included |
/// | [`call_interleaved`](Self::call_interleaved) | in the caller's polls | yes | run at its awaits |
/// | [`post`](Self::post) | on any thread | no | wait |
/// | [`try_call`](Self::try_call) | at once, or not at all | yes | wait |
///
/// # Where closures run
///
/// A closure that was queued sees neither the caller's thread-locals nor its [environment](tress_runtime::env): it is run by whoever has the actor, or by
/// the actor's executor when those have run enough of others' closures.
///
/// What runs inside a closure on the same stack is part of it: so a task that is polled there, by [`Strand::dispatch`](crate::Strand::dispatch), is told that its
/// call is [`Reentrant`](CallError::Reentrant). A closure that blocks its thread for another call of the actor waits for ever, as it would for a mutex.
///
/// # Panics
///
/// A panic of a closure is one of its caller, and of nobody else. The state stays as the closure has left it, unless the actor
/// [poisons](ActorBuilder::poison). A panic of the state's own drop ends there: it may be dropped by whoever runs what was queued.
///
/// # Order
///
/// What is queued is run in the order in which it was queued. A caller who finds the actor idle does not wait for anybody.
///
/// # Examples
///
/// ```
/// use std::collections::HashMap;
/// use tress::strand::Actor;
///
/// #[tress::main]
/// async fn main() {
///     let counts = Actor::new(HashMap::<&str, u32>::new());
///     let tasks = ["one", "two", "one"].map(|word| {
///         let counts = counts.clone();
///         tress::spawn(async move { counts.call(move |counts| *counts.entry(word).or_default() += 1).await })
///     });
///     for task in tasks {
///         task.await.unwrap().unwrap();
///     }
///     assert_eq!(counts.call(|counts| counts["one"]).await, Ok(2));
/// }
/// ```
pub struct Actor<T> {
    core: Handle,
    /// Invariant, as what lends `&mut T` is: else a state could be replaced by one of a type that its other handles do not have.
    _state: PhantomData<fn(T) -> T>,
}

impl<T: Send + 'static> Actor<T> {
    /// An actor with this state; what its callers have no time for is run by the current runtime, if there is one.
    #[must_use]
    pub fn new(state: T) -> Self {
        Self::builder(state).build()
    }

    /// An actor with an executor of its own, a name, a limit, or poisoning.
    pub fn builder(state: T) -> ActorBuilder<T> {
        ActorBuilder::new(state)
    }

    /// Calls the closure with the state.
    ///
    /// The closure may be run by any other caller, which is why it cannot borrow; see [`with`](Self::with).
    ///
    /// # Errors
    ///
    /// See [`CallError`]. A closure that blocks its thread in a `block_on` for another call of the same actor waits for ever.
    ///
    /// # Panics
    ///
    /// If the closure does.
    ///
    /// # Cancel safety
    ///
    /// It never waits. Dropped before it was polled, or while the closure waits, it drops the closure, on the thread that drops it. Dropped while that is
    /// being run, it does not keep it from being run to its end; the result is dropped by whoever has run it. One that is there already is dropped
    /// with the future; awaited, it is given also if the caller is to [stop](tress_runtime::stop).
    ///
    /// # Examples
    ///
    /// See [`Actor`].
    #[track_caller]
    #[inline]
    pub fn call<F, R>(&self, f: F) -> Call<'_, T, F, R>
    where
        F: FnOnce(&mut T) -> R + Send + 'static,
        R: Send + 'static,
    {
        Call::new(self.core(), f, Wait::new(WHAT))
    }

    /// Calls the closure with the state, in the caller's own poll: so it may borrow.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    ///
    /// # Panics
    ///
    /// If the closure does.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it does not call the closure. If its turn had come, the next one has it.
    ///
    /// A future of it that has been polled has to be polled again when it is woken, or dropped: kept as it is, it keeps its turn, and all others wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::strand::Actor;
    ///
    /// # tress::Runtime::new().unwrap().block_on(async {
    /// let log = Actor::new(String::new());
    /// let line = String::from("it may borrow");
    /// log.with(|log| log.push_str(&line)).await.unwrap();
    /// assert_eq!(log.call(|log| log.len()).await, Ok(line.len()));
    /// # });
    /// ```
    #[track_caller]
    #[inline]
    pub fn with<F, R>(&self, f: F) -> With<'_, T, F>
    where
        F: FnOnce(&mut T) -> R,
    {
        With::new(self.core(), f, Wait::new(WHAT))
    }

    /// Calls the async closure with the state, and keeps others out until its future is ready.
    ///
    /// # Errors
    ///
    /// See [`CallError`]. A call of the same actor below this one, awaited by the same task, is [refused](CallError::Reentrant); where another task
    /// makes it, for which this one waits, both wait for ever.
    ///
    /// # Panics
    ///
    /// If the closure does.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the closure's future where that is, and the next one has the state.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::strand::Actor;
    ///
    /// # tress::Runtime::new().unwrap().block_on(async {
    /// let numbers = Actor::new(vec![1]);
    /// numbers
    ///     .call_async(async |numbers| {
    ///         let last = *numbers.last().unwrap();
    ///         tress::task::yield_now().await;
    ///         numbers.push(last + 1);
    ///     })
    ///     .await
    ///     .unwrap();
    /// assert_eq!(numbers.call(|numbers| numbers.clone()).await.unwrap(), [1, 2]);
    /// # });
    /// ```
    #[track_caller]
    pub fn call_async<F, R>(&self, f: F) -> impl Future<Output = Result<R, CallError>>
    where
        F: AsyncFnOnce(&mut T) -> R,
    {
        hold::call_async(self.core(), f, Wait::new(WHAT))
    }

    /// Calls the async closure with access to the state; others may have it at each of its awaits.
    ///
    /// Each poll of its future is an item of the actor: from one await to the next, nobody else has the state.
    ///
    /// # Errors
    ///
    /// See [`CallError`]. A call of the same actor that its future makes is [refused](CallError::Reentrant), as each poll has the state.
    ///
    /// # Panics
    ///
    /// If the closure does.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the closure's future where that is; [`Access`] does not lend the state in drops.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::strand::Actor;
    ///
    /// # tress::Runtime::new().unwrap().block_on(async {
    /// let number = Actor::new(1);
    /// let doubled = number.call_interleaved(async |access| {
    ///     let before = access.with(|number| *number);
    ///     // Here others may change it.
    ///     tress::task::yield_now().await;
    ///     access.with(|number| *number += before);
    /// });
    /// doubled.await.unwrap();
    /// assert_eq!(number.call(|number| *number).await, Ok(2));
    /// # });
    /// ```
    #[track_caller]
    pub fn call_interleaved<F, R>(&self, f: F) -> impl Future<Output = Result<R, CallError>>
    where
        F: AsyncFnOnce(Access<'_, T>) -> R,
    {
        hold::call_interleaved(self.core(), f, Wait::new(WHAT))
    }

    /// Calls the closure with the state if nobody has it.
    ///
    /// # Errors
    ///
    /// If somebody has, or a call has panicked and the actor [poisons](ActorBuilder::poison).
    ///
    /// # Panics
    ///
    /// If the closure does.
    ///
    /// # Examples
    ///
    /// ```
    /// let actor = tress::strand::Actor::new(7);
    /// assert_eq!(actor.try_call(|number| *number), Ok(7));
    /// ```
    #[inline]
    pub fn try_call<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R, TryCallError> {
        let core = self.core();
        if core.serial.try_acquire() {
            // SAFETY: it has just been acquired, and this is a handle.
            return unsafe { core.run_as_holder(f) }.map_err(|_poisoned| TryCallError::Poisoned);
        }
        Err(if core.serial.is_current() { TryCallError::Reentrant } else { TryCallError::Busy })
    }

    /// Has the closure called with the state, some time: behind what is queued, and not before this returns.
    ///
    /// An actor without an executor calls it at once, unless it is busy. A panic of the closure ends with it. From inside a call, what is posted runs
    /// when that is over.
    ///
    /// # Errors
    ///
    /// If as many wait as [may](ActorBuilder::capacity): then the closure comes back. [`reserve`](Self::reserve) waits for room instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::strand::Actor;
    ///
    /// # tress::Runtime::new().unwrap().block_on(async {
    /// let lines = Actor::new(Vec::new());
    /// lines.post(|lines| lines.push("first")).unwrap();
    /// // It is behind what has been posted.
    /// assert_eq!(lines.call(|lines| lines.len()).await, Ok(1));
    /// # });
    /// ```
    pub fn post<F: FnOnce(&mut T) + Send + 'static>(&self, f: F) -> Result<(), PostError<F>> {
        if !self.core().room().try_take() {
            return Err(PostError::Full(f));
        }
        self.post_into_room(f);
        Ok(())
    }

    fn post_into_room<F: FnOnce(&mut T) + Send + 'static>(&self, f: F) {
        let core = self.core();
        let runnable = post::runnable(core, f);
        if core.serial.executor().is_some() {
            // SAFETY: the handle keeps it.
            unsafe { Serial::post(self.core.as_ptr(), runnable, Place::Next) };
        } else if core.serial.is_current() {
            // SAFETY: an item of the holder's.
            unsafe { core.serial.push_local(runnable) };
        } else if let Pushed::Acquired(runnable) = core.serial.push(runnable) {
            // SAFETY: the push has acquired it.
            unsafe { core.serial.push_local(runnable) };
            // SAFETY: as above, and this is a handle.
            unsafe { core.serial.leave() };
        }
    }

    /// Its name, if it was [given](ActorBuilder::name) one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.core().serial.name().map(AsRef::as_ref)
    }

    /// Figures about what was queued: a call that finds the actor idle is not counted.
    ///
    /// # Examples
    ///
    /// ```
    /// let actor = tress::strand::Actor::new(7);
    /// assert_eq!(actor.try_call(|number| *number), Ok(7));
    /// assert_eq!(actor.metrics().items, 0);
    /// ```
    #[must_use]
    pub fn metrics(&self) -> StrandMetrics {
        self.core().serial.metrics()
    }

    /// Whether a call has panicked, and the actor [poisons](ActorBuilder::poison).
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.core().is_poisoned()
    }

    /// Lets the actor be called again after a panic.
    ///
    /// # Examples
    ///
    /// See [`poison`](ActorBuilder::poison).
    pub fn clear_poison(&self) {
        self.core().clear_poison();
    }

    #[inline]
    fn core(&self) -> &Core<T> {
        // SAFETY: it was made for this type.
        unsafe { Core::of(&self.core) }
    }
}

impl<T> Clone for Actor<T> {
    fn clone(&self) -> Self {
        Self { core: self.core.clone(), _state: PhantomData }
    }
}

impl<T> PartialEq for Actor<T> {
    fn eq(&self, other: &Self) -> bool {
        self.core.as_ptr() == other.core.as_ptr()
    }
}

impl<T> Eq for Actor<T> {}

impl<T> fmt::Debug for Actor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Actor").field(&*self.core).finish()
    }
}

/// What a call waits for.
const WHAT: &str = "strand call";
