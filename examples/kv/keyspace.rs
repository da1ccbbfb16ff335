//! What commands need of the place where the keys are.

use std::time::Instant;

/// Keys and their entries.
pub(crate) trait Keyspace {
    /// Calls `f` with the entry of a key, unless it has none that lives.
    fn read<R>(&mut self, key: &[u8], now: Instant, f: impl FnOnce(Option<&Entry>) -> R) -> R;

    /// The same for a change. `f` may put an entry there, but take none away.
    fn update<R>(&mut self, key: &[u8], now: Instant, f: impl FnOnce(&mut Option<Entry>) -> R) -> R;

    /// Whether there was one that lived.
    fn remove(&mut self, key: &[u8], now: Instant) -> bool;

    /// How many there are, with those that have expired and are still in memory.
    fn len(&self) -> usize;

    fn clear(&mut self);
}

/// What a key has.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) value: Vec<u8>,
    pub(crate) deadline: Option<Instant>,
}

impl Entry {
    pub(crate) fn lives(&self, now: Instant) -> bool {
        self.deadline.is_none_or(|deadline| now < deadline)
    }

    /// Takes a new value, into the old one's memory if that fits.
    pub(crate) fn set(&mut self, value: &[u8]) {
        if self.value.capacity() / 2 > value.len() {
            self.value = value.to_vec();
        } else {
            self.value.clear();
            self.value.extend_from_slice(value);
        }
    }
}
