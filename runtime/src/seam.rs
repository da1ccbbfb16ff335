//! What the other crates of this workspace are built on, and users are not: it may change with any version.

use std::alloc::Layout;
use std::ptr::NonNull;

use crate::Handle;
use crate::executor::Runnable;
use crate::primitive::coarse::Look;
use crate::{context, coop, frame};

pub use crate::containment::{contain_panic, discard_payload};
pub use crate::executor::{Header, ItemTime, Limits, RunnableVtable, Transfer, Turn};

pub mod strands {
    //! What the runtime knows of strands.
    pub use crate::trace::strands::{Listed, Name, Place};
}

pub mod primitive {
    //! What std or loom provides, for protocols that can be modelled.
    pub use crate::primitive::cell::UnsafeCell;
    pub use crate::primitive::hint::spin_loop;
    pub use crate::primitive::sync::atomic;
    pub use crate::primitive::sync::{PlainAtomicU32, PlainAtomicU64};
    pub use crate::primitive::thread::thread_local;
}

pub mod run {
    //! Which stretch of a thread's work code belongs to.
    pub use crate::run::{FIRST, InSerial, current, enter_serial, innermost_serial, is_current};
}

/// Whether the runtime was made to measure times.
#[must_use]
pub fn is_measuring(runtime: &Handle) -> bool {
    runtime.pool.config.measure_tasks
}

/// The present, in nanoseconds since some time in the past.
#[must_use]
pub fn now_ns() -> u64 {
    Look::take().moment.to_number()
}

/// Runs `f` in neither the environment nor the allocator's window nor the spans of whoever calls.
pub fn apart<R>(f: impl FnOnce() -> R) -> R {
    context::apart(f)
}

/// The same, with a budget of its own: for `f` that [runs](run_next) what an executor has been given.
pub fn inside<R>(f: impl FnOnce() -> R) -> R {
    context::apart(|| {
        let _budget = coop::enter(Some(coop::BUDGET_PER_POLL));
        f()
    })
}

/// Runs what an executor has been given as one of several in a row.
///
/// The caller's own runnable is run by a worker, or by [`Runnable::run`], or it is [inside](inside()) something else.
#[inline]
pub fn run_next(runnable: Runnable) {
    coop::refill();
    // Who is handed over to takes its turn in its queue.
    drop(runnable.execute());
}

/// Runs what an executor has been given inside something else that the same executor runs.
pub fn run_inside(runnable: Runnable) {
    inside(|| drop(runnable.execute()));
}

/// Memory from the frame pool, whatever window is open.
#[inline]
#[must_use]
pub fn alloc(layout: Layout) -> NonNull<u8> {
    frame::alloc(layout, frame::Kind::Raw)
}

/// Gives memory back to the frame pool, on any thread.
///
/// # Safety
///
/// It came from [`alloc`] for the same layout, with this provenance, and nothing refers to it any more.
#[inline]
#[expect(unsafe_code, reason = "hands the contract of the frame pool on")]
pub unsafe fn free(memory: NonNull<u8>, layout: Layout) {
    // SAFETY: the caller keeps the same contract.
    unsafe { frame::free(memory, layout, frame::Kind::Raw) }
}
