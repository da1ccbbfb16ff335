//! Environments as values.

use std::any::{Any, TypeId};
use std::fmt;
use std::future::Future;

use super::scope::{Scope, Scoped};
use crate::executor::AnyExecutor;
use crate::primitive::sync::PlainArc;
use crate::stop::StopScope;
use crate::stop::StopToken;

/// An environment; see the [module](crate::env).
///
/// A clone is the same environment: it costs a reference count, or nothing if it is empty.
#[derive(Clone, Default)]
pub struct Env(pub(super) Option<PlainArc<Node>>);

/// What an environment consists of; never changed once it is made.
pub(crate) struct Node {
    /// Where what is spawned runs, if not on the runtime.
    pub(super) executor: Option<AnyExecutor>,
    /// Who is stopped by what.
    pub(super) stop: Option<PlainArc<StopScope>>,
    /// The values, the nearest first.
    pub(super) values: Option<PlainArc<Value>>,
}

/// A value, and those behind it.
pub(super) struct Value {
    id: TypeId,
    value: Box<dyn Any + Send + Sync>,
    outer: Option<PlainArc<Value>>,
}

impl Env {
    /// Makes an empty environment: no stop is possible, and there are no values.
    #[must_use]
    pub const fn empty() -> Self {
        Self(None)
    }

    /// The token that stops what runs with this environment; [`StopToken::never`] if nothing does.
    #[must_use]
    pub fn stop_token(&self) -> StopToken {
        self.stop().map_or_else(StopToken::never, |stop| stop.token().clone())
    }

    /// The value of this type: the nearest one, if there are several.
    #[must_use]
    pub fn value<T: Send + Sync + 'static>(&self) -> Option<&T> {
        let mut next = self.0.as_deref()?.values.as_deref();
        while let Some(value) = next {
            if value.id == TypeId::of::<T>() {
                return value.value.downcast_ref();
            }
            next = value.outer.as_deref();
        }
        None
    }

    /// Runs a future with this environment instead of that of whoever awaits it.
    ///
    /// # Cancel safety
    ///
    /// As that of the future inside.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::{Runtime, env::{self, Env}};
    ///
    /// let runtime = Runtime::new()?;
    /// let inner = Env::empty().run(async { env::value::<u32>() });
    /// assert_eq!(runtime.block_on(env::scope().value(1_u32).run(inner)), None);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn run<F: Future>(self, future: F) -> Scoped<F> {
        Scope::on(self).run(future)
    }

    /// The executor of what runs with this environment, if it is one of its own.
    pub(crate) fn executor(&self) -> Option<&AnyExecutor> {
        self.0.as_deref()?.executor.as_ref()
    }

    /// The same, but for the executor.
    pub(crate) fn on_executor(&self, executor: AnyExecutor) -> Self {
        let (stop, values) =
            self.0.as_deref().map_or((None, None), |node| (node.stop.clone(), node.values.clone()));
        Node::wrap(Some(executor), stop, values)
    }

    pub(super) fn stop(&self) -> Option<&PlainArc<StopScope>> {
        self.0.as_deref()?.stop.as_ref()
    }

    /// What of this a detached task has, too.
    pub(super) fn inherited_by_detached(&self) -> Option<Self> {
        match self.0.as_deref()? {
            Node { values: None, executor: None, .. } => None,
            Node { stop: None, .. } => Some(self.clone()),
            Node { values, executor, .. } => Some(Node::wrap(executor.clone(), None, values.clone())),
        }
    }
}

impl Node {
    /// An environment that consists of these.
    pub(super) fn wrap(
        executor: Option<AnyExecutor>,
        stop: Option<PlainArc<StopScope>>,
        values: Option<PlainArc<Value>>,
    ) -> Env {
        if executor.is_none() && stop.is_none() && values.is_none() {
            return Env(None);
        }
        Env(Some(PlainArc::new(Self { executor, stop, values })))
    }
}

impl Value {
    pub(super) fn on(
        outer: Option<PlainArc<Self>>,
        (id, value): (TypeId, Box<dyn Any + Send + Sync>),
    ) -> PlainArc<Self> {
        PlainArc::new(Self { id, value, outer })
    }
}

impl Drop for Value {
    /// A loop, not recursion: there may be many.
    fn drop(&mut self) {
        let mut next = self.outer.take();
        while let Some(value) = next {
            next = PlainArc::into_inner(value).and_then(|mut value| value.outer.take());
        }
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values =
            std::iter::successors(self.0.as_deref().and_then(|node| node.values.as_deref()), |value| {
                value.outer.as_deref()
            });
        f.debug_struct("Env").field("stop", &self.stop_token()).field("values", &values.count()).finish()
    }
}
