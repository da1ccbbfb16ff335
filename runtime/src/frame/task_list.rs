//! The list of task slots that lie outside the pages, for scans.
//!
//! Its lock is held by a scan and by the removal, which comes before the memory goes back.

#![expect(unsafe_code, reason = "links slots through memory in front of them")]

use std::ptr::{self, NonNull};

use crate::primitive::sync::Mutex;

/// Puts a task's slot into the list.
///
/// # Safety
///
/// `new` has room for links, is in no list, and the slot lies that far behind it. Both stay until [`remove`].
pub(super) unsafe fn insert(new: NonNull<Links>, slot_offset: usize) {
    // SAFETY: the caller's promise.
    unsafe { TASKS.lock().insert(new, slot_offset) };
}

/// Takes a task's slot out of the list.
///
/// # Safety
///
/// `old` is in the list.
pub(super) unsafe fn remove(old: NonNull<Links>) {
    // SAFETY: the caller's promise.
    unsafe { TASKS.lock().remove(old) };
}

/// Calls `f` with every task's slot, under the list's lock.
pub(super) fn for_each_slot(f: &mut dyn FnMut(NonNull<u8>)) {
    let tasks = TASKS.lock();
    let mut next = tasks.head.reveal();
    while let Some(links) = NonNull::new(next) {
        // SAFETY: it is in the list, whose lock is held.
        let Links { next: behind, slot_offset, .. } = unsafe { links.read() };
        next = behind.reveal();
        // SAFETY: the slot lies this far behind its links, in the same allocation.
        f(unsafe { links.cast::<u8>().add(slot_offset) });
    }
}

/// What lies in front of a task's slot. It belongs to the list's lock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Links {
    next: Hidden,
    prev: Hidden,
    slot_offset: usize,
}

impl Links {
    /// Links that are in no list.
    pub(super) const UNLINKED: Self = Self { next: Hidden::NULL, prev: Hidden::NULL, slot_offset: 0 };
}

#[derive(Debug)]
struct Tasks {
    head: Hidden,
}

impl Tasks {
    /// # Safety
    ///
    /// `new` has room for links and is in no list.
    unsafe fn insert(&mut self, new: NonNull<Links>, slot_offset: usize) {
        let next = self.head;
        // SAFETY: the caller says that there is room.
        unsafe { new.write(Links { next, prev: Hidden::NULL, slot_offset }) };
        if let Some(mut next) = NonNull::new(next.reveal()) {
            // SAFETY: it is in the list, whose lock is held.
            unsafe { next.as_mut() }.prev = Hidden::new(new.as_ptr());
        }
        self.head = Hidden::new(new.as_ptr());
    }

    /// # Safety
    ///
    /// `old` is in the list.
    unsafe fn remove(&mut self, old: NonNull<Links>) {
        // SAFETY: it is in the list, whose lock is held.
        let Links { next, prev, .. } = unsafe { old.read() };
        if let Some(mut next) = NonNull::new(next.reveal()) {
            // SAFETY: it is in the list, whose lock is held.
            unsafe { next.as_mut() }.prev = prev;
        }
        match NonNull::new(prev.reveal()) {
            // SAFETY: it is in the list, whose lock is held.
            Some(mut prev) => unsafe { prev.as_mut() }.next = next,
            None => self.head = next,
        }
    }
}

/// A link of the list. Under `--cfg tress_sanitize` its address is inverted, so that the list alone does not keep a leak
/// checker from reporting a task that nothing else refers to.
#[derive(Debug, Clone, Copy)]
struct Hidden(*mut Links);

impl Hidden {
    const MASK: usize = if cfg!(tress_sanitize) { usize::MAX } else { 0 };
    const NULL: Self = Self(ptr::without_provenance_mut(Self::MASK));

    fn new(links: *mut Links) -> Self {
        Self(links.map_addr(|address| address ^ Self::MASK))
    }

    fn reveal(self) -> *mut Links {
        self.0.map_addr(|address| address ^ Self::MASK)
    }
}

// SAFETY: the links are followed under the lock of `TASKS` only.
unsafe impl Send for Tasks {}

static TASKS: Mutex<Tasks> = Mutex::new(Tasks { head: Hidden::NULL });
