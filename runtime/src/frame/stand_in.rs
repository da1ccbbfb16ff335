//! The pool under `--cfg tress_loom`: the global allocator.
//!
//! Loom's atomics can live neither in a static nor in one word, so there are no pages, nothing is batched and no slot is
//! type-stable: a scan finds nothing. The protocols themselves are in [`model`](super::model).
//!
//! For the models of those who use frames, a frame that is never freed, that is freed twice, or whose end does not come
//! after every use of its first word, is a failure.

#![expect(unsafe_code, reason = "calls the global allocator")]

use std::alloc::Layout;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ptr::NonNull;

use loom::alloc::Track;

use super::{Kind, Stats};
use crate::primitive::sync::atomic::AtomicUsize;

/// Stands behind the memory that the user gets; `None` once that has been freed.
type Trailer = Option<Track<()>>;

pub(super) fn try_alloc(layout: Layout, kind: Kind) -> Option<NonNull<u8>> {
    let (whole, offset_bytes) = with_trailer(layout);
    // SAFETY: the size is not 0.
    let ptr = unsafe { std::alloc::alloc(whole) };
    let ptr = NonNull::new(ptr)?;
    // SAFETY: the layout has room for the trailer there.
    let trailer = unsafe { ptr.add(offset_bytes) };
    // SAFETY: as above.
    unsafe { trailer.cast::<Trailer>().write(Some(Track::new(()))) };
    if kind == Kind::Task {
        // SAFETY: whoever allocates for a task has the word first.
        unsafe { ptr.cast::<AtomicUsize>().write(AtomicUsize::new(0)) };
    }
    Some(ptr)
}

/// # Safety
///
/// That of [`free`](super::free).
pub(super) unsafe fn free(ptr: NonNull<u8>, layout: Layout, kind: Kind) {
    let (whole, offset_bytes) = with_trailer(layout);
    // SAFETY: `alloc` made it with the same layout.
    let mut trailer = unsafe { ptr.add(offset_bytes).cast::<Trailer>() };
    // SAFETY: as above.
    let track = unsafe { trailer.as_mut() }.take();
    drop(track.expect("a frame is freed once"));
    if kind == Kind::Task {
        // SAFETY: `alloc` made it; the caller says that nobody else is at it.
        let word = unsafe { ptr.cast::<AtomicUsize>().as_mut() };
        // Loom checks that this comes after every other access.
        word.with_mut(|_| ());
    }
    quarantine(ptr, whole);
}

/// Frees memory a while later, so that loom sees a use that comes too late before the allocator does.
fn quarantine(ptr: NonNull<u8>, layout: Layout) {
    thread_local! {
        static FREED: RefCell<VecDeque<(NonNull<u8>, Layout)>> = const { RefCell::new(VecDeque::new()) };
    }
    FREED.with(|freed| {
        let mut freed = freed.borrow_mut();
        freed.push_back((ptr, layout));
        if freed.len() > QUARANTINE_LEN
            && let Some((ptr, layout)) = freed.pop_front()
        {
            // SAFETY: `alloc` made it with this layout, in a model that has ended.
            unsafe { std::alloc::dealloc(ptr.as_ptr(), layout) }
        }
    });
}

pub(super) fn flush() {}

pub(super) fn rest() -> Option<std::time::Duration> {
    None
}

pub(super) fn trim() {}

pub(super) fn for_each_task_slot(_f: &mut dyn FnMut(NonNull<u8>)) {}

pub(super) fn stats() -> Stats {
    Stats::new()
}

/// The layout of what is allocated, and where the trailer is in it.
fn with_trailer(layout: Layout) -> (Layout, usize) {
    layout.extend(Layout::new::<Trailer>()).expect("frames are far smaller than the address space")
}

/// More than the frames of one model.
const QUARANTINE_LEN: usize = 16;

/// Models make no frames in windows of foreign allocators.
pub(super) mod foreign {
    use std::alloc::Layout;
    use std::ptr::NonNull;

    use super::super::{AllocError, AllocatorRef, Kind};

    pub(in super::super) fn alloc(
        _maker: &AllocatorRef,
        _layout: Layout,
        _kind: Kind,
    ) -> Result<NonNull<u8>, AllocError> {
        Err(AllocError)
    }

    /// # Safety
    ///
    /// None: there is no frame to call it with.
    pub(in super::super) unsafe fn free(_slot: NonNull<u8>, _layout: Layout, _kind: Kind) {
        unreachable!("`alloc` makes none")
    }

    /// # Safety
    ///
    /// None: there is no frame to call it with.
    pub(in super::super) unsafe fn maker<'a>(_slot: NonNull<u8>, _layout: Layout) -> &'a AllocatorRef {
        unreachable!("`alloc` makes none")
    }
}
