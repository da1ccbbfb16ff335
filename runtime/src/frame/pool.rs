//! The current thread's heap and its batches of remote frees: where [`try_alloc`] and [`free`] begin.

#![expect(unsafe_code, reason = "reaches heaps and pages through pointers")]

use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::time::Duration;

use super::heap::{self, Heap, LANES};
use super::page::{PAGE_BYTES, Page};
use super::remote_free::Batch;
use super::size_class::SizeClass;
use super::slot::Slot;
use super::stats::Stats;
use super::{Kind, big, segment, task_list};

/// [`frame::try_alloc`](super::try_alloc). Inlined, since the class of a layout known at compile time is a constant.
#[inline(always)]
pub(super) fn try_alloc(layout: Layout, kind: Kind) -> Option<NonNull<u8>> {
    let Some(class) = SizeClass::of(layout) else { return big::alloc(layout, kind) };
    let slot = match NonNull::new(HEAP.get()) {
        // SAFETY: this thread owns the heap, and heaps are never freed.
        Some(heap) => unsafe { heap.as_ref() }.alloc(class, kind),
        None => alloc_without_heap(class, kind),
    };
    slot.map(NonNull::cast)
}

/// [`frame::free`](super::free).
///
/// # Safety
///
/// That of [`frame::free`](super::free).
#[inline(always)]
pub(super) unsafe fn free(ptr: NonNull<u8>, layout: Layout, kind: Kind) {
    let Some(class) = SizeClass::of(layout) else {
        // SAFETY: the caller's promise; `alloc` took the same way for this layout.
        return unsafe { big::free(ptr, layout, kind) };
    };
    // SAFETY: `alloc` carved it from a page, since the layout has a class.
    let page = unsafe { Page::of(ptr) };
    let owner = page.header().owner;
    let slot = ptr.cast::<Slot>();
    if ptr::eq(HEAP.get(), owner.as_ptr()) {
        // SAFETY: this thread owns the heap, and heaps are never freed.
        let heap = unsafe { owner.as_ref() };
        // SAFETY: `alloc` took the slot from a page of this class and kind, and the caller gives it up.
        unsafe { heap.free(slot, class, kind) };
    } else {
        // SAFETY: the caller gives the slot up.
        unsafe { free_remotely(slot, page) };
    }
}

/// [`frame::flush`](super::flush).
pub(super) fn flush() {
    LOCAL.with(Local::flush);
    if let Some(heap) = NonNull::new(HEAP.get()) {
        // SAFETY: this thread owns the heap, and heaps are never freed.
        unsafe { heap.as_ref() }.settle();
    }
}

/// [`frame::rest`](super::rest).
pub(super) fn rest() -> Option<Duration> {
    flush();
    segment::rest()
}

/// [`frame::trim`](super::trim).
pub(super) fn trim() {
    LOCAL.with(Local::flush);
    if let Some(heap) = NonNull::new(HEAP.get()) {
        // SAFETY: this thread owns the heap, and heaps are never freed.
        unsafe { heap.as_ref() }.give_back();
    }
    segment::purge_bank();
}

/// [`frame::for_each_task_slot`](super::for_each_task_slot).
pub(super) fn for_each_task_slot(f: &mut dyn FnMut(NonNull<u8>)) {
    segment::for_each_task_page(&mut |page| page.for_each_slot(f));
    task_list::for_each_slot(f);
}

/// [`frame::stats`](fn@super::stats).
pub(super) fn stats() -> Stats {
    let mut stats = Stats::new();
    heap::add_stats(&mut stats);
    stats.big = big::live();
    (stats.pages, stats.spare_pages) = segment::page_counts();
    stats.page_bytes = PAGE_BYTES;
    stats.finish();
    stats
}

#[cold]
#[inline(never)]
fn alloc_without_heap(class: SizeClass, kind: Kind) -> Option<NonNull<Slot>> {
    let heap = heap::acquire()?;
    // SAFETY: this thread owns the heap now, and heaps are never freed.
    let slot = unsafe { heap.as_ref() }.alloc(class, kind);
    if LOCAL.with(Local::arm) {
        HEAP.set(heap.as_ptr());
    } else {
        heap::release(heap);
    }
    slot
}

