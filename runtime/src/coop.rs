//! The cooperative budget: how much a task may do before it lets others run.
//!
//! A worker refills the budget before each poll of a task. Every leaf operation of tress that makes progress takes one
//! unit; when none is left, leaf operations report `Pending` and wake their task, which thereby goes to the back of the
//! queue. A socket that is always readable can therefore not starve its neighbours. Leaf futures of users take part
//! with [`poll_proceed`]; a piece of code that must not be interrupted opts out with [`unconstrained`].
//!
//! Outside a task of tress the budget is unlimited.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::primitive::thread::thread_local;

/// Units that a task gets for each poll.
pub(crate) const BUDGET_PER_POLL: u16 = 128;

/// Stands for "no limit".
const UNCONSTRAINED: u16 = u16::MAX;

thread_local! {
    static BUDGET: Cell<u16> = const { Cell::new(UNCONSTRAINED) };
}

/// Puts the former budget back when dropped.
#[derive(Debug)]
pub(crate) struct RestoreBudget(u16);

impl Drop for RestoreBudget {
    fn drop(&mut self) {
        // A thread-local that is gone can no longer limit anybody.
        let _ = BUDGET.try_with(|budget| budget.set(self.0));
    }
}

/// Fills the budget for one poll of a task.
#[inline]
pub(crate) fn refill() {
    let _ = BUDGET.try_with(|budget| budget.set(BUDGET_PER_POLL));
}

/// Lifts the limit, as when a thread leaves its run loop.
#[inline]
pub(crate) fn lift() {
    let _ = BUDGET.try_with(|budget| budget.set(UNCONSTRAINED));
}

/// Sets the budget for a nested run loop; the former one comes back with the guard's drop.
pub(crate) fn enter(units: Option<u16>) -> RestoreBudget {
    RestoreBudget(
        BUDGET.try_with(|budget| budget.replace(units.unwrap_or(UNCONSTRAINED))).unwrap_or(UNCONSTRAINED),
    )
}

/// Whether the limit is lifted.
#[inline]
pub(crate) fn is_unconstrained() -> bool {
    BUDGET.try_with(|budget| budget.get() == UNCONSTRAINED).unwrap_or(true)
}

/// Tells whether the current task may still make progress in this poll.
///
/// Always true outside a task.
///
/// # Examples
///
/// ```
/// assert!(tress::task::coop::has_budget_remaining());
/// ```
#[must_use]
pub fn has_budget_remaining() -> bool {
    BUDGET.try_with(|budget| budget.get() > 0).unwrap_or(true)
}

/// Gives a unit back unless [`made_progress`](Self::made_progress) is called.
///
/// Returned by [`poll_proceed`]: an operation that turns out to be pending has used nothing.
#[derive(Debug)]
#[must_use = "dropping it at once gives the unit back"]
pub struct RestoreOnPending {
    former: Cell<u16>,
}

impl RestoreOnPending {
    /// Keeps the unit: the operation is done.
    #[inline]
    pub fn made_progress(&self) {
        self.former.set(UNCONSTRAINED);
    }
}

impl Drop for RestoreOnPending {
    #[inline]
    fn drop(&mut self) {
        let former = self.former.get();
        if former != UNCONSTRAINED {
            let _ = BUDGET.try_with(|budget| budget.set(former));
        }
    }
}

/// Takes one unit of the budget, or says that the task has to yield.
///
/// With no unit left, the task is woken (so that it runs again soon) and the result is `Pending`, which the caller
/// returns. Otherwise call [`RestoreOnPending::made_progress`] once the operation is done.
///
/// # Examples
///
/// ```
/// use std::task::{Context, Poll, ready};
/// use tress::task::coop;
///
/// fn poll_pop(cx: &mut Context<'_>, items: &mut Vec<u32>) -> Poll<Option<u32>> {
///     let unit = ready!(coop::poll_proceed(cx));
///     unit.made_progress();
///     Poll::Ready(items.pop())
/// }
/// # let mut cx = Context::from_waker(std::task::Waker::noop());
/// # assert_eq!(poll_pop(&mut cx, &mut vec![1]), Poll::Ready(Some(1)));
/// ```
#[inline]
pub fn poll_proceed(cx: &mut Context<'_>) -> Poll<RestoreOnPending> {
    let former = BUDGET.try_with(Cell::get).unwrap_or(UNCONSTRAINED);
    match former {
        UNCONSTRAINED => Poll::Ready(RestoreOnPending { former: Cell::new(UNCONSTRAINED) }),
        0 => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        units => {
            let _ = BUDGET.try_with(|budget| budget.set(units - 1));
            Poll::Ready(RestoreOnPending { former: Cell::new(units) })
        }
    }
}

/// Takes one unit of the budget if there is one: for what has made progress already.
pub(crate) fn spend() {
    let _ = BUDGET.try_with(|budget| match budget.get() {
        UNCONSTRAINED | 0 => {}
        units => budget.set(units - 1),
    });
}

/// Takes one unit of the budget and yields if there is none.
///
/// For loops that compute for long without awaiting anything.
///
/// # Cancel safety
///
/// Dropping it loses nothing.
///
/// # Examples
///
/// ```
/// # async fn hash(_: u64) {}
/// async fn hash_all(items: Vec<u64>) {
///     for item in items {
///         hash(item).await;
///         tress::task::coop::consume_budget().await;
///     }
/// }
/// ```
pub async fn consume_budget() {
    poll_fn(|cx| {
        let unit = ready!(poll_proceed(cx));
        unit.made_progress();
        Poll::Ready(())
    })
    .await;
}

/// Runs a future without a budget.
///
/// The future can then keep its worker for as long as it is ready; other workers take over what waits behind it.
///
/// # Cancel safety
///
/// As that of the future inside.
///
/// # Examples
///
/// ```
/// use tress::task::coop;
/// # let future = async {
/// coop::unconstrained(async { assert!(coop::has_budget_remaining()) }).await;
/// # };
/// ```
pub fn unconstrained<F: Future>(future: F) -> Unconstrained<F> {
    Unconstrained { future }
}

pin_project! {
    /// The future of [`unconstrained`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Unconstrained<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _restore = enter(None);
        self.project().future.poll(cx)
    }
}
