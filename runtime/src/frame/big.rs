//! Slots that fit no size class: each an allocation of its own from the global allocator.
//!
//! A `Raw` one is just that. A `Task` one carries [`Links`] in front, so that a scan finds it.

#![expect(unsafe_code, reason = "calls the global allocator and links what it returns")]

use std::alloc::Layout;
use std::ptr::NonNull;

use super::Kind;
use super::slot::Slot;
use super::task_list::{self, Links};
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};

/// Allocates outside the pages; `None` if there is no memory.
#[cold]
#[inline(never)]
pub(super) fn alloc(layout: Layout, kind: Kind) -> Option<NonNull<u8>> {
    let (whole, slot_offset) = placement(layout, kind)?;
    // SAFETY: `placement` never returns a size of 0.
    let base = unsafe { std::alloc::alloc(whole) };
    let base = NonNull::new(base)?;
    LIVE.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the slot begins inside what was allocated.
    let slot = unsafe { base.add(slot_offset) };
    if kind == Kind::Task {
        // SAFETY: `placement` leaves room for a slot's words, aligned.
        unsafe { slot.cast::<Slot>().write(Slot::new()) };
        // SAFETY: `placement` leaves room for the links at the base, and the allocation is in no list yet.
        unsafe { task_list::insert(base.cast(), slot_offset) };
    }
    Some(slot)
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
        unsafe { task_list::remove(base.cast()) };
    }
    LIVE.fetch_sub(1, Ordering::Relaxed);
    // SAFETY: `alloc` got it for the same layout, and no scan can find it any more.
    unsafe { std::alloc::dealloc(base.as_ptr(), whole) };
}

/// How many are in use, of both kinds.
pub(super) fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// The layout to ask the global allocator for, and where in it the slot begins; `None` if it does not fit the address space.
fn placement(layout: Layout, kind: Kind) -> Option<(Layout, usize)> {
    let slot = Slot::around(layout)?;
    match kind {
        Kind::Task => Layout::new::<Links>().extend(slot).ok(),
        Kind::Raw => Some((slot, 0)),
    }
}

/// Values: how many big slots are in use. Written by every thread that makes or frees one. Publishes nothing: a statistic.
static LIVE: AtomicUsize = AtomicUsize::new(0);
