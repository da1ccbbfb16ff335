//! A heap: what one thread allocates from without atomics, and what other threads send its slots home to.

#![expect(unsafe_code, reason = "links free slots through their own memory")]

use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::{self, NonNull};

use crossbeam_utils::CachePadded;

use super::bin::Bin;
use super::chain::Chain;
use super::page::Page;
use super::parked::Parked;
use super::remote_free::{self, RemoteList};
use super::size_class::SizeClass;
use super::slot::{Chains, Slot};
use super::stats::Stats;
use super::{Kind, segment};
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
    /// Whether bins have had more than they keep since the last [`settle`](Self::settle): the owner's.
    is_restless: Cell<bool>,
    /// Values: remote frees ever sorted (wraps). Written by the owner. Publishes nothing: a statistic.
    sorted: AtomicUsize,
    pub(super) remote: CachePadded<RemoteList>,
}

/// Gives the caller a heap to own: a parked one, or a new one; `None` if there is no memory.
pub(super) fn acquire() -> Option<NonNull<Heap>> {
    PARKED.adopt().or_else(Heap::make)
}

/// Parks a heap that the caller owns, and no longer does.
pub(super) fn release(heap: NonNull<Heap>) {
    PARKED.park(heap);
}

/// Adds up the counters of every heap.
pub(super) fn add_stats(stats: &mut Stats) {
    let mut next = NEWEST.load(Ordering::Acquire).cast_const();
    // SAFETY: heaps are never freed, and a heap in the list is initialised (Acquire above).
    while let Some(heap) = unsafe { next.as_ref() } {
        next = heap.next;
        // Either counter may be older than the other.
        let on_the_way = heap.remote.pushed().wrapping_sub(heap.sorted.load(Ordering::Relaxed));
        stats.add_heap(on_the_way.cast_signed().max(0).cast_unsigned());
        for (class, bin) in heap.bins() {
            stats.add_bin(class, bin.carved(), bin.cached());
        }
    }
}

impl Heap {
    fn make() -> Option<NonNull<Self>> {
        // Relaxed: only the number matters.
        let serial = HEAPS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the size is not 0.
        let memory = unsafe { std::alloc::alloc(Layout::new::<Self>()) };
        let mut memory = NonNull::new(memory.cast::<Self>())?;
        let heap = Self {
            bins: [const { Bin::for_each_class() }; Kind::COUNT],
            unsorted: Chains::new(),
            lane: (serial % LANES) as u8,
            next: ptr::null(),
            is_restless: Cell::new(false),
            sorted: AtomicUsize::new(0),
            remote: CachePadded::new(RemoteList::new()),
        };
        // SAFETY: the memory is new, and has the layout.
        unsafe { memory.write(heap) };
        let mut newest = NEWEST.load(Ordering::Relaxed);
        loop {
            // SAFETY: nobody else knows the heap yet.
            unsafe { memory.as_mut() }.next = newest;
            // Release: partner is the Acquire in `add_stats`.
            match NEWEST.compare_exchange_weak(newest, memory.as_ptr(), Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return Some(memory),
                Err(current) => newest = current,
            }
        }
    }

