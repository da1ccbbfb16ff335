//! What a strand is made with.

use std::fmt;
use std::time::Duration;

use tress_runtime::executor::Executor;
use tress_runtime::seam::Limits;

use crate::serial::Choices;
use crate::{Local, Strand};

/// Makes a [`Strand`] with a name, values, or other limits than the usual ones. One that has any of them has a second allocation.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tress::strand::Strand;
///
/// let runtime = tress::Runtime::new()?;
/// let strand = Strand::builder(runtime.handle().clone()).items(16)
///     .time(Duration::from_micros(20)).name("room").build();
/// assert_eq!(strand.name(), Some("room"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "nothing is made until `build` is called"]
pub struct Builder<E> {
    executor: E,
    choices: Choices,
}

impl<E: Executor> Builder<E> {
    pub(crate) fn new(executor: E) -> Self {
        Self { executor, choices: Choices::default() }
    }

    /// How many items the strand runs in a row before it goes to the back of its executor's queue.
    ///
    /// # Panics
    ///
    /// If that is none.
    #[track_caller]
    pub fn items(mut self, items: u32) -> Self {
        assert!(items > 0, "a strand has to run at least one item in a turn");
        self.choices.limits.items = items;
        self
    }

    /// After how long the strand begins no further item before it goes to the back of its executor's queue.
    ///
    /// It looks at the clock about as often as a tenth of this, by how long its items have been so far.
    pub fn time(mut self, time: Duration) -> Self {
        self.choices.limits.nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self
    }

    /// What the strand is called: [`trace::dump`](tress_runtime::trace::dump) and
    /// [`RuntimeMetrics::strands`](tress_runtime::RuntimeMetrics::strands) list it, if it is over a runtime, and show which tasks live on it. Names need not differ.
    pub fn name(mut self, name: &str) -> Self {
        self.choices.name = Some(name.into());
        self
    }

    /// Whether the strand measures [how long it waits and runs](crate::StrandMetrics), at the cost of some looks at the clock in each turn. The
    /// default is no, unless the runtime [measures tasks](tress_runtime::Builder::measure_tasks).
    pub fn measure(mut self, measure: bool) -> Self {
        self.choices.is_measured = measure;
        self
    }

    /// The value that the strand has for this key, instead of one that the key makes.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::strand::{Local, Strand};
    ///
    /// static ROOM: Local<String> = Local::new(String::new);
    ///
    /// let runtime = tress::Runtime::new()?;
    /// let strand = Strand::builder(runtime.handle().clone()).local(&ROOM, "lobby".to_owned()).build();
    /// let room = strand.spawn(async { ROOM.with(|room| room.clone()) });
    /// assert_eq!(runtime.block_on(room).unwrap(), "lobby");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local<T: Send + 'static>(mut self, key: &'static Local<T>, value: T) -> Self {
        key.put(&mut self.choices.locals, value);
        self
    }

    /// Makes the strand.
    pub fn build(self) -> Strand<E> {
        Strand::with_choices(self.executor, self.choices)
    }
}

impl<E: fmt::Debug> fmt::Debug for Builder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("executor", &self.executor).field("choices", &self.choices).finish()
    }
}

/// The usual limits: many short items at little cost each, and a neighbour that waits for no longer than 50 µs.
pub(crate) const LIMITS: Limits = Limits { items: 256, nanos: 50_000, most_between_looks: 32 };
