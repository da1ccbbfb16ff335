//! Frames from other allocators than the pool.
//!
//! Such a frame carries a [`Prefix`] that holds its maker. One of a task is also in the list of tasks outside the pages, so that a scan
//! finds it. The maker is foreign code: it is called under no lock, in a window of the pool, and a panic of it leaves everything as it was
//! (when it allocates) or is contained (when it takes back).

#![expect(unsafe_code, reason = "puts frames into memory of foreign allocators")]

use std::alloc::Layout;
use std::ptr::NonNull;

use super::slot::Slot;
use super::task_list::{self, Links};
use super::{AllocError, AllocatorRef, Kind, current};
use crate::containment::contain_panic;

/// Allocates from `maker`, which the frame holds from then on.
#[cold]
#[inline(never)]
pub(super) fn alloc(maker: &AllocatorRef, layout: Layout, kind: Kind) -> Result<NonNull<u8>, AllocError> {
    let (whole, slot_offset) = placement(layout).ok_or(AllocError)?;
    let maker = maker.clone();
    let base = current::within(None, || maker.allocate(whole))?;
    // SAFETY: `placement` leaves room for the prefix at the base.
    unsafe { base.cast::<Prefix>().write(Prefix { links: Links::UNLINKED, maker }) };
    // SAFETY: the slot begins inside what was allocated.
    let slot = unsafe { base.add(slot_offset) };
    if kind == Kind::Task {
        // SAFETY: `placement` leaves room for a slot's words, aligned.
        unsafe { slot.cast::<Slot>().write(Slot::new()) };
        // SAFETY: the links are at the base, in no list yet, and are unlinked before the memory goes back.
        unsafe { task_list::insert(base.cast(), slot_offset) };
    }
    Ok(slot)
}

/// Gives the frame back to its maker.
///
/// # Safety
///
/// That of [`free_from`](super::free_from), and the frame came from [`alloc`].
#[cold]
#[inline(never)]
pub(super) unsafe fn free(slot: NonNull<u8>, layout: Layout, kind: Kind) {
    // SAFETY: the caller says that it came from `alloc`.
    let (prefix, whole) = unsafe { prefix_of(slot, layout) };
    if kind == Kind::Task {
        // SAFETY: `alloc` put it into the list, and it is freed once.
        unsafe { task_list::remove(prefix.cast()) };
    }
    // SAFETY: the frame is freed once, so the maker leaves its prefix once.
    let Prefix { maker, .. } = unsafe { prefix.read() };
    current::within(None, || {
        // SAFETY: the maker returned the memory for this layout, and no scan can find it any more.
        contain_panic(|| unsafe { maker.deallocate(prefix.cast(), whole) });
        // It may be the last to hold the allocator, whose drop is foreign code as well.
        contain_panic(|| drop(maker));
    });
}

/// Who made the frame.
///
/// # Safety
///
/// The frame came from [`alloc`] for this layout and is not freed for as long as the borrow lives.
pub(super) unsafe fn maker<'a>(slot: NonNull<u8>, layout: Layout) -> &'a AllocatorRef {
    // SAFETY: the caller says that it came from `alloc`.
    let (prefix, _) = unsafe { prefix_of(slot, layout) };
    // SAFETY: the maker's field is written once, before the frame is handed out; the frame is not freed meanwhile.
    unsafe { &(*prefix.as_ptr()).maker }
}

/// # Safety
///
/// The slot came from [`alloc`] for this layout.
unsafe fn prefix_of(slot: NonNull<u8>, layout: Layout) -> (NonNull<Prefix>, Layout) {
    let (whole, slot_offset) = placement(layout).expect("the same layout could be placed before");
    // SAFETY: `alloc` put the slot this far behind the base.
    (unsafe { slot.sub(slot_offset) }.cast(), whole)
}

/// What lies at the base of the maker's memory.
#[derive(Debug)]
#[repr(C)]
struct Prefix {
    /// Of a task: belongs to the list's lock.
    links: Links,
    /// Written before the frame is handed out, moved out when it is freed.
    maker: AllocatorRef,
}

/// The layout to ask the maker for, and where in it the slot begins; `None` if it does not fit the address space.
fn placement(layout: Layout) -> Option<(Layout, usize)> {
    let (whole, slot_offset) = Layout::new::<Prefix>().extend(Slot::around(layout)?).ok()?;
    Some((whole, slot_offset))
}
