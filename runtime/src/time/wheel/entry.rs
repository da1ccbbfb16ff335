//! Entries of a wheel and the lists that hold them.
//!
//! An [`Entry`] lies inside the future that waits (no allocation) and is linked into one of the lists of a [`Slots`].
//! All the unsafe code of timers is here, behind an interface that is safe on its own:
//!
//! - An entry is driven by two parties: its *owner*, who holds `Pin<&mut Entry>`, and the *wheel*, who holds
//!   `&mut Slots`, which in practice means the lock of the wheel.
//! - While the entry is [`State::Linked`] only who holds `&mut Slots` of its home may touch it; each operation that
//!   takes an entry compares its home first. In any other state it is the owner's alone.
//! - The wheel's last access to an entry is the store that ends `Linked`; the owner's load of that value (acquire)
//!   comes before any access of the owner.
//! - A linked entry cannot be dropped (the process would abort), and pinned memory cannot be reused before the drop,
//!   so every pointer in a list is valid. Slots that are dropped unlink what they hold.
#![expect(unsafe_code, reason = "intrusive lists through entries that lie in their futures")]

use std::marker::PhantomPinned;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{RawWakerVTable, Waker};

use crate::primitive::cell::UnsafeCell;
use crate::primitive::sync::atomic::{AtomicU8, Ordering};

/// One timer's place in a wheel.
pub(crate) struct Entry {
    /// A [`State`]. Ends of `Linked` are stored with release and loaded by the owner with acquire.
    state: AtomicU8,
    /// [`Slots::id`] of the slots that the entry is, or was last, linked in. The owner's.
    home: UnsafeCell<usize>,
    /// The wheel's while linked, else the owner's.
    links: UnsafeCell<Links>,
    /// Written by the owner only (under the lock while linked); the wheel copies it out when the entry fires. Both may
    /// read it while it is linked, which is how a poll with an unchanged waker gets by without the lock.
    waker: UnsafeCell<Option<WakerParts>>,
    _pinned: PhantomPinned,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Not in a wheel, and not due as far as anyone knows.
    Idle = 0,
    /// In a list of a wheel, with a waker.
    Linked = 1,
    /// Its time has come.
    Fired = 2,
    /// Its wheel is gone; another one has to be found.
    Closed = 3,
}

impl Entry {
    /// Makes an entry that is in no wheel.
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU8::new(State::Idle as u8),
            home: UnsafeCell::new(0),
            links: UnsafeCell::new(Links { previous: None, next: None, due_tick: 0, slot: 0 }),
            waker: UnsafeCell::new(None),
            _pinned: PhantomPinned,
        }
    }

    /// What the entry is now. Only the owner may rely on an answer other than `Linked`.
    #[inline]
    pub(crate) fn state(&self) -> State {
        // Acquire: partner of the release in `Slots::take_first`.
        self.load(Ordering::Acquire)
    }

    /// Whether the entry, being linked, would wake the same task as `waker`.
    #[inline]
    pub(crate) fn will_wake(self: Pin<&mut Self>, waker: &Waker) -> bool {
        self.waker.with(|parts| {
            // SAFETY: only the owner writes the cell, and `&mut self` is the owner; the wheel at most reads it.
            let parts = unsafe { *parts };
            parts.is_some_and(|parts| parts.is(waker))
        })
    }

    /// Marks an entry that is in no wheel as `Fired` or `Idle`.
    #[inline]
    pub(crate) fn settle(self: Pin<&mut Self>, state: State) {
        // Relaxed: what is not linked is known to its owner only.
        assert!(self.load(Ordering::Relaxed) != State::Linked, "a linked entry is settled by its wheel");
        assert!(state != State::Linked, "only a wheel links entries");
        self.state.store(state as u8, Ordering::Relaxed);
    }

    #[inline]
    fn load(&self, order: Ordering) -> State {
        match self.state.load(order) {
            0 => State::Idle,
            1 => State::Linked,
            2 => State::Fired,
            _ => State::Closed,
        }
    }
}

