//! A frame's state word.
//!
//! One word holds whether the frame has been woken, whether its link is in use, and how many references keep its memory.
//! Every change is one of the named transitions below; README.md of this module has the table.

use std::fmt;

#[cfg(all(test, not(tress_loom)))]
use super::counted::AtomicUsize;
#[cfg(any(tress_loom, not(test)))]
use crate::primitive::sync::atomic::AtomicUsize;
use crate::primitive::sync::atomic::Ordering;

/// Somebody has woken the frame since it was last polled.
const NOTIFIED: usize = 1;
/// The frame's link is in use: it stands in a list of frames to be polled, and the list holds a reference.
const QUEUED: usize = 1 << 1;
/// Nobody will poll the frame any more: wakes do nothing.
const INERT: usize = 1 << 2;
/// The frame holds a reference to its tree's root, because it has given out wakers.
const HOLDS_ROOT: usize = 1 << 3;
/// The handle was dropped on a thread that does not run the tree; whoever runs it takes the frame out of its list, and has the
/// handle's reference.
const ORPHANED: usize = 1 << 4;
/// The references are counted above the flags.
const REF_SHIFT: u32 = 5;
/// One reference.
const REF_ONE: usize = 1 << REF_SHIFT;
/// More references than this can only be a leak in a loop; the process is ended before the count wraps.
const REF_LIMIT: usize = isize::MAX as usize;

/// The state of a frame.
///
/// Values: flags and a reference count, as above. Written by whoever holds a reference; what each transition publishes is
/// said at its ordering.
#[repr(transparent)]
pub(super) struct State(AtomicUsize);

/// One value of a state word.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Snapshot(usize);

/// What to do after a wake.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ToNotified {
    /// Nothing: it is queued already, or will never be polled again.
    Nothing,
    /// Push the frame; the list's reference is counted already.
    Push,
    /// Free the frame: the wake used up the last reference.
    Free(Freed),
}

/// What to do after a reference has been released.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ToReleased {
    /// Nothing: others hold the frame.
    Held,
    /// Free the frame: that was the last reference.
    Free(Freed),
}

/// What is known of a frame that nobody holds any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Freed {
    /// Whether its reference to the tree's root has to be released too.
    pub(super) holds_root: bool,
}

