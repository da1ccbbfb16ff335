//! The seam between tasks and whatever runs them.
//!
//! A [`Runnable`] is the one unit that executors take; an [`ExecutorRef`] is how a task names its executor. A task
//! never knows "the pool": it hands itself to its executor and forgets about it.

mod executor_ref;
mod runnable;

pub(crate) use self::executor_ref::{ExecutorRef, ExecutorVtable};
pub(crate) use self::runnable::{Header, Runnable, RunnableVtable, Transfer};

/// Why a runnable is handed to its executor; executors may use it to choose a place in their queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It has just been made.
    Spawned,
    /// Somebody woke it.
    Woken,
    /// It was woken during its own poll: it asked for its turn to end, so it goes behind the others.
    Yielded,
}
