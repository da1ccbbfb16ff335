//! Runnables in the order in which they are to be run.
#![expect(unsafe_code, reason = "an intrusive list: nothing is allocated for what waits")]

use std::ptr::{self, NonNull};

use tress_runtime::executor::Runnable;
use tress_runtime::seam::Header;

use crate::primitive::atomic::Ordering;

/// A list that owns its runnables, linked through their heads; first in, first out.
#[derive(Debug)]
pub(crate) struct List {
    /// Null if it is empty.
    first: *mut Header,
    /// Dangling if it is empty.
    last: *mut Header,
}

// SAFETY: it owns runnables, which may be sent.
unsafe impl Send for List {}

impl List {
    pub(crate) const fn new() -> Self {
        Self { first: ptr::null_mut(), last: ptr::null_mut() }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Puts a runnable behind the others.
    #[inline]
    pub(crate) fn push_back(&mut self, runnable: Runnable) {
        let header = runnable.into_raw();
        // SAFETY: the runnable was the caller's; its head is there as long as it has not been run.
        unsafe { header.as_ref() }.link.store(ptr::null_mut(), Ordering::Relaxed);
        self.append(header.as_ptr(), header.as_ptr());
    }

    /// Takes the first.
    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<Runnable> {
        let header = NonNull::new(self.first)?;
        // SAFETY: what is in the list is owned by it, so its head is there.
        self.first = unsafe { header.as_ref() }.link.load(Ordering::Relaxed);
        // SAFETY: as above; the list gives it up.
        Some(unsafe { Runnable::from_raw(header) })
    }

    /// Takes over a chain that links each runnable to the one that came before it; says how many they are.
    ///
    /// # Safety
    ///
    /// The chain is the caller's: nobody else owns its runnables.
    pub(crate) unsafe fn append_reversed(&mut self, last: NonNull<Header>) -> u32 {
        let (mut next, mut header) = (ptr::null_mut(), last.as_ptr());
        let mut count = 1_u32;
        loop {
            // SAFETY: the caller owns it, so its head is there.
            let link = unsafe { &(*header).link };
            let former = link.load(Ordering::Relaxed);
            link.store(next, Ordering::Relaxed);
            next = header;
            if former.is_null() {
                break;
            }
            header = former;
            count = count.saturating_add(1);
        }
        self.append(header, last.as_ptr());
        count
    }

    #[inline]
    fn append(&mut self, first: *mut Header, last: *mut Header) {
        if self.is_empty() {
            self.first = first;
        } else {
            // SAFETY: the last of the list is owned by it, so its head is there.
            unsafe { &(*self.last).link }.store(first, Ordering::Relaxed);
        }
        self.last = last;
    }
}
