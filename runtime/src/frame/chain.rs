//! Free slots, linked, with their number: a chain, in one word where addresses leave room for the number.
//!
//! A chain is built by its owner one slot at a time, and each slot's link is the chain that was there before. So to take a slot is a load
//! and a store, and neither taking nor adding one touches a counter.

use super::slot::Slot;

/// A chain of free slots. A copy of the value is not a copy of the chain: who has the slots has the chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain(imp::Chain);

impl Chain {
    /// No slots.
    pub(super) const EMPTY: Self = Self(imp::Chain::EMPTY);

    /// The chain that begins with this slot, which links to the others, `len` of them in all; 0 means that nobody has counted.
    #[inline(always)]
    pub(super) fn new(first: *mut Slot, len: usize) -> Self {
        Self(imp::Chain::new(first, len))
    }

    /// The slot in front, or null.
    #[inline(always)]
    pub(super) fn first(self) -> *mut Slot {
        self.0.first()
    }

    /// How many slots there are; 0 also if nobody has counted.
    #[inline(always)]
    pub(super) fn len(self) -> usize {
        self.0.len()
    }

    /// Whether slots may be at this address.
    #[cfg(not(tress_loom))]
    pub(super) fn reaches(address: usize) -> bool {
        imp::Chain::reaches(address)
    }
}

/// The place of a chain that its owner changes, and whose length anybody may look at.
#[cfg(not(tress_loom))]
#[derive(Debug)]
pub(super) struct ChainCell(imp::ChainCell);

#[cfg(not(tress_loom))]
impl ChainCell {
    /// A place of an empty chain.
    pub(super) const fn new() -> Self {
        Self(imp::ChainCell::new())
    }

    /// The chain. For the owner.
    #[inline(always)]
    pub(super) fn get(&self) -> Chain {
        Chain(self.0.get())
    }

    /// Puts another chain there. For the owner.
    #[inline(always)]
    pub(super) fn set(&self, chain: Chain) {
        self.0.set(chain.0);
    }
}

#[cfg(target_pointer_width = "64")]
mod imp {
    use std::ptr;

    use super::Slot;
    #[cfg(not(tress_loom))]
    use crate::primitive::sync::atomic::{AtomicPtr, Ordering};

    /// The slot's address in the low bits, the length above them.
    #[derive(Debug, Clone, Copy)]
    pub(super) struct Chain(*mut Slot);

    impl Chain {
        pub(super) const EMPTY: Self = Self(ptr::null_mut());

        #[inline(always)]
        pub(super) fn new(first: *mut Slot, len: usize) -> Self {
            Self(first.map_addr(|address| address | (len << ADDRESS_BITS)))
        }

        #[inline(always)]
        pub(super) fn first(self) -> *mut Slot {
            self.0.map_addr(|address| address & ADDRESS_MASK)
        }

        #[inline(always)]
        pub(super) fn len(self) -> usize {
            self.0.addr() >> ADDRESS_BITS
        }

        #[cfg(not(tress_loom))]
        pub(super) fn reaches(address: usize) -> bool {
            address <= ADDRESS_MASK
        }
    }

    #[cfg(not(tress_loom))]
    #[derive(Debug)]
    pub(super) struct ChainCell {
        /// Values: a chain in one word. Written by the owner. Publishes nothing: others use the length only, as a statistic.
        chain: AtomicPtr<Slot>,
    }

    #[cfg(not(tress_loom))]
    impl ChainCell {
        pub(super) const fn new() -> Self {
            Self { chain: AtomicPtr::new(ptr::null_mut()) }
        }

        #[inline(always)]
        pub(super) fn get(&self) -> Chain {
            Chain(self.chain.load(Ordering::Relaxed))
        }

        #[inline(always)]
        pub(super) fn set(&self, chain: Chain) {
            self.chain.store(chain.0, Ordering::Relaxed);
        }
    }

    /// What systems give to programs that do not ask for more.
    const ADDRESS_BITS: u32 = 48;
    const ADDRESS_MASK: usize = (1 << ADDRESS_BITS) - 1;
}

#[cfg(not(target_pointer_width = "64"))]
mod imp {
    use std::ptr;

    use super::Slot;
    #[cfg(not(tress_loom))]
    use crate::primitive::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

    #[derive(Debug, Clone, Copy)]
    pub(super) struct Chain {
        first: *mut Slot,
        len: usize,
    }

    impl Chain {
        pub(super) const EMPTY: Self = Self { first: ptr::null_mut(), len: 0 };

        pub(super) fn new(first: *mut Slot, len: usize) -> Self {
            Self { first, len }
        }

        pub(super) fn first(self) -> *mut Slot {
            self.first
        }

        pub(super) fn len(self) -> usize {
            self.len
        }

        #[cfg(not(tress_loom))]
        pub(super) fn reaches(_address: usize) -> bool {
            true
        }
    }

    #[cfg(not(tress_loom))]
    #[derive(Debug)]
    pub(super) struct ChainCell {
        /// Values: the slot in front, or null. Written and read by the owner.
        first: AtomicPtr<Slot>,
        /// Values: the length. Written by the owner. Publishes nothing: a statistic to others.
        len: AtomicUsize,
    }

    #[cfg(not(tress_loom))]
    impl ChainCell {
        pub(super) const fn new() -> Self {
            Self { first: AtomicPtr::new(ptr::null_mut()), len: AtomicUsize::new(0) }
        }

        pub(super) fn get(&self) -> Chain {
            Chain { first: self.first.load(Ordering::Relaxed), len: self.len.load(Ordering::Relaxed) }
        }

        pub(super) fn set(&self, chain: Chain) {
            self.first.store(chain.first, Ordering::Relaxed);
            self.len.store(chain.len, Ordering::Relaxed);
        }
    }
}
