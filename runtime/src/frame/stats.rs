//! What the pool holds, in numbers.

use std::fmt;

use super::size_class::SizeClass;

/// What the pool holds, summed over every heap: a moment's picture, not a consistent cut.
///
/// # Examples
///
/// ```
/// let number = tress::frame::Box::new(7);
/// let stats = tress::frame::stats();
/// assert!(stats.live >= 1);
/// assert!(stats.classes().iter().any(|class| class.slot_bytes >= 4 && class.live >= 1));
/// # drop(number);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Frames in use, the [`big`](Stats::big) ones and those that wait in a thread's batch included.
    pub live: usize,
    /// Free slots that their owners have.
    pub cached: usize,
    /// Free slots on their way home: pushed to their owner, which has not sorted them yet.
    pub remote: usize,
    /// Frames in use that came from the global allocator because they fit no size class.
    pub big: usize,
    /// Pages in use: memory that slots are cut from.
    pub pages: usize,
    /// Pages that nobody uses and that keep their memory, up to a limit. Others have given it back to the system.
    pub spare_pages: usize,
    /// The bytes of a page.
    pub page_bytes: usize,
    /// Heaps made so far: at most as many as there were threads at one time.
    pub heaps: usize,
    classes: [ClassStats; SizeClass::COUNT],
}

/// What the pool holds of one size class.
///
/// # Examples
///
/// ```
/// let stats = tress::frame::stats();
/// let cached_bytes: usize = stats.classes().iter().map(|class| class.cached * class.slot_bytes).sum();
/// assert!(cached_bytes <= (stats.pages + stats.spare_pages) * stats.page_bytes);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassStats {
    /// The bytes of a slot.
    pub slot_bytes: usize,
    /// Slots in use or on their way home.
    pub live: usize,
    /// Free slots that their owners have.
    pub cached: usize,
}

impl Stats {
    /// What there is of each size class, smallest first.
    #[must_use]
    pub fn classes(&self) -> &[ClassStats] {
        &self.classes
    }

    pub(super) fn new() -> Self {
        let class =
            |index| ClassStats { slot_bytes: SizeClass::from_index(index).slot_bytes(), live: 0, cached: 0 };
        Self {
            live: 0,
            cached: 0,
            remote: 0,
            big: 0,
            pages: 0,
            spare_pages: 0,
            page_bytes: 0,
            heaps: 0,
            classes: std::array::from_fn(class),
        }
    }

    /// Counts a heap, with what is on its way to it.
    #[cfg(not(tress_loom))]
    pub(super) fn add_heap(&mut self, remote: usize) {
        self.heaps += 1;
        self.remote += remote;
    }

    /// Counts a bin: how many slots it has made, and how many of them it has.
    #[cfg(not(tress_loom))]
    pub(super) fn add_bin(&mut self, class: SizeClass, carved: usize, cached: usize) {
        let class = &mut self.classes[class.index()];
        // The counters may be of different moments.
        class.live += carved.saturating_sub(cached);
        class.cached += cached;
    }

    /// Adds up the classes.
    #[cfg(not(tress_loom))]
    pub(super) fn finish(&mut self) {
        let out: usize = self.classes.iter().map(|class| class.live).sum();
        self.cached = self.classes.iter().map(|class| class.cached).sum();
        self.live = out.saturating_sub(self.remote) + self.big;
    }
}

impl fmt::Debug for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.classes.iter().filter(|class| class.live + class.cached > 0);
        f.debug_struct("Stats")
            .field("live", &self.live)
            .field("cached", &self.cached)
            .field("remote", &self.remote)
            .field("big", &self.big)
            .field("pages", &self.pages)
            .field("spare_pages", &self.spare_pages)
            .field("page_bytes", &self.page_bytes)
            .field("heaps", &self.heaps)
            .field("classes", &used.collect::<Vec<_>>())
            .finish()
    }
}