impl Drop for Entry {
    #[inline]
    fn drop(&mut self) {
        if self.state() == State::Linked {
            // A list points here: unwinding would free the memory all the same.
            std::process::abort();
        }
        // Nothing to do, but a model sees here that the memory is given up.
        self.links.with_mut(|_| ());
        self.waker.with_mut(|_| ());
    }
}

// SAFETY: the pointers in an entry are followed by whoever holds its wheel's lock only, and its waker is `Send + Sync`.
unsafe impl Send for Entry {}
// SAFETY: a shared entry shows its state, an atomic; everything else takes `Pin<&mut Entry>` or `&mut Slots`.
unsafe impl Sync for Entry {}

#[derive(Clone, Copy)]
struct Links {
    previous: Option<NonNull<Entry>>,
    next: Option<NonNull<Entry>>,
    /// The tick at which the entry fires.
    due_tick: u64,
    /// The list that holds the entry.
    slot: u16,
}

/// A waker taken apart, so that it can be compared by someone who does not own it.
#[derive(Clone, Copy)]
struct WakerParts {
    data: *const (),
    vtable: &'static RawWakerVTable,
}

impl WakerParts {
    fn take_apart(waker: Waker) -> Self {
        let waker = ManuallyDrop::new(waker);
        Self { data: waker.data(), vtable: waker.vtable() }
    }

    /// # Safety
    ///
    /// Called at most once for what one [`take_apart`](Self::take_apart) returned.
    unsafe fn assemble(self) -> Waker {
        // SAFETY: the parts are those of a waker that was not dropped, and that this call brings back.
        unsafe { Waker::new(self.data, self.vtable) }
    }

    #[inline]
    fn is(&self, waker: &Waker) -> bool {
        ptr::eq(self.data, waker.data()) && ptr::eq(self.vtable, waker.vtable())
    }
}

/// Lists of entries, one for each slot of a wheel.
///
/// Indices out of range panic. Dropping it closes the entries that it holds.
pub(crate) struct Slots {
    lists: Box<[List]>,
}

#[derive(Clone, Copy)]
struct List {
    head: Option<NonNull<Entry>>,
    tail: Option<NonNull<Entry>>,
    /// No entry of the list is due before; may be too early after an unlink.
    earliest_tick: u64,
}

/// What [`Slots::unlink`] found.
pub(crate) struct Unlinked {
    pub(crate) waker: Waker,
    pub(crate) slot: usize,
    pub(crate) slot_is_empty: bool,
}

impl Slots {
    /// Makes `count` empty lists.
    pub(crate) fn new(count: u16) -> Self {
        let empty = List { head: None, tail: None, earliest_tick: u64::MAX };
        Self { lists: vec![empty; usize::from(count)].into_boxed_slice() }
    }

    pub(crate) fn is_empty(&self, slot: usize) -> bool {
        self.lists[slot].head.is_none()
    }

    /// A tick before which no entry of the slot is due.
    pub(crate) fn earliest_tick(&self, slot: usize) -> u64 {
        self.lists[slot].earliest_tick
    }

    /// Links an entry at the end of a slot.
    pub(crate) fn push(&mut self, slot: usize, entry: Pin<&mut Entry>, due_tick: u64, waker: Waker) {
        // Relaxed: what is not linked is known to its owner only.
        assert!(entry.load(Ordering::Relaxed) != State::Linked, "the entry is linked already");
        let entry = Pin::get_ref(entry.as_ref());
        // SAFETY: only owners access this cell, and the owner lends the entry here.
        entry.home.with_mut(|cell| unsafe { *cell = self.id() });
        let links = Links { previous: None, next: None, due_tick, slot: 0 };
        // SAFETY: the entry is not linked, so its cells are the owner's, who lends them here.
        entry.links.with_mut(|cell| unsafe { *cell = links });
        let parts = WakerParts::take_apart(waker);
        // SAFETY: as above.
        entry.waker.with_mut(|cell| unsafe { *cell = Some(parts) });
        // Relaxed: other threads learn of the entry through the lists, hence the lock.
        entry.state.store(State::Linked as u8, Ordering::Relaxed);
        // SAFETY: it has just become linked, and is in no list.
        unsafe { self.append(slot, NonNull::from(entry)) };
    }

