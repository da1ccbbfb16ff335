//! What the pool writes into a slot: the links of free ones, and the first word of new ones.

#![expect(unsafe_code, reason = "links free slots through their own memory")]

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use super::chain::Chain;
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
    /// The free slots behind this one. Belongs to whoever has the slot: the freeing thread, its batch, the list's taker, the owner.
    rest: UnsafeCell<Chain>,
    /// In the first slot of a chain that is itself in a list: the next chain. Belongs to the owner.
    next_chain: UnsafeCell<Chain>,
}

impl Slot {
    /// Makes a slot with nothing behind it.
    pub(super) fn new() -> Self {
        Self {
            word: AtomicUsize::new(0),
            rest: UnsafeCell::new(Chain::EMPTY),
            next_chain: UnsafeCell::new(Chain::EMPTY),
        }
    }

    /// The layout that has room for `layout` and, while it is free, for a slot's words; `None` if none has.
    pub(super) fn around(layout: Layout) -> Option<Layout> {
        let words = Layout::new::<Self>();
        Layout::from_size_align(layout.size().max(words.size()), layout.align().max(words.align())).ok()
    }

    /// The slot behind this one, or null.
    ///
    /// # Safety
    ///
    /// `this` is a free slot that the caller alone has.
    #[inline(always)]
    pub(super) unsafe fn next(this: NonNull<Slot>) -> *mut Slot {
        // SAFETY: the caller's promise.
        unsafe { Self::rest(this) }.first()
    }

    /// Puts `next` behind this slot, without a count.
    ///
    /// # Safety
    ///
    /// `this` is a free slot that the caller alone has.
    #[inline(always)]
    pub(super) unsafe fn set_next(this: NonNull<Slot>, next: *mut Slot) {
        // SAFETY: the caller's promise.
        unsafe { Self::set_rest(this, Chain::new(next, 0)) };
    }

    /// The chain behind this slot.
    ///
    /// # Safety
    ///
    /// `this` is a free slot that the caller alone has.
    #[inline(always)]
    pub(super) unsafe fn rest(this: NonNull<Slot>) -> Chain {
        // SAFETY: the slot is memory that exists, so the field can be referred to.
        let rest = unsafe { &(*this.as_ptr()).rest };
        // SAFETY: nobody else touches the links of a slot that the caller alone has.
        rest.with(|rest| unsafe { *rest })
    }

    /// Puts a chain behind this slot.
    ///
    /// # Safety
    ///
    /// `this` is a free slot that the caller alone has.
    #[inline(always)]
    pub(super) unsafe fn set_rest(this: NonNull<Slot>, rest: Chain) {
        // SAFETY: the slot is memory that exists, so the field can be referred to.
        let link = unsafe { &(*this.as_ptr()).rest };
        // SAFETY: nobody else touches the links of a slot that the caller alone has.
        link.with_mut(|link| unsafe { link.write(rest) });
    }
}

impl Slot {
    /// How many addresses a free slot of this many bytes has room for, behind its words.
    #[cfg(not(tress_loom))]
    pub(super) const fn parcel_capacity(slot_bytes: usize) -> usize {
        (slot_bytes - size_of::<Self>()) / size_of::<ParcelCell>()
    }

    /// The place of an address behind a free slot's words.
    ///
    /// # Safety
    ///
    /// `this` is a free slot that the caller alone has, with room for more than `index` addresses.
    #[inline(always)]
    unsafe fn parcel_cell<'a>(this: NonNull<Slot>, index: usize) -> &'a ParcelCell {
        // SAFETY: the caller says that the slot's memory reaches beyond its words.
        let cells = unsafe { this.add(1) }.cast::<ParcelCell>();
        // SAFETY: the caller says that it reaches that far.
        let cell = unsafe { cells.add(index) };
        // SAFETY: the place is aligned, as the words before it are, and may hold anything.
        unsafe { cell.as_ref() }
    }

    /// Notes another slot in this one's memory.
    ///
    /// # Safety
    ///
    /// `this` is a free slot that the caller alone has, with room for more than `index` addresses.
    #[inline(always)]
    pub(super) unsafe fn set_parcel(this: NonNull<Slot>, index: usize, slot: NonNull<Slot>) {
        // SAFETY: the caller's promise.
        let cell = unsafe { Self::parcel_cell(this, index) };
        // SAFETY: nobody else touches the memory of a slot that the caller alone has.
        cell.with_mut(|cell| unsafe { cell.write(MaybeUninit::new(slot)) });
    }

    /// A slot that was noted in this one's memory.
    ///
    /// # Safety
    ///
    /// `this` is a free slot that the caller alone has, and [`set_parcel`](Self::set_parcel) was called for this index.
    #[inline(always)]
    pub(super) unsafe fn parcel(this: NonNull<Slot>, index: usize) -> NonNull<Slot> {
        // SAFETY: the caller's promise.
        let cell = unsafe { Self::parcel_cell(this, index) };
        // SAFETY: nobody else touches the memory of a slot that the caller alone has.
        let slot = cell.with(|cell| unsafe { cell.read() });
        // SAFETY: the caller says that it was written.
        unsafe { slot.assume_init() }
    }
}

/// The place of one address in a free slot's memory.
pub(super) type ParcelCell = UnsafeCell<MaybeUninit<NonNull<Slot>>>;

/// A list of chains of free slots, for their owner: each chain's first slot links to the next chain.
#[cfg(not(tress_loom))]
#[derive(Debug)]
pub(super) struct Chains {
    first: std::cell::Cell<Chain>,
}

#[cfg(not(tress_loom))]
impl Chains {
    /// Makes an empty list.
    pub(super) const fn new() -> Self {
        Self { first: std::cell::Cell::new(Chain::EMPTY) }
    }

    /// Puts a chain in front; an empty one changes nothing.
    ///
    /// # Safety
    ///
    /// The chain's slots are free and the caller alone has them; now the list does.
    pub(super) unsafe fn push(&self, chain: Chain) {
        let Some(slot) = NonNull::new(chain.first()) else { return };
        // SAFETY: the slot is memory that exists, so the field can be referred to.
        let next_chain = unsafe { &(*slot.as_ptr()).next_chain };
        // SAFETY: nobody else touches the links of a slot that the caller alone has.
        next_chain.with_mut(|link| unsafe { link.write(self.first.get()) });
        self.first.set(chain);
    }

    /// Takes the chain in front.
    pub(super) fn pop(&self) -> Option<Chain> {
        let chain = self.first.get();
        let slot = NonNull::new(chain.first())?;
        // SAFETY: the slot is memory that exists, so the field can be referred to.
        let next_chain = unsafe { &(*slot.as_ptr()).next_chain };
        // SAFETY: the list alone has the slots in it.
        self.first.set(next_chain.with(|link| unsafe { *link }));
        Some(chain)
    }
}
