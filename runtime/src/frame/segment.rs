//! Where pages come from and where they go: segments of the global allocator's memory, cut into pages; and the bank, which has the
//! memory of retired pages, up to a limit as it is, beyond that without what the system backs it with.

#![expect(unsafe_code, reason = "calls the global allocator, cuts what it returns, and gives it back")]

use std::alloc::Layout;
use std::ptr::{self, NonNull};

use super::Kind;
use super::chain::Chain;
use super::heap::Heap;
use super::listing::Listing;
use super::page::{PAGE_BYTES, Page};
use super::size_class::SizeClass;
use crate::primitive::sync::Mutex;

/// Makes a page for a heap; `None` if there is no memory.
pub(super) fn new_page(owner: NonNull<Heap>, owner_lane: u8, kind: Kind, class: SizeClass) -> Option<Page> {
    let base = BANK.lock().take()?;
    // SAFETY: the bank hands memory out to one user at a time, and segments are never freed.
    let page = unsafe { Page::new(base, (owner, owner_lane), kind, class) };
    if kind == Kind::Task {
        LISTED.insert(page);
    }
    Some(page)
}

/// Gives a page up, unless a scan keeps it: then nothing happens, and the answer is false.
///
/// # Safety
///
/// The caller owns the page and has all of its slots; it uses neither after this if the answer is true.
pub(super) unsafe fn retire(page: Page) -> bool {
    if page.header().kind == Kind::Task {
        // SAFETY: pages of tasks are put into the list when they are made.
        let is_out = unsafe { LISTED.try_remove(page) };
        if !is_out {
            return false;
        }
    }
    // From here on, nobody knows the page's memory.
    let base = page.base();
    let is_over = BANK.lock().put(base);
    if is_over {
        purge(base);
        BANK.lock().purged.push(base);
    }
    true
}

/// Calls `f` with every page of tasks; no such page is given up meanwhile.
///
/// Pages made meanwhile are missed. Making one does not wait for this.
pub(super) fn for_each_task_page(f: &mut dyn FnMut(Page)) {
    LISTED.for_each(f);
}

/// Gives the memory of the pages in the bank back to the system.
pub(super) fn purge_bank() {
    loop {
        let Some(base) = BANK.lock().resident.pop() else { return };
        purge(base);
        BANK.lock().purged.push(base);
    }
}

/// How many pages are in use, and how many of the bank's are backed by memory.
pub(super) fn page_counts() -> (usize, usize) {
    let bank = BANK.lock();
    (bank.cut - bank.resident.len() - bank.purged.len(), bank.resident.len())
}

/// Lets the system take back what it backs a page with; the addresses stay ours.
fn purge(base: NonNull<u8>) {
    // A refusal costs nothing but memory: the page is as good as before.
    #[cfg(target_os = "linux")]
    {
        use rustix::mm::{Advice, madvise};
        // SAFETY: the memory is a part of a segment that nobody uses, and nobody relies on what is in it.
        let _ = unsafe { madvise(base.as_ptr().cast(), PAGE_BYTES, Advice::LinuxDontNeed) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = base;
}

/// Memory for pages.
#[derive(Debug)]
struct Bank {
    /// Where the segments begin: what keeps a leak checker from reporting them.
    segments: Vec<NonNull<u8>>,
    uncut: *mut u8,
    uncut_pages: usize,
    /// How many pages were cut. The lists have room for as many, so that putting one in allocates nothing.
    cut: usize,
    /// Pages that nobody uses, as they were used last.
    resident: Vec<NonNull<u8>>,
    /// Pages that nobody uses, without memory behind them.
    purged: Vec<NonNull<u8>>,
}

impl Bank {
    fn take(&mut self) -> Option<NonNull<u8>> {
        self.resident.pop().or_else(|| self.purged.pop()).or_else(|| self.cut())
    }

    /// Takes a page back; true if there are too many, and this one is to be purged and put where those are.
    fn put(&mut self, base: NonNull<u8>) -> bool {
        let is_over = self.resident.len() >= RESIDENT_LIMIT;
        if !is_over {
            self.resident.push(base);
        }
        is_over
    }

    fn cut(&mut self) -> Option<NonNull<u8>> {
        if self.uncut_pages == 0 {
            self.segments.try_reserve(1).ok()?;
            for list in [&mut self.resident, &mut self.purged] {
                list.try_reserve(self.cut + SEGMENT_PAGES - list.len()).ok()?;
            }
            // SAFETY: the layout's size is not 0.
            let segment = NonNull::new(unsafe { std::alloc::alloc(SEGMENT) })?;
            if !Chain::reaches(segment.addr().get() + SEGMENT.size() - 1) {
                // SAFETY: it was just allocated with this layout.
                unsafe { std::alloc::dealloc(segment.as_ptr(), SEGMENT) };
                return None;
            }
            self.segments.push(segment);
            self.uncut = segment.as_ptr();
            self.uncut_pages = SEGMENT_PAGES;
        }
        let base = NonNull::new(self.uncut)?;
        self.uncut_pages -= 1;
        self.cut += 1;
        self.uncut = match self.uncut_pages {
            0 => ptr::null_mut(),
            // SAFETY: another page follows in the segment.
            _ => unsafe { self.uncut.add(PAGE_BYTES) },
        };
        Some(base)
    }
}

// SAFETY: the pointers are to memory that any thread may use under the lock around this.
unsafe impl Send for Bank {}

static BANK: Mutex<Bank> = Mutex::new(Bank {
    segments: Vec::new(),
    uncut: ptr::null_mut(),
    uncut_pages: 0,
    cut: 0,
    resident: Vec::new(),
    purged: Vec::new(),
});

/// Pages of tasks.
static LISTED: Listing<Page> = Listing::new();

const SEGMENT_PAGES: usize = 16;
const SEGMENT: Layout = match Layout::from_size_align(SEGMENT_PAGES * PAGE_BYTES, PAGE_BYTES) {
    Ok(layout) => layout,
    Err(_) => panic!("a segment fits the address space"),
};
/// How many pages that nobody uses keep their memory.
pub(super) const RESIDENT_LIMIT: usize = 128;
