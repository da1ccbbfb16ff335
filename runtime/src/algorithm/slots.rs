//! Futures side by side in one allocation.
#![expect(unsafe_code, reason = "pins one element of a pinned slice")]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::containment::contain_panic;

/// A fixed number of futures, each of which is pinned, polled and dropped by itself.
#[derive(Debug)]
pub(super) struct Slots<F>(Pin<Box<[Slot<F>]>>);

pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum Slot<F> {
        Live { #[pin] future: F },
        /// The future has been dropped.
        Empty,
    }
}

impl<F> Slots<F> {
    pub(super) fn new(futures: impl Iterator<Item = F>) -> Self {
        Self(futures.map(|future| Slot::Live { future }).collect::<Box<[_]>>().into())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_live(&self, index: usize) -> bool {
        matches!(self.0[index], Slot::Live { .. })
    }

    /// Drops a future, if it is still there.
    #[inline]
    pub(super) fn clear(&mut self, index: usize) {
        self.slot(index).set(Slot::Empty);
    }

    /// Drops all futures, whatever their drops do.
    pub(super) fn clear_all(&mut self) {
        for index in 0..self.len() {
            contain_panic(|| self.clear(index));
        }
    }

    #[inline]
    fn slot(&mut self, index: usize) -> Pin<&mut Slot<F>> {
        // SAFETY: an element is pinned with the slice that it lies in: nothing is moved out of either.
        unsafe { self.0.as_mut().map_unchecked_mut(|slots| &mut slots[index]) }
    }
}

impl<F: Future> Slots<F> {
    /// Polls a future, and drops it if it has ended. `None` if it is gone already.
    #[inline]
    pub(super) fn poll(&mut self, index: usize, cx: &mut Context<'_>) -> Option<Poll<F::Output>> {
        let mut slot = self.slot(index);
        match slot.as_mut().project() {
            Projected::Live { future } => {
                let poll = future.poll(cx);
                if poll.is_ready() {
                    slot.set(Slot::Empty);
                }
                Some(poll)
            }
            Projected::Empty => None,
        }
    }
}
