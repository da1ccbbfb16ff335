#![doc = include_str!("README.md")]
#![expect(unsafe_code, reason = "hands out and takes back raw memory")]

#[cfg(not(tress_loom))]
mod big;
#[cfg(any(test, not(tress_loom)))]
mod carve_limit;
#[cfg(not(tress_loom))]
mod heap;
#[cfg(not(tress_loom))]
mod page;
#[cfg(any(test, not(tress_loom)))]
mod parked;
#[cfg(not(tress_loom))]
mod pool;
#[cfg(any(test, not(tress_loom)))]
mod remote_free;
#[cfg(not(tress_loom))]
mod segment;
#[cfg(not(tress_loom))]
mod size_class;
#[cfg(any(test, not(tress_loom)))]
mod slot;
#[cfg(tress_loom)]
mod stand_in;

#[cfg(all(test, tress_loom))]
mod model;
#[cfg(all(test, not(tress_loom)))]
mod tests;

use std::alloc::Layout;
use std::ptr::NonNull;

#[cfg(not(tress_loom))]
use pool as source;
#[cfg(tress_loom)]
use stand_in as source;

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

/// What the pools hold, summed over every heap: a moment's picture, not a consistent cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    /// Slots in use, the [`big`](Stats::big) ones and those that wait in a thread's batch included.
    pub(crate) live: usize,
    /// Slots in owners' free lists.
    pub(crate) cached: usize,
    /// Slots on their way home: pushed to their owner, which has not sorted them yet.
    pub(crate) remote: usize,
    /// Allocations in use that came from the global allocator because they fit no size class.
    pub(crate) big: usize,
    /// Pages made so far.
    pub(crate) pages: usize,
    /// Heaps made so far: at most as many as there were threads at one time.
    pub(crate) heaps: usize,
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
    source::alloc(layout, kind)
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

/// Sums up every heap's counters.
#[cfg_attr(not(test), expect(dead_code, reason = "for the runtime's metrics"))]
pub(crate) fn stats() -> Stats {
    source::stats()
}
