//! Pages: aligned blocks of memory that are carved into slots of one size, kind and owner.

#![expect(unsafe_code, reason = "finds headers by masking addresses, and carves memory into slots")]

use std::cell::Cell;
use std::num::NonZero;
use std::ptr::NonNull;

use super::Kind;
use super::carve_limit::CarveLimit;
use super::chain::Chain;
use super::heap::Heap;
use super::listing::{Links, Listed};
use super::page_list::BinLinks;
use super::size_class::{MAX_BYTES, SizeClass};
use super::slot::Slot;

/// A page, known by its header. It exists until its owner, who has all of its slots then, retires it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page(NonNull<Header>);

/// What is known of a page. The first part is written once, before the page's first slot is handed out and before the page is
/// in a list: whoever has a slot, or found the page in the list, sees it.
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
    /// Of a page of tasks: belongs to the locks of the list that scans walk.
    links: Links<Page>,
    owned: Line<Owned>,
}

/// What the owner writes while the page is used. All but the limit is its alone.
#[derive(Debug)]
struct Owned {
    limit: CarveLimit,
    /// How many slots were carved.
    carved: Cell<u32>,
    /// Free slots that are in no other list.
    free: Cell<Chain>,
    /// The page's place among those of its bin with free slots; it is there while `free` is not empty.
    bin: BinLinks,
}

/// The owner's part is written while the rest is read on every free: they share no cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Line<T>(T);

/// What [`Page::put`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Put {
    /// It is the page's only free slot: the page has to be put into its bin's list.
    First,
    /// The page has more of them.
    Another,
    /// Every slot of the page is free, and it was in its bin's list before.
    Last,
    /// Every slot of the page is free, which is one.
    Only,
}

impl Page {
    /// Makes a page of raw memory.
    ///
    /// # Safety
    ///
    /// `base` has [`PAGE_BYTES`] of memory, aligned to as much, that nobody else uses until the page is retired.
    pub(super) unsafe fn new(
        base: NonNull<u8>,
        owner: (NonNull<Heap>, u8),
        kind: Kind,
        class: SizeClass,
    ) -> Self {
        let header = header_of(base);
        let value = Header {
            owner: owner.0,
            owner_lane: owner.1,
            kind,
            class,
            slot_bytes: u32::try_from(class.slot_bytes()).expect("slots are smaller than pages"),
            links: Links::new(),
            owned: Line(Owned {
                limit: CarveLimit::new(first_slot(header, class)),
                carved: Cell::new(0),
                free: Cell::new(Chain::EMPTY),
                bin: BinLinks::new(),
            }),
        };
        // SAFETY: the header's place lies inside the page, which is the caller's, and is aligned.
        unsafe { header.write(value) };
        Self(header)
    }

    /// Where the page's memory begins.
    pub(super) fn base(self) -> NonNull<u8> {
        self.0.cast::<u8>().map_addr(base)
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
        // SAFETY: a `Page` is made around a header that was written, and is used by who keeps the page from being retired: as the user of
        // a slot, as a scan, or as the owner.
        unsafe { self.0.as_ref() }
    }

    /// How many addresses a free slot of the page has room for.
    pub(super) fn parcel_capacity(self) -> usize {
        Slot::parcel_capacity(self.header().slot_bytes as usize)
    }

    /// Cuts the next slot off the untouched part and initialises its first words; `None` if the page is full.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    pub(super) unsafe fn carve(self) -> Option<NonNull<Slot>> {
        let header = self.header();
        let owned = &header.owned.0;
        let start = owned.limit.owned();
        let end = start + header.slot_bytes as usize;
        if end > PAGE_BYTES {
            return None;
        }
        let slot = self.at(start).cast::<Slot>();
        // SAFETY: the slot lies in the untouched part of the page, which is the owner's, and is aligned for its words.
        unsafe { slot.write(Slot::new()) };
        owned.carved.set(owned.carved.get() + 1);
        owned.limit.raise(end);
        Some(slot)
    }

    /// Puts a slot among the page's own free ones.
    ///
    /// # Safety
    ///
    /// The slot lies in the page, is free, and the caller, the page's owner, alone has it.
    pub(super) unsafe fn put(self, slot: NonNull<Slot>) -> Put {
        let owned = &self.header().owned.0;
        let rest = owned.free.get();
        // SAFETY: the caller alone has the slot.
        unsafe { Slot::set_rest(slot, rest) };
        let len = rest.len() + 1;
        owned.free.set(Chain::new(slot.as_ptr(), len));
        match (len == 1, len == owned.carved.get() as usize) {
            (true, false) => Put::First,
            (false, false) => Put::Another,
            (false, true) => Put::Last,
            (true, true) => Put::Only,
        }
    }

    /// Takes the page's own free slots.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    pub(super) unsafe fn take(self) -> Chain {
        self.header().owned.0.free.replace(Chain::EMPTY)
    }

    /// Whether the owner has every slot of the page, and all of them are in the page.
    pub(super) fn is_free(self) -> bool {
        let owned = &self.header().owned.0;
        owned.free.get().len() == owned.carved.get() as usize
    }

    /// How many slots were carved.
    pub(super) fn carved(self) -> usize {
        self.header().owned.0.carved.get() as usize
    }

    /// The page's place in its bin's list. For the owner.
    pub(super) fn bin_links(&self) -> &BinLinks {
        &self.header().owned.0.bin
    }

    /// Calls `f` with every slot carved so far. Any thread.
    pub(super) fn for_each_slot(self, f: &mut dyn FnMut(NonNull<u8>)) {
        let header = self.header();
        let slot_bytes = header.slot_bytes as usize;
        let limit = header.owned.0.limit.observe();
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

impl Listed for Page {
    fn links(&self) -> &Links<Self> {
        &self.header().links
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
    // SAFETY: no allocation begins at address 0, and so no page does.
    unsafe { NonZero::new_unchecked(address.get() & !OFFSET_MASK) }
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
