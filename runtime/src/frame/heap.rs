//! A heap: what one thread allocates from without atomics, and what other threads send its slots home to.

#![expect(unsafe_code, reason = "links free slots through their own memory")]

use std::cell::Cell;
use std::ptr::{self, NonNull};

use crossbeam_utils::CachePadded;

use super::page::Page;
use super::parked::Parked;
use super::remote_free::{RemoteList, Slot};
use super::size_class::SizeClass;
use super::{Kind, Stats, segment};
use crate::primitive::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Free slots by class and kind. Heaps are never freed: an exited thread's is parked, then adopted.
///
/// One thread owns it, or nobody while it is parked. The `Cell`s are the owner's; every other thread gets by at `remote`
/// and at the counters only.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Heap {
    bins: [[Bin; SizeClass::COUNT]; Kind::COUNT],
    /// Slots taken from `remote` that are not sorted into bins yet, linked.
    unsorted: Cell<*mut Slot>,
    /// Which of a thread's batches collect this heap's slots.
    pub(super) lane: u8,
    /// The heap made before this one.
    next: *const Heap,
    /// Values: slots ever carved. Written by the owner. Publishes nothing: a statistic.
    carved: AtomicUsize,
    /// Values: remote frees ever sorted (wraps). Written by the owner. Publishes nothing: a statistic.
    sorted: AtomicUsize,
    pub(super) remote: CachePadded<RemoteList>,
}

/// The owner's free slots of one class and kind.
#[derive(Debug)]
struct Bin {
    /// The slot that was freed last, or null.
    free: Cell<*mut Slot>,
    /// The page that is being carved.
    page: Cell<Option<Page>>,
    /// Values: how many slots are behind `free`. Written by the owner. Publishes nothing: a statistic.
    cached: AtomicUsize,
}

/// Gives the caller a heap to own: a parked one, or a new one.
pub(super) fn acquire() -> NonNull<Heap> {
    PARKED.adopt().unwrap_or_else(Heap::leak)
}

/// Parks a heap that the caller owns, and no longer does.
pub(super) fn release(heap: NonNull<Heap>) {
    PARKED.park(heap);
}

/// Adds up the counters of every heap.
pub(super) fn stats() -> Stats {
    let mut stats = Stats::default();
    let mut carved = 0usize;
    let mut next = NEWEST.load(Ordering::Acquire).cast_const();
    // SAFETY: heaps are never freed, and a heap in the list is initialised (Acquire above).
    while let Some(heap) = unsafe { next.as_ref() } {
        next = heap.next;
        stats.heaps += 1;
        carved += heap.carved.load(Ordering::Relaxed);
        let bins = heap.bins.iter().flatten();
        stats.cached += bins.map(|bin| bin.cached.load(Ordering::Relaxed)).sum::<usize>();
        // Either counter may be older than the other.
        let on_the_way = heap.remote.pushed().wrapping_sub(heap.sorted.load(Ordering::Relaxed));
        stats.remote += on_the_way.cast_signed().max(0).cast_unsigned();
    }
    stats.live = carved.saturating_sub(stats.cached + stats.remote);
    stats
}

impl Heap {
    fn leak() -> NonNull<Self> {
        // Relaxed: only the number matters.
        let serial = HEAPS.fetch_add(1, Ordering::Relaxed);
        let heap = Box::leak(Box::new(Self {
            bins: [const { [const { Bin::new() }; SizeClass::COUNT] }; Kind::COUNT],
            unsorted: Cell::new(ptr::null_mut()),
            lane: (serial % LANES) as u8,
            next: ptr::null(),
            carved: AtomicUsize::new(0),
            sorted: AtomicUsize::new(0),
            remote: CachePadded::new(RemoteList::new()),
        }));
        let mut newest = NEWEST.load(Ordering::Relaxed);
        loop {
            heap.next = newest;
            // Release: partner is the Acquire in `stats`.
            match NEWEST.compare_exchange_weak(newest, heap, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return NonNull::from(heap),
                Err(current) => newest = current,
            }
        }
    }

