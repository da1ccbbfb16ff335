//! Where the memory of tasks and boxed futures comes from.
//!
//! Every frame comes from the pool, unless another [`FrameAllocator`] is chosen for a while with [`with_allocator`]; [`Box`] puts a value, most
//! often a future, into a frame. A frame may be freed on any thread, and goes back to who made it.
//!
//! | | |
//! |---|---|
//! | [`Box`] | an owned value in a frame of its own |
//! | [`with_allocator`] | chooses the allocator of the frames that a function makes |
//! | [`Pool`], [`Global`], [`Arena`], [`Counting`] | allocators: the default, the program's own, a bounded one, one that counts |
//! | [`fn@stats`], [`trim`] | what the pool holds, and to make it hold less |
//!
//! ```
//! use std::sync::Arc;
//! use tress::frame::{self, Arena, with_allocator};
//!
//! # tress::Runtime::new().unwrap().block_on(async {
//! // A request's futures in memory of its own, which is bounded.
//! let arena = Arc::new(Arena::new(64 * 1024)?);
//! let future = with_allocator(arena, || frame::Box::try_pin(async { 6 * 7 }))?;
//! assert_eq!(future.await, 42);
//! # Ok::<(), frame::AllocError>(())
//! # }).unwrap();
//! ```
//!
//! How the pool works, and why that is safe, is told by the `README.md` beside this module's source.
#![expect(unsafe_code, reason = "hands out and takes back raw memory")]

#[doc = include_str!("README.md")]
mod protocol {}

mod allocator;
mod arena;
mod arena_state;
#[cfg(not(tress_loom))]
mod big;
#[cfg(not(tress_loom))]
mod bin;
mod boxed;
#[cfg(any(test, not(tress_loom)))]
mod carve_limit;
#[cfg(any(test, not(tress_loom)))]
mod chain;
mod counting;
mod current;
#[cfg(not(tress_loom))]
mod foreign;
mod global;
#[cfg(not(tress_loom))]
mod heap;
#[cfg(any(test, not(tress_loom)))]
mod listing;
#[cfg(not(tress_loom))]
mod page;
#[cfg(not(tress_loom))]
mod page_list;
#[cfg(any(test, not(tress_loom)))]
mod parked;
#[cfg(not(tress_loom))]
mod pool;
mod pool_allocator;
#[cfg(any(test, not(tress_loom)))]
mod remote_free;
mod scope;
mod scoped;
#[cfg(not(tress_loom))]
mod segment;
mod size_class;
#[cfg(any(test, not(tress_loom)))]
mod slot;
#[cfg(tress_loom)]
mod stand_in;
mod stats;
#[cfg(not(tress_loom))]
mod task_list;

#[cfg(all(test, tress_loom))]
mod model;
#[cfg(all(test, not(tress_loom)))]
mod tests;

use std::alloc::{Layout, handle_alloc_error};
use std::ptr::NonNull;
use std::time::Duration;

pub use self::allocator::{AllocError, AllocatorRef, FrameAllocator};
pub use self::arena::Arena;
pub use self::boxed::Box;
pub use self::counting::Counting;
pub use self::current::with_allocator;
pub(crate) use self::current::{EnterAllocator, is_window_open, open_window, within};
pub use self::global::Global;
pub use self::pool_allocator::Pool;
pub use self::scope::{Scope, scope};
pub(crate) use self::scoped::{Maker, Origin, alloc_scoped, allocator_of, enter_maker, free_from};
pub use self::stats::{ClassStats, Stats};
#[cfg(not(tress_loom))]
use pool as source;
#[cfg(tress_loom)]
use stand_in as source;
#[cfg(tress_loom)]
use stand_in::foreign;

/// What a slot holds. Slots of different kinds never share a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A task: its first word is an `AtomicUsize` for as long as the page exists, 0 meaning "nobody refers to it".
    Task = 0,
    /// Any other memory. Its first word belongs to its user.
    Raw = 1,
}

