//! What can be seen of a serial executor: its name, figures about it, the values of its items.
#![expect(
    unsafe_code,
    reason = "finds the serial executor further up on the stack, and is listed by its address"
)]

use std::ptr::NonNull;

use tress_runtime::StrandMetrics;
use tress_runtime::seam::strands::{Listed, Name};
use tress_runtime::seam::{Limits, run};
use tress_runtime::trace::StrandState;

use super::extras::Times;
use super::{ASLEEP, Locals, Ordering, Serial, SerialVtable};
use crate::builder::LIMITS;

impl Serial {
    pub(crate) fn name(&self) -> Option<&Name> {
        self.extras.get()?.name.as_ref()
    }

    pub(super) fn limits(&self) -> Limits {
        self.extras.get().map_or(LIMITS, |extras| extras.limits)
    }

    /// If they are measured.
    #[inline]
    pub(super) fn times(&self) -> Option<&Times> {
        self.extras.get()?.times.as_ref()
    }

    pub(crate) fn metrics(&self) -> StrandMetrics {
        let (items, turns, depth, max_depth) = self.counts.read();
        let times = self.times();
        let mut metrics = StrandMetrics::default();
        (metrics.items, metrics.turns) = (items, turns);
        (metrics.depth, metrics.max_depth) = (depth, max_depth);
        (metrics.wait, metrics.busy) = (times.map(Times::wait), times.map(Times::busy));
        metrics
    }

    /// Has it listed by its runtime, if it has a name.
    ///
    /// # Safety
    ///
    /// Once; and before it is borrowed exclusively, it is [withdrawn](Self::withdraw).
    pub(super) unsafe fn enlist(&self) {
        if let Some(extras) = self.extras.get()
            && let (Some(place), Some(name)) = (&extras.place, &extras.name)
        {
            // SAFETY: the caller's promise.
            unsafe { place.enlist(name.clone(), NonNull::from(self as &dyn Listed)) };
        }
    }

    pub(super) fn withdraw(&self) {
        if let Some(place) = self.extras.get().and_then(|extras| extras.place.as_ref()) {
            place.withdraw();
        }
    }

    /// Calls `f`, which calls nothing of a user's, with the values of the innermost strand whose item the calling code is.
    pub(crate) fn with_innermost_locals<R>(f: impl FnOnce(&mut Locals) -> R) -> Option<R> {
        let innermost: *const Self = run::innermost_serial().cast();
        // SAFETY: null, or one that has called `enter_serial` further up on this stack, and is kept there until that has ended.
        let serial = unsafe { innermost.as_ref() }?;
        // SAFETY: it is made with a whole `SerialVtable`, of which the runnable's is the first field.
        let vtable = unsafe { serial.header.vtable.cast::<SerialVtable>().as_ref() };
        // One that has just been handed on is somebody else's, also while the code that does so is below it.
        if !vtable.has_locals || !serial.is_current() {
            return None;
        }
        // SAFETY: whose item this code is, it is the holder's.
        let extras = unsafe { serial.extras.get_or_make() };
        // SAFETY: as above, and `f` calls nothing of a user's.
        Some(unsafe { extras.with_locals(f) })
    }
}

impl Listed for Serial {
    fn look(&self) -> (StrandState, StrandMetrics) {
        let state = match self.holder.load(Ordering::Relaxed) {
            _ if self.word.looks_idle() => StrandState::Idle,
            ASLEEP => StrandState::Queued,
            _ => StrandState::Running,
        };
        (state, self.metrics())
    }
}
