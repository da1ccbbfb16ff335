//! A part of the keys.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use crate::keyspace::{Entry, Keyspace};

/// Keys with their entries, and in the order in which they expire.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    entries: HashMap<Arc<[u8]>, Entry>,
    /// Each key with a deadline, once.
    deadlines: BTreeSet<(Instant, Arc<[u8]>)>,
}

impl Shard {
    /// Gives back the memory of so many keys that have expired; true if there are more.
    pub(crate) fn sweep(&mut self, now: Instant, most: usize) -> bool {
        for _ in 0..most {
            if self.deadlines.first().is_none_or(|(deadline, _)| now < *deadline) {
                let (len, capacity) = (self.entries.len(), self.entries.capacity());
                if capacity > LEAST_KEYS && len < capacity / 4 {
                    self.entries.shrink_to((2 * len).max(LEAST_KEYS));
                }
                return false;
            }
            if let Some((_, key)) = self.deadlines.pop_first() {
                self.entries.remove(&key);
            }
        }
        true
    }

    fn discard(&mut self, key: &[u8]) -> Option<Entry> {
        let (key, entry) = self.entries.remove_entry(key)?;
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, key));
        }
        Some(entry)
    }

    fn reschedule(&mut self, key: &[u8], before: Option<Instant>, after: Option<Instant>) {
        let Some((key, _)) = self.entries.get_key_value(key).filter(|_| before != after) else { return };
        if let Some(deadline) = before {
            self.deadlines.remove(&(deadline, Arc::clone(key)));
        }
        if let Some(deadline) = after {
            self.deadlines.insert((deadline, Arc::clone(key)));
        }
    }
}

impl Keyspace for Shard {
    fn read<R>(&mut self, key: &[u8], now: Instant, f: impl FnOnce(Option<&Entry>) -> R) -> R {
        match self.entries.get(key) {
            Some(entry) if !entry.lives(now) => {
                self.discard(key);
                f(None)
            }
            entry => f(entry),
        }
    }

    fn update<R>(&mut self, key: &[u8], now: Instant, f: impl FnOnce(&mut Option<Entry>) -> R) -> R {
        let Some(entry) = self.entries.get_mut(key) else {
            let mut new = None;
            let result = f(&mut new);
            if let Some(entry) = new {
                let deadline = entry.deadline;
                self.entries.insert(key.into(), entry);
                self.reschedule(key, None, deadline);
            }
            return result;
        };
        let before = entry.deadline;
        let mut changed = entry.lives(now).then(|| std::mem::take(entry));
        let result = f(&mut changed);
        match changed {
            Some(changed) => {
                let after = changed.deadline;
                *entry = changed;
                if before != after {
                    self.reschedule(key, before, after);
                }
            }
            // It had expired.
            None => drop(self.discard(key)),
        }
        result
    }

    fn remove(&mut self, key: &[u8], now: Instant) -> bool {
        self.discard(key).is_some_and(|entry| entry.lives(now))
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Memory for so many keys is kept.
const LEAST_KEYS: usize = 1024;
