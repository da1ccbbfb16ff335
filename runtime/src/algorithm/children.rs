//! What a fan polls.

use std::task::{Context, Poll};

use crate::containment::contain_panic;
use crate::stop::Outcome;

/// A fixed number of futures, each of which is polled and dropped by itself.
pub(super) trait Children {
    /// What each of them ends with.
    type Output;

    /// How many they are, gone or not.
    fn len(&self) -> usize;

    /// Whether a future is still there.
    fn is_live(&self, index: usize) -> bool;

    /// Polls a future, and drops it if it has ended. `None` if it is gone already.
    fn poll(&mut self, index: usize, cx: &mut Context<'_>) -> Option<Poll<Self::Output>>;

    /// Drops a future, if it is still there.
    fn clear(&mut self, index: usize);

    /// Drops all futures, whatever their drops do.
    fn clear_all(&mut self) {
        for index in 0..self.len() {
            contain_panic(|| self.clear(index));
        }
    }
}

/// Children that may fail or be stopped, and that keep their values until all of them are there.
pub(super) trait Gather<E>: Children<Output = Ended<E>> {
    /// The values, in the order of the children.
    type Values;

    /// Hands over the values.
    ///
    /// # Panics
    ///
    /// If one is missing.
    fn take_values(&mut self) -> Self::Values;
}

/// What a child ends with whose value is kept.
pub(super) type Ended<E> = Outcome<Result<(), E>>;

/// Keeps the value, if there is one.
#[inline]
pub(super) fn keep<T, E>(place: &mut Option<T>, ended: Outcome<Result<T, E>>) -> Ended<E> {
    ended.map(|result| result.map(|value| *place = Some(value)))
}

/// Why a value is there when it is taken.
pub(super) const ALL_GIVEN: &str = "every child has given its value";