impl State {
    /// A new frame, held by its handle.
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(REF_ONE))
    }

    /// The frame is queued by whoever makes it part of a tree, before anybody else can see it.
    pub(super) fn transition_to_queued_unseen(&self) {
        debug_assert_eq!(self.load(Ordering::Relaxed), Snapshot(REF_ONE));
        // `Relaxed`: only the thread that runs the tree knows the frame.
        self.0.store(NOTIFIED | QUEUED | (2 * REF_ONE), Ordering::Relaxed);
    }

    /// A waker that stays, or anybody else who has a reference.
    ///
    /// The word is written even when the frame is queued already: the write's release is what lets the coming poll see
    /// what the caller did before it woke.
    pub(super) fn transition_to_notified_by_ref(&self) -> ToNotified {
        self.update(|current| {
            if current.has(INERT) {
                (None, ToNotified::Nothing)
            } else if current.has(QUEUED) {
                (Some(current.with(NOTIFIED)), ToNotified::Nothing)
            } else {
                (Some(current.with(NOTIFIED | QUEUED).plus_one_ref()), ToNotified::Push)
            }
        })
    }

    /// A waker that is used up, together with its reference; after `Push` the caller still holds that reference, and
    /// releases it when the frame has been pushed and the root scheduled.
    pub(super) fn transition_to_notified_by_value(&self) -> ToNotified {
        self.update(|current| {
            if current.has(INERT) {
                let released = current.less_one_ref();
                (Some(released), released.freed().map_or(ToNotified::Nothing, ToNotified::Free))
            } else if current.has(QUEUED) {
                // The list holds a reference: this one is not the last.
                (Some(current.with(NOTIFIED).less_one_ref()), ToNotified::Nothing)
            } else {
                (Some(current.with(NOTIFIED | QUEUED).plus_one_ref()), ToNotified::Push)
            }
        })
    }

    /// The frame has been taken from its list; true if it has been woken. The list's reference is the caller's now.
    #[must_use]
    #[inline]
    pub(super) fn transition_to_popped(&self) -> bool {
        // `Acquire` pairs with the release of whoever woke the frame: the poll sees what the waker did before. `Release`,
        // because a waker that finds the link free must see that the list is done with it.
        let former = Snapshot(self.0.fetch_and(!(NOTIFIED | QUEUED), Ordering::AcqRel));
        debug_assert!(former.has(QUEUED) && former.refs() > 0, "{former:?}");
        former.has(NOTIFIED)
    }

    /// The frame is about to be polled without having been taken from a list.
    pub(super) fn transition_to_polled(&self) {
        // `Acquire` as in `transition_to_popped`.
        if self.load(Ordering::Relaxed).has(NOTIFIED) {
            self.0.fetch_and(!NOTIFIED, Ordering::Acquire);
        }
    }

    /// The future is gone, or is polled by other means from now on: wakes are to do nothing.
    pub(super) fn transition_to_inert(&self) {
        // `Acquire` pairs with the release of references: if the handle's is the only one, nobody else can wake.
        if self.load(Ordering::Acquire).refs() > 1 {
            self.0.fetch_or(INERT, Ordering::Relaxed);
        }
    }

    /// The handle was dropped where the tree is not run: the frame is queued for whoever runs it, although nobody will poll it.
    pub(super) fn transition_to_orphaned(&self) -> ToNotified {
        self.update(|current| {
            let orphaned = current.with(ORPHANED | NOTIFIED);
            if current.has(QUEUED) {
                (Some(orphaned), ToNotified::Nothing)
            } else {
                (Some(orphaned.with(QUEUED).plus_one_ref()), ToNotified::Push)
            }
        })
    }

    /// Whether the handle was dropped where the tree is not run: its reference is then the caller's, who runs the tree.
    #[must_use]
    pub(super) fn is_orphaned(&self) -> bool {
        // `Relaxed`: the handle was dropped in the course of a poll that has ended, and whoever lent the handle for that poll has
        // waited for the drop.
        self.load(Ordering::Relaxed).has(ORPHANED)
    }

    /// Adds a reference; true if the frame does not hold its root yet.
    #[must_use]
    pub(super) fn ref_inc(&self) -> bool {
        // `Relaxed`: a new reference is made from an existing one, which orders everything that matters.
        let former = Snapshot(self.0.fetch_add(REF_ONE, Ordering::Relaxed));
        debug_assert!(former.refs() >= 1, "{former:?}");
        if former.0 > REF_LIMIT {
            std::process::abort();
        }
        !former.has(HOLDS_ROOT)
    }

    /// The frame takes over a reference to its root; false if it has one.
    #[must_use]
    pub(super) fn transition_to_holding_root(&self) -> bool {
        // `Relaxed`: whoever reads the flag last does so by a read-modify-write of this word.
        !Snapshot(self.0.fetch_or(HOLDS_ROOT, Ordering::Relaxed)).has(HOLDS_ROOT)
    }

    /// Releases a reference.
    pub(super) fn ref_dec(&self) -> ToReleased {
        // `AcqRel`: each holder's uses happen before the last one frees the frame.
        let former = Snapshot(self.0.fetch_sub(REF_ONE, Ordering::AcqRel));
        debug_assert!(former.refs() >= 1, "{former:?}");
        former.less_one_ref().freed().map_or(ToReleased::Held, ToReleased::Free)
    }

    /// Whether nobody but the handle refers to the frame, or to the root through it: the caller has the handle.
    #[inline(always)]
    pub(super) fn is_held_by_handle_only(&self) -> bool {
        // `Acquire` pairs with the release of the references that went before.
        self.load(Ordering::Acquire) == Snapshot(REF_ONE)
    }

    /// Releases the handle's reference: without a read-modify-write if it is the only one.
    #[inline]
    pub(super) fn ref_dec_of_handle(&self) -> ToReleased {
        // `Acquire` pairs with the release of the references that went before.
        let current = self.load(Ordering::Acquire);
        if current.refs() == 1 {
            // A reference can only be made from one, and this is the caller's.
            return ToReleased::Free(Freed { holds_root: current.has(HOLDS_ROOT) });
        }
        self.ref_dec()
    }

    /// Has loom check that every other use of the word comes before.
    #[cfg(tress_loom)]
    pub(super) fn retire(&mut self) {
        self.0.with_mut(|_| ());
    }

    #[inline(always)]
    fn load(&self, ordering: Ordering) -> Snapshot {
        Snapshot(self.0.load(ordering))
    }

    /// Applies `f` until its result could be stored.
    fn update<R>(&self, mut f: impl FnMut(Snapshot) -> (Option<Snapshot>, R)) -> R {
        let mut current = self.load(Ordering::Acquire);
        loop {
            debug_assert!(current.refs() >= 1, "{current:?}");
            let (next, result) = f(current);
            let Some(next) = next else { return result };
            match self.0.compare_exchange_weak(current.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return result,
                Err(actual) => current = Snapshot(actual),
            }
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load(Ordering::Relaxed).fmt(f)
    }
}

impl Snapshot {
    const fn has(self, bit: usize) -> bool {
        self.0 & bit != 0
    }

    const fn refs(self) -> usize {
        self.0 >> REF_SHIFT
    }

    const fn with(self, bits: usize) -> Self {
        Self(self.0 | bits)
    }

    const fn plus_one_ref(self) -> Self {
        Self(self.0 + REF_ONE)
    }

    const fn less_one_ref(self) -> Self {
        Self(self.0 - REF_ONE)
    }

    fn freed(self) -> Option<Freed> {
        (self.refs() == 0).then_some(Freed { holds_root: self.has(HOLDS_ROOT) })
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("notified", &self.has(NOTIFIED))
            .field("queued", &self.has(QUEUED))
            .field("inert", &self.has(INERT))
            .field("holds_root", &self.has(HOLDS_ROOT))
            .field("orphaned", &self.has(ORPHANED))
            .field("refs", &self.refs())
            .finish()
    }
}