/// # Safety
///
/// The slot lies in the page, is free, and the caller gives it up. This thread does not own the page's heap.
#[inline(never)]
unsafe fn free_remotely(slot: NonNull<Slot>, page: Page) {
    // SAFETY: the caller's promise.
    LOCAL.with(|local| unsafe { local.free_remotely(slot, page) });
}

/// What a thread has of the pool besides its heap. Without a destructor, so that reaching it costs nothing; [`Exit`] is its destructor.
#[derive(Debug)]
struct Local {
    phase: Cell<Phase>,
    lanes: [Lane; LANES],
}

/// Where a thread stands between its first use of the pool and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It keeps nothing yet.
    Fresh,
    /// It may keep a heap and batches: [`Exit`] will see to them.
    Armed,
    /// [`Exit`] has run: it must not keep anything any more.
    Exited,
}

/// Slots on their way to one heap.
#[derive(Debug)]
struct Lane {
    /// The heap that the batch is for; null if there never was one.
    owner: Cell<*mut Heap>,
    batch: Cell<Batch>,
}

impl Local {
    /// # Safety
    ///
    /// The slot lies in the page, is free, and the caller gives it up. This thread does not own the page's heap.
    unsafe fn free_remotely(&self, slot: NonNull<Slot>, page: Page) {
        let header = page.header();
        let lane = &self.lanes[header.owner_lane as usize % LANES];
        if lane.owner.get() != header.owner.as_ptr() {
            lane.flush();
            lane.owner.set(header.owner.as_ptr());
        }
        let mut batch = lane.batch.get();
        // SAFETY: the caller gives the slot up, and its page knows how large it is.
        unsafe { batch.add(slot, || page.parcel_capacity()) };
        lane.batch.set(batch);
        if batch.len() >= BATCH_LIMIT || (batch.len() == 1 && !self.arm()) {
            lane.flush();
        }
    }

    fn flush(&self) {
        for lane in &self.lanes {
            lane.flush();
        }
    }

    /// Makes sure that [`Exit`] will run; false if it has.
    fn arm(&self) -> bool {
        if self.phase.get() == Phase::Fresh && EXIT.try_with(|_| ()).is_ok() {
            self.phase.set(Phase::Armed);
        }
        self.phase.get() == Phase::Armed
    }
}

impl Lane {
    const fn new() -> Self {
        Self { owner: Cell::new(ptr::null_mut()), batch: Cell::new(Batch::EMPTY) }
    }

    fn flush(&self) {
        let batch = self.batch.get();
        if batch.is_empty() {
            return;
        }
        self.batch.set(Batch::EMPTY);
        let Some(owner) = NonNull::new(self.owner.get()) else { return };
        // SAFETY: heaps are never freed, and this part of one is shared by all threads.
        let remote = unsafe { &(*owner.as_ptr()).remote };
        // SAFETY: the lane holds slots of this owner only, and its batch was just emptied.
        unsafe { remote.push(batch) };
    }
}

/// Gives up what the thread has of the pool when the thread exits.
#[derive(Debug)]
struct Exit;

impl Drop for Exit {
    fn drop(&mut self) {
        LOCAL.with(|local| {
            local.phase.set(Phase::Exited);
            local.flush();
        });
        if let Some(heap) = NonNull::new(HEAP.replace(ptr::null_mut())) {
            // SAFETY: this thread owned the heap until here, and heaps are never freed.
            unsafe { heap.as_ref() }.give_back();
            heap::release(heap);
        }
    }
}

thread_local! {
    /// The heap that this thread owns, or null. By itself, for the shortest way to it.
    static HEAP: Cell<*mut Heap> = const { Cell::new(ptr::null_mut()) };
    static LOCAL: Local = const {
        Local {
            phase: Cell::new(Phase::Fresh),
            lanes: [const { Lane::new() }; LANES],
        }
    };
    static EXIT: Exit = const { Exit };
}

/// How many slots a batch collects before it is pushed.
const BATCH_LIMIT: usize = 32;
