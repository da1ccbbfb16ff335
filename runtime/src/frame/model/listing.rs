//! Scans against pages that come and go.

use super::*;
use crate::frame::listing::{Links, Listed, Listing};

/// A page of one word that is an atomic to a scan and anything to the page's next user.
struct Page {
    links: Links<Handle>,
    word: UnsafeCell<u32>,
}

#[derive(Clone, Copy)]
struct Handle(NonNull<Page>);

// SAFETY: loom checks who uses what.
unsafe impl Send for Handle {}

impl Handle {
    fn new() -> Self {
        let page = Page { links: Links::new(), word: UnsafeCell::new(0) };
        Self(NonNull::from(Box::leak(Box::new(page))))
    }

    fn page(&self) -> &Page {
        // SAFETY: the model frees it when every thread has been joined.
        unsafe { self.0.as_ref() }
    }

    /// What a scan does: it reads.
    fn look(self) -> u32 {
        // SAFETY: loom checks that nobody writes meanwhile.
        self.page().word.with(|word| unsafe { *word })
    }

    /// What the next user does: it makes another page of the memory.
    fn reuse(self) {
        // SAFETY: loom checks that nobody else is at it.
        self.page().word.with_mut(|word| unsafe { *word += 1 });
    }

    fn free(self) {
        // SAFETY: every thread has been joined.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl Listed for Handle {
    fn links(&self) -> &Links<Self> {
        &self.page().links
    }
}

fn seen(listing: &Listing<Handle>) -> usize {
    let mut count = 0;
    listing.for_each(&mut |page| {
        page.look();
        count += 1;
    });
    count
}

#[test]
fn a_page_is_reused_only_when_no_scan_is_at_it() {
    loom::model(|| {
        let listing = Arc::new(Listing::new());
        let pages = [Handle::new(), Handle::new()];
        pages.iter().for_each(|page| listing.insert(*page));
        let scanner = {
            let listing = listing.clone();
            thread::spawn(move || assert!((1..=2).contains(&seen(&listing))))
        };
        let [old, _] = pages;
        // SAFETY: the page is in the list.
        let is_out = unsafe { listing.try_remove(old) };
        if is_out {
            old.reuse();
            listing.insert(old);
        }
        scanner.join().expect("the scan does not panic");
        assert_eq!(seen(&listing), 2);
        pages.into_iter().for_each(Handle::free);
    });
}

#[test]
fn pages_come_and_go_and_none_is_lost() {
    loom::model(|| {
        let listing = Arc::new(Listing::new());
        let [kept, left, new] = [(); 3].map(|()| Handle::new());
        listing.insert(kept);
        listing.insert(left);
        let other = {
            let listing = listing.clone();
            thread::spawn(move || {
                let new = new;
                listing.insert(new);
            })
        };
        // SAFETY: the page is in the list.
        let is_out = unsafe { listing.try_remove(left) };
        assert!(is_out, "there is no scan");
        left.reuse();
        other.join().expect("the other thread does not panic");
        assert_eq!(seen(&listing), 2);
        // SAFETY: the page is in the list.
        assert!(unsafe { listing.try_remove(kept) });
        assert_eq!(seen(&listing), 1);
        [kept, left, new].into_iter().for_each(Handle::free);
    });
}