    /// Takes an entry out, if it is still linked.
    pub(crate) fn unlink(&mut self, entry: Pin<&mut Entry>) -> Option<Unlinked> {
        let slot = self.slot_of(entry.as_ref())?;
        let entry = Pin::get_ref(entry.as_ref());
        // SAFETY: the slot is the one that holds the entry.
        unsafe { self.detach(slot, NonNull::from(entry)) };
        // SAFETY: the entry is ours and linked until the store below.
        let waker = unsafe { take_waker(entry) };
        // Relaxed: the owner is the caller.
        entry.state.store(State::Idle as u8, Ordering::Relaxed);
        Some(Unlinked { waker, slot, slot_is_empty: self.is_empty(slot) })
    }

    /// Exchanges the waker of an entry for another, if it is still linked; returns the one to be dropped.
    #[must_use = "a waker is dropped outside the lock"]
    pub(crate) fn set_waker(&mut self, entry: Pin<&mut Entry>, waker: Waker) -> Result<Waker, Waker> {
        if self.slot_of(entry.as_ref()).is_none() {
            return Err(waker);
        }
        let entry = Pin::get_ref(entry.as_ref());
        // SAFETY: the entry is ours and linked, and the other waker follows.
        let former = unsafe { take_waker(entry) };
        let parts = WakerParts::take_apart(waker);
        // SAFETY: `&mut self` keeps the wheel off its entries, and the owner is the caller.
        entry.waker.with_mut(|cell| unsafe { *cell = Some(parts) });
        Ok(former)
    }

    /// Takes the first entry of a slot out for good: it becomes `end` and its waker is the caller's to wake.
    pub(crate) fn take_first(&mut self, slot: usize, end: State) -> Option<Waker> {
        let first = self.lists[slot].head?;
        // SAFETY: it is the first of this slot.
        unsafe { self.detach(slot, first) };
        // SAFETY: what was in a list is valid until its state ends being `Linked`.
        let entry = unsafe { first.as_ref() };
        // SAFETY: it is still linked, until the store below.
        let waker = unsafe { take_waker(entry) };
        // Release: the accesses above come before whatever the owner does once it has seen `end` (`Entry::state`).
        // The entry may be gone from here on.
        entry.state.store(end as u8, Ordering::Release);
        Some(waker)
    }

    /// Moves the first entry of a slot to the one that `to` names for its tick; false if there is none.
    pub(crate) fn move_first(&mut self, from: usize, to: impl FnOnce(u64) -> usize) -> bool {
        let Some(first) = self.lists[from].head else { return false };
        // SAFETY: it is the first of this slot.
        unsafe { self.detach(from, first) };
        // SAFETY: what was in a list is linked, and `&mut self` holds its slots.
        let due_tick = unsafe { read_links(first) }.due_tick;
        // SAFETY: it is linked, and in no list since the detach.
        unsafe { self.append(to(due_tick), first) };
        true
    }

    /// Tells these slots from all others that have entries: slots with linked entries keep their memory.
    fn id(&self) -> usize {
        self.lists.as_ptr().addr()
    }

