//! What the pool writes into a slot: the links of free ones, and the first word of new ones.

#![expect(unsafe_code, reason = "links free slots through their own memory")]

use std::alloc::Layout;
use std::ptr::{self, NonNull};

use crate::primitive::cell::UnsafeCell;
use crate::primitive::sync::atomic::AtomicUsize;

/// The first words of a free slot; of a `Task` slot in use, only the first one is this.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Slot {
    /// The task state word of a `Task` slot; unused in a free `Raw` slot.
    ///
    /// Values: 0 when carved, then what the task module stores. The pool writes it once, before [`CarveLimit`] publishes it.
    ///
    /// [`CarveLimit`]: super::carve_limit::CarveLimit
    pub(super) word: AtomicUsize,
    /// The next free slot, or null. Belongs to whoever has the slot: the freeing thread, its batch, the list's taker, the owner.
    next: UnsafeCell<*mut Slot>,
    /// In the first slot of a chain that is itself in a list: the next chain, or null. Belongs to the owner.
    next_chain: UnsafeCell<*mut Slot>,
    /// In such a slot: how many slots the chain has, if its list counts them. Belongs to the owner.
    chain_len: UnsafeCell<usize>,
}

impl Slot {
    /// Makes a slot with nothing behind it.
    pub(super) fn new() -> Self {
        Self {
            word: AtomicUsize::new(0),
            next: UnsafeCell::new(ptr::null_mut()),
            next_chain: UnsafeCell::new(ptr::null_mut()),
            chain_len: UnsafeCell::new(0),
        }
    }

    /// The layout that has room for `layout` and, while it is free, for a slot's words; `None` if none has.
    pub(super) fn around(layout: Layout) -> Option<Layout> {
        let words = Layout::new::<Self>();
        Layout::from_size_align(layout.size().max(words.size()), layout.align().max(words.align())).ok()
    }

    /// The slot behind this one.
    ///
    /// # Safety
    ///
    /// `this` is a free slot that the caller alone has.
    #[inline(always)]
    pub(super) unsafe fn next(this: NonNull<Slot>) -> *mut Slot {
        // SAFETY: the slot is memory that exists, so the field can be referred to.
        let next = unsafe { &(*this.as_ptr()).next };
        // SAFETY: nobody else touches the links of a slot that the caller alone has.
        next.with(|next| unsafe { *next })
    }

    /// Puts `next` behind this slot.
    ///
    /// # Safety
    ///
    /// `this` is a free slot that the caller alone has.
    #[inline(always)]
    pub(super) unsafe fn set_next(this: NonNull<Slot>, next: *mut Slot) {
        // SAFETY: the slot is memory that exists, so the field can be referred to.
        let link = unsafe { &(*this.as_ptr()).next };
        // SAFETY: nobody else touches the links of a slot that the caller alone has.
        link.with_mut(|link| unsafe { link.write(next) });
    }
}

/// A list of chains of free slots, for their owner: each chain's first slot links to the next chain.
#[cfg(not(tress_loom))]
#[derive(Debug)]
pub(super) struct Chains {
    first: std::cell::Cell<*mut Slot>,
}

#[cfg(not(tress_loom))]
impl Chains {
    /// Makes an empty list.
    pub(super) const fn new() -> Self {
        Self { first: std::cell::Cell::new(ptr::null_mut()) }
    }

    /// Puts a chain of `len` slots in front; 0 means that nobody has counted them.
    ///
    /// # Safety
    ///
    /// The chain's slots are free and the caller alone has them; now the list does.
    pub(super) unsafe fn push(&self, chain: NonNull<Slot>, len: usize) {
        // SAFETY: the slot is memory that exists, so the fields can be referred to.
        let slot = unsafe { chain.as_ref() };
        // SAFETY: nobody else touches the links of a slot that the caller alone has.
        slot.next_chain.with_mut(|link| unsafe { link.write(self.first.get()) });
        // SAFETY: as above.
        slot.chain_len.with_mut(|value| unsafe { value.write(len) });
        self.first.set(chain.as_ptr());
    }

    /// Takes the chain in front, with its length.
    pub(super) fn pop(&self) -> Option<(NonNull<Slot>, usize)> {
        let chain = NonNull::new(self.first.get())?;
        // SAFETY: the slot is memory that exists, so the fields can be referred to.
        let slot = unsafe { chain.as_ref() };
        // SAFETY: the list alone has the slots in it.
        self.first.set(slot.next_chain.with(|link| unsafe { *link }));
        // SAFETY: as above.
        let len = slot.chain_len.with(|value| unsafe { *value });
        Some((chain, len))
    }
}
