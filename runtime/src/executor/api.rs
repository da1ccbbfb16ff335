//! What an executor is.

use super::Runnable;
use crate::Handle;
use crate::containment::Contained;
use crate::trace::strands::Name;

/// Runs tasks somewhere.
///
/// A value of this type is a *handle*: cheap to clone, and equal to others that name the same executor. Every task that is
/// [launched](super::launch()) on it holds one.
///
/// # What an implementation must do
///
/// [`post`](Self::post) takes a [`Runnable`] and sees to it that it is run once, soon, by some thread; or drops it, which cancels the task.
/// Each may be called from any thread, also inside [`Runnable::run`], inside a waker, and while a thread unwinds. Nothing else is
/// required: an implementation cannot break more than the progress of its own tasks. If one of these functions panics, the runnable that it
/// was given is dropped, and the panic goes no further. Nor does one of the handle's own `Drop`, once it is held as an
/// [`AnyExecutor`](super::AnyExecutor), as by whatever is launched or run on it.
///
/// An executor that never runs what it holds on to keeps those tasks alive, and, since a task holds its executor, itself: one that ends, or whose
/// runtime refuses what it spawns, drops what it has queued. A runtime that ends waits for them up to its
/// [timeout](crate::Builder::shutdown_timeout).
///
/// # Examples
///
/// An executor of one's own: on another one, and it counts.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use tress::executor::{Executor, Runnable, launch};
/// use tress::{Handle, Runtime};
///
/// #[derive(Clone, Debug)]
/// struct Counted { inner: Handle, posts: Arc<AtomicUsize> }
///
/// impl PartialEq for Counted {
///     fn eq(&self, other: &Self) -> bool {
///         Arc::ptr_eq(&self.posts, &other.posts)
///     }
/// }
/// impl Eq for Counted {}
///
/// impl Executor for Counted {
///     fn post(&self, runnable: Runnable) {
///         self.posts.fetch_add(1, Ordering::Relaxed);
///         self.inner.post(runnable);
///     }
///     fn is_current(&self) -> bool {
///         self.inner.is_current()
///     }
///     fn is_innermost(&self) -> bool {
///         self.inner.is_innermost()
///     }
///     fn runtime(&self) -> Option<&Handle> {
///         Some(&self.inner)
///     }
/// }
///
/// let runtime = Runtime::new()?;
/// let counted = Counted { inner: runtime.handle().clone(), posts: Arc::default() };
/// let task = launch(counted.clone()).spawn(async {
///     tress::task::yield_now().await;
///     7
/// });
/// assert_eq!(runtime.block_on(task).unwrap(), 7);
/// assert_eq!(counted.posts.load(Ordering::Relaxed), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
///
/// P4003; Asio's executor requirements (`post`, `dispatch`, `defer`).
pub trait Executor: Clone + Eq + Send + Sync + 'static {
    /// Queues a runnable. Never runs it before it returns, except on [`Inline`](super::Inline), which is there for that.
    fn post(&self, runnable: Runnable);

    /// Runs a runnable at once if the caller runs on this executor already; else queues it.
    fn dispatch(&self, runnable: Runnable) {
        if self.is_current() { runnable.run() } else { self.post(runnable) }
    }

    /// Queues a runnable that has just asked for its turn to end: behind what is queued already, if there is an order. Nobody need be woken
    /// for it, since the caller is about to look for what is next.
    fn defer(&self, runnable: Runnable) {
        self.post(runnable);
    }

    /// Whether the calling code runs on this executor.
    fn is_current(&self) -> bool;

    /// Whether the calling code runs on this executor, and not on a serial one above it: then a [`run_on`](super::run_on()) it need not hop.
    ///
    /// An executor over another one, as that in the example, does well to ask that; so code that a strand runs leaves the strand for it.
    fn is_innermost(&self) -> bool {
        self.is_current()
    }

    /// As [`post`](Self::post), or [`defer`](Self::defer) for one that yields. The handle may lie in the memory of the very task that the runnable
    /// is for: as soon as somebody else has the runnable, it may be gone. So a clone does it, where the executor knows no better.
    ///
    /// # Safety
    ///
    /// The address is that of a handle, which is there until the runnable is handed over.
    #[doc(hidden)]
    #[expect(unsafe_code, reason = "the handle may be gone before the call returns")]
    unsafe fn hand_over(this: *const Self, runnable: Runnable, is_yield: bool) {
        // SAFETY: nobody has the runnable yet.
        let clone = Contained::new(unsafe { &*this }.clone());
        let executor = clone.get();
        if is_yield { executor.defer(runnable) } else { executor.post(runnable) }
    }

    /// The runtime that this executor stands on: when that is shut down, it drops the tasks of this executor as its own, and until then its
    /// [dumps](crate::trace::dump) list them.
    ///
    /// Asked once for each task, when it is launched, and for each strand, when it is made. With `None`, tasks that wait when nobody is left who could wake them are never dropped.
    fn runtime(&self) -> Option<&Handle> {
        None
    }

    /// The name of the strand that this is; if it has none, of the nearest one below that has.
    #[doc(hidden)]
    fn strand_name(&self) -> Option<Name> {
        None
    }
}
