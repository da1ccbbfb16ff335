//! Where tasks run: executors of this crate, and of one's own.
//!
//! An [`Executor`] takes [`Runnable`]s and runs each once, somewhere, soon. A task that is [launched](launch()) on one is polled there and
//! nowhere else: whoever wakes it, on whatever thread, hands a runnable to its executor.
//!
//! | | where it runs what it is given |
//! |---|---|
//! | [`Handle`](crate::Handle) | on the workers of a runtime |
//! | [`Prioritized`] | there, too: what is in a higher lane first |
//! | [`CurrentThread`] | on the thread that owns it, when that says so; also futures that are not `Send` |
//! | [`Manual`] | wherever its owner steps it: for tests |
//! | [`Inline`] | at once, on whichever thread wakes |
//!
//! [`AnyExecutor`] is one of any type, [`ExecutorRef`] one that is borrowed.
//!
//! | | |
//! |---|---|
//! | [`launch()`] | spawns a future on an executor, with a name, a stop token, an allocator, values |
//! | [`run_on()`] | awaits a future that runs on another executor; it may borrow |
//! | [`hop_to()`] | goes on on another executor, until the `run_on` around it has ended |
//! | [`current`] | the executor of the code that calls it |
//!
//! [`spawn`](crate::spawn) uses the executor of whoever calls it: what a task on a lane spawns is on that lane, too. To spawn on a runtime
//! whatever the executor, there is [`Handle::spawn`](crate::Handle::spawn).
//!
//! # Affinity
//!
//! A task that is launched on an executor resumes there after everything that it awaits, and if it ends there, by its value, by an error, a
//! panic or a stop, its locals are dropped there. [`run_on()`] goes elsewhere and comes back, also when what it runs is stopped or panics. A
//! hop is spared if it would change nothing: because the code runs on that executor already ([`Executor::is_innermost`]).
//!
//! Dropped *from outside*, by an executor that drops what it is given, or by a runtime that ends, a task is dropped by whoever does that.
//!
//! # Source
//!
//! P4003 (`executor_ref`, `dispatch`, `post`), P3552 §4.1 to §4.5 (affinity, inline and type-erased schedulers), Asio (`defer`).

mod any;
mod api;
mod caught;
#[cfg(not(tress_loom))]
mod current_thread;
#[cfg(not(tress_loom))]
mod inline;
#[cfg(not(tress_loom))]
mod launch;
#[cfg(not(tress_loom))]
mod manual;
mod placed;
mod prioritized;
mod queue;
mod raw;
mod rendezvous;
mod run_on;
mod runnable;
mod turn;

pub use self::any::{AnyExecutor, ExecutorRef};
pub use self::api::Executor;
#[cfg(not(tress_loom))]
pub use self::current_thread::{CurrentThread, LocalSpawner};
#[cfg(not(tress_loom))]
pub use self::inline::Inline;
#[cfg(not(tress_loom))]
pub use self::launch::{Handlers, Launch, launch};
#[cfg(not(tress_loom))]
pub use self::manual::Manual;
pub use self::placed::current;
pub use self::prioritized::{Lane, Prioritized};
pub use self::queue::QueueHandle;
pub use self::run_on::{HopError, HopTo, RunOn, hop_to, run_on};
pub use self::runnable::Runnable;

pub(crate) use self::placed::{inherited, spawn_placed, spawn_placed_on};
pub(crate) use self::queue::LaunchedOn;
pub(crate) use self::raw::{RawExecutor, RawExecutorVtable};
// Hidden where they are defined, which holds wherever they are exported from.
pub use self::runnable::{Header, RunnableVtable, Transfer};
pub use self::turn::{ItemTime, Limits, Turn};

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
