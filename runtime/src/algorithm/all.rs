//! All values, or the first error, whatever the futures are.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::children::Gather;
use super::fan::Fan;
use super::stoppable::{Inner, Stoppable};
use crate::stop::{Outcome, StopSource};

/// Runs children of which the first that fails or is stopped stops the others.
pub(super) struct All<C, E> {
    children: Fan<C>,
    /// The first.
    error: Option<E>,
    /// Whether one of the children was stopped.
    is_stopped: bool,
    /// `None` before it begins.
    source: Option<StopSource>,
}

impl<C: Gather<E>, E> All<C, E> {
    pub(super) fn new(children: C) -> Stoppable<Self> {
        let children = Fan::new(children);
        Stoppable::new(Self { children, error: None, is_stopped: false, source: None })
    }
}

// The futures are pinned in an allocation of their own.
impl<C, E> Unpin for All<C, E> {}

impl<C: Gather<E>, E> Inner<Result<C::Values, E>> for All<C, E> {
    fn begin(&mut self, source: StopSource) {
        self.source = Some(source);
    }
}

impl<C: Gather<E>, E> Future for All<C, E> {
    type Output = Outcome<Result<C::Values, E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { children, error, is_stopped, source } = &mut *self;
        let mut note = |_child, ended| {
            // What comes after the first reason to stop is no reason to stop again.
            let is_first = error.is_none() && !*is_stopped;
            match ended {
                Outcome::Value(Ok(())) => return ControlFlow::Continue(()),
                Outcome::Value(Err(this)) => {
                    error.get_or_insert(this);
                }
                Outcome::Stopped => *is_stopped = true,
            }
            if is_first { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        while ready!(children.poll(cx, &mut note)).is_break() {
            children.stop(source.as_ref().expect("it has begun"));
        }
        Poll::Ready(match error.take() {
            Some(error) => Outcome::Value(Err(error)),
            None if *is_stopped => Outcome::Stopped,
            None => Outcome::Value(Ok(children.take_values())),
        })
    }
}
