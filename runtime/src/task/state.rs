//! A task's state word.
//!
//! One word holds what the task is doing, what its join handle still wants, and how many references keep its frame.
//! Every change is one of the named transitions below; README.md of this module has the table.

use std::fmt;

use crate::frame::Origin;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};

/// A worker is polling or dropping the future: it alone may touch the future.
const RUNNING: usize = 1;
/// A runnable for this task exists, or, together with `RUNNING`, is made when the poll ends.
const SCHEDULED: usize = 1 << 1;
/// The future is gone and the output, if anybody wants it, is in place.
const COMPLETE: usize = 1 << 2;
/// The join handle exists; at `COMPLETE` the output becomes its property.
const JOIN_INTEREST: usize = 1 << 3;
/// The join waker is set and belongs to the completing worker; otherwise it belongs to the join handle.
const JOIN_WAKER: usize = 1 << 4;
/// The task is to be dropped at its next await.
const ABORTED: usize = 1 << 5;
/// Together with `RUNNING`: the future is gone and the output, if anybody wants it, is in place; only the completion is still to come. At
/// this, the output becomes the property of the join handle, as otherwise at `COMPLETE`.
const ENDING: usize = 1 << 6;
/// Together with `SCHEDULED`: the runnable is in the hands of somebody who wants to see what the task waits for, and runs it
/// at once.
const TRACING: usize = 1 << 7;
/// The task's own future has been woken since it was last polled. Without it, a scheduled task runs for the sake of frames
/// below it (see [`tree`](crate::tree)).
const NOTIFIED: usize = 1 << 8;
/// The frame came from another allocator than the pool. Never changes.
const FOREIGN: usize = 1 << 9;
/// Each run of the task is to be measured. Set when the task is made, or never.
const MEASURED: usize = 1 << 10;
/// The references are counted above the flags.
const REF_SHIFT: u32 = 11;
/// One reference.
const REF_ONE: usize = 1 << REF_SHIFT;
/// More references than this can only be a leak in a loop; the process is ended before the count wraps.
const REF_LIMIT: usize = isize::MAX as usize;

/// The state of a task.
///
/// Values: flags and a reference count, as above. Written by whoever holds a reference, a runnable, or is running the
/// task; what each transition publishes is said at its ordering. Zero means that the frame is free.
#[repr(transparent)]
pub(crate) struct State(AtomicUsize);

/// One value of a state word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot(usize);

/// What to do with a runnable that has been taken.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ToRunning {
    /// Poll.
    Poll(Polled),
    /// Drop the future: the task was aborted.
    Cancel,
}

/// What a run polls, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Polled(usize);

/// What to do after a poll that was pending.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ToIdle {
    /// Nothing: whoever wakes the task schedules it.
    Idle,
    /// Make a runnable and schedule it: the task was woken while it ran.
    Reschedule,
    /// Drop the future; the task still counts as running.
    Cancel,
}

/// What to do after the output is in place.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ToComplete {
    /// Nothing: others hold the frame.
    Done,
    /// Free the frame: that was the last reference.
    Free,
    /// Wake the joiner, then release the task's own reference.
    WakeJoiner,
    /// Nobody wants the output: drop it and ask again.
    DropOutput,
}

/// What to do after a wake.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ToScheduled {
    /// Nothing.
    Nothing,
    /// Make a runnable and schedule it.
    Submit,
    /// Free the frame: the wake used up the last reference.
    Free,
}

/// What to do when a runtime gives up a task.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ToShutdown {
    /// The caller is now the one who runs the task: drop the future.
    Cancel,
    /// The task is queued or running; it is dropped when that ends.
    Busy,
    /// The task had ended already, as far as its executor is concerned.
    Complete,
}

/// What to do when a task has ended, and is to be completed later.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ToEnding {
    /// Nothing: the output is the join handle's, or gone.
    Done,
    /// Nobody wants the output: drop it and ask again.
    DropOutput,
}

/// What to do when the join handle goes away.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ToDetached {
    /// Nothing: the handle's reference has been released too.
    Released,
    /// The join waker is the caller's now: drop it, then release the reference.
    DropWaker,
    /// The output is the caller's: drop it, then release the reference.
    DropOutput,
    /// Both the join waker and the output are the caller's: drop them, then release the reference.
    DropBoth,
}

impl State {
    /// A task that is queued for the first time, held by itself and by its join handle.
    pub(crate) const INITIAL: usize = SCHEDULED | NOTIFIED | JOIN_INTEREST | (2 * REF_ONE);

