//! The executor of whoever wakes.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::{Executor, Runnable};
use crate::context;

std::thread_local! {
    /// What is to be run on this thread; `None` if nobody runs it yet.
    static QUEUE: RefCell<Option<VecDeque<Runnable>>> = const { RefCell::new(None) };
}

/// Runs tasks at once, on whichever thread wakes them.
///
/// What a thread wakes while it runs such a task already waits for that to be over, on the same thread: a chain of tasks that wake each other
/// takes no stack. A worker of a runtime that delivers events or fires timers is not interrupted: it runs the task next, as one of its own.
///
/// So the first poll of what is [launched](super::launch()) on it is made before `spawn` returns, except from such a task, and a waker polls. Whoever wakes with a
/// lock held that the task wants as well waits for itself: that is what inline means.
///
/// # Examples
///
/// ```
/// use tress::executor::{Inline, launch};
///
/// let task = launch(Inline).spawn(async { 7 });
/// assert!(task.is_finished());
/// ```
///
/// # Source
///
/// P3552 §4.3 (`inline_scheduler`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inline;

impl Executor for Inline {
    fn post(&self, runnable: Runnable) {
        let Err(runnable) = context::adopt_between_polls(runnable) else { return };
        let mut runnable = Some(runnable);
        let is_first = QUEUE.try_with(|queue| {
            let mut queue = queue.borrow_mut();
            let is_first = queue.is_none();
            queue.get_or_insert_default().extend(runnable.take());
            is_first
        });
        match is_first {
            Ok(true) => run_all(),
            Ok(false) => {}
            // The thread's locals are gone: there is no queue any more.
            Err(_) => runnable.into_iter().for_each(Runnable::run),
        }
    }

    /// As [`post`](Executor::post): in a chain, that takes no stack either.
    fn dispatch(&self, runnable: Runnable) {
        self.post(runnable);
    }

    fn is_current(&self) -> bool {
        true
    }
}

/// Runs what is queued on this thread until nothing is.
fn run_all() {
    /// Leaves the queue to the next one, also when a runnable unwinds, which none does.
    struct Leave;

    impl Drop for Leave {
        fn drop(&mut self) {
            let left = QUEUE.try_with(|queue| queue.borrow_mut().take());
            drop(left);
        }
    }

    let _leave = Leave;
    while let Ok(Some(runnable)) = QUEUE.try_with(|queue| queue.borrow_mut().as_mut()?.pop_front()) {
        runnable.run();
    }
}
