//! Where pages come from: segments of the global allocator's memory, cut into pages under one lock, once for every page's worth of slots.

#![expect(unsafe_code, reason = "calls the global allocator and cuts what it returns")]

use std::alloc::{Layout, handle_alloc_error};
use std::ptr::{self, NonNull};

use super::Kind;
use super::heap::Heap;
use super::page::{PAGE_BYTES, Page};
use super::size_class::SizeClass;
use crate::primitive::sync::Mutex;

/// Makes a page for a heap.
pub(super) fn new_page(owner: NonNull<Heap>, owner_lane: u8, kind: Kind, class: SizeClass) -> Page {
    // The error is handled when the lock is released, since a handler may run anything.
    let page = PAGES.lock().make((owner, owner_lane), kind, class);
    page.unwrap_or_else(|| handle_alloc_error(SEGMENT))
}

/// Calls `f` with every page of a kind; no page is given back meanwhile.
///
/// Pages made meanwhile go in front of the first one and are missed. Making one does not wait for this.
pub(super) fn for_each_page(kind: Kind, f: &mut dyn FnMut(Page)) {
    let _no_release = RELEASE.lock();
    let mut next = PAGES.lock().newest[kind as usize];
    while let Some(page) = next {
        f(page);
        next = page.header().next;
    }
}

/// How many pages there are.
pub(super) fn page_count() -> usize {
    PAGES.lock().count
}

/// The pages, and what is left of the newest segment.
#[derive(Debug)]
struct Pages {
    /// Where the segments begin: what keeps a leak checker from reporting them.
    segments: Vec<NonNull<u8>>,
    newest: [Option<Page>; Kind::COUNT],
    count: usize,
    uncut: *mut u8,
    uncut_pages: usize,
}

impl Pages {
    fn make(&mut self, owner: (NonNull<Heap>, u8), kind: Kind, class: SizeClass) -> Option<Page> {
        if self.uncut_pages == 0 {
            // SAFETY: the layout's size is not 0.
            self.uncut = unsafe { std::alloc::alloc(SEGMENT) };
            self.segments.push(NonNull::new(self.uncut)?);
            self.uncut_pages = SEGMENT_PAGES;
        }
        let base = NonNull::new(self.uncut)?;
        self.uncut_pages -= 1;
        self.uncut = match self.uncut_pages {
            0 => ptr::null_mut(),
            // SAFETY: another page follows in the segment.
            _ => unsafe { self.uncut.add(PAGE_BYTES) },
        };
        let newest = &mut self.newest[kind as usize];
        // SAFETY: this part of the segment is handed out once, and segments are never freed.
        let page = unsafe { Page::new(base, owner, kind, class, *newest) };
        *newest = Some(page);
        self.count += 1;
        Some(page)
    }
}

// SAFETY: the pointers are to memory that any thread may use under the lock around this.
unsafe impl Send for Pages {}

/// Every page.
static PAGES: Mutex<Pages> = Mutex::new(Pages {
    segments: Vec::new(),
    newest: [None; Kind::COUNT],
    count: 0,
    uncut: ptr::null_mut(),
    uncut_pages: 0,
});

/// Held by a scan, and to be held by whoever takes a page out of its list. Taken before [`PAGES`].
static RELEASE: Mutex<()> = Mutex::new(());

const SEGMENT_PAGES: usize = 16;
const SEGMENT: Layout = match Layout::from_size_align(SEGMENT_PAGES * PAGE_BYTES, PAGE_BYTES) {
    Ok(layout) => layout,
    Err(_) => panic!("a segment fits the address space"),
};
