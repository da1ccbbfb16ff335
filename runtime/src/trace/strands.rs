//! The strands and actors of a runtime that have a name.
#![expect(unsafe_code, reason = "strands are listed by their address, which they take back before they go")]

use std::collections::BTreeMap;
use std::fmt;
use std::ptr::NonNull;

use crate::Handle;
use crate::metrics::StrandMetrics;
use crate::primitive::sync::{Mutex, PlainArc as Arc};

/// A named strand or actor.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StrandDump {
    /// Its name; names need not differ.
    pub name: String,
    /// What it did.
    pub state: StrandState,
    /// Figures about it.
    pub metrics: StrandMetrics,
}

/// What a strand, or an actor, did when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StrandState {
    /// Nothing waited to run on it.
    Idle,
    /// Something did, and it waited for its executor; or, as an actor, for the caller whose turn it was.
    Queued,
    /// Something ran on it.
    Running,
}

impl StrandState {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Queued => "queued",
            Self::Running => "running",
        }
    }
}

/// What is listed. To look at it is no more than to read some numbers: it is done under a lock.
pub trait Listed: Sync {
    /// What it does, and figures about it.
    fn look(&self) -> (StrandState, StrandMetrics);
}

/// What a strand is called.
pub type Name = Arc<str>;

/// The named strands of a runtime. It may outlive that: each strand in it keeps it.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// By the numbers of their places: in the order in which they were made.
    strands: BTreeMap<u64, Entry>,
    last: u64,
}

struct Entry {
    name: Name,
    strand: NonNull<dyn Listed>,
}

// SAFETY: it is a borrow of something that may be shared.
unsafe impl Send for Entry {}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.name).finish()
    }
}

/// A place in the listing of a runtime, free until somebody [takes](Self::enlist) it.
#[derive(Debug)]
pub struct Place {
    listing: Arc<Listing>,
    number: u64,
}

impl Place {
    /// A new one.
    #[must_use]
    pub fn new(runtime: &Handle) -> Self {
        let listing = Arc::clone(&runtime.pool.strands);
        let number = {
            let mut entries = listing.entries.lock();
            entries.last += 1;
            entries.last
        };
        Self { listing, number }
    }

    /// Lists what is at the address.
    ///
    /// # Safety
    ///
    /// It is there, and nobody borrows it exclusively, until it has been [withdrawn](Self::withdraw).
    pub unsafe fn enlist(&self, name: Name, strand: NonNull<dyn Listed>) {
        let former = self.listing.entries.lock().strands.insert(self.number, Entry { name, strand });
        debug_assert!(former.is_none(), "a place is taken once");
    }

    /// Takes it off the list; when this returns, nobody looks at it any more.
    pub fn withdraw(&self) {
        let entry = self.listing.entries.lock().strands.remove(&self.number);
        drop(entry);
    }
}

impl Listing {
    /// All of them, in the order in which they were made.
    pub(crate) fn look(&self) -> Vec<StrandDump> {
        let mut found = Vec::new();
        {
            let entries = self.entries.lock();
            found.reserve(entries.strands.len());
            for entry in entries.strands.values() {
                // SAFETY: it is there while it is listed, and to take it off the list needs the lock (see `enlist`).
                let (state, metrics) = unsafe { entry.strand.as_ref() }.look();
                found.push((Arc::clone(&entry.name), state, metrics));
            }
        }
        let named =
            |(name, state, metrics): (Name, _, _)| StrandDump { name: name.as_ref().into(), state, metrics };
        found.into_iter().map(named).collect()
    }
}
