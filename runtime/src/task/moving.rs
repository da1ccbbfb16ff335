//! Tasks that go to another executor for a while: for [`run_on`](crate::executor::run_on()).
//!
//! Whoever polls a task may ask, while it does, for the next runs to be elsewhere, until a part of it has been polled there; and whoever wakes a part that
//! runs elsewhere may say so. Everything else finds the task where it belongs.
#![expect(unsafe_code, reason = "takes wakers apart, whose table it knows")]

use std::fmt;
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::Weak;
use std::task::Waker;

use super::header::TaskHeader;
use super::raw::RawTask;
use super::state::ToScheduled;
use super::{context, root, waker};
use crate::containment::contain_panic;
use crate::executor::{AnyExecutor, Executor, Reason, Runnable};
use crate::primitive::cell::UnsafeCell;
use crate::primitive::sync::atomic::Ordering;
use crate::primitive::sync::{PlainArc, PlainAtomicU64};
use crate::tree;

/// Those in a task who want to be polled on an executor, and wait for that. Touched by whoever runs the task only.
pub(crate) struct Asks(UnsafeCell<Wanted>);

/// Somebody who does.
struct Ask {
    /// The lower, the longer ago.
    ticket: u64,
    asker: PlainArc<PlainAtomicU64>,
    /// Kept by those who ask, and not by what they leave here: a wish that is void keeps no executor.
    to: Weak<AnyExecutor>,
    /// The task's count of polls when this was last said.
    run: u32,
}

#[derive(Default)]
struct Wanted {
    asks: Vec<Ask>,
    /// How often the task has gone somewhere since somebody has last been polled where they wanted to be.
    in_vain: u32,
}

impl Asks {
    pub(crate) fn new() -> Self {
        Self(UnsafeCell::new(Wanted::default()))
    }

    /// Lends what is asked for. `f` calls no foreign code.
    fn with<R>(&self, f: impl FnOnce(&mut Wanted) -> R) -> R {
        // SAFETY: nobody else touches the cell, and nobody comes back to it while it is lent.
        self.0.with_mut(|wanted| f(unsafe { &mut *wanted }))
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        // SAFETY: nobody else touches the cell.
        self.0.with(|wanted| unsafe { &*wanted }.asks.is_empty())
    }

    /// Adds a wish, or renews it. False if that has been done in this run before.
    fn add(&self, ask: Ask) -> bool {
        self.with(|wanted| {
            match wanted.asks.iter_mut().find(|other| PlainArc::ptr_eq(&other.asker, &ask.asker)) {
                Some(place) => mem::replace(place, ask).run != place.run,
                None => {
                    wanted.asks.push(ask);
                    true
                }
            }
        })
    }

    fn remove(&self, asker: &PlainArc<PlainAtomicU64>) {
        self.with(|wanted| {
            let Some(place) = wanted.asks.iter().position(|ask| PlainArc::ptr_eq(&ask.asker, asker)) else {
                return;
            };
            let removed = wanted.asks.swap_remove(place);
            // Only the one who has been obeyed: others may come and go for as long as one who is never polled is the oldest.
            if wanted.asks.iter().all(|ask| ask.ticket > removed.ticket) {
                wanted.in_vain = 0;
            }
        });
    }

    /// Where the next run is to be. Forgets those who have been taken out of the task, or who have not been polled for long.
    fn next(&self) -> Option<PlainArc<AnyExecutor>> {
        self.with(|wanted| {
            wanted.asks.retain(Ask::is_wanted);
            wanted.in_vain += 1;
            if wanted.in_vain == MOST_RUNS {
                wanted.in_vain = 0;
                wanted.asks.clear();
            }
            loop {
                let places = 0..wanted.asks.len();
                let first = places.min_by_key(|&place| wanted.asks[place].ticket)?;
                if let Some(to) = wanted.asks[first].to.upgrade() {
                    return Some(to);
                }
                // Whoever has asked goes elsewhere by now, or is gone.
                wanted.asks.swap_remove(first);
            }
        })
    }
}

impl Ask {
    /// Whether whoever asks has not been taken out of the task.
    fn is_wanted(&self) -> bool {
        self.asker.load(Ordering::Relaxed) == self.ticket
    }
}

/// Whether somebody asks for something, and since when. Only who polls that one asks.
#[derive(Debug)]
pub(crate) struct Wish(PlainArc<PlainAtomicU64>);

impl Wish {
    pub(crate) fn new() -> Self {
        Self(PlainArc::new(PlainAtomicU64::new(NOTHING)))
    }

    /// Asks for the runs of the task that is being polled on this thread to be on this executor, until that is taken back; the caller sees to it that
    /// there is a run, in which it is polled. Of all who ask, the one who has done so for longest is obeyed.
    ///
    /// False if that has been done in this run before.
    pub(crate) fn ask(&self, to: &PlainArc<AnyExecutor>) -> bool {
        let mut ticket = self.0.load(Ordering::Relaxed);
        if ticket == NOTHING {
            ticket = NEXT_TICKET.fetch_add(1, Ordering::Relaxed);
            self.0.store(ticket, Ordering::Relaxed);
        }
        let (asker, to, run) = (PlainArc::clone(&self.0), PlainArc::downgrade(to), tree::root_polls());
        tree::with_asks(true, |asks| asks.add(Ask { ticket, asker, to, run })).unwrap_or(true)
    }

    /// Takes back what has been asked for, also from the list of the task that is being polled or dropped on this thread. Whether anything had been.
    pub(crate) fn take_back(&self) -> bool {
        let is_asked = self.give_up();
        if is_asked {
            tree::with_asks(false, |asks| asks.remove(&self.0));
        }
        is_asked
    }

    /// Asks for nothing any more, in whichever task that was. Whether anything had been asked for.
    pub(crate) fn give_up(&self) -> bool {
        let is_asked = self.0.load(Ordering::Relaxed) != NOTHING;
        self.0.store(NOTHING, Ordering::Relaxed);
        is_asked
    }
}

impl fmt::Debug for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// So often does a task go somewhere for the sake of others, none of whom is polled where they want to be, before all are forgotten: whoever is still
/// there asks again.
const MOST_RUNS: u32 = 1024;

/// Orders the asks of all threads. Publishes nothing.
static NEXT_TICKET: PlainAtomicU64 = PlainAtomicU64::new(NOTHING + 1);

/// No ticket.
const NOTHING: u64 = 0;

/// Whether a task is being polled on this thread that may be polled on others, too.
pub(crate) fn is_in_task() -> bool {
    tree::is_root_movable()
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
    // The executor's own code may panic: the runnable is dropped then.
    contain_panic(move || {
        if to.is_current() {
            to.defer(runnable);
        } else {
            to.post(runnable);
        }
        drop(to);
    });
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
