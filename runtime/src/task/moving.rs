//! Tasks that go to another executor for a while: for [`run_on`](crate::executor::run_on()).
//!
//! Whoever polls a task may ask, while it does, for the next runs to be elsewhere, until a part of it has been polled there; and whoever wakes a part that
//! runs elsewhere may say so. Everything else finds the task where it belongs.
#![expect(unsafe_code, reason = "takes wakers apart, whose table it knows")]

use std::fmt;
use std::mem;
use std::ptr::{self, NonNull};
use std::task::Waker;

use super::header::TaskHeader;
use super::raw::RawTask;
use super::state::ToScheduled;
use super::{Id, context, root, waker};
use crate::containment::contain_panic;
use crate::executor::{AnyExecutor, Executor, Reason, Runnable};
use crate::primitive::cell::UnsafeCell;
use crate::primitive::sync::atomic::Ordering;
use crate::primitive::sync::{PlainArc, PlainAtomicU64};
use crate::tree;

/// Those in a task who want to be polled on an executor, and wait for that. Touched by whoever runs the task only.
pub(crate) struct Asks(UnsafeCell<Vec<Ask>>);

/// Somebody who does.
struct Ask {
    /// The lower, the longer ago.
    ticket: u64,
    /// Who asks: an address.
    asker: usize,
    to: PlainArc<AnyExecutor>,
    /// The task's count of polls when this was last said.
    run: u32,
    /// How often the task has gone there since then.
    obeyed: u32,
}

impl Asks {
    pub(crate) fn new() -> Self {
        Self(UnsafeCell::new(Vec::new()))
    }

    /// Lends what is asked for. `f` calls no foreign code.
    fn with<R>(&self, f: impl FnOnce(&mut Vec<Ask>) -> R) -> R {
        // SAFETY: nobody else touches the cell, and nobody comes back to it while it is lent.
        self.0.with_mut(|asks| f(unsafe { &mut *asks }))
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        // SAFETY: nobody else touches the cell.
        self.0.with(|asks| unsafe { &*asks }.is_empty())
    }

    /// Adds a wish, or renews it. False if that has been done in this run before.
    fn add(&self, ask: Ask) -> bool {
        let (is_new, former) =
            self.with(|asks| match asks.iter_mut().find(|other| other.asker == ask.asker) {
                Some(place) => {
                    let is_new = place.run != ask.run;
                    (is_new, Some(mem::replace(place, ask)))
                }
                None => {
                    asks.push(ask);
                    (true, None)
                }
            });
        drop(former);
        is_new
    }

    fn remove(&self, asker: usize) {
        let removed = self.with(|asks| {
            let place = asks.iter().position(|ask| ask.asker == asker);
            place.map(|place| asks.swap_remove(place))
        });
        drop(removed);
    }

    /// Where the next run is to be. Forgets those who have not come back for long: they have been taken out of the task.
    fn next(&self) -> Option<PlainArc<AnyExecutor>> {
        let (to, forgotten) = self.with(|asks| {
            let place = (0..asks.len()).min_by_key(|&place| asks[place].ticket)?;
            asks[place].obeyed += 1;
            let to = PlainArc::clone(&asks[place].to);
            Some((to, (asks[place].obeyed == MOST_RUNS).then(|| asks.swap_remove(place))))
        })?;
        drop(forgotten);
        Some(to)
    }
}

impl Drop for Asks {
    /// What is left has been forgotten here by whoever asked; executors are foreign, and nobody is there to be told of their panics.
    fn drop(&mut self) {
        let left = self.with(mem::take);
        contain_panic(|| drop(left));
    }
}

impl fmt::Debug for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// So often does a task go somewhere for the sake of one that is not polled there.
const MOST_RUNS: u32 = 4096;

/// Orders the asks of all threads. Publishes nothing.
static NEXT_TICKET: PlainAtomicU64 = PlainAtomicU64::new(0);

/// A place in the order of those who ask.
pub(crate) fn ticket() -> u64 {
    NEXT_TICKET.fetch_add(1, Ordering::Relaxed)
}

/// Asks for the runs of the task that is being polled on this thread to be on this executor, until the asker takes it back; the caller sees to it that
/// there is a run, in which it is polled. Of all who ask, the one with the lowest ticket is obeyed.
///
/// False if the asker has done so already in this run.
pub(crate) fn ask(asker: usize, ticket: u64, to: &PlainArc<AnyExecutor>) -> bool {
    let run = tree::root_polls();
    let ask = Ask { ticket, asker, to: PlainArc::clone(to), run, obeyed: 0 };
    tree::with_asks(true, |asks| asks.add(ask)).unwrap_or(true)
}

/// Takes back what this asker has asked for in the task that is being polled or dropped on this thread.
pub(crate) fn forget(asker: usize) {
    tree::with_asks(false, |asks| asks.remove(asker));
}

/// The task that is being polled on this thread, if it may be polled on others, too.
pub(crate) fn current_task() -> Option<Id> {
    tree::movable_root()
}

/// Hands on a task that was woken while it ran.
#[inline(always)]
pub(super) fn resubmit(task: RawTask) {
    if root::has_asks(task) || !context::is_current_pool(task.executor_data()) {
        return resubmit_elsewhere(task);
    }
    task.submit(Reason::Yielded);
}

#[cold]
#[inline(never)]
fn resubmit_elsewhere(task: RawTask) {
    // The task is scheduled, and its runnable is still to be made: nobody else runs it.
    let Some(to) = task.annex().and_then(|annex| annex.tree.asks().next()) else {
        return task.submit_from_anywhere(Reason::Yielded);
    };
    // SAFETY: the task is scheduled, and this is the only runnable.
    let runnable = unsafe { Runnable::from_raw(task.as_ptr().cast()) };
    // The executors' own code may panic; the runnable is dropped then.
    contain_panic(|| if to.is_current() { to.defer(runnable) } else { to.post(runnable) });
}

/// Wakes whom the waker names; if that is a task that has nothing to do yet, it runs next on this executor.
pub(crate) fn wake_on(waker: Waker, executor: &AnyExecutor) {
    if !ptr::eq(waker.vtable(), &raw const waker::VTABLE) {
        return waker.wake();
    }
    let header = NonNull::new(waker.data().cast_mut().cast::<TaskHeader>());
    let header = header.expect("a task's waker has its frame's address");
    // SAFETY: the waker holds a reference.
    let task = unsafe { RawTask::from_ptr(header) };
    if task.is_bound() {
        return waker.wake();
    }
    // Its reference goes with the transition.
    mem::forget(waker);
    match task.state().transition_to_scheduled_by_value() {
        ToScheduled::Nothing => {}
        ToScheduled::Submit => {
            // SAFETY: the task is scheduled, and this is the only runnable.
            let runnable = unsafe { Runnable::from_raw(task.as_ptr().cast()) };
            // As above.
            contain_panic(|| executor.post(runnable));
        }
        ToScheduled::Free => task.free(),
    }
}
