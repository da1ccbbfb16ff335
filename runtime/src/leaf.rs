//! The one way in which an operation waits.
//!
//! A *leaf* is an operation at the bottom of a chain of awaits: a socket that is not readable yet, a timer, a join.
//! Each owns a [`Wait`]. It spends the task's budget, decides whether the attempt may be made at all, and knows what is
//! waited for, since when and from which line. Registering the task's waker with the source is the attempt's own
//! part, since only it knows the source.
//!
//! What is not here: readiness (see `reactor`), deadlines (see `time`).

use std::panic::Location;
use std::task::{Context, Poll, ready};

use crate::coop;
use crate::env;
use crate::primitive::coarse::{self, Moment};
use crate::stop::{StopScope, raise};
use crate::trace::collector;

/// One wait of one leaf operation.
///
/// # Examples
///
/// A leaf future of one's own, with a budget and a trace record:
///
/// ```
/// use std::{future::Future, pin::Pin, task::{Context, Poll}};
/// use tress::runtime::leaf::Wait;
///
/// struct Ready(Wait);
///
/// impl Future for Ready {
///     type Output = u8;
///     fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u8> {
///         self.0.poll(cx, |_cx| Poll::Ready(7))
///     }
/// }
///
/// # let mut cx = Context::from_waker(std::task::Waker::noop());
/// # assert_eq!(Pin::new(&mut Ready(Wait::new("nothing"))).poll(&mut cx), Poll::Ready(7));
/// ```
#[derive(Debug)]
pub struct Wait {
    what: &'static str,
    location: &'static Location<'static>,
    /// When an attempt first left it pending.
    since: Moment,
}

impl Wait {
    /// Starts a wait for `what`, a short noun phrase such as `"tcp read"`.
    #[track_caller]
    #[must_use]
    #[inline]
    pub const fn new(what: &'static str) -> Self {
        Self::at(what, Location::caller())
    }

    /// As [`new`](Self::new), for what another line began.
    ///
    /// For functions that wait several times on behalf of their caller, whose line says more than theirs.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::panic::Location;
    /// use tress::runtime::leaf::Wait;
    ///
    /// #[track_caller]
    /// fn wait_twice() -> [Wait; 2] {
    ///     let caller = Location::caller();
    ///     [(); 2].map(|()| Wait::at("one of two", caller))
    /// }
    ///
    /// assert!(wait_twice().iter().all(|wait| wait.location().file() == file!()));
    /// ```
    #[must_use]
    #[inline]
    pub const fn at(what: &'static str, location: &'static Location<'static>) -> Self {
        Self { what, location, since: Moment::NEVER }
    }

    /// A wait that began earlier, if it was pending, and has been kept as that moment.
    #[inline]
    pub(crate) const fn resume(
        what: &'static str,
        location: &'static Location<'static>,
        since: Moment,
    ) -> Self {
        Self { what, location, since }
    }

    /// Makes one attempt, if the task may.
    ///
    /// `attempt` returns `Pending` only after it has registered the waker of its context. It is not called when the
    /// task's budget is spent; the task is then woken and `Pending` returned.
    ///
    /// Nor is it called when the stop token of the [environment](crate::env) has been requested to stop: then whoever awaits the operation is
    /// stopped, as by [`stopped`](crate::stop::stopped). An operation that waits when that happens is polled again. So what an attempt has
    /// moved is always reported, and one that comes after the stop moves nothing.
    #[inline]
    pub fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if env::stop_scope(StopScope::is_stop_requested) == Some(true) {
            return self.stop(cx);
        }
        let poll = self.poll_shielded(cx, attempt);
        if poll.is_pending() {
            env::stop_scope(|stop| stop.note(cx.waker()));
        }
        poll
    }

    /// The same for an operation that goes on when its environment's [token](crate::env) asks it to stop.
    #[inline]
    pub fn poll_shielded<T>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let unit = ready!(coop::poll_proceed(cx));
        match attempt(cx) {
            Poll::Ready(value) => {
                unit.made_progress();
                self.since = Moment::NEVER;
                Poll::Ready(value)
            }
            Poll::Pending => {
                collector::found(self.what, self.location, self.since);
                if !self.since.has_come() {
                    self.since = coarse::now();
                }
                Poll::Pending
            }
        }
    }

    /// The operation is not to go on: whoever awaits it is stopped.
    #[cold]
    fn stop<T>(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        // Who catches stops in a loop has to let others run, too.
        let unit = ready!(coop::poll_proceed(cx));
        unit.made_progress();
        collector::found(self.what, self.location, self.since);
        raise(cx);
        Poll::Pending
    }

    /// What is waited for.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        self.what
    }

    /// The line that started the wait.
    #[must_use]
    pub const fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// Changes the line that is said to have started the wait: for a future that is awaited several times.
    pub(crate) const fn relocate(&mut self, location: &'static Location<'static>) {
        self.location = location;
    }

    /// When an attempt first left it pending.
    #[inline]
    pub(crate) const fn since(&self) -> Moment {
        self.since
    }

    /// Whether the last attempt left the operation pending.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.since.has_come()
    }
}
