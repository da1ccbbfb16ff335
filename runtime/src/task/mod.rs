//! Tasks: spawning, joining, aborting, and futures in frames of their own.
//!
//! A task is a future that its executor polls, at the same time as others. A [`JoinHandle`] waits for its output; dropped, it leaves the task alone.
//!
//! | to run a future as a task | take |
//! |---|---|
//! | where the caller runs | [`spawn`]; [`Builder`] gives it a name |
//! | on a certain runtime or executor, with a stop token, values or an allocator | [`Handle::spawn`](crate::Handle::spawn), [`executor::launch`](crate::executor::launch()) |
//! | with others, whose outputs are taken as they come | [`JoinSet`] |
//! | with others, all of which end before the caller goes on, and of which the first error stops the rest | [`scope()`] |
//! | the same, for tasks that borrow from a thread, which waits for them | [`Handle::scope`](crate::Handle::scope) |
//! | with others that come and go, as the connections of a server, and are stopped and waited for together in the end | [`CountingScope`] |
//!
//! | | |
//! |---|---|
//! | [`lazy()`] | no task: a future in a frame of its own, for recursion, for deep chains, and in place of a boxed future |
//! | [`Lazy::shared`] | the same with many who await it |
//! | [`spawn_blocking`], [`block_in_place`] | for code that blocks its thread |
//! | [`yield_now()`], [`coop`] | so that others have their turn |
//!
//! # How a task ends
//!
//! By its output; by a panic, which its joiner is told; by [`abort`](JoinHandle::abort), which drops it at its next await; or because a
//! [stop](crate::stop) was requested of it, which what it waits for reports. In each case its future is dropped on its executor before whoever joins it goes
//! on. [`JoinError`] says which it was. A task that cannot be run, as after a shutdown, is dropped, and its joiner is told that it was
//! [refused](JoinError::is_refused).
//!
//! # Examples
//!
//! ```
//! use tress::task::JoinSet;
//!
//! # tress::Runtime::new().unwrap().block_on(async {
//! let mut squares = JoinSet::new();
//! for number in 1..=3 {
//!     squares.spawn(async move { number * number });
//! }
//! let mut sum = 0;
//! while let Some(square) = squares.join_next().await {
//!     sum += square.unwrap();
//! }
//! assert_eq!(sum, 14);
//! # });
//! ```

#[cfg(doc)]
mod protocol {
    #![doc = include_str!("README.md")]
}

mod abort;
mod annex;
#[cfg(not(tress_loom))]
mod blocking_scope;
#[cfg(doctest)]
mod bounds;
mod builder;
mod cell;
mod counting_scope;
mod ending;
mod error;
mod group;
mod handover;
mod harness;
mod header;
mod id;
mod join;
mod join_set;
#[cfg(all(test, tress_loom))]
pub(crate) mod model;
pub(crate) mod moving;
mod placed;
mod raw;
mod root;
mod scope;
mod state;
mod waker;
mod yield_now;

pub mod coop {
    //! The cooperative budget.
    #[doc(inline)]
    pub use crate::coop::{
        RestoreOnPending, Unconstrained, consume_budget, has_budget_remaining, poll_proceed, unconstrained,
    };
}

use std::future::Future;
use std::ptr::NonNull;

pub use self::abort::AbortHandle;
#[cfg(not(tress_loom))]
pub use self::blocking_scope::{BlockingScope, ScopedJoinHandle};
pub use self::builder::Builder;
pub use self::counting_scope::CountingScope;
pub use self::error::JoinError;
pub use self::id::{Id, id, try_id};
pub use self::join::JoinHandle;
pub use self::join_set::JoinSet;
pub use self::scope::{Scope, scope};
pub use self::yield_now::{YieldNow, yield_now};
pub use crate::blocking::{block_in_place, spawn_blocking};
pub use crate::handle::spawn;
pub use crate::tree::{
    Lazy, LocalLazy, SharedLazy, lazy, lazy_borrowed, lazy_local, lazy_local_borrowed, try_lazy,
};

pub(crate) use self::annex::Particulars;
pub(crate) use self::group::{End, Group, Member};
pub(crate) use self::header::TaskHeader;
pub(crate) use self::placed::{new_placed, schedule_placed};
pub(crate) use self::raw::RawTask;
pub(crate) use self::state::{Snapshot, ToShutdown};

use self::cell::TaskCell;
use crate::context;
use crate::executor::{RawExecutor, Runnable};

/// Makes a task: the runnable is to be handed to the executor, the handle to whoever spawned it. `prepare` is called with the
/// task before anybody runs it. Gives the future back if the allocator whose window is open refuses.
///
/// # Safety
///
/// The executor outlives the task's completion, and `F` and its output may be used on any thread that the executor
/// runs on or that holds the handle.
#[inline]
#[expect(unsafe_code, reason = "the new frame's two references are handed to their owners")]
pub(crate) unsafe fn new<F: Future>(
    executor: RawExecutor,
    future: F,
    prepare: impl FnOnce(RawTask),
) -> Result<(Runnable, JoinHandle<F::Output>), F> {
    let task = TaskCell::allocate(future, executor, Id::next())?;
    prepare(task);
    // SAFETY: a new task is scheduled, and this is its only runnable.
    let runnable = unsafe { Runnable::from_raw(task.as_ptr().cast()) };
    // SAFETY: a new task counts one reference for its only join handle.
    let handle = unsafe { JoinHandle::new(task) };
    Ok((runnable, handle))
}

/// Makes a task that has ended already, because the executor takes no more, or there is no memory for it.
#[expect(unsafe_code, reason = "the frame is completed here instead of being run")]
pub(crate) fn refuse<F: Future>(executor: RawExecutor, future: F) -> JoinHandle<F::Output> {
    // The pool does not refuse: what this makes is the handle that says so, more than a task.
    let task = TaskCell::allocate_in_pool(future, executor, Id::next());
    // SAFETY: a new task counts one reference for its only join handle.
    let handle = unsafe { JoinHandle::new(task) };
    // SAFETY: the task is scheduled and there is no runnable for it: this call takes its place.
    unsafe { harness::refuse::<F>(task) };
    handle
}

/// Calls `f` for every task of the process that belongs to the executor at `executor`, running or not.
///
/// Tasks that are made or end meanwhile may be missed.
#[expect(unsafe_code, reason = "the frame pool's slots are looked at without owning them")]
pub(crate) fn for_each(executor: NonNull<()>, mut f: impl FnMut(RawTask)) {
    let mut found = Vec::new();
    crate::frame::for_each_task_slot(&mut |slot| {
        // SAFETY: the first word of a task slot is always a valid atomic.
        let word = unsafe { slot.cast::<crate::primitive::sync::atomic::AtomicUsize>().as_ref() };
        if state::State::from_word(word).try_ref() {
            // SAFETY: the reference that was just taken keeps the frame.
            found.push(unsafe { RawTask::from_ptr(slot.cast::<TaskHeader>()) });
        }
    });
    // User code runs only now, when the scan's locks are released.
    for task in found {
        let state = task.state().load();
        // One that is ending may have outlived its executor, whose address another one has now.
        if task.executor_data() == executor && !state.is_complete() && !state.is_ending() {
            f(task);
        }
        task.release();
    }
}
