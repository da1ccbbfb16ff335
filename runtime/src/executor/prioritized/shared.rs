//! What the handles of a set of lanes share: the lanes, and the pumps that empty them.
#![expect(
    unsafe_code,
    reason = "hand-made runnables, which lie in what they keep: nothing is allocated for a post"
)]

use std::cell::Cell;
use std::fmt;
use std::ptr::{self, NonNull};
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::gate::{Begun, Claimed, Gate, GaveWay, Posted};
use crate::context;
use crate::executor::{Header, ItemTime, Limits, Runnable, RunnableVtable, Transfer, Turn};
use crate::primitive::cell::UnsafeCell;
use crate::primitive::deque::{Injector, Steal};
use crate::primitive::hint::spin_loop;
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use crate::primitive::thread::thread_local;

/// Where pumps run: the pool of a runtime, or a model's.
pub(super) trait Ground: Send + Sync + Sized + 'static {
    /// Takes a pump in order to run it soon, or drops it.
    fn post(&self, pump: Runnable, place: Place);

    /// Whether it drops what it is given.
    fn is_closed(&self) -> bool;

    /// Whether so much work is worth another thread.
    fn is_worth_help(&self, backlog: Duration) -> bool;

    /// Whether the calling thread runs what it has been given, and is not somewhere else further down its stack.
    fn runs_here(&self) -> bool;

    /// Whether a run of it is suspended further up on the stack.
    fn is_suspended(&self) -> bool;
}

/// Where in the pool's queues a pump goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where what has been woken goes.
    Woken,
    /// Behind what is queued on this thread.
    Behind,
    /// To whoever has time.
    Anywhere,
}

/// A set of lanes.
pub(super) struct Shared<G: Ground> {
    pub(super) ground: G,
    gate: CachePadded<Gate>,
    /// How often a runnable has been picked.
    picks: AtomicU64,
    item_time: ItemTime,
    lanes: Box<[CachePadded<Injector<Runnable>>]>,
    pumps: Box<[Pump<G>]>,
    /// How many items a pump runs in one turn at most.
    batch: u32,
}

/// What takes runnables out of lanes and runs them: itself one of the pool's runnables while it waits there.
///
/// `repr(C)`: the head comes first, so that its address is the pump's.
#[repr(C)]
struct Pump<G: Ground> {
    header: Header,
    index: usize,
    /// Keeps the memory that the pump lies in while it waits. Touched by whoever has the pump: who has set its bit, until the pool has
    /// it; then who runs or drops it, until that waits again or clears the bit.
    holds: UnsafeCell<Option<Arc<Shared<G>>>>,
}

// SAFETY: the head is only read, and `holds` is touched by one thread at a time, the one that has the pump (see the gate).
unsafe impl<G: Ground> Send for Pump<G> {}
// SAFETY: as above.
unsafe impl<G: Ground> Sync for Pump<G> {}

/// The item that a thread runs.
#[derive(Clone, Copy)]
struct Current {
    /// The address of its set of lanes; null if there is none.
    shared: *const (),
    lane: usize,
    /// The address of the item, which may come back once for its own pump to find: by then its poll is over, so the pump is about to look. Null if it
    /// has. Compared only.
    item: *const (),
    /// Whether a run loop of the same pool was suspended further up on the stack when it began.
    is_nested: bool,
}

thread_local! {
    static CURRENT: Cell<Current> = const { Cell::new(Current::NONE) };
}

impl Current {
    const NONE: Self = Self { shared: ptr::null(), lane: 0, item: ptr::null(), is_nested: false };
}

impl<G: Ground> Shared<G> {
    pub(super) fn new(ground: G, lanes: usize, pumps: usize, batch: u32) -> Arc<Self> {
        assert!((1..=Gate::MAX_PUMPS).contains(&pumps), "a pump is a bit");
        Arc::new(Self {
            ground,
            gate: CachePadded::new(Gate::new()),
            picks: AtomicU64::new(0),
            item_time: ItemTime::unknown(),
            lanes: (0..lanes).map(|_| CachePadded::new(Injector::new())).collect(),
            pumps: (0..pumps).map(Pump::new).collect(),
            batch,
        })
    }