    /// Views a frame's first word as a task's state.
    #[expect(unsafe_code, reason = "a transparent view of a word that the frame pool hands out")]
    pub(crate) fn from_word(word: &AtomicUsize) -> &Self {
        // SAFETY: `State` is a transparent wrapper of the word.
        unsafe { &*std::ptr::from_ref(word).cast::<Self>() }
    }

    /// Reads the word; `Acquire` so that a complete task's output is visible.
    #[inline]
    pub(crate) fn load(&self) -> Snapshot {
        Snapshot(self.0.load(Ordering::Acquire))
    }

    /// Makes the initialised frame a task. `Release`: publishes the frame's content to the scan of [`Self::try_ref`].
    #[inline]
    pub(crate) fn initialise(&self, origin: Origin) {
        let foreign = if origin == Origin::Foreign { FOREIGN } else { 0 };
        self.0.store(Self::INITIAL | foreign, Ordering::Release);
    }

    /// The runnable has been taken in order to run it.
    #[inline]
    pub(crate) fn transition_to_running(&self) -> ToRunning {
        // `Acquire` pairs with the release of whoever woke the task: the poll sees what the waker did before.
        let former = self.update(|current| {
            debug_assert!(
                current.is_scheduled() && !current.is_running() && !current.is_complete(),
                "{current:?}"
            );
            (Some(current.without(SCHEDULED | NOTIFIED | TRACING).with(RUNNING)), current)
        });
        if former.is_aborted() { ToRunning::Cancel } else { ToRunning::Poll(Polled(former.0)) }
    }

    /// A poll has ended pending.
    #[inline]
    pub(crate) fn transition_to_idle(&self) -> ToIdle {
        self.update(|current| {
            debug_assert!(current.is_running(), "{current:?}");
            if current.is_aborted() {
                (None, ToIdle::Cancel)
            } else if current.is_scheduled() {
                (Some(current.without(RUNNING)), ToIdle::Reschedule)
            } else {
                (Some(current.without(RUNNING)), ToIdle::Idle)
            }
        })
    }

    /// The output is in place, and the task is completed later, from wherever that is: nobody touches the output there.
    pub(crate) fn transition_to_ending(&self, output_dropped: bool) -> ToEnding {
        self.update(|current| {
            debug_assert!(current.is_running() && !current.is_complete(), "{current:?}");
            if !current.has_join_interest() && !output_dropped {
                // The interest never comes back, so the answer stays true while the output is dropped.
                (None, ToEnding::DropOutput)
            } else {
                (Some(current.with(ENDING)), ToEnding::Done)
            }
        })
    }

    /// The output is in place. Releases the task's own reference unless the joiner has to be woken first.
    #[inline]
    pub(crate) fn transition_to_complete(&self, output_dropped: bool) -> ToComplete {
        self.update(|current| {
            debug_assert!(current.is_running() && !current.is_complete(), "{current:?}");
            let done = current.without(RUNNING | SCHEDULED | NOTIFIED | ENDING).with(COMPLETE);
            if !current.has_join_interest() && !output_dropped {
                // The interest never comes back, so the answer stays true while the output is dropped.
                (None, ToComplete::DropOutput)
            } else if current.has_join_waker() {
                (Some(done), ToComplete::WakeJoiner)
            } else {
                let done = done.less_one_ref();
                (Some(done), if done.refs() == 0 { ToComplete::Free } else { ToComplete::Done })
            }
        })
    }

    /// A waker that stays.
    ///
    /// The word is written even when the task is scheduled already: the write's release is what lets the coming poll
    /// see what the caller did before it woke.
    #[inline]
    pub(crate) fn transition_to_scheduled_by_ref(&self) -> ToScheduled {
        self.schedule(SCHEDULED | NOTIFIED)
    }

    /// A frame below the task has been woken, and not its own future.
    pub(crate) fn transition_to_scheduled_for_frames(&self) -> ToScheduled {
        self.schedule(SCHEDULED)
    }

    #[inline]
    fn schedule(&self, bits: usize) -> ToScheduled {
        let former = Snapshot(self.0.fetch_or(bits, Ordering::AcqRel));
        if former.is_scheduled() || former.is_running() || former.is_complete() {
            ToScheduled::Nothing
        } else {
            ToScheduled::Submit
        }
    }

    /// Somebody wants to see what an idle task waits for. The task's only runnable is then the caller's, who runs it at once.
    ///
    /// # Errors
    ///
    /// What the task does instead of being idle.
    pub(crate) fn transition_to_scheduled_for_trace(&self) -> Result<(), Snapshot> {
        self.update(|current| {
            if current.is_complete() || current.is_running() || current.is_scheduled() {
                (None, Err(current))
            } else {
                (Some(current.with(SCHEDULED | TRACING)), Ok(()))
            }
        })
    }