    /// The slot of an entry that its owner lends, if it is linked; it is linked here, or this panics.
    fn slot_of(&self, entry: Pin<&Entry>) -> Option<usize> {
        // Relaxed: if it is linked here, `take_first` stores under the lock that `&self` stands for.
        if entry.load(Ordering::Relaxed) != State::Linked {
            return None;
        }
        // SAFETY: only owners access this cell, and the owner lends the entry here.
        let home = entry.home.with(|cell| unsafe { *cell });
        assert!(home == self.id(), "the entry is in another wheel");
        // SAFETY: the entry is linked here.
        let links = unsafe { read_links(NonNull::from(Pin::get_ref(entry))) };
        Some(usize::from(links.slot))
    }

    /// Puts a node at the end of a list.
    ///
    /// # Safety
    ///
    /// The node is linked with these slots as its home, and in no list.
    unsafe fn append(&mut self, slot: usize, node: NonNull<Entry>) {
        let list = &mut self.lists[slot];
        let former_tail = list.tail.replace(node);
        match former_tail {
            // SAFETY: what is in a list is linked, and `&mut self` holds its slots.
            Some(tail) => unsafe { write_links(tail, |links| links.next = Some(node)) },
            None => list.head = Some(node),
        }
        let place = |links: &mut Links| {
            links.previous = former_tail;
            links.next = None;
            links.slot = u16::try_from(slot).expect("the number of lists is a u16");
            list.earliest_tick = list.earliest_tick.min(links.due_tick);
        };
        // SAFETY: the caller vouches for the node.
        unsafe { write_links(node, place) };
    }

    /// Takes a node out of the list that holds it.
    ///
    /// # Safety
    ///
    /// The node is in the list of `slot`.
    unsafe fn detach(&mut self, slot: usize, node: NonNull<Entry>) {
        // SAFETY: what is in a list is linked, and `&mut self` holds its slots.
        let Links { previous, next, .. } = unsafe { read_links(node) };
        match previous {
            // SAFETY: neighbours are in the same list.
            Some(previous) => unsafe { write_links(previous, |links| links.next = next) },
            None => self.lists[slot].head = next,
        }
        match next {
            // SAFETY: as above.
            Some(next) => unsafe { write_links(next, |links| links.previous = previous) },
            None => self.lists[slot].tail = previous,
        }
        if self.is_empty(slot) {
            self.lists[slot].earliest_tick = u64::MAX;
        }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        for slot in 0..self.lists.len() {
            while let Some(waker) = self.take_first(slot, State::Closed) {
                waker.wake();
            }
        }
    }
}

// SAFETY: the pointers are to entries, which are `Send + Sync`; the wakers in them are as well.
unsafe impl Send for Slots {}

/// Reads the links of a node.
///
/// # Safety
///
/// The node is linked (hence valid) and the caller holds its `Slots` exclusively.
unsafe fn read_links(node: NonNull<Entry>) -> Links {
    // SAFETY: the caller vouches for the pointer.
    let entry = unsafe { node.as_ref() };
    // SAFETY: the links of a linked entry are accessed under its `&mut Slots` only, which the caller holds.
    entry.links.with(|links| unsafe { *links })
}

/// Changes the links of a node.
///
/// # Safety
///
/// As for [`read_links`].
unsafe fn write_links(node: NonNull<Entry>, change: impl FnOnce(&mut Links)) {
    // SAFETY: the caller vouches for the pointer.
    let entry = unsafe { node.as_ref() };
    entry.links.with_mut(|links| {
        // SAFETY: the links of a linked entry are accessed under its `&mut Slots` only, which the caller holds.
        change(unsafe { &mut *links });
    });
}

/// Takes the waker of a linked entry.
///
/// # Safety
///
/// The entry is linked and the caller holds its `Slots` exclusively. Before it lets go of them it ends that state or
/// puts another waker in.
unsafe fn take_waker(entry: &Entry) -> Waker {
    // SAFETY: the owner writes this cell under the lock while the entry is linked, and the caller holds the lock.
    let parts = entry.waker.with(|parts| unsafe { *parts });
    let parts = parts.expect("a linked entry has a waker");
    // SAFETY: each waker is put in once, and the caller ends its stay.
    unsafe { parts.assemble() }
}
