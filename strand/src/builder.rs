//! What a strand is made with.

use std::fmt;
use std::time::Duration;

use tress_runtime::executor::Executor;
use tress_runtime::seam::Limits;

use crate::Strand;

/// Makes a [`Strand`] with other limits than the usual ones.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tress::strand::Strand;
///
/// let runtime = tress::Runtime::new()?;
/// let strand = Strand::builder(runtime.handle().clone()).items(16).time(Duration::from_micros(20)).build();
/// # drop(strand);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "nothing is made until `build` is called"]
pub struct Builder<E> {
    executor: E,
    limits: Limits,
}

impl<E: Executor> Builder<E> {
    pub(crate) fn new(executor: E) -> Self {
        Self { executor, limits: LIMITS }
    }

    /// How many items the strand runs in a row before it goes to the back of its executor's queue.
    ///
    /// # Panics
    ///
    /// If that is none.
    #[track_caller]
    pub fn items(mut self, items: u32) -> Self {
        assert!(items > 0, "a strand has to run at least one item in a turn");
        self.limits.items = items;
        self
    }

    /// After how long the strand begins no further item before it goes to the back of its executor's queue.
    ///
    /// It looks at the clock about as often as a tenth of this, by how long its items have been so far.
    pub fn time(mut self, time: Duration) -> Self {
        self.limits.nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self
    }

    /// Makes the strand.
    pub fn build(self) -> Strand<E> {
        Strand::with_limits(self.executor, self.limits)
    }
}

impl<E: fmt::Debug> fmt::Debug for Builder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("executor", &self.executor).field("limits", &self.limits).finish()
    }
}

/// The usual limits: many short items at little cost each, and a neighbour that waits for no longer than 50 µs.
pub(crate) const LIMITS: Limits = Limits { items: 256, nanos: 50_000, most_between_looks: 32 };
