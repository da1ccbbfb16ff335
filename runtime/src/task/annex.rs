//! What most tasks have no need of, in memory of its own.

use std::panic::Location;
use std::time::Instant;

use crate::primitive::sync::atomic::{AtomicU64, Ordering};
use crate::trace::strands::Name;
use crate::tree::{RootRef, Tree};

/// The part of a task that is made on demand: when a frame is awaited in it, or when it is spawned with a name or to be measured.
///
/// | field | who may touch it, when |
/// |---|---|
/// | `tree` | see [`tree`](crate::tree) |
/// | `name`, `strand`, `spawned_at`, `is_measured` | read by anybody who holds a reference to the task; never written again |
/// | `busy_ns` | read by anybody who holds a reference; written by whoever runs the task |
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Annex {
    /// First, so that a pointer to an annex is one to its tree.
    pub(super) tree: Tree,
    name: Option<Box<str>>,
    strand: Option<Name>,
    spawned_at: Option<&'static Location<'static>>,
    is_measured: bool,
    /// How long the runs that have ended have taken.
    busy_ns: AtomicU64,
}

/// What is known of a task from its spawn on.
#[derive(Debug)]
pub(crate) struct Particulars {
    pub(crate) name: Option<Box<str>>,
    /// The name of the strand that it lives on.
    pub(crate) strand: Option<Name>,
    pub(crate) spawned_at: &'static Location<'static>,
    /// Whether the length of its polls is to be measured.
    pub(crate) is_measured: bool,
}

impl Annex {
    pub(super) fn new(root: RootRef, particulars: Option<Particulars>) -> Self {
        let tree = Tree::new(root);
        let busy_ns = AtomicU64::new(0);
        let (name, strand, spawned_at, is_measured) = match particulars {
            Some(Particulars { name, strand, spawned_at, is_measured }) => {
                (name, strand, Some(spawned_at), is_measured)
            }
            None => (None, None, None, false),
        };
        Self { tree, name, strand, spawned_at, is_measured, busy_ns }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(crate) fn strand(&self) -> Option<&str> {
        self.strand.as_deref()
    }

    pub(crate) fn spawned_at(&self) -> Option<&'static Location<'static>> {
        self.spawned_at
    }

    /// How long the runs have taken, if that is measured.
    pub(crate) fn busy_ns(&self) -> Option<u64> {
        self.is_measured.then(|| self.busy_ns.load(Ordering::Relaxed))
    }

    /// A run has lasted from `start` until `end`. By whoever runs the task.
    pub(super) fn add_run(&self, start: Instant, end: Instant) {
        let elapsed = end.saturating_duration_since(start).as_nanos();
        let elapsed_ns = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let busy_ns = self.busy_ns.load(Ordering::Relaxed).saturating_add(elapsed_ns);
        self.busy_ns.store(busy_ns, Ordering::Relaxed);
    }
}
