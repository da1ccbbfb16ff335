//! A bin: a heap's free slots of one class and kind.

#![expect(unsafe_code, reason = "links free slots through their own memory")]

use std::cell::Cell;
use std::ptr::NonNull;

use super::chain::{Chain, ChainCell};
use super::page::{PAGE_BYTES, Page, Put};
use super::page_list::PageList;
use super::segment;
use super::size_class::SizeClass;
use super::slot::{Chains, Slot};
use crate::primitive::sync::atomic::{AtomicU32, Ordering};

/// Free slots, for the owner of their heap. Others read the counters.
///
/// Those freed last are in a warm chain. Full chains are set aside as they are; when there are too many of them, their slots return
/// to their pages, and pages of which every slot has returned are retired.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Bin {
    /// The warm chain: the slot that was freed last is in front.
    warm: ChainCell,
    /// How many slots the warm chain takes before it is set aside.
    chain_limit: u32,
    /// Values: how many slots are set aside. Written by the owner. Publishes nothing, as do the other counters.
    aside_len: AtomicU32,
    /// Chains that were set aside.
    aside: Chains,
    /// Pages that have free slots of their own.
    pages: PageList,
    /// The page that is being carved.
    page: Cell<Option<Page>>,
    /// Values: how many slots were carved from pages that are not retired (wraps). Written by the owner.
    carved: AtomicU32,
    /// Values: how many slots have returned to pages, and are there (wraps). Written by the owner.
    paged: AtomicU32,
}

impl Bin {
    const fn new(class: SizeClass) -> Self {
        Self {
            warm: ChainCell::new(),
            chain_limit: chain_limit(class),
            aside_len: AtomicU32::new(0),
            aside: Chains::new(),
            pages: PageList::new(),
            page: Cell::new(None),
            carved: AtomicU32::new(0),
            paged: AtomicU32::new(0),
        }
    }

    /// An empty bin of each class.
    pub(super) const fn for_each_class() -> [Self; SizeClass::COUNT] {
        let mut bins = [const { Self::new(SizeClass::from_index(0)) }; SizeClass::COUNT];
        let mut index = 0;
        while index < SizeClass::COUNT {
            bins[index].chain_limit = chain_limit(SizeClass::from_index(index));
            index += 1;
        }
        bins
    }

    /// Takes the slot that was freed last.
    #[inline(always)]
    pub(super) fn pop(&self) -> Option<NonNull<Slot>> {
        let slot = NonNull::new(self.warm.get().first())?;
        // SAFETY: a slot in the bin is free and the owner's.
        self.warm.set(unsafe { Slot::rest(slot) });
        Some(slot)
    }

