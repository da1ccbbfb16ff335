//! Sources of memory for frames: tress's pool, general allocators, and a bare list as the limit.
#![expect(unsafe_code, reason = "calls allocators, and links free blocks through their own memory")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::{self, NonNull};

use tress::frame::{FrameAllocator, Pool};

/// What the workload needs of an allocator. Layouts are known at run time only, for every one.
pub(crate) trait Frames: Copy + Send + 'static {
    fn allocate(self, layout: Layout) -> NonNull<u8>;

    /// # Safety
    ///
    /// `frame` came from [`allocate`](Self::allocate) of the same source, for the same layout, and nobody uses it any more.
    unsafe fn free(self, frame: NonNull<u8>, layout: Layout);
}

impl Frames for Pool {
    #[inline]
    fn allocate(self, layout: Layout) -> NonNull<u8> {
        FrameAllocator::allocate(&self, layout).expect("there is memory")
    }

    #[inline]
    unsafe fn free(self, frame: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.deallocate(frame, layout) };
    }
}

/// A general allocator, called directly: without the switch, and inlined as far as its crate goes.
#[derive(Debug)]
pub(crate) struct Malloc<A: 'static>(pub(crate) &'static A);

/// glibc's, where that is the system's.
pub(crate) const SYSTEM: Malloc<System> = Malloc(&System);

impl<A> Clone for Malloc<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Malloc<A> {}

impl<A: GlobalAlloc + Sync> Frames for Malloc<A> {
    #[inline]
    fn allocate(self, layout: Layout) -> NonNull<u8> {
        // SAFETY: no layout of the workload is empty.
        NonNull::new(unsafe { self.0.alloc(layout) }).expect("there is memory")
    }

    #[inline]
    unsafe fn free(self, frame: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.dealloc(frame.as_ptr(), layout) };
    }
}

/// A list of free blocks a thread and size, and nothing else: blocks stay where they are freed, and nothing is given back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FreeList;

impl Frames for FreeList {
    #[inline]
    fn allocate(self, layout: Layout) -> NonNull<u8> {
        let class = layout.size().div_ceil(STEP_BYTES);
        LISTS.with(|lists| match NonNull::new(lists[class].get()) {
            Some(block) => {
                // SAFETY: a block in the list is free and begins with its link.
                lists[class].set(unsafe { block.read() }.0);
                block.cast()
            }
            None => {
                let whole = Layout::from_size_align(class * STEP_BYTES, STEP_BYTES).expect("it is small");
                SYSTEM.allocate(whole)
            }
        })
    }

    #[inline]
    unsafe fn free(self, frame: NonNull<u8>, layout: Layout) {
        let class = layout.size().div_ceil(STEP_BYTES);
        let block = frame.cast::<Link>();
        LISTS.with(|lists| {
            // SAFETY: the caller gives the block up, and every block has room for a link.
            unsafe { block.write(Link(lists[class].get())) };
            lists[class].set(block.as_ptr());
        });
    }
}

#[repr(C)]
struct Link(*mut Link);

const STEP_BYTES: usize = 16;
const CLASSES: usize = 4096 / STEP_BYTES + 1;

thread_local! {
    static LISTS: [Cell<*mut Link>; CLASSES] = const { [const { Cell::new(ptr::null_mut()) }; CLASSES] };
}