    /// Hands out a slot. For the owner.
    #[inline(always)]
    pub(super) fn alloc(&self, class: SizeClass, kind: Kind) -> NonNull<Slot> {
        match self.bin(class, kind).pop() {
            Some(slot) => slot,
            None => self.refill(class, kind),
        }
    }

    /// Takes a slot back. For the owner.
    ///
    /// # Safety
    ///
    /// The slot is of a page of this heap, class and kind, and nobody uses it any more.
    #[inline(always)]
    pub(super) unsafe fn free(&self, slot: NonNull<Slot>, class: SizeClass, kind: Kind) {
        // SAFETY: the caller's promise.
        unsafe { self.bin(class, kind).push(slot) };
    }

    #[inline(always)]
    fn bin(&self, class: SizeClass, kind: Kind) -> &Bin {
        &self.bins[kind as usize][class.index()]
    }

    /// Hands out a slot when its bin is empty: one that came home, or one that was never used.
    #[cold]
    #[inline(never)]
    fn refill(&self, class: SizeClass, kind: Kind) -> NonNull<Slot> {
        let bin = self.bin(class, kind);
        self.sort_remote_frees();
        if let Some(slot) = bin.pop() {
            return slot;
        }
        let carved = self.carved.load(Ordering::Relaxed);
        self.carved.store(carved + 1, Ordering::Relaxed);
        // SAFETY: the page is in the owner's bin.
        if let Some(slot) = bin.page.get().and_then(|page| unsafe { page.carve() }) {
            return slot;
        }
        let page = segment::new_page(NonNull::from(self), self.lane, kind, class);
        bin.page.set(Some(page));
        // SAFETY: the page was made for the owner.
        unsafe { page.carve() }.expect("a page has room for a slot of every class")
    }

    /// Sorts slots that came home into their bins, a bounded number at a time.
    fn sort_remote_frees(&self) {
        let mut next = self.unsorted.get();
        if next.is_null() && !self.remote.is_empty() {
            next = self.remote.take();
        }
        let mut count = 0;
        while count < SORT_LIMIT
            && let Some(slot) = NonNull::new(next)
        {
            // SAFETY: the slots taken from the list are the owner's alone.
            next = unsafe { Slot::next(slot) };
            // SAFETY: only slots of pages are pushed.
            let page = unsafe { Page::of(slot.cast()) };
            let header = page.header();
            // SAFETY: only slots of this heap are pushed to its list, each freed once.
            unsafe { self.bin(header.class, header.kind).push(slot) };
            count += 1;
        }
        self.unsorted.set(next);
        self.sorted.store(self.sorted.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }
}

impl Bin {
    const fn new() -> Self {
        Self { free: Cell::new(ptr::null_mut()), page: Cell::new(None), cached: AtomicUsize::new(0) }
    }

    #[inline(always)]
    fn pop(&self) -> Option<NonNull<Slot>> {
        let slot = NonNull::new(self.free.get())?;
        // SAFETY: a slot in the bin is free and the owner's.
        self.free.set(unsafe { Slot::next(slot) });
        // A load and a store: there is one writer.
        self.cached.store(self.cached.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Relaxed);
        Some(slot)
    }

    /// # Safety
    ///
    /// The slot is of a page of this bin's heap, class and kind, and nobody uses it any more.
    #[inline(always)]
    unsafe fn push(&self, slot: NonNull<Slot>) {
        // SAFETY: the caller says that it is free.
        unsafe { Slot::set_next(slot, self.free.get()) };
        self.free.set(slot.as_ptr());
        // A load and a store: there is one writer.
        self.cached.store(self.cached.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

/// How many batches a thread keeps. Heaps share them by [`Heap::lane`].
pub(super) const LANES: usize = 8;
/// How many slots that came home are sorted at once: what bounds the longest `alloc`.
const SORT_LIMIT: usize = 256;

static PARKED: Parked<Heap> = Parked::new();

/// Values: null, or the newest heap. Each heap's maker puts it in front. Publishes the heaps behind it.
static NEWEST: AtomicPtr<Heap> = AtomicPtr::new(ptr::null_mut());

/// Values: how many heaps were made. Publishes nothing.
static HEAPS: AtomicUsize = AtomicUsize::new(0);
