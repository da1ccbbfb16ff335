//! Where pages come from and where they go: segments of the global allocator's memory, cut into pages; and the bank, which has the
//! memory of retired pages. What it has beyond a limit, and has had for a while, it keeps without what the system backs it with.

#![expect(unsafe_code, reason = "calls the global allocator, cuts what it returns, and gives it back")]

use std::alloc::Layout;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use super::Kind;
use super::chain::Chain;
use super::heap::Heap;
use super::listing::Listing;
use super::page::{PAGE_BYTES, Page};
use super::size_class::SizeClass;
use crate::primitive::clock;
use crate::primitive::sync::Mutex;
use crate::primitive::sync::atomic::{AtomicBool, Ordering};

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
    let is_due = BANK.lock().put(base);
    if is_due {
        purge_surplus(PURGES_PER_RETIREMENT);
    }
    true
}

/// What a thread that is about to rest does for the bank: purges what has been too much for a while. Says after what time to come again,
/// if there is more.
pub(super) fn rest() -> Option<Duration> {
    if !IS_OVER.load(Ordering::Relaxed) {
        return None;
    }
    let due_in = BANK.lock().due_in()?;
    if !due_in.is_zero() {
        return Some(due_in);
    }
    purge_surplus(PURGES_PER_REST);
    BANK.lock().due_in().map(|due_in| due_in.max(REST_BETWEEN_PURGES))
}

/// Purges some of the pages that the bank has beyond its limit.
fn purge_surplus(most: usize) {
    for _ in 0..most {
        let Some(base) = BANK.lock().take_surplus() else { return };
        purge(base);
        BANK.lock().purged.push(base);
    }
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
        let Some(base) = BANK.lock().take_resident() else { return };
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
    /// Since when there have always been more resident pages than the limit, if there are.
    over_since: Option<Instant>,
}

impl Bank {
    fn take(&mut self) -> Option<NonNull<u8>> {
        self.take_resident().or_else(|| self.purged.pop()).or_else(|| self.cut())
    }

    /// Takes the page that came last: the warmest.
    fn take_resident(&mut self) -> Option<NonNull<u8>> {
        let base = self.resident.pop();
        self.note_level();
        base
    }

    /// Takes a page if there are too many: one that came early.
    fn take_surplus(&mut self) -> Option<NonNull<u8>> {
        let is_over = self.resident.len() > RESIDENT_LIMIT;
        let base = is_over.then(|| self.resident.swap_remove(0));
        self.note_level();
        base
    }

    /// Takes a page back; true if there have been too many for a while.
    fn put(&mut self, base: NonNull<u8>) -> bool {
        self.resident.push(base);
        self.note_level();
        self.due_in().is_some_and(|due_in| due_in.is_zero())
    }

    /// After what time the surplus is to be purged, if there is one.
    fn due_in(&self) -> Option<Duration> {
        let since = self.over_since?;
        Some(PURGE_DELAY.saturating_sub(clock::now().saturating_duration_since(since)))
    }

    /// Remembers when the number of resident pages went over the limit.
    fn note_level(&mut self) {
        let is_over = self.resident.len() > RESIDENT_LIMIT;
        if is_over != self.over_since.is_some() {
            self.over_since = is_over.then(clock::now);
            IS_OVER.store(is_over, Ordering::Relaxed);
        }
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
    over_since: None,
});

/// Values: whether the bank has more resident pages than the limit. Written under its lock. Publishes nothing: a hint.
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// Pages of tasks.
static LISTED: Listing<Page> = Listing::new();

const SEGMENT_PAGES: usize = 16;
const SEGMENT: Layout = match Layout::from_size_align(SEGMENT_PAGES * PAGE_BYTES, PAGE_BYTES) {
    Ok(layout) => layout,
    Err(_) => panic!("a segment fits the address space"),
};
/// How many pages that nobody uses keep their memory for good.
pub(super) const RESIDENT_LIMIT: usize = 128;
/// How long those beyond the limit keep it: a burst is often followed by another, and to get memory from the system costs more than all
/// else that is done with a frame.
const PURGE_DELAY: Duration = Duration::from_secs(1);
/// How many pages a retirement purges, when that is due: more than one, so that the surplus shrinks.
const PURGES_PER_RETIREMENT: usize = 4;
/// How many pages a thread purges before it rests.
const PURGES_PER_REST: usize = 256;
/// How long it rests then.
const REST_BETWEEN_PURGES: Duration = Duration::from_millis(10);
