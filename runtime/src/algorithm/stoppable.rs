//! What an algorithm runs in a stop scope of its own, and is stopped with.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::env::{self, Env, Scoped};
use crate::leaf::Wait;
use crate::stop::{self, Outcome, StopSource, Stopped};

/// The part of an algorithm that runs in the scope: it gives the algorithm's output, or says that the algorithm is stopped.
pub(super) trait Inner<O>: Future<Output = Outcome<O>> {
    /// It begins. The source stops everything in the scope, and is stopped by what stops whoever awaits the algorithm.
    fn begin(&mut self, source: StopSource);
}

pin_project! {
    /// Runs the inner part of an algorithm.
    pub(super) struct Stoppable<I> {
        stage: Stage<I>,
        #[pin]
        scoped: Option<Scoped<I>>,
    }
}

#[derive(Debug)]
enum Stage<I> {
    Fresh(I),
    Running,
    /// Whoever awaits it is stopped, too.
    Stopped(Stopped),
    Done,
}

impl<I> Stoppable<I> {
    pub(super) const fn new(inner: I) -> Self {
        Self { stage: Stage::Fresh(inner), scoped: None }
    }

    /// Polls the inner part.
    ///
    /// # Panics
    ///
    /// If that does, and when it is polled again after it has completed or panicked: then with `once_more`.
    pub(super) fn poll<O>(self: Pin<&mut Self>, cx: &mut Context<'_>, once_more: &str) -> Poll<O>
    where
        I: Inner<O>,
    {
        let mut me = self.project();
        match std::mem::replace(me.stage, Stage::Done) {
            Stage::Fresh(mut inner) => {
                let source = StopSource::linked_to(&env::with(Env::stop_token));
                let token = source.token();
                inner.begin(source);
                me.scoped.set(Some(env::scope().stop(token).run(inner)));
            }
            Stage::Running => {}
            Stage::Stopped(stopped) => return Self::stop(me.stage, stopped, cx),
            Stage::Done => panic!("{once_more}"),
        }
        let scoped = me.scoped.as_mut().as_pin_mut().expect("what is running is there");
        let Poll::Ready(outcome) = scoped.poll(cx) else {
            *me.stage = Stage::Running;
            return Poll::Pending;
        };
        me.scoped.set(None);
        match outcome {
            Outcome::Value(output) => Poll::Ready(output),
            Outcome::Stopped => Self::stop(me.stage, stop::stopped(), cx),
        }
    }

    fn stop<O>(stage: &mut Stage<I>, mut stopped: Stopped, cx: &mut Context<'_>) -> Poll<O> {
        let poll = Pin::new(&mut stopped).poll(cx);
        *stage = Stage::Stopped(stopped);
        poll.map(|never| match never {})
    }
}

impl<I> fmt::Debug for Stoppable<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stoppable").finish_non_exhaustive()
    }
}

/// Between two rounds of a loop: takes a unit of the budget, and is stopped if that has been requested.
pub(super) async fn turn(mut wait: Wait) {
    poll_fn(|cx| wait.poll(cx, |_cx| Poll::Ready(()))).await;
}
