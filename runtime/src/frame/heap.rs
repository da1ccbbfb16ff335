//! A heap: what one thread allocates from without atomics, and what other threads send its slots home to.

#![expect(unsafe_code, reason = "links free slots through their own memory")]

use std::cell::Cell;
use std::ptr::{self, NonNull};

use crossbeam_utils::CachePadded;

use super::page::Page;
use super::parked::Parked;
use super::remote_free::RemoteList;
use super::size_class::SizeClass;
use super::slot::{Chains, Slot};
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
    /// Slots taken from `remote` that are not sorted into bins yet.
    unsorted: Chains,
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
    /// The slot that was freed last, or null: the first of a chain.
    free: Cell<*mut Slot>,
    /// Values: how many slots that chain has, up to [`CHAIN_LIMIT`]. Written by the owner. Publishes nothing: a statistic.
    len: AtomicUsize,
    /// Chains of [`CHAIN_LIMIT`] slots that were set aside. They are cold, so what comes home is handed out before them.
    aside: Chains,
    /// Values: how many chains are set aside. Written by the owner. Publishes nothing: a statistic.
    aside_len: AtomicUsize,
    /// The page that is being carved.
    page: Cell<Option<Page>>,
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
        stats.cached += bins.map(Bin::cached).sum::<usize>();
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
            unsorted: Chains::new(),
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
        // The newest first: their lines are the warmest. The rest of an earlier list must be looked through before anything
        // is carved, or memory could grow while slots lie there.
        if !self.remote.is_empty() {
            self.sort(self.remote.take());
        }
        if bin.free.get().is_null()
            && let Some(chain) = self.unsorted.pop()
        {
            self.sort(chain.as_ptr());
        }
        if let Some(slot) = bin.pop().or_else(|| bin.pop_aside()) {
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

    /// Sorts slots that came home into their bins, a bounded number of them; the rest waits in `unsorted`.
    fn sort(&self, mut next: *mut Slot) {
        let mut count = 0;
        while let Some(slot) = NonNull::new(next) {
            if count == SORT_LIMIT {
                // SAFETY: the slots taken from the list are the owner's alone.
                unsafe { self.unsorted.push(slot) };
                break;
            }
            // SAFETY: as above.
            next = unsafe { Slot::next(slot) };
            // SAFETY: only slots of pages are pushed.
            let page = unsafe { Page::of(slot.cast()) };
            let header = page.header();
            // SAFETY: only slots of this heap are pushed to its list, each freed once.
            unsafe { self.bin(header.class, header.kind).push(slot) };
            count += 1;
        }
        self.sorted.store(self.sorted.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }
}

impl Bin {
    const fn new() -> Self {
        Self {
            free: Cell::new(ptr::null_mut()),
            len: AtomicUsize::new(0),
            aside: Chains::new(),
            aside_len: AtomicUsize::new(0),
            page: Cell::new(None),
        }
    }

    #[inline(always)]
    fn pop(&self) -> Option<NonNull<Slot>> {
        let slot = NonNull::new(self.free.get())?;
        // SAFETY: a slot in the bin is free and the owner's.
        self.free.set(unsafe { Slot::next(slot) });
        // A load and a store: there is one writer.
        self.len.store(self.len.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Relaxed);
        Some(slot)
    }

    /// # Safety
    ///
    /// The slot is of a page of this bin's heap, class and kind, and nobody uses it any more.
    #[inline(always)]
    unsafe fn push(&self, slot: NonNull<Slot>) {
        let len = self.len.load(Ordering::Relaxed);
        if len >= CHAIN_LIMIT {
            self.set_aside();
        }
        // SAFETY: the caller says that it is free.
        unsafe { Slot::set_next(slot, self.free.get()) };
        self.free.set(slot.as_ptr());
        self.len.store(self.len.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Sets the chain aside.
    #[cold]
    fn set_aside(&self) {
        if let Some(chain) = NonNull::new(self.free.replace(ptr::null_mut())) {
            // SAFETY: slots in the bin are free and the owner's.
            unsafe { self.aside.push(chain) };
            self.len.store(0, Ordering::Relaxed);
            self.aside_len.store(self.aside_len.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// Hands out a slot of a chain that was set aside, and makes the chain current, since there is none.
    fn pop_aside(&self) -> Option<NonNull<Slot>> {
        let chain = self.aside.pop()?;
        self.free.set(chain.as_ptr());
        self.len.store(CHAIN_LIMIT, Ordering::Relaxed);
        self.aside_len.store(self.aside_len.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        self.pop()
    }

    /// How many slots the bin has. Any thread.
    fn cached(&self) -> usize {
        self.len.load(Ordering::Relaxed) + CHAIN_LIMIT * self.aside_len.load(Ordering::Relaxed)
    }
}

/// How many batches a thread keeps. Heaps share them by [`Heap::lane`].
pub(super) const LANES: usize = 8;
/// How many slots that came home are sorted at once: what bounds the longest `alloc`.
const SORT_LIMIT: usize = 256;
/// How many slots a bin holds before it sets them aside: enough to keep a burst warm, few enough not to outgrow a cache.
const CHAIN_LIMIT: usize = 256;

static PARKED: Parked<Heap> = Parked::new();

/// Values: null, or the newest heap. Each heap's maker puts it in front. Publishes the heaps behind it.
static NEWEST: AtomicPtr<Heap> = AtomicPtr::new(ptr::null_mut());

/// Values: how many heaps were made. Publishes nothing.
static HEAPS: AtomicUsize = AtomicUsize::new(0);
