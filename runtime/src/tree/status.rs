//! Where a frame stands in its life, in one small word.

use std::fmt;

use crate::frame::Origin;

/// Phase, bounds and flags of a frame: plain data of whoever runs the tree, or has the frame alone.
///
/// A word instead of a struct of small fields: a load that spans several stores that are still on their way is slow, and a frame that
/// is ready at once consists of little else than such stores and loads.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Status(u32);

/// Where a frame stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The future was never polled; the handle may move.
    Fresh = 0,
    /// The future is polled under its handle's poll, with that poll's waker.
    Island = 1,
    /// The future is polled by whoever runs the tree.
    Rooted = 2,
    /// The output, or the panic, lies where the future was.
    Done = 3,
    /// The first poll, under the handle's poll, has panicked; what is left of the future is still there, with frames below.
    PoisonedRooted = 4,
    /// A poll as an island has panicked; what is left of the future is still there.
    PoisonedIsland = 5,
    /// Neither future nor output is there any more.
    Empty = 6,
}

/// What may become of a frame at its first poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Bounds {
    /// Its future is `Send` and borrows nothing that it could outlive.
    Rootable = 0,
    /// The same, but bound to its thread.
    RootableOnThread = 1,
    /// It is always an island.
    Island = 2,
}

impl Status {
    /// A new frame that may become part of any tree.
    pub(super) const FRESH_ROOTABLE: Self = Self::new(Bounds::Rootable);

    /// A new frame.
    #[inline(always)]
    pub(super) const fn new(bounds: Bounds) -> Self {
        Self((bounds as u32) << BOUNDS_SHIFT)
    }

    /// Who made the frame.
    #[inline(always)]
    pub(super) const fn origin(self) -> Origin {
        if self.0 & FOREIGN == 0 { Origin::Pool } else { Origin::Foreign }
    }

    #[inline(always)]
    pub(super) const fn with_origin(self, origin: Origin) -> Self {
        self.with(FOREIGN, matches!(origin, Origin::Foreign))
    }

    #[inline(always)]
    pub(super) const fn phase(self) -> Phase {
        match self.0 & PHASE_MASK {
            0 => Phase::Fresh,
            1 => Phase::Island,
            2 => Phase::Rooted,
            3 => Phase::Done,
            4 => Phase::PoisonedRooted,
            5 => Phase::PoisonedIsland,
            _ => Phase::Empty,
        }
    }

    #[inline(always)]
    pub(super) const fn with_phase(self, phase: Phase) -> Self {
        Self((self.0 & !PHASE_MASK) | phase as u32)
    }

    #[inline(always)]
    pub(super) const fn bounds(self) -> Bounds {
        match (self.0 & BOUNDS_MASK) >> BOUNDS_SHIFT {
            0 => Bounds::Rootable,
            1 => Bounds::RootableOnThread,
            _ => Bounds::Island,
        }
    }

    pub(super) const fn with_bounds(self, bounds: Bounds) -> Self {
        Self((self.0 & !BOUNDS_MASK) | ((bounds as u32) << BOUNDS_SHIFT))
    }

    /// Whether the future is being polled, further up on this stack.
    pub(super) const fn is_polling(self) -> bool {
        self.0 & POLLING != 0
    }

    #[inline(always)]
    pub(super) const fn with_polling(self, is_polling: bool) -> Self {
        self.with(POLLING, is_polling)
    }

    /// Whether the frame stands in its parent's list of children.
    #[inline(always)]
    pub(super) const fn is_linked(self) -> bool {
        self.0 & LINKED != 0
    }

    /// Whether the frame stands in no list, was made by the pool, and keeps no environment.
    #[inline(always)]
    pub(super) const fn is_unlinked_and_of_pool(self) -> bool {
        self.0 & (LINKED | FOREIGN | ENV) == 0
    }

    #[inline(always)]
    pub(super) const fn with_linked(self, is_linked: bool) -> Self {
        self.with(LINKED, is_linked)
    }

    /// Whether the frame was first polled inside [`unconstrained`](crate::task::coop::unconstrained).
    pub(super) const fn is_unconstrained(self) -> bool {
        self.0 & UNCONSTRAINED != 0
    }

    #[inline(always)]
    pub(super) const fn with_unconstrained(self, is_unconstrained: bool) -> Self {
        self.with(UNCONSTRAINED, is_unconstrained)
    }

    /// Whether a stop has been raised in the poll that is being made, or has just been made.
    #[inline(always)]
    pub(super) const fn is_stop_raised(self) -> bool {
        self.0 & STOP_RAISED != 0
    }

    #[inline(always)]
    pub(super) const fn with_stop_raised(self, is_raised: bool) -> Self {
        self.with(STOP_RAISED, is_raised)
    }

    /// Whether what lies in the output's place says that the future has been stopped.
    pub(super) const fn is_stopped(self) -> bool {
        self.0 & STOPPED != 0
    }

    pub(super) const fn with_stopped(self) -> Self {
        self.with(STOPPED, true)
    }

    /// Whether the frame keeps an environment.
    #[inline(always)]
    pub(super) const fn has_env(self) -> bool {
        self.0 & ENV != 0
    }

    #[inline(always)]
    pub(super) const fn with_env(self, has_env: bool) -> Self {
        self.with(ENV, has_env)
    }

    /// Whether the frame keeps a span.
    #[inline(always)]
    pub(super) const fn has_span(self) -> bool {
        // Never where there are no spans: then what depends on it is no code.
        cfg!(feature = "tracing") && self.0 & SPAN != 0
    }

    #[inline(always)]
    pub(super) const fn with_span(self, has_span: bool) -> Self {
        self.with(SPAN, has_span)
    }

    #[inline(always)]
    const fn with(self, bit: u32, is_set: bool) -> Self {
        Self(if is_set { self.0 | bit } else { self.0 & !bit })
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status")
            .field("phase", &self.phase())
            .field("bounds", &self.bounds())
            .field("is_polling", &self.is_polling())
            .field("is_linked", &self.is_linked())
            .field("is_unconstrained", &self.is_unconstrained())
            .field("origin", &self.origin())
            .field("is_stop_raised", &self.is_stop_raised())
            .field("is_stopped", &self.is_stopped())
            .field("has_env", &self.has_env())
            .field("has_span", &self.has_span())
            .finish()
    }
}

const PHASE_MASK: u32 = 0xff;
const BOUNDS_SHIFT: u32 = 8;
const BOUNDS_MASK: u32 = 0xff << BOUNDS_SHIFT;
const POLLING: u32 = 1 << 16;
const LINKED: u32 = 1 << 17;
const UNCONSTRAINED: u32 = 1 << 18;
const FOREIGN: u32 = 1 << 19;
const STOPPED: u32 = 1 << 20;
const ENV: u32 = 1 << 21;
const STOP_RAISED: u32 = 1 << 22;
const SPAN: u32 = 1 << 23;
