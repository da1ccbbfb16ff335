//! The pages of one bin that have free slots of their own.

use std::cell::Cell;

use super::page::Page;

/// A list of pages, for the owner of their heap.
#[derive(Debug)]
pub(super) struct PageList {
    first: Cell<Option<Page>>,
}

/// A page's place in its bin's list.
#[derive(Debug)]
pub(super) struct BinLinks {
    next: Cell<Option<Page>>,
    prev: Cell<Option<Page>>,
}

impl BinLinks {
    pub(super) const fn new() -> Self {
        Self { next: Cell::new(None), prev: Cell::new(None) }
    }

    /// The page behind.
    pub(super) fn next(&self) -> Option<Page> {
        self.next.get()
    }
}

impl PageList {
    /// Makes an empty list.
    pub(super) const fn new() -> Self {
        Self { first: Cell::new(None) }
    }

    /// The page in front.
    pub(super) fn first(&self) -> Option<Page> {
        self.first.get()
    }

    /// Puts a page that is in no list in front.
    pub(super) fn insert(&self, page: Page) {
        let next = self.first.replace(Some(page));
        let links = page.bin_links();
        links.next.set(next);
        links.prev.set(None);
        if let Some(next) = next {
            next.bin_links().prev.set(Some(page));
        }
    }

    /// Takes out a page that is in this list.
    pub(super) fn remove(&self, page: Page) {
        let links = page.bin_links();
        let (next, prev) = (links.next.get(), links.prev.get());
        if let Some(next) = next {
            next.bin_links().prev.set(prev);
        }
        match prev {
            Some(prev) => prev.bin_links().next.set(next),
            None => self.first.set(next),
        }
    }
}
