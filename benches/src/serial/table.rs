//! The state that is shared, and the work that is done with it. `benches/asio/table.hpp` is the same in C++: what one changes, the other has
//! to follow, or their checksums differ.

/// A small hash map, of some statistics by key.
///
/// Every number in a call depends on the one before: the key on the caller's former reply, what is computed on what the map has for the key, and
/// the reply on that. So neither a compiler nor a core can begin a call before it holds the state, or the next one before this has ended. What
/// is in the map in the end does not depend on the order of the callers.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    slots: [Slot; SLOTS],
}

/// What is known of a key; of the key 0, nothing.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    key: u64,
    salt: u64,
    sum: u64,
    updates: u64,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { slots: [Slot::default(); SLOTS] }
    }

    /// Finds the slot of the number's key, or makes it; computes for so many rounds, and adds that up there. Gives the caller's next number.
    #[inline]
    pub(crate) fn update(&mut self, number: u64, rounds: u32) -> u64 {
        let key = (number >> (u64::BITS - KEYS.ilog2())) + 1;
        let mut index = (key.wrapping_mul(GOLDEN) >> (u64::BITS - SLOTS.ilog2())) as usize;
        loop {
            // The index is that of a slot already; said so that it is not checked.
            let slot = &mut self.slots[index % SLOTS];
            if slot.key == 0 {
                *slot = Slot { key, salt: key.wrapping_mul(GOLDEN), ..Slot::default() };
            }
            if slot.key == key {
                let reply = spin(number ^ slot.salt, rounds);
                slot.sum = slot.sum.wrapping_add(reply);
                slot.updates += 1;
                return reply;
            }
            index += 1;
        }
    }

    /// How many updates there have been, and a number that depends on all of them but not on their order.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals { updates: 0, checksum: 0 };
        for slot in &self.slots {
            totals.updates += slot.updates;
            let mixed =
                spin(slot.key ^ slot.sum.rotate_left(17) ^ slot.updates.rotate_left(40), CHECKSUM_ROUNDS);
            totals.checksum = totals.checksum.wrapping_add(mixed);
        }
        totals
    }
}

/// What a [`Table`] comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) updates: u64,
    pub(crate) checksum: u64,
}

/// The first number of a task.
pub(crate) fn first_number(task: u64) -> u64 {
    spin(task + 1, CHECKSUM_ROUNDS)
}

/// Arithmetic alone: a chain of so many rounds, each of which waits for the one before.
#[inline]
pub(crate) fn spin(number: u64, rounds: u32) -> u64 {
    let mut mixed = number;
    for _ in 0..rounds {
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    mixed
}

const SLOTS: usize = 128;
const KEYS: u64 = 64;
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const CHECKSUM_ROUNDS: u32 = 4;

#[cfg(test)]
mod tests;