    /// Hands out a slot; `None` if there is no memory. For the owner.
    #[inline(always)]
    pub(super) fn alloc(&self, class: SizeClass, kind: Kind) -> Option<NonNull<Slot>> {
        match self.bin(class, kind).pop() {
            Some(slot) => Some(slot),
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
        let bin = self.bin(class, kind);
        // SAFETY: the caller's promise.
        let is_long = unsafe { bin.push(slot) };
        if is_long {
            self.make_room(bin);
        }
    }

    #[inline(always)]
    fn bin(&self, class: SizeClass, kind: Kind) -> &Bin {
        &self.bins[kind as usize][class.index()]
    }

    fn bins(&self) -> impl Iterator<Item = (SizeClass, &Bin)> {
        let with_class = |(index, bin)| (SizeClass::from_index(index), bin);
        self.bins.iter().flat_map(move |bins| bins.iter().enumerate().map(with_class))
    }

    #[cold]
    #[inline(never)]
    fn make_room(&self, bin: &Bin) {
        if bin.set_aside() {
            self.is_restless.set(true);
        }
    }

    /// Hands out a slot when its bin is empty: one that came home, or one that was never used.
    #[cold]
    #[inline(never)]
    fn refill(&self, class: SizeClass, kind: Kind) -> Option<NonNull<Slot>> {
        let bin = self.bin(class, kind);
        // The newest first: their lines are the warmest. The rest of an earlier list must be looked through before anything
        // is carved, or memory could grow while slots lie there.
        if !self.remote.is_empty() {
            self.sort(self.remote.take());
        }
        if bin.is_empty() {
            self.sort_some();
        }
        bin.pop()
            .or_else(|| bin.pop_aside())
            .or_else(|| bin.pop_from_page())
            .or_else(|| bin.carve())
            .or_else(|| bin.carve_from(segment::new_page(NonNull::from(self), self.lane, kind, class)?))
    }

    /// Sorts a bounded part of what is unsorted; false if that was nothing.
    fn sort_some(&self) -> bool {
        let chain = self.unsorted.pop();
        if let Some(chain) = chain {
            self.sort(chain.first());
        }
        chain.is_some()
    }

    /// Sorts slots that came home into their bins, a bounded number of them; the rest waits in `unsorted`.
    fn sort(&self, mut next: *mut Slot) {
        let mut count = 0;
        while let Some(parcel) = NonNull::new(next) {
            if count >= SORT_LIMIT {
                // SAFETY: the slots taken from the list are the owner's alone.
                unsafe { self.unsorted.push(Chain::new(parcel.as_ptr(), 0)) };
                break;
            }
            let sort_one = |slot: NonNull<Slot>| {
                count += 1;
                // SAFETY: only slots of pages are pushed.
                let page = unsafe { Page::of(slot.cast()) };
                let header = page.header();
                // SAFETY: only slots of this heap are pushed to its list, each freed once.
                unsafe { self.free(slot, header.class, header.kind) };
            };
            // SAFETY: as above.
            next = unsafe { remote_free::open(parcel, sort_one) };
        }
        self.sorted.store(self.sorted.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// Sorts a bounded part of what came home, and returns what bins have beyond what they keep to their pages, if there was
    /// enough of either. For the owner, before it rests.
    pub(super) fn settle(&self) {
        let on_the_way = || self.remote.pushed().wrapping_sub(self.sorted.load(Ordering::Relaxed));
        // A few slots are no burden, unless they are the last of many, whose pages they keep.
        if on_the_way() > if self.is_restless.get() { 0 } else { SETTLE_ABOVE } {
            for _ in 0..SETTLE_PIECES {
                if !self.sort_some() {
                    self.sort(self.remote.take());
                }
            }
        }
        if self.is_restless.get() {
            self.bins().filter(|(_, bin)| bin.has_pages()).for_each(|(_, bin)| bin.give_back());
            self.is_restless.set(on_the_way() > 0);
        }
    }

    /// Sorts everything that came home, and returns everything to its page. For the owner.
    pub(super) fn give_back(&self) {
        loop {
            while self.sort_some() {}
            if self.remote.is_empty() {
                break;
            }
            self.sort(self.remote.take());
        }
        self.is_restless.set(false);
        for (_, bin) in self.bins() {
            bin.give_back();
            bin.give_up_page();
        }
    }
}

/// How many batches a thread keeps. Heaps share them by [`Heap::lane`].
pub(super) const LANES: usize = 8;
/// How many slots that came home are sorted at once, and a parcel's more: what bounds the longest `alloc`.
const SORT_LIMIT: usize = 256;
/// How many slots on their way home are left there by an owner that rests.
const SETTLE_ABOVE: usize = 1024;
/// How many times [`SORT_LIMIT`] slots an owner sorts before it rests.
const SETTLE_PIECES: usize = 32;

static PARKED: Parked<Heap> = Parked::new();

/// Values: null, or the newest heap. Each heap's maker puts it in front. Publishes the heaps behind it.
static NEWEST: AtomicPtr<Heap> = AtomicPtr::new(ptr::null_mut());

/// Values: how many heaps were made. Publishes nothing.
static HEAPS: AtomicUsize = AtomicUsize::new(0);
