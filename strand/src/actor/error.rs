//! Why an actor does not do what it was asked to.

use std::error::Error;
use std::fmt;

/// Why a call of an [`Actor`](super::Actor) has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// The caller is inside a call of the same actor already: it would wait for itself.
    Reentrant,
    /// A call has panicked, and the actor was [told](super::ActorBuilder::poison) that its state is of no use then.
    Poisoned,
    /// As many calls and posts wait as the actor [may have](super::ActorBuilder::capacity).
    Full,
    /// The actor's executor, or the runtime below it, has dropped what was queued.
    Refused,
}

/// Why [`Actor::try_call`](super::Actor::try_call) has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryCallError {
    /// Somebody else has the state.
    Busy,
    /// As [`CallError::Reentrant`].
    Reentrant,
    /// As [`CallError::Poisoned`].
    Poisoned,
}

/// Why [`Actor::post`](super::Actor::post) has not taken a closure, and the closure.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostError<F> {
    /// As many calls and posts wait as the actor [may have](super::ActorBuilder::capacity).
    Full(F),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reentrant => REENTRANT,
            Self::Poisoned => POISONED,
            Self::Full => FULL,
            Self::Refused => "the actor's executor has dropped what was queued",
        })
    }
}

impl Error for CallError {}

impl fmt::Display for TryCallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "somebody else has the actor's state",
            Self::Reentrant => REENTRANT,
            Self::Poisoned => POISONED,
        })
    }
}

impl Error for TryCallError {}

impl<F> fmt::Debug for PostError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("Full"),
        }
    }
}

impl<F> fmt::Display for PostError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str(FULL),
        }
    }
}

impl<F> Error for PostError<F> {}

const REENTRANT: &str = "the caller is inside a call of the same actor, and would wait for itself";
const POISONED: &str = "a call of the actor has panicked";
const FULL: &str = "as many calls wait for the actor as may";
