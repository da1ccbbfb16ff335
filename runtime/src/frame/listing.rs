//! The list of pages that scans walk, and the way out of it.

#![expect(unsafe_code, reason = "follows links under locks")]

use crate::primitive::cell::UnsafeCell;
use crate::primitive::sync::Mutex;

/// A list that grows at the front at any time, and shrinks only while no scan walks it.
#[derive(Debug)]
pub(super) struct Listing<P> {
    /// Held by a scan for as long as it walks, and by whoever takes a page out. Taken before `newest`.
    walk: Mutex<()>,
    /// The page put in last.
    newest: Mutex<Newest<P>>,
}

#[derive(Debug)]
struct Newest<P>(Option<P>);

// SAFETY: what a page's links lead to is reached under the locks only.
unsafe impl<P> Send for Newest<P> {}

/// A page's place in the list.
#[derive(Debug)]
pub(super) struct Links<P> {
    /// The page put in before this one. Written before this one is in the list, and then under `walk`; read under `walk`.
    next: UnsafeCell<Option<P>>,
    /// The page put in after this one. Belongs to the lock `newest`.
    prev: UnsafeCell<Option<P>>,
}

impl<P> Links<P> {
    pub(super) fn new() -> Self {
        Self { next: UnsafeCell::new(None), prev: UnsafeCell::new(None) }
    }
}

/// Something that can be in a [`Listing`].
pub(super) trait Listed: Copy {
    /// Its links. They stay for as long as it is in the list.
    fn links(&self) -> &Links<Self>;
}

impl<P: Listed> Listing<P> {
    /// Makes an empty list.
    #[cfg(not(tress_loom))]
    pub(super) const fn new() -> Self {
        Self { walk: Mutex::new(()), newest: Mutex::new(Newest(None)) }
    }

    /// Makes an empty list.
    #[cfg(tress_loom)]
    pub(super) fn new() -> Self {
        Self { walk: Mutex::new(()), newest: Mutex::new(Newest(None)) }
    }

    /// Puts a page in front. It does not wait for a scan, which misses the page.
    pub(super) fn insert(&self, page: P) {
        let mut newest = self.newest.lock();
        let next = newest.0.replace(page);
        // SAFETY: no scan finds the page before the lock is released.
        page.links().next.with_mut(|link| unsafe { *link = next });
        // SAFETY: the lock is held.
        page.links().prev.with_mut(|link| unsafe { *link = None });
        if let Some(next) = next {
            // SAFETY: the lock is held.
            next.links().prev.with_mut(|link| unsafe { *link = Some(page) });
        }
    }

    /// Takes a page out, unless a scan is under way: then nothing happens, and the answer is false.
    ///
    /// # Safety
    ///
    /// The page is in the list.
    #[must_use]
    pub(super) unsafe fn try_remove(&self, page: P) -> bool {
        let Some(_walk) = self.walk.try_lock() else { return false };
        let mut newest = self.newest.lock();
        // SAFETY: both locks are held.
        let next = page.links().next.with(|link| unsafe { *link });
        // SAFETY: both locks are held.
        let prev = page.links().prev.with(|link| unsafe { *link });
        if let Some(next) = next {
            // SAFETY: both locks are held.
            next.links().prev.with_mut(|link| unsafe { *link = prev });
        }
        match prev {
            // SAFETY: both locks are held.
            Some(prev) => prev.links().next.with_mut(|link| unsafe { *link = next }),
            None => newest.0 = next,
        }
        true
    }

    /// Calls `f` with every page; none is taken out meanwhile. Those put in meanwhile are missed.
    pub(super) fn for_each(&self, f: &mut dyn FnMut(P)) {
        let _walk = self.walk.lock();
        let mut next = self.newest.lock().0;
        while let Some(page) = next {
            f(page);
            // SAFETY: the page is in the list, and the lock `walk` is held.
            next = page.links().next.with(|link| unsafe { *link });
        }
    }
}