impl Kind {
    /// How many kinds there are.
    #[cfg(not(tress_loom))]
    const COUNT: usize = 2;
}

/// Allocates memory for `layout`; ends the process through `handle_alloc_error` when there is none.
///
/// The first word of a [`Kind::Task`] slot is an initialised `AtomicUsize` that holds what it held when the slot was
/// freed (0 the first time), and [`for_each_task_slot`] may look at it at any time. So its user stores to it atomically,
/// and last, when everything that the stored value vouches for is written; it never covers it by a `&mut` or a plain
/// write. All other bytes are uninitialised.
///
/// The returned pointer is the one to give back: it may reach the whole page, and [`free`] needs that.
#[inline(always)]
pub(crate) fn alloc(layout: Layout, kind: Kind) -> NonNull<u8> {
    match try_alloc(layout, kind) {
        Some(slot) => slot,
        None => handle_alloc_error(layout),
    }
}

/// [`alloc`], with `None` where there is no memory.
#[inline(always)]
pub(crate) fn try_alloc(layout: Layout, kind: Kind) -> Option<NonNull<u8>> {
    source::try_alloc(layout, kind)
}

/// Frees a slot, on any thread.
///
/// # Safety
///
/// `ptr` is what [`alloc`] returned (with its provenance, not narrowed by a trip through a reference) for the same
/// layout and kind, and has not been freed since. Nothing refers to it any more, except that the first word of a
/// [`Kind::Task`] slot may still be looked at by a scan: its reference count is 0, and a scan takes nothing then.
#[inline(always)]
pub(crate) unsafe fn free(ptr: NonNull<u8>, layout: Layout, kind: Kind) {
    // SAFETY: the caller keeps the same contract.
    unsafe { source::free(ptr, layout, kind) }
}

/// Sends this thread's batched remote frees home. A worker calls it before it parks; a thread's exit does it by itself.
pub(crate) fn flush() {
    source::flush();
}

/// As [`flush`], for a thread that is about to sleep: also gives memory back that nobody has had a use for lately. If there is more of
/// it, says after what time the thread should look again.
#[must_use]
pub(crate) fn rest() -> Option<Duration> {
    source::rest()
}

/// Calls `f` with the address of the first word of every [`Kind::Task`] slot that exists, live or free, big ones too.
///
/// A slot that is first handed out during the call may be missed. The address is good for that one word only, as
/// an `&AtomicUsize` and within the call of `f`; it stays good only if `f` takes a reference in it, from a count above 0.
///
/// `f` runs under the locks that keep pages and big slots in place: it must not call [`alloc`], [`free`] or this function
/// again, and so must not run user code nor drop the last reference of anything. Collect, then act.
pub(crate) fn for_each_task_slot(f: &mut dyn FnMut(NonNull<u8>)) {
    source::for_each_task_slot(f);
}

/// Gives back what this thread keeps for later: frees on their way home, and memory that it has no use for, to the system.
///
/// Nobody needs to call it. A thread that exits, and a worker before it sleeps, let go of what they keep; and what has been free beyond a
/// limit for a second is given back by workers that sleep, and by whoever lets go of more. This does so now and without a limit, for a
/// thread that knows that it has had its peak.
///
/// # Examples
///
/// ```
/// use tress::frame;
///
/// let burst: Vec<_> = (0..10_000).map(|n| frame::Box::new([n; 20])).collect();
/// drop(burst);
/// frame::trim();
/// println!("{} pages are left", frame::stats().pages);
/// ```
pub fn trim() {
    source::trim();
}

/// Sums up what the pool holds.
///
/// # Examples
///
/// ```
/// let stats = tress::frame::stats();
/// println!("{} frames in use, {} KiB", stats.live, stats.pages * stats.page_bytes / 1024);
/// ```
#[must_use]
pub fn stats() -> Stats {
    source::stats()
}