    /// Whether the warm chain is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.warm.get().first().is_null()
    }

    /// Puts a slot in front of the warm chain. True if the chain is long: then it is to be [set aside](Self::set_aside).
    ///
    /// # Safety
    ///
    /// The slot is of a page of this bin's heap, class and kind, and nobody uses it any more.
    #[inline(always)]
    #[must_use]
    pub(super) unsafe fn push(&self, slot: NonNull<Slot>) -> bool {
        let rest = self.warm.get();
        // SAFETY: the caller says that it is free.
        unsafe { Slot::set_rest(slot, rest) };
        self.warm.set(Chain::new(slot.as_ptr(), rest.len() + 1));
        rest.len() >= self.chain_limit as usize
    }

    /// Sets the warm chain aside; true if there were too many then, and slots returned to their pages.
    pub(super) fn set_aside(&self) -> bool {
        let chain = self.warm.get();
        self.warm.set(Chain::EMPTY);
        // SAFETY: slots in the bin are free and the owner's.
        unsafe { self.aside.push(chain) };
        add(&self.aside_len, chain.len());
        let is_over = self.aside_len.load(Ordering::Relaxed) > ASIDE_CHAINS * self.chain_limit;
        if is_over {
            self.return_aside();
        }
        is_over
    }

    /// Returns every slot to its page. Pages that are free then are retired.
    pub(super) fn give_back(&self) {
        self.set_aside();
        self.return_aside();
        // A scan may have kept some from being retired.
        let mut next = self.pages.first();
        while let Some(page) = next {
            next = page.bin_links().next();
            if page.is_free() {
                self.retire_listed(page);
            }
        }
    }

    /// Retires the page that is being carved, if all of its slots have returned to it.
    pub(super) fn give_up_page(&self) {
        if let Some(page) = self.page.get()
            && page.is_free()
            && self.retire(page)
        {
            self.page.set(None);
        }
    }

    /// Whether slots have returned to pages and are still there.
    pub(super) fn has_pages(&self) -> bool {
        self.pages.first().is_some()
    }

    /// Hands out a slot of the chain that was set aside last, and makes the chain the warm one, since there is none.
    pub(super) fn pop_aside(&self) -> Option<NonNull<Slot>> {
        let chain = self.aside.pop()?;
        sub(&self.aside_len, chain.len());
        self.warm.set(chain);
        self.pop()
    }

    /// Hands out a slot of a page that has some, and makes its others the warm chain, since there is none.
    pub(super) fn pop_from_page(&self) -> Option<NonNull<Slot>> {
        let page = self.pages.first()?;
        self.pages.remove(page);
        // SAFETY: the pages of the bin are the owner's.
        let chain = unsafe { page.take() };
        sub(&self.paged, chain.len());
        self.warm.set(chain);
        self.pop()
    }

    /// Cuts a slot off the page that is being carved.
    pub(super) fn carve(&self) -> Option<NonNull<Slot>> {
        // SAFETY: the page is in the owner's bin.
        let slot = self.page.get().and_then(|page| unsafe { page.carve() })?;
        add(&self.carved, 1);
        Some(slot)
    }

    /// Cuts a slot off a new page, made for this bin.
    pub(super) fn carve_from(&self, page: Page) -> Option<NonNull<Slot>> {
        self.page.set(Some(page));
        self.carve()
    }

    /// How many slots the bin has. Any thread.
    pub(super) fn cached(&self) -> usize {
        self.warm.get().len()
            + (self.aside_len.load(Ordering::Relaxed) + self.paged.load(Ordering::Relaxed)) as usize
    }

    /// How many slots there are of pages that are not retired. Any thread.
    pub(super) fn carved(&self) -> usize {
        self.carved.load(Ordering::Relaxed) as usize
    }

    fn return_aside(&self) {
        while let Some(chain) = self.aside.pop() {
            sub(&self.aside_len, chain.len());
            add(&self.paged, chain.len());
            let mut next = chain.first();
            while let Some(slot) = NonNull::new(next) {
                // SAFETY: slots in the bin are free and the owner's.
                next = unsafe { Slot::next(slot) };
                // SAFETY: slots in the bin are carved from pages.
                let page = unsafe { Page::of(slot.cast()) };
                // SAFETY: the slot is the owner's alone, and it is in no list any more.
                match unsafe { page.put(slot) } {
                    Put::Another => {}
                    Put::First => self.pages.insert(page),
                    Put::Last => self.retire_listed(page),
                    Put::Only => {
                        self.pages.insert(page);
                        self.retire_listed(page);
                    }
                }
            }
        }
    }

    /// Retires a free page, unless it is the one that is being carved.
    fn retire_listed(&self, page: Page) {
        if self.page.get() != Some(page) {
            self.retire(page);
        }
    }

    /// Retires a page to which every slot has returned; or leaves it, if a scan is at it: then the answer is false.
    fn retire(&self, page: Page) -> bool {
        let len = page.carved();
        // Out of the list first: the page is not ours any more afterwards.
        self.pages.remove(page);
        // SAFETY: the page is the owner's, and so are all of its slots, which are in no other list.
        let is_retired = unsafe { segment::retire(page) };
        if is_retired {
            sub(&self.paged, len);
            sub(&self.carved, len);
        } else {
            self.pages.insert(page);
        }
        is_retired
    }
}

/// A load and a store: there is one writer. Chains and pages have far fewer slots than a `u32` counts.
fn add(counter: &AtomicU32, count: usize) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count as u32), Ordering::Relaxed);
}

/// As [`add`].
fn sub(counter: &AtomicU32, count: usize) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_sub(count as u32), Ordering::Relaxed);
}

/// How long a warm chain gets: enough to keep a burst warm, few enough not to outgrow a cache.
const fn chain_limit(class: SizeClass) -> u32 {
    let fitting = PAGE_BYTES / class.slot_bytes();
    if fitting < 256 { fitting as u32 } else { 256 }
}

/// How many times that many slots are set aside before they return to their pages.
const ASIDE_CHAINS: u32 = 4;
