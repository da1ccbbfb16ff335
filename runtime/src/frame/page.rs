//! Pages: aligned blocks of memory that are carved into slots of one size, kind and owner.

#![expect(unsafe_code, reason = "finds headers by masking addresses, and carves memory into slots")]

use std::num::NonZero;
use std::ptr::NonNull;

use super::Kind;
use super::carve_limit::CarveLimit;
use super::heap::Heap;
use super::size_class::{MAX_BYTES, SizeClass};
use super::slot::Slot;

/// A page, known by its header. It exists for as long as the process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page(NonNull<Header>);

/// What every thread may read of a page. All but the limit is written once, before the page's first slot is handed out
/// and before the page is in a list: whoever has a slot, or found the page in the list, sees it.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Header {
    /// The heap that the page's slots go home to.
    pub(super) owner: NonNull<Heap>,
    /// [`Heap::lane`] of the owner: a copy, so that a remote free touches no line of the owner's.
    pub(super) owner_lane: u8,
    pub(super) kind: Kind,
    pub(super) class: SizeClass,
    slot_bytes: u32,
    /// The page of this kind made before this one.
    pub(super) next: Option<Page>,
    limit: Line<CarveLimit>,
}

/// The limit is written while the page fills, the rest is read on every free: they share no cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Line<T>(T);

impl Page {
    /// Makes a page of raw memory.
    ///
    /// # Safety
    ///
    /// `base` has [`PAGE_BYTES`] of memory, aligned to as much, that nobody else uses and that is never freed.
    pub(super) unsafe fn new(
        base: NonNull<u8>,
        owner: (NonNull<Heap>, u8),
        kind: Kind,
        class: SizeClass,
        next: Option<Page>,
    ) -> Self {
        let header = header_of(base);
        let value = Header {
            owner: owner.0,
            owner_lane: owner.1,
            kind,
            class,
            slot_bytes: u32::try_from(class.slot_bytes()).expect("slots are smaller than pages"),
            next,
            limit: Line(CarveLimit::new(first_slot(header, class))),
        };
        // SAFETY: the header's place lies inside the page, which is the caller's, and is aligned.
        unsafe { header.write(value) };
        Self(header)
    }

    /// The page that a slot lies in.
    ///
    /// # Safety
    ///
    /// The slot was carved from a page.
    #[inline(always)]
    pub(super) unsafe fn of(slot: NonNull<u8>) -> Self {
        Self(header_of(slot))
    }

    /// The page's header.
    #[inline(always)]
    pub(super) fn header(&self) -> &Header {
        // SAFETY: a `Page` is made around a header that was written, in memory that stays, and it is shared from then on.
        unsafe { self.0.as_ref() }
    }

    /// Cuts the next slot off the untouched part and initialises its first words; `None` if the page is full.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    pub(super) unsafe fn carve(self) -> Option<NonNull<Slot>> {
        let header = self.header();
        let start = header.limit.0.owned();
        let end = start + header.slot_bytes as usize;
        if end > PAGE_BYTES {
            return None;
        }
        let slot = self.at(start).cast::<Slot>();
        // SAFETY: the slot lies in the untouched part of the page, which is the owner's, and is aligned for its words.
        unsafe { slot.write(Slot::new()) };
        header.limit.0.raise(end);
        Some(slot)
    }

    /// Calls `f` with every slot carved so far. Any thread.
    pub(super) fn for_each_slot(self, f: &mut dyn FnMut(NonNull<u8>)) {
        let header = self.header();
        let slot_bytes = header.slot_bytes as usize;
        let limit = header.limit.0.observe();
        for start in (first_slot(self.0, header.class)..limit).step_by(slot_bytes) {
            f(self.at(start));
        }
    }

    /// The address at an offset.
    fn at(self, offset_bytes: usize) -> NonNull<u8> {
        // Neither side can be 0: the page's base is not.
        self.0.cast::<u8>().map_addr(|address| base(address) | offset_bytes)
    }
}

/// Where the header lies in the page around `address`.
///
/// Not at the base: equal offsets in blocks of this alignment fall into one set of every cache, and a thread that frees slots of
/// many pages would have their headers evict each other. The place depends on the page's address.
#[inline(always)]
fn header_of(address: NonNull<u8>) -> NonNull<Header> {
    let header = address.map_addr(|address| {
        let colour = (address.get() / PAGE_BYTES) % COLOURS;
        base(address) | (colour * align_of::<Header>())
    });
    header.cast()
}

#[inline(always)]
fn base(address: NonZero<usize>) -> NonZero<usize> {
    NonZero::new(address.get() & !OFFSET_MASK).expect("no page lies at address 0")
}

/// The offset of a page's first slot.
fn first_slot(header: NonNull<Header>, class: SizeClass) -> usize {
    ((header.addr().get() & OFFSET_MASK) + size_of::<Header>()).next_multiple_of(class.alignment())
}

/// The bytes of a page, and its alignment.
pub(super) const PAGE_BYTES: usize = 64 * 1024;
const OFFSET_MASK: usize = PAGE_BYTES - 1;
/// How many places a header can have.
const COLOURS: usize = 32;

const _: () = assert!(COLOURS * align_of::<Header>() + size_of::<Header>() + 2 * MAX_BYTES <= PAGE_BYTES);
