//! Tasks that go to another executor for a while: for [`run_on`](crate::executor::run_on()).
//!
//! Whoever polls a task may ask, while it does, for the next run to be elsewhere; and whoever wakes a part of it that runs elsewhere may say so.
//! Everything else finds the task where it belongs.
#![expect(unsafe_code, reason = "takes wakers apart, whose table it knows")]

use std::cell::{Cell, RefCell};
use std::mem;
use std::ptr::{self, NonNull};
use std::task::Waker;

use super::header::TaskHeader;
use super::raw::RawTask;
use super::state::ToScheduled;
use super::{Id, context, waker};
use crate::containment::contain_panic;
use crate::executor::{AnyExecutor, Executor, Reason, Runnable};
use crate::primitive::sync::PlainAtomicU64;
use crate::primitive::sync::atomic::Ordering;
use crate::tree;

/// Somebody in a task who is to be polled on an executor, and waits for that.
struct Ask {
    /// The lower, the longer ago.
    ticket: u64,
    /// Who asks: an address.
    asker: usize,
    to: AnyExecutor,
}

/// What is asked for in a run.
struct Asked {
    task: Id,
    asks: Vec<Ask>,
}

std::thread_local! {
    /// Whether anything is: spares most runs a look at it.
    static IS_ASKED: Cell<bool> = const { Cell::new(false) };
    static ASKED: RefCell<Option<Asked>> = const { RefCell::new(None) };
}

/// Orders the asks of all threads. Publishes nothing.
static NEXT_TICKET: PlainAtomicU64 = PlainAtomicU64::new(0);

/// A place in the order of those who ask.
pub(crate) fn ticket() -> u64 {
    NEXT_TICKET.fetch_add(1, Ordering::Relaxed)
}

/// Asks for the next run of the task that is being polled on this thread to be on this executor; the caller sees to it that there is one, in which
/// it is polled. Of all who ask in a run, the one with the lowest ticket is obeyed; the others ask again.
///
/// False if the asker has done so already since the run began.
pub(crate) fn ask(task: Id, asker: usize, ticket: u64, to: &AnyExecutor) -> bool {
    let ask = Ask { ticket, asker, to: to.clone() };
    let asked = ASKED.try_with(|asked| {
        let mut asked = asked.borrow_mut();
        match &mut *asked {
            Some(Asked { task: other, asks }) if *other == task => {
                let is_new = asks.iter().all(|other| other.asker != asker);
                asks.push(ask);
                (is_new, None)
            }
            _ => (true, asked.replace(Asked { task, asks: vec![ask] })),
        }
    });
    IS_ASKED.set(true);
    // What is left of another task that has been forgotten is dropped when nothing is borrowed.
    asked.is_ok_and(|(is_new, _former)| is_new)
}

/// Takes back what this asker has asked for.
pub(crate) fn forget(asker: usize) {
    if !IS_ASKED.get() {
        return;
    }
    let taken = ASKED.try_with(|asked| {
        let mut asked = asked.borrow_mut();
        let asks = asked.as_mut().map(|asked| &mut asked.asks)?;
        let taken: Vec<Ask> = asks.extract_if(.., |ask| ask.asker == asker).collect();
        if asks.is_empty() {
            *asked = None;
            IS_ASKED.set(false);
        }
        Some(taken)
    });
    drop(taken);
}

fn take(task: Id) -> Option<Vec<Ask>> {
    let taken = ASKED.try_with(|asked| {
        let taken = asked.borrow_mut().take_if(|asked| asked.task == task);
        IS_ASKED.set(asked.borrow().is_some());
        taken
    });
    taken.ok().flatten().map(|asked| asked.asks)
}

/// The task that is being polled on this thread, if it may be polled on others, too.
pub(crate) fn current_task() -> Option<Id> {
    tree::movable_root()
}

/// Hands on a task that was woken while it ran.
#[inline(always)]
pub(super) fn resubmit(task: RawTask) {
    if IS_ASKED.get() || !context::is_current_pool(task.executor_data()) {
        return resubmit_elsewhere(task);
    }
    task.submit(Reason::Yielded);
}

#[cold]
#[inline(never)]
fn resubmit_elsewhere(task: RawTask) {
    let Some(asks) = take(task.id()) else { return task.submit_from_anywhere(Reason::Yielded) };
    // SAFETY: the task is scheduled, and this is the only runnable.
    let runnable = unsafe { Runnable::from_raw(task.as_ptr().cast()) };
    // The executors' own code may panic; the runnable is dropped then.
    contain_panic(|| {
        let first =
            asks.iter().min_by_key(|ask| ask.ticket).expect("the last one who takes back leaves nothing");
        if first.to.is_current() {
            first.to.defer(runnable)
        } else {
            first.to.post(runnable)
        }
        drop(asks);
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
