//! Task ids.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::Ordering;

/// Tells one task from every other one of this process; ids are never reused.
///
/// # Examples
///
/// ```
/// use tress::{Runtime, task};
///
/// let runtime = Runtime::new()?;
/// let task = runtime.spawn(async { task::id() });
/// let id = task.id();
/// assert_eq!(runtime.block_on(task).unwrap(), id);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(NonZeroU64);

/// How many ids a thread takes at a time: the shared counter is touched once for so many spawns.
const BLOCK_LEN: u64 = 1024;

/// The first id that no thread has taken.
#[expect(clippy::disallowed_types, reason = "a static has to be const, which loom's atomics are not")]
static NEXT_BLOCK: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

thread_local! {
    /// The ids that this thread may still give out: next and end.
    static BLOCK: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

impl Id {
    /// Makes the next id.
    #[inline]
    pub(crate) fn next() -> Self {
        let id = BLOCK.try_with(|block| {
            let (mut next, mut end) = block.get();
            if next == end {
                next = NEXT_BLOCK.fetch_add(BLOCK_LEN, Ordering::Relaxed);
                end = next + BLOCK_LEN;
            }
            block.set((next + 1, end));
            next
        });
        let id = id.unwrap_or_else(|_| NEXT_BLOCK.fetch_add(1, Ordering::Relaxed));
        Self(NonZeroU64::new(id).expect("ids start at one and 64 bits do not run out"))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of the task that calls.
///
/// # Panics
///
/// Outside a task; [`try_id`] does not.
///
/// # Examples
///
/// See [`Id`].
#[must_use]
#[track_caller]
pub fn id() -> Id {
    try_id().expect("task::id() was called outside a task")
}

/// The id of the task that calls, if a task calls.
///
/// # Examples
///
/// ```
/// assert!(tress::task::try_id().is_none());
/// ```
#[must_use]
pub fn try_id() -> Option<Id> {
    crate::tree::current_id()
}
