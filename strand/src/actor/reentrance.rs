//! What is known, below an async call of an actor, of the calls that it is part of.

use std::future::Future;

use tress_runtime::env;
use tress_runtime::task::{self, Id};

use super::core::Core;

/// A value of the environment: the async calls that the code is part of, innermost first. Detached tasks inherit it, and do not take part.
#[derive(Clone, Debug)]
struct Inside(Shared<Level>);

#[derive(Debug)]
struct Level {
    /// Where the actor's core is. Compared only; the call keeps it there.
    core: usize,
    task: Option<Id>,
    outer: Option<Inside>,
}

/// No protocol depends on it.
#[expect(clippy::disallowed_types, reason = "seen by no model")]
type Shared<T> = std::sync::Arc<T>;

/// Polls the future, which is part of an async call.
pub(super) fn inside<T, F: Future>(core: &Core<T>, future: F) -> impl Future<Output = F::Output> {
    let level = Level { core: address(core), task: task::try_id(), outer: env::value() };
    env::scope().value(Inside(Shared::new(level))).run(future)
}

/// Whether the calling code is part of an async call of that actor, by the same task.
#[cold]
pub(super) fn is_inside<T>(core: &Core<T>) -> bool {
    let mut inside: Option<Inside> = env::value();
    let task = task::try_id();
    while let Some(Inside(level)) = inside {
        if level.core == address(core) && level.task == task {
            return true;
        }
        inside = level.outer.clone();
    }
    false
}

fn address<T>(core: &Core<T>) -> usize {
    std::ptr::from_ref(core).addr()
}
