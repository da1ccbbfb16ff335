//! Slots that fit no size class: each an allocation of its own from the global allocator.
//!
//! A `Raw` one is just that. A `Task` one carries a [`Prefix`] that links it into a list, so that a scan finds it; the list's lock
//! is held by the scan and by the removal, which comes before the memory goes back.

#![expect(unsafe_code, reason = "calls the global allocator and links what it returns")]

use std::alloc::{Layout, handle_alloc_error};
use std::ptr::{self, NonNull};

use super::Kind;
use super::slot::Slot;
use crate::primitive::sync::Mutex;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};

/// Allocates outside the pages.
#[cold]
#[inline(never)]
pub(super) fn alloc(layout: Layout, kind: Kind) -> NonNull<u8> {
    let Some((whole, slot_offset)) = placement(layout, kind) else { handle_alloc_error(layout) };
    // SAFETY: `placement` never returns a size of 0.
    let base = unsafe { std::alloc::alloc(whole) };
    let Some(base) = NonNull::new(base) else { handle_alloc_error(layout) };
    LIVE.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the slot begins inside what was allocated.
    let slot = unsafe { base.add(slot_offset) };
    if kind == Kind::Task {
        // SAFETY: `placement` leaves room for a slot's words, aligned.
        unsafe { slot.cast::<Slot>().write(Slot::new()) };
        // SAFETY: `placement` leaves room for the prefix at the base, and the allocation is in no list yet.
        unsafe { TASKS.lock().insert(base.cast(), slot_offset) };
    }
    slot
}

/// Gives back what [`alloc`] returned.
///
/// # Safety
///
/// That of [`frame::free`](super::free).
#[cold]
#[inline(never)]
pub(super) unsafe fn free(slot: NonNull<u8>, layout: Layout, kind: Kind) {
    let (whole, slot_offset) = placement(layout, kind).expect("the same layout could be placed before");
    // SAFETY: `alloc` put the slot this far behind the base.
    let base = unsafe { slot.sub(slot_offset) };
    if kind == Kind::Task {
        // SAFETY: `alloc` put it into the list, and it is freed once.
        unsafe { TASKS.lock().remove(base.cast()) };
    }
    LIVE.fetch_sub(1, Ordering::Relaxed);
    // SAFETY: `alloc` got it for the same layout, and no scan can find it any more.
    unsafe { std::alloc::dealloc(base.as_ptr(), whole) };
}

/// Calls `f` with every big `Task` slot, under the list's lock.
pub(super) fn for_each_task_slot(f: &mut dyn FnMut(NonNull<u8>)) {
    let tasks = TASKS.lock();
    let mut next = tasks.head.reveal();
    while let Some(prefix) = NonNull::new(next) {
        // SAFETY: it is in the list, whose lock is held.
        let links = unsafe { prefix.as_ref() };
        next = links.next.reveal();
        // SAFETY: the slot lies this far behind its prefix, in the same allocation.
        f(unsafe { prefix.cast::<u8>().add(links.slot_offset) });
    }
}

/// How many are in use, of both kinds.
pub(super) fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// What lies at the base of a big `Task` allocation. It belongs to the lock of [`TASKS`].
#[derive(Debug)]
struct Prefix {
    next: Hidden,
    prev: Hidden,
    slot_offset: usize,
}

/// The list of big `Task` allocations.
#[derive(Debug)]
struct Tasks {
    head: Hidden,
}

impl Tasks {
    /// # Safety
    ///
    /// `new` has room for a prefix and is in no list.
    unsafe fn insert(&mut self, new: NonNull<Prefix>, slot_offset: usize) {
        let next = self.head;
        // SAFETY: the caller says that there is room.
        unsafe { new.write(Prefix { next, prev: Hidden::NULL, slot_offset }) };
        if let Some(mut next) = NonNull::new(next.reveal()) {
            // SAFETY: it is in the list, whose lock is held.
            unsafe { next.as_mut() }.prev = Hidden::new(new.as_ptr());
        }
        self.head = Hidden::new(new.as_ptr());
    }

    /// # Safety
    ///
    /// `old` is in the list.
    unsafe fn remove(&mut self, old: NonNull<Prefix>) {
        // SAFETY: it is in the list, whose lock is held.
        let Prefix { next, prev, .. } = unsafe { old.read() };
        if let Some(mut next) = NonNull::new(next.reveal()) {
            // SAFETY: it is in the list, whose lock is held.
            unsafe { next.as_mut() }.prev = prev;
        }
        match NonNull::new(prev.reveal()) {
            // SAFETY: it is in the list, whose lock is held.
            Some(mut prev) => unsafe { prev.as_mut() }.next = next,
            None => self.head = next,
        }
    }
}

/// A link of the list. Under `--cfg tress_sanitize` its address is inverted, so that the list alone does not keep a leak
/// checker from reporting a task that nothing else refers to.
#[derive(Debug, Clone, Copy)]
struct Hidden(*mut Prefix);

impl Hidden {
    const MASK: usize = if cfg!(tress_sanitize) { usize::MAX } else { 0 };
    const NULL: Self = Self(ptr::without_provenance_mut(Self::MASK));

    fn new(prefix: *mut Prefix) -> Self {
        Self(prefix.map_addr(|address| address ^ Self::MASK))
    }

    fn reveal(self) -> *mut Prefix {
        self.0.map_addr(|address| address ^ Self::MASK)
    }
}

// SAFETY: the links are followed under the lock of `TASKS` only.
unsafe impl Send for Tasks {}

/// The layout to ask the global allocator for, and where in it the slot begins; `None` if it does not fit the address space.
fn placement(layout: Layout, kind: Kind) -> Option<(Layout, usize)> {
    let words = Layout::new::<Slot>();
    let slot =
        Layout::from_size_align(layout.size().max(words.size()), layout.align().max(words.align())).ok()?;
    match kind {
        Kind::Task => Layout::new::<Prefix>().extend(slot).ok(),
        Kind::Raw => Some((slot, 0)),
    }
}

static TASKS: Mutex<Tasks> = Mutex::new(Tasks { head: Hidden::NULL });

/// Values: how many big slots are in use. Written by every thread that makes or frees one. Publishes nothing: a statistic.
static LIVE: AtomicUsize = AtomicUsize::new(0);
