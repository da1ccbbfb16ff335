//! Who sleeps, who searches, and who is woken.
//!
//! See the [module's README](super) for the protocol; `model.rs` explores it.

use crossbeam_utils::CachePadded;

use crate::primitive::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

/// The sleepers and the searchers of a pool.
#[derive(Debug)]
pub(crate) struct Idle {
    /// How many workers search. Values: 0 to the number of workers. Written by notifiers (for the worker that they
    /// wake) and by workers; publishes nothing: it is a hint whose misses the protocol covers.
    searching: CachePadded<AtomicUsize>,
    /// One bit a worker: set by the worker before it parks; cleared by whoever wakes it, or by itself. A cleared bit
    /// is a claim: exactly one party gets to clear it.
    sleepers: Box<[CachePadded<AtomicU64>]>,
    workers: usize,
}

/// How a worker left the sleepers.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// By itself.
    Alone,
    /// Somebody had claimed it: it counts as searching, and its unpark token has come or is about to.
    Claimed,
}

impl Idle {
    /// Everybody is awake and nobody searches.
    pub(crate) fn new(workers: usize) -> Self {
        let words = workers.div_ceil(BITS);
        Self {
            searching: CachePadded::new(AtomicUsize::new(0)),
            sleepers: (0..words).map(|_| CachePadded::new(AtomicU64::new(0))).collect(),
            workers,
        }
    }

    /// Announces that `worker` is about to park. The caller then looks for work once more: see step 3.
    ///
    /// Ends with a `SeqCst` fence that pairs with the one in [`Self::claim_one`]: either the caller's next look sees
    /// what was pushed before that fence, or the notifier sees the bit.
    pub(crate) fn announce(&self, worker: usize, was_searching: bool) {
        let (word, bit) = place(worker);
        // The bit first: a notifier that still sees a searcher must be able to rely on that searcher's last look.
        self.sleepers[word].fetch_or(bit, Ordering::Relaxed);
        if was_searching {
            self.searching.fetch_sub(1, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
    }

    /// Takes `worker` out of the sleepers, on its own account.
    pub(crate) fn leave(&self, worker: usize) -> Left {
        let (word, bit) = place(worker);
        let former = self.sleepers[word].fetch_and(!bit, Ordering::Relaxed);
        if former & bit != 0 { Left::Alone } else { Left::Claimed }
    }

    /// Picks a sleeper to wake, if there is one and nobody is searching. The worker counts as searching from now on;
    /// the caller unparks it.
    ///
    /// The caller has pushed the work before; the fence orders the push before the look at the words.
    pub(crate) fn claim_one(&self) -> Option<usize> {
        fence(Ordering::SeqCst);
        loop {
            if self.searching.load(Ordering::Relaxed) > 0 || !self.any_sleeper() {
                return None;
            }
            // One claim at a time: of a herd of notifiers, one wakes one worker.
            if self.searching.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).is_err() {
                return None;
            }
            if let Some(worker) = self.claim_bit() {
                return Some(worker);
            }
            // Every sleeper that was seen has left meanwhile, and looks for work before it parks again. But a notifier
            // may have relied on the claim just made, so look again once it is undone.
            self.searching.fetch_sub(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
        }
    }

    /// A worker that is awake starts to search, unless enough do.
    #[must_use]
    pub(crate) fn start_searching(&self) -> bool {
        // Half of the workers at most: more find nothing but each other.
        if 2 * self.searching.load(Ordering::Relaxed) >= self.workers {
            return false;
        }
        self.searching.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// A worker that has seen work on its way to sleep searches for it, however many do.
    pub(crate) fn keep_searching(&self) {
        self.searching.fetch_add(1, Ordering::Relaxed);
    }

    /// A worker has found work; true if it was the last searcher. The caller then checks whether more is waiting that
    /// a notifier did not announce because it saw this searcher; the fence pairs with the one in `claim_one`.
    #[must_use]
    pub(crate) fn stop_searching(&self) -> bool {
        let last = self.searching.fetch_sub(1, Ordering::Relaxed) == 1;
        fence(Ordering::SeqCst);
        last
    }

    /// Whether anybody sleeps; a hint.
    #[inline]
    pub(crate) fn any_sleeper(&self) -> bool {
        self.sleepers.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    /// Whether a push might need [`Self::claim_one`]; a hint.
    #[inline]
    pub(crate) fn may_notify(&self) -> bool {
        self.searching.load(Ordering::Relaxed) == 0 && self.any_sleeper()
    }

    /// Whether anybody but `worker` is awake; a hint.
    #[inline]
    pub(crate) fn is_any_other_awake(&self, worker: usize) -> bool {
        self.sleepers.iter().enumerate().any(|(index, word)| {
            let first = index * BITS;
            let here = (self.workers - first).min(BITS);
            let mut asleep = word.load(Ordering::Relaxed);
            if (first..first + here).contains(&worker) {
                asleep |= 1 << (worker - first);
            }
            asleep != u64::MAX >> (BITS - here)
        })
    }

    /// Whether `worker` is parked or about to park.
    pub(crate) fn is_sleeping(&self, worker: usize) -> bool {
        let (word, bit) = place(worker);
        self.sleepers[word].load(Ordering::Relaxed) & bit != 0
    }

    /// The count of searchers.
    #[cfg(all(test, tress_loom))]
    pub(super) fn searchers(&self) -> usize {
        self.searching.load(Ordering::Relaxed)
    }

    /// Clears one bit, the lowest that can be had: light load stays on few workers.
    fn claim_bit(&self) -> Option<usize> {
        for (index, word) in self.sleepers.iter().enumerate() {
            let mut bits = word.load(Ordering::Relaxed);
            while bits != 0 {
                let bit = bits & bits.wrapping_neg();
                let former = word.fetch_and(!bit, Ordering::Relaxed);
                if former & bit != 0 {
                    return Some(index * BITS + bit.trailing_zeros() as usize);
                }
                bits = former & !bit;
            }
        }
        None
    }
}

fn place(worker: usize) -> (usize, u64) {
    (worker / BITS, 1 << (worker % BITS))
}

const BITS: usize = u64::BITS as usize;
