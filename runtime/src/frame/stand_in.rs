//! The pool under `--cfg tress_loom`: the global allocator.
//!
//! Loom's atomics can live neither in a static nor in one word, so there are no pages, nothing is batched and no slot is
//! type-stable: a scan finds nothing. The protocols themselves are in [`model`](super::model).

#![expect(unsafe_code, reason = "calls the global allocator")]

use std::alloc::Layout;
use std::ptr::NonNull;

use super::{Kind, Stats};

pub(super) fn alloc(layout: Layout, _kind: Kind) -> NonNull<u8> {
    let layout = at_least_a_byte(layout);
    // SAFETY: the size is not 0.
    let ptr = unsafe { std::alloc::alloc(layout) };
    NonNull::new(ptr).unwrap_or_else(|| std::alloc::handle_alloc_error(layout))
}

/// # Safety
///
/// That of [`free`](super::free).
pub(super) unsafe fn free(ptr: NonNull<u8>, layout: Layout, _kind: Kind) {
    // SAFETY: `alloc` made it with the same layout.
    unsafe { std::alloc::dealloc(ptr.as_ptr(), at_least_a_byte(layout)) }
}

pub(super) fn flush() {}

pub(super) fn for_each_task_slot(_f: &mut dyn FnMut(NonNull<u8>)) {}

pub(super) fn stats() -> Stats {
    Stats::default()
}

fn at_least_a_byte(layout: Layout) -> Layout {
    Layout::from_size_align(layout.size().max(1), layout.align()).expect("one byte fits any alignment")
}
