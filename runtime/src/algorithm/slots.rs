//! Futures side by side in one allocation.
#![expect(unsafe_code, reason = "pins one element of a pinned slice")]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::children::Children;

/// A fixed number of futures of one type, each of which is pinned, polled and dropped by itself.
#[derive(Debug)]
pub(super) struct Slots<F>(Pin<Box<[Slot<F>]>>);

pin_project! {
    /// A place for one future.
    #[project = Projected]
    #[derive(Debug)]
    pub(super) enum Slot<F> {
        Live { #[pin] future: F },
        /// The future has been dropped.
        Empty,
    }
}

impl<F> Slots<F> {
    pub(super) fn new(futures: impl Iterator<Item = F>) -> Self {
        Self(futures.map(|future| Slot::Live { future }).collect::<Box<[_]>>().into())
    }

    #[inline]
    fn slot(&mut self, index: usize) -> Pin<&mut Slot<F>> {
        // SAFETY: an element is pinned with the slice that it lies in: nothing is moved out of either.
        unsafe { self.0.as_mut().map_unchecked_mut(|slots| &mut slots[index]) }
    }
}

impl<F: Future> Children for Slots<F> {
    type Output = F::Output;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_live(&self, index: usize) -> bool {
        self.0[index].is_live()
    }

    #[inline]
    fn poll(&mut self, index: usize, cx: &mut Context<'_>) -> Option<Poll<F::Output>> {
        self.slot(index).poll(cx)
    }

    #[inline]
    fn clear(&mut self, index: usize) {
        self.slot(index).set(Slot::Empty);
    }
}

impl<F> Slot<F> {
    pub(super) fn is_live(&self) -> bool {
        matches!(self, Self::Live { .. })
    }
}

impl<F: Future> Slot<F> {
    /// As [`Children::poll`].
    #[inline]
    pub(super) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Option<Poll<F::Output>> {
        match self.as_mut().project() {
            Projected::Live { future } => {
                let poll = future.poll(cx);
                if poll.is_ready() {
                    self.set(Self::Empty);
                }
                Some(poll)
            }
            Projected::Empty => None,
        }
    }
}