    /// A waker that is used up, together with its reference.
    ///
    /// A task that is not complete holds a reference to itself, so the caller may go on using the frame after
    /// `Submit`, until it has handed the runnable over.
    #[inline]
    pub(crate) fn transition_to_scheduled_by_value(&self) -> ToScheduled {
        self.update(|current| {
            let released = current.less_one_ref();
            if current.is_complete() {
                let action = if released.refs() == 0 { ToScheduled::Free } else { ToScheduled::Nothing };
                (Some(released), action)
            } else if current.is_scheduled() || current.is_running() {
                (Some(released.with(SCHEDULED | NOTIFIED)), ToScheduled::Nothing)
            } else {
                (Some(released.with(SCHEDULED | NOTIFIED)), ToScheduled::Submit)
            }
        })
    }

    /// Each run is to be measured. By whoever makes the task, before it is run.
    pub(crate) fn transition_to_measured(&self) {
        // `Relaxed`: the runnable, which is handed over later, orders it for whoever runs the task.
        self.0.fetch_or(MEASURED, Ordering::Relaxed);
    }

    /// Somebody wants the task dropped at its next await.
    pub(crate) fn transition_to_aborted(&self) -> ToScheduled {
        self.update(|current| {
            if current.is_complete() || current.is_aborted() {
                (None, ToScheduled::Nothing)
            } else if current.is_running() || current.is_scheduled() {
                (Some(current.with(ABORTED)), ToScheduled::Nothing)
            } else {
                (Some(current.with(ABORTED | SCHEDULED)), ToScheduled::Submit)
            }
        })
    }

    /// The runtime is going away.
    pub(crate) fn transition_to_shutdown(&self) -> ToShutdown {
        self.update(|current| {
            if current.is_complete() || current.is_ending() {
                (None, ToShutdown::Complete)
            } else if current.is_running() || current.is_scheduled() {
                (Some(current.with(ABORTED)), ToShutdown::Busy)
            } else {
                (Some(current.with(ABORTED | RUNNING)), ToShutdown::Cancel)
            }
        })
    }

    /// A runnable is dropped instead of run: the caller becomes the one who runs the task, and drops the future.
    pub(crate) fn transition_to_cancelling(&self) {
        let former = Snapshot(self.0.fetch_add(RUNNING.wrapping_sub(SCHEDULED), Ordering::AcqRel));
        debug_assert!(former.is_scheduled() && !former.is_running() && !former.is_complete(), "{former:?}");
        self.0.fetch_or(ABORTED, Ordering::Relaxed);
    }

    /// Hands the join waker, which the handle has just written, to the completing worker.
    /// False if the task has completed: the waker stays the handle's.
    #[must_use]
    pub(crate) fn transition_to_join_waker_set(&self) -> bool {
        self.update(|current| {
            debug_assert!(current.has_join_interest() && !current.has_join_waker(), "{current:?}");
            if current.is_complete() { (None, false) } else { (Some(current.with(JOIN_WAKER)), true) }
        })
    }

    /// Takes the join waker back. False if the task has completed: the waker is the completing worker's.
    #[must_use]
    pub(crate) fn transition_to_join_waker_unset(&self) -> bool {
        self.update(|current| {
            debug_assert!(current.has_join_interest() && current.has_join_waker(), "{current:?}");
            if current.is_complete() { (None, false) } else { (Some(current.without(JOIN_WAKER)), true) }
        })
    }

    /// The join handle goes away.
    #[inline]
    pub(crate) fn transition_to_detached(&self) -> ToDetached {
        self.update(|current| {
            debug_assert!(current.has_join_interest(), "{current:?}");
            if current.is_complete() {
                (None, ToDetached::DropOutput)
            } else if current.is_ending() {
                (
                    Some(current.without(JOIN_INTEREST | JOIN_WAKER)),
                    match current.has_join_waker() {
                        true => ToDetached::DropBoth,
                        false => ToDetached::DropOutput,
                    },
                )
            } else if current.has_join_waker() {
                (Some(current.without(JOIN_INTEREST | JOIN_WAKER)), ToDetached::DropWaker)
            } else {
                // A task that is not complete holds itself: this is never the last reference.
                (Some(current.without(JOIN_INTEREST).less_one_ref()), ToDetached::Released)
            }
        })
    }

    /// Adds a reference to a frame that the caller already holds one of.
    #[inline]
    pub(crate) fn ref_inc(&self) {
        // `Relaxed`: a new reference is made from an existing one, which orders everything that matters.
        let former = self.0.fetch_add(REF_ONE, Ordering::Relaxed);
        if former > REF_LIMIT {
            std::process::abort();
        }
    }

