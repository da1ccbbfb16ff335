//! The slots of one reactor.
//!
//! Chunks of doubling size are made when needed and stay until the reactor is gone, so a slot can be looked up without
//! a lock by whoever holds a token, however old. Which slots are free is behind a lock that is held for a few
//! instructions at the beginning and the end of a registration, or while a chunk is made.

use std::sync::OnceLock;

use super::slot::{Delivered, Slot};
use super::snapshot::Flags;
use crate::primitive::sync::Mutex;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};

/// Names one registration of one slab; travels through the selector as an event's token.
///
/// The generation tells it from earlier and later registrations in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    index: usize,
    generation: u32,
}

impl Key {
    /// The key in one machine word. On 32-bit machines the generation is cut short.
    pub(super) const fn to_bits(self) -> usize {
        (self.generation as usize) << INDEX_BITS | self.index
    }

    /// A slot's index and a generation, as far as it fits into a word.
    const fn from_bits(bits: usize) -> Self {
        Self { index: bits & INDEX_MASK, generation: (bits >> INDEX_BITS) as u32 }
    }
}

/// Why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// There are as many registrations as tokens can tell apart.
    Full,
    /// The runtime is gone.
    ShutDown,
}

/// An append-only slab.
#[derive(Debug)]
pub(super) struct Slab {
    chunks: [OnceLock<Box<[Slot]>>; CHUNKS],
    free: Mutex<Free>,
    /// How many slots there are. Written under the lock, with Release: whoever reads it with Acquire finds their chunks.
    made: AtomicUsize,
    /// Slots in use. Written under the lock, read by anybody who wants an estimate.
    live: AtomicUsize,
}

#[derive(Debug)]
struct Free {
    /// Used last is reused first: its line is in the cache.
    slots: Vec<u32>,
    shut_down: bool,
}

impl Slab {
    pub(super) fn new() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            free: Mutex::new(Free { slots: Vec::new(), shut_down: false }),
            made: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
        }
    }

    /// How many registrations there are, about.
    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Takes a slot for a registration that starts as ready for `flags`.
    pub(super) fn allocate(&self, flags: Flags) -> Result<Key, Refused> {
        let mut free = self.free.lock();
        if free.shut_down {
            return Err(Refused::ShutDown);
        }
        if free.slots.is_empty() {
            self.grow(&mut free)?;
        }
        let index = free.slots.pop().expect("the slab has just grown") as usize;
        let key = Key { index, generation: self.at(index).allocate(flags) };
        self.count(&free);
        Ok(key)
    }

    /// Ends a registration.
    pub(super) fn release(&self, key: Key) {
        if self.at(key.index).retire() {
            self.reclaim(key.index);
        }
    }

    /// A live registration's slot.
    #[inline]
    pub(super) fn slot(&self, key: Key) -> &Slot {
        self.at(key.index)
    }

    /// Takes an event to the registration that it is for; false if that has ended.
    pub(super) fn deliver(&self, token_bits: usize, flags: Flags) -> bool {
        let key = Key::from_bits(token_bits);
        // Acquire pairs with the Release in `grow`. The kernel orders the two as well, but says so to nobody.
        if key.index >= self.made.load(Ordering::Acquire) {
            return false;
        }
        match self.at(key.index).deliver(key.generation, flags) {
            Delivered::Stale => false,
            Delivered::Live => true,
            Delivered::Reclaim => {
                self.reclaim(key.index);
                true
            }
        }
    }

    /// Refuses further registrations, and wakes everybody who waits for one.
    pub(super) fn shut_down(&self) {
        self.free.lock().shut_down = true;
        for index in 0..self.made.load(Ordering::Acquire) {
            if self.at(index).shut_down() == Delivered::Reclaim {
                self.reclaim(index);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    fn reclaim(&self, index: usize) {
        let mut free = self.free.lock();
        free.slots.push(u32::try_from(index).expect("indices fit the token"));
        self.count(&free);
    }

    /// Adds a chunk, and puts its slots onto the free list.
    fn grow(&self, free: &mut Free) -> Result<(), Refused> {
        let made = self.made.load(Ordering::Relaxed);
        let (chunk, offset) = locate(made);
        debug_assert_eq!(offset, 0, "chunks are used up before the next is made");
        let cell = self.chunks.get(chunk).ok_or(Refused::Full)?;
        let len = FIRST_CHUNK << chunk;
        cell.get_or_init(|| (0..len).map(|_| Slot::new()).collect());
        let indices = made..made + len;
        free.slots.extend(indices.rev().map(|index| u32::try_from(index).expect("indices fit the token")));
        self.made.store(made + len, Ordering::Release);
        Ok(())
    }

    #[inline]
    fn at(&self, index: usize) -> &Slot {
        let (chunk, offset) = locate(index);
        &self.chunks[chunk].get().expect("slots that were handed out exist")[offset]
    }

    fn count(&self, free: &Free) {
        self.live.store(self.made.load(Ordering::Relaxed) - free.slots.len(), Ordering::Relaxed);
    }
}

/// The chunk of a slot, and its place there.
const fn locate(index: usize) -> (usize, usize) {
    let position = index + FIRST_CHUNK;
    let chunk = position.ilog2() - FIRST_CHUNK.ilog2();
    (chunk as usize, position - (FIRST_CHUNK << chunk))
}

/// Slots of the first chunk; each further one has twice as many.
#[cfg(not(tress_loom))]
const FIRST_CHUNK: usize = 64;
#[cfg(tress_loom)]
const FIRST_CHUNK: usize = 1;

/// As many as indices can name, less the last, so that no key equals the reactor's own token of all ones.
const CHUNKS: usize = (INDEX_BITS - FIRST_CHUNK.ilog2() - 1) as usize;

const INDEX_BITS: u32 = if usize::BITS >= 64 { 32 } else { 20 };
const INDEX_MASK: usize = (1 << INDEX_BITS) - 1;
