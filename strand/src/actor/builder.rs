//! What an actor is made with.

use std::fmt;
use std::marker::PhantomData;

use tress_runtime::Handle;
use tress_runtime::executor::{AnyExecutor, Executor};

use super::Actor;
use super::core::{Core, Settings};
use crate::serial::Choices;

/// Makes an [`Actor`] with more than a state.
///
/// # Examples
///
/// ```
/// use tress::strand::{Actor, PostError};
///
/// let runtime = tress::Runtime::new()?;
/// let actor = Actor::builder(0).executor(runtime.handle().clone()).capacity(1000).poison(true).build();
/// runtime.block_on(async { actor.call(|number| *number += 1).await })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is made until `build` is called"]
pub struct ActorBuilder<T> {
    state: T,
    executor: Option<AnyExecutor>,
    capacity: usize,
    poisons: bool,
    choices: Choices,
}

impl<T: Send + 'static> ActorBuilder<T> {
    pub(super) fn new(state: T) -> Self {
        Self { state, executor: None, capacity: usize::MAX, poisons: false, choices: Choices::default() }
    }

    /// Where closures are run for which callers have no time: those of others that they have been at for long enough, and what is
    /// [posted](Actor::post) to an idle actor. Otherwise it is the runtime that is current when the actor is made; if there is none, the
    /// callers have to do it all.
    pub fn executor(self, executor: impl Executor) -> Self {
        Self { executor: Some(AnyExecutor::new(executor)), ..self }
    }

    /// How many calls and posts may wait at a time: further ones are [refused](super::CallError::Full); a call never
    /// waits for room, a post does with [`reserve`](Actor::reserve). Otherwise any number may.
    ///
    /// What its caller runs himself, as [`with`](Actor::with), is not counted. If none may wait, calls are made at once or refused, posts are refused, and
    /// [`reserve`](Actor::reserve) waits for ever.
    pub fn capacity(self, capacity: usize) -> Self {
        Self { capacity, ..self }
    }

    /// Whether a panic in a call makes the state unusable: then further calls give [`Poisoned`](super::CallError::Poisoned). Otherwise the actor goes on
    /// with the state as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::panic::{AssertUnwindSafe, catch_unwind};
    /// use tress::strand::{Actor, TryCallError};
    ///
    /// let actor = Actor::builder(7).poison(true).build();
    /// let panicked = catch_unwind(AssertUnwindSafe(|| actor.try_call(|_| panic!("half done"))));
    /// assert!(panicked.is_err() && actor.is_poisoned());
    /// assert_eq!(actor.try_call(|number| *number), Err(TryCallError::Poisoned));
    /// actor.clear_poison();
    /// assert_eq!(actor.try_call(|number| *number), Ok(7));
    /// ```
    pub fn poison(self, poisons: bool) -> Self {
        Self { poisons, ..self }
    }

    /// What the actor is called: [`trace::dump`](tress_runtime::trace::dump) and
    /// [`RuntimeMetrics::strands`](tress_runtime::RuntimeMetrics::strands) list it, if its executor is over a runtime. Names need not differ.
    pub fn name(mut self, name: &str) -> Self {
        self.choices.name = Some(name.into());
        self
    }

    /// Whether the actor measures [how long it waits and runs](crate::StrandMetrics). The default is no, unless the runtime
    /// [measures tasks](tress_runtime::Builder::measure_tasks).
    pub fn measure(mut self, measure: bool) -> Self {
        self.choices.is_measured = measure;
        self
    }

    /// Makes the actor.
    #[must_use]
    pub fn build(self) -> Actor<T> {
        let Self { state, executor, capacity, poisons, choices } = self;
        let executor = executor.or_else(|| Handle::try_current().ok().map(AnyExecutor::new));
        let core = Core::make(state, Settings { executor, capacity, poisons, choices });
        Actor { core, _state: PhantomData }
    }
}

impl<T> fmt::Debug for ActorBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorBuilder")
            .field("executor", &self.executor)
            .field("capacity", &self.capacity)
            .field("poison", &self.poisons)
            .field("choices", &self.choices)
            .finish_non_exhaustive()
    }
}
