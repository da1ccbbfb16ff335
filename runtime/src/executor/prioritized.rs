//! Lanes over the pool of a runtime: what is in a higher one runs first.
#![doc = include_str!("prioritized/README.md")]

mod gate;
#[cfg(all(test, tress_loom))]
mod model;
mod shared;
#[cfg(all(test, not(tress_loom)))]
mod tests;

use std::fmt;
use std::time::Duration;

use self::gate::Gate;
use self::shared::{Ground, Place, Shared};
use super::{Executor, Runnable};
use crate::primitive::sync::Arc;
use crate::{Handle, context, run};

/// Lanes over the workers of a runtime: what is in a higher one runs first.
///
/// Each [`Lane`] is an executor. Its tasks run on the runtime's workers, as those of a [`Handle`] do, in parallel, and in the order in
/// which they were woken; but whoever looks for the next one looks into the higher lanes first. The runtime's other tasks share the workers
/// with all the lanes together, as if those were some tasks more: what is urgent goes ahead of other lanes, not of them.
///
/// # How long a lower lane waits
///
/// Not for ever, however much is in the lanes above: of every 8 picks, one looks into lane 1 first, of every 64 one into lane 2, of every
/// 8ᵏ one into lane *k*. So who is the *n*-th in lane *k* is picked after *n* · 8ᵏ picks at most, by all of the workers together. The
/// others, six of seven, look into lane 0 first. Who finds the lane that it looks into first empty goes on from the highest to the lowest.
///
/// # Where workers are blocked
///
/// A task that keeps its worker holds up no other, as long as some worker has time, and fewer than 28 such tasks are in these lanes. If no
/// worker has, because all of them wait for something in [`block_in_place`](crate::task::block_in_place), what is in lanes need not be run,
/// either: unlike a plain task, one that a thread in [`block_on`](crate::Runtime::block_on) has queued is not sure to be run by that thread.
///
/// # When the runtime ends
///
/// Then its lanes' tasks are dropped as its own are. That is while somebody keeps a lane, too: what is posted to it from then on is dropped.
///
/// # Examples
///
/// ```
/// use tress::executor::{Prioritized, launch};
///
/// let runtime = tress::Runtime::new()?;
/// let lanes = Prioritized::new(runtime.handle().clone());
/// let report = launch(lanes.low()).spawn(async { (0..1000).sum::<u64>() });
/// let answer = launch(lanes.high()).spawn(async { 42 });
/// runtime.block_on(async {
///     assert_eq!(answer.await.unwrap(), 42);
///     assert_eq!(report.await.unwrap(), 499_500);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
///
/// Asio's example of a prioritised executor (`prioritised_handlers.cpp`); the order of picks is a weighted round robin.
#[derive(Clone)]
pub struct Prioritized {
    shared: Arc<Shared<Handle>>,
}

/// One lane of a [`Prioritized`]: an executor.
///
/// Two are equal if they are the same lane of the same `Prioritized`.
///
/// # Examples
///
/// ```
/// use tress::executor::{Executor, Prioritized, launch};
///
/// let runtime = tress::Runtime::new()?;
/// let lanes = Prioritized::new(runtime.handle().clone());
/// let (high, low) = (lanes.high(), lanes.low());
/// assert!(high == lanes.lane(0) && high != low);
/// let task = launch(high.clone()).spawn(async move { high.is_current() && !low.is_current() });
/// assert!(runtime.block_on(task).unwrap());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Lane {
    shared: Arc<Shared<Handle>>,
    index: usize,
}

impl Prioritized {
    /// How many lanes there can be: a lower one would wait for too long to be of use.
    pub const MAX_LANES: usize = 8;

    /// Three lanes over the workers of a runtime: [`high`](Self::high), [`normal`](Self::normal) and [`low`](Self::low).
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        Self::with_lanes(handle, 3)
    }

    /// So many lanes over the workers of a runtime.
    ///
    /// # Panics
    ///
    /// If that is none, or more than [`MAX_LANES`](Self::MAX_LANES).
    #[must_use]
    #[track_caller]
    pub fn with_lanes(handle: Handle, lanes: usize) -> Self {
        let most = Self::MAX_LANES;
        assert!((1..=most).contains(&lanes), "there can be 1 to {most} lanes, not {lanes}");
        // One that waits while each thread that may take part is stuck in an item: so none is out of reach of who has time.
        let pumps = (handle.pool.remotes.len() + 1).min(Gate::MAX_PUMPS);
        Self { shared: Shared::new(handle, lanes, pumps, BATCH) }
    }

    /// The highest lane.
    #[must_use]
    pub fn high(&self) -> Lane {
        self.lane(0)
    }

    /// The lane in the middle; of two, the lower one.
    #[must_use]
    pub fn normal(&self) -> Lane {
        self.lane(self.lanes() / 2)
    }

    /// The lowest lane.
    #[must_use]
    pub fn low(&self) -> Lane {
        self.lane(self.lanes() - 1)
    }

    /// The lane with this number: 0 is the highest.
    ///
    /// # Panics
    ///
    /// If there is none: they are numbered from 0 to [`lanes`](Self::lanes), exclusive.
    #[must_use]
    #[track_caller]
    pub fn lane(&self, index: usize) -> Lane {
        let lanes = self.lanes();
        assert!(index < lanes, "there is no lane {index}, of {lanes}");
        Lane { shared: Arc::clone(&self.shared), index }
    }

    /// How many lanes there are.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.shared.lanes()
    }
}

impl fmt::Debug for Prioritized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prioritized").field(&self.shared).finish()
    }
}

impl Lane {
    /// The lane's number: 0 is the highest.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }
}

impl Executor for Lane {
    fn post(&self, runnable: Runnable) {
        Shared::post(&self.shared, self.index, runnable);
    }

    fn defer(&self, runnable: Runnable) {
        Shared::defer(&self.shared, self.index, runnable);
    }

    fn is_current(&self) -> bool {
        self.shared.is_current(self.index)
    }

    fn is_innermost(&self) -> bool {
        self.is_current() && run::innermost_serial().is_null()
    }

    fn runtime(&self) -> Option<&Handle> {
        Some(&self.shared.ground)
    }
}

impl PartialEq for Lane {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index && Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Lane {}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Ground for Handle {
    fn post(&self, pump: Runnable, place: Place) {
        match place {
            Place::Woken => Executor::post(self, pump),
            Place::Behind => Executor::defer(self, pump),
            Place::Anywhere => self.pool.push_remote(pump),
        }
    }

    fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    fn is_worth_help(&self, backlog: Duration) -> bool {
        self.pool.is_worth_help(backlog)
    }

    fn runs_here(&self) -> bool {
        context::is_current_pool(self.pool.data())
    }

    fn is_suspended(&self) -> bool {
        context::is_suspended(&self.pool)
    }
}

/// How many items a pump runs in one turn, at most.
const BATCH: u32 = 32;