    pub(super) fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// Queues a runnable.
    pub(super) fn post(this: &Arc<Self>, lane: usize, runnable: Runnable) {
        let place = if this.current().is_some() { Place::Behind } else { Place::Woken };
        this.lanes[lane].push(runnable);
        Self::serve(this, place);
    }

    /// Queues a runnable whose turn has ended.
    pub(super) fn defer(this: &Arc<Self>, lane: usize, runnable: Runnable) {
        let item = runnable.header().as_ptr().cast_const().cast();
        this.lanes[lane].push(runnable);
        match this.current() {
            Some(current) if ptr::eq(current.item, item) && !current.is_nested => {
                CURRENT.with(|cell| cell.set(Current { item: ptr::null(), ..current }));
                this.gate.transition_to_deferred();
            }
            _ => Self::serve(this, Place::Behind),
        }
    }

    /// Whether the calling thread runs an item of that lane.
    pub(super) fn is_current(&self, lane: usize) -> bool {
        self.current().is_some_and(|current| current.lane == lane)
    }

    /// Counts a runnable that has been pushed.
    fn serve(this: &Arc<Self>, place: Place) {
        if let Posted::Start(pump) = this.gate.transition_to_posted(this.pumps.len()) {
            // SAFETY: the transition has taken the pump.
            unsafe { Self::start(this, pump, place) };
        }
    }

    /// Hands a pump to the pool.
    ///
    /// # Safety
    ///
    /// The caller has the pump, by a transition that has it wait.
    unsafe fn start(this: &Arc<Self>, pump: usize, place: Place) {
        let pump = &this.pumps[pump];
        // SAFETY: nobody else touches it, as the caller promises.
        let former = pump.holds.with_mut(|holds| unsafe { (*holds).replace(Arc::clone(this)) });
        debug_assert!(former.is_none());
        // SAFETY: the pump lies in what it holds, thus is valid; it may be run on any thread; and nobody but who has it makes one of it.
        let runnable = unsafe { Runnable::from_raw(NonNull::from(pump).cast()) };
        this.ground.post(runnable, place);
    }

    /// The item of this set that the calling thread runs.
    fn current(&self) -> Option<Current> {
        let current = CURRENT.try_with(Cell::get).unwrap_or(Current::NONE);
        let is_own = ptr::eq(current.shared, ptr::from_ref(self).cast());
        // Where a run loop inside that item's poll runs something else, that is no item; one level of those is told apart.
        (is_own && self.ground.runs_here() && self.ground.is_suspended() == current.is_nested)
            .then_some(current)
    }

    /// A pump's turn.
    fn pump(this: &Arc<Self>, pump: usize) {
        match this.gate.transition_to_begun(pump, this.pumps.len()) {
            Begun::Ended => return,
            Begun::Item { next: None, .. } => {}
            Begun::Item { next: Some(next), left } => {
                let item_ns = u64::from(this.item_time.nanos());
                let backlog = Duration::from_nanos(left.saturating_mul(item_ns));
                let is_worth_help = this.ground.is_worth_help(backlog);
                let place = if is_worth_help { Place::Anywhere } else { Place::Behind };
                // SAFETY: the transition has taken that pump.
                unsafe { Self::start(this, next, place) };
            }
        }
        let mut turn = Turn::begin(limits(this.batch));
        loop {
            this.run_one();
            if turn.is_over(&this.item_time) || this.ground.is_closed() {
                if this.gate.transition_to_given_way(pump) == GaveWay::Waits {
                    // SAFETY: the pump is still the caller's, and waits.
                    unsafe { Self::start(this, pump, Place::Behind) };
                }
                return;
            }
            if this.gate.transition_to_claimed(pump) == Claimed::Ended {
                return;
            }
        }
    }

    /// Drops what is queued, as a pump that has been dropped.
    fn cancel(&self, pump: usize) {
        self.gate.transition_to_cancelling();
        while self.gate.transition_to_claimed(pump) == Claimed::Item {
            let (_lane, runnable) = self.take();
            drop(runnable);
        }
    }