    /// Releases a reference; true if it was the last one and the frame is the caller's to free.
    #[must_use]
    #[inline]
    pub(crate) fn ref_dec(&self) -> bool {
        // `AcqRel`: each holder's uses happen before the last one frees the frame.
        let former = Snapshot(self.0.fetch_sub(REF_ONE, Ordering::AcqRel));
        debug_assert!(former.refs() >= 1, "{former:?}");
        former.refs() == 1
    }

    /// Takes a reference to a frame that may be free, as the scan for all tasks does.
    ///
    /// `Acquire` pairs with [`Self::initialise`].
    #[must_use]
    pub(crate) fn try_ref(&self) -> bool {
        self.update(|current| {
            if current.refs() == 0 { (None, false) } else { (Some(Snapshot(current.0 + REF_ONE)), true) }
        })
    }

    /// Applies `f` until its result could be stored.
    #[inline]
    fn update<R>(&self, mut f: impl FnMut(Snapshot) -> (Option<Snapshot>, R)) -> R {
        let mut current = self.load();
        loop {
            let (next, result) = f(current);
            let Some(next) = next else { return result };
            match self.0.compare_exchange_weak(current.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return result,
                Err(actual) => current = Snapshot(actual),
            }
        }
    }
}

impl Polled {
    /// Whether the task's own future was woken itself; the frames below it that were are polled in any case.
    #[inline]
    pub(crate) const fn is_woken(self) -> bool {
        Snapshot(self.0).is_notified()
    }

    /// Whether there is more to it than what was woken.
    #[inline]
    pub(crate) const fn is_special(self) -> bool {
        self.0 & (TRACING | MEASURED) != 0
    }

    /// Whether everything is polled, woken or not, to see what it waits for.
    pub(crate) const fn is_traced(self) -> bool {
        Snapshot(self.0).is_traced()
    }

    /// Who made the task's frame.
    #[inline]
    pub(crate) const fn origin(self) -> Origin {
        Snapshot(self.0).origin()
    }
}

impl fmt::Debug for Polled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Snapshot(self.0).fmt(f)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load().fmt(f)
    }
}

impl Snapshot {
    pub(crate) const fn is_running(self) -> bool {
        self.0 & RUNNING != 0
    }

    pub(crate) const fn is_scheduled(self) -> bool {
        self.0 & SCHEDULED != 0
    }

    /// Whether somebody has claimed the task in order to look at it.
    pub(crate) const fn is_tracing(self) -> bool {
        self.0 & TRACING != 0
    }

    pub(crate) const fn is_notified(self) -> bool {
        self.0 & NOTIFIED != 0
    }

    /// Who made the frame.
    #[inline]
    pub(crate) const fn origin(self) -> Origin {
        if self.0 & FOREIGN == 0 { Origin::Pool } else { Origin::Foreign }
    }

    const fn is_traced(self) -> bool {
        self.0 & TRACING != 0
    }

    const fn is_measured(self) -> bool {
        self.0 & MEASURED != 0
    }

    #[inline]
    pub(crate) const fn is_complete(self) -> bool {
        self.0 & COMPLETE != 0
    }

    pub(crate) const fn is_aborted(self) -> bool {
        self.0 & ABORTED != 0
    }

    /// Whether the future is gone, and only the completion is still to come.
    pub(crate) const fn is_ending(self) -> bool {
        self.0 & ENDING != 0
    }

    pub(crate) const fn has_join_interest(self) -> bool {
        self.0 & JOIN_INTEREST != 0
    }

    #[inline]
    pub(crate) const fn has_join_waker(self) -> bool {
        self.0 & JOIN_WAKER != 0
    }

    pub(crate) const fn refs(self) -> usize {
        self.0 >> REF_SHIFT
    }

    const fn with(self, bits: usize) -> Self {
        Self(self.0 | bits)
    }

    const fn without(self, bits: usize) -> Self {
        Self(self.0 & !bits)
    }

    const fn less_one_ref(self) -> Self {
        Self(self.0 - REF_ONE)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("running", &self.is_running())
            .field("scheduled", &self.is_scheduled())
            .field("notified", &self.is_notified())
            .field("traced", &self.is_traced())
            .field("measured", &self.is_measured())
            .field("complete", &self.is_complete())
            .field("join_interest", &self.has_join_interest())
            .field("join_waker", &self.has_join_waker())
            .field("aborted", &self.is_aborted())
            .field("ending", &self.is_ending())
            .field("refs", &self.refs())
            .finish()
    }
}