    /// Runs an item that the caller has claimed.
    fn run_one(&self) {
        /// Puts back what the thread ran before.
        struct Restore(Current);

        impl Drop for Restore {
            fn drop(&mut self) {
                let _ = CURRENT.try_with(|cell| cell.set(self.0));
            }
        }

        let (lane, runnable) = self.take();
        let shared = ptr::from_ref(self).cast();
        let item = runnable.header().as_ptr().cast_const().cast();
        let current = Current { shared, lane, item, is_nested: self.ground.is_suspended() };
        let _restore = Restore(CURRENT.with(|cell| cell.replace(current)));
        runnable.run();
    }

    /// Takes an item that the caller has claimed out of its lane.
    fn take(&self) -> (usize, Runnable) {
        let first = first_lane(self.picks.fetch_add(1, Ordering::Relaxed).wrapping_add(1), self.lanes.len());
        loop {
            let others = (0..self.lanes.len()).filter(|&lane| lane != first);
            for lane in std::iter::once(first).chain(others) {
                loop {
                    match self.lanes[lane].steal() {
                        Steal::Success(runnable) => return (lane, runnable),
                        Steal::Empty => break,
                        Steal::Retry => spin_loop(),
                    }
                }
            }
            // Somebody else has taken the one that was meant, and left another one, in a lane that was looked at before it came.
            spin_loop();
        }
    }

    /// Whether nothing is queued and no pump at work.
    #[cfg(all(test, tress_loom))]
    pub(super) fn is_at_rest(&self) -> bool {
        self.gate.is_at_rest()
    }
}

impl<G: Ground> fmt::Debug for Shared<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("lanes", &self.lanes.len())
            .field("queued", &self.gate.items())
            .finish_non_exhaustive()
    }
}

impl<G: Ground> Pump<G> {
    const VTABLE: RunnableVtable = RunnableVtable { run: Self::run, cancel: Self::cancel };

    fn new(index: usize) -> Self {
        let header = Header {
            state: AtomicUsize::new(0),
            link: AtomicPtr::new(ptr::null_mut()),
            vtable: NonNull::from(const { &Self::VTABLE }),
        };
        Self { header, index, holds: UnsafeCell::new(None) }
    }

    /// Takes what keeps the pump, and its index.
    ///
    /// # Safety
    ///
    /// The caller uses up the pump's runnable.
    unsafe fn taken(header: NonNull<Header>) -> (Arc<Shared<G>>, usize) {
        // SAFETY: the runnable's head is the first field of a pump, which is kept by what is taken here.
        let pump = unsafe { header.cast::<Self>().as_ref() };
        // SAFETY: who uses up the runnable has the pump.
        let shared = pump.holds.with_mut(|holds| unsafe { (*holds).take() });
        (shared.expect("a pump that waits holds its lanes"), pump.index)
    }

    unsafe fn run(header: NonNull<Header>) -> Option<Transfer> {
        // SAFETY: the runnable is used up.
        let (shared, pump) = unsafe { Self::taken(header) };
        Shared::pump(&shared, pump);
        None
    }

    unsafe fn cancel(header: NonNull<Header>) {
        // SAFETY: the runnable is used up.
        let (shared, pump) = unsafe { Self::taken(header) };
        context::apart(|| shared.cancel(pump));
    }
}

/// The lane that the pick with this number looks into first: lane `k`, other than the highest, has one in 8ᵏ picks for its own.
pub(super) fn first_lane(pick: u64, lanes: usize) -> usize {
    // Those in which the lowest one bit is the highest of a group of three: lane 1 has the odd multiples of 4, lane 2 those of 32, …
    let lowest = pick.trailing_zeros() as usize + 1;
    let lane = lowest / 3;
    if lowest.is_multiple_of(3) && lane < lanes { lane } else { 0 }
}

/// How long a pump runs before it lets others have the thread.
const fn limits(items: u32) -> Limits {
    Limits { items, nanos: 500_000, most_between_looks: 8 }
}
