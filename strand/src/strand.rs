//! A serial executor.
#![expect(unsafe_code, reason = "posts to itself from memory that the item may free")]

use std::any::Any;
use std::fmt;
#[cfg(not(tress_loom))]
use std::future::Future;
use std::marker::PhantomData;
use std::ptr::NonNull;

use tress_runtime::Handle as RuntimeHandle;
#[cfg(not(tress_loom))]
use tress_runtime::executor::launch;
use tress_runtime::executor::{AnyExecutor, Executor, Runnable};
use tress_runtime::seam::strands::Name;
use tress_runtime::seam::{self, run};
#[cfg(not(tress_loom))]
use tress_runtime::task::JoinHandle;

use crate::StrandMetrics;
use crate::builder::Builder;
use crate::job::Job;
use crate::serial::{Choices, Handle, Host, Place, Serial, SerialRef};

/// A serial executor over another executor: what runs on it never overlaps, on whichever threads it runs.
///
/// A `Strand` is a handle: its clones are the same strand, and equal. Two strands share nothing: no lock, no queue. Whatever takes an
/// [`Executor`] takes a strand: [`launch`](tress_runtime::executor::launch()), [`run_on`](tress_runtime::executor::run_on()), another strand.
///
/// # Order
///
/// What one thread posts runs in the order in which it was posted; what an item of the strand posts runs after all that waits by then.
///
/// # Fairness
///
/// When a strand has run so many items, or for so long, as its [builder](Self::builder) says, it goes to the back of its executor's queue: a
/// neighbour waits for one turn, however much is queued on the strand.
///
/// # How it ends
///
/// A panic fails the item that panics, and no other. When the last handle is dropped, closures that wait are dropped instead of run; a task that lives on the
/// strand has a handle. Where the executor drops what it is given, as that of a runtime that has ended, or panics, the strand drops what is queued on it.
/// Strands that stand on each other in a circle drop what is posted to them, or keep it for ever if several threads post to them at once.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use tress::strand::{Strand, StrandCell};
///
/// #[tress::main]
/// async fn main() {
///     let strand = Strand::new(tress::Handle::current());
///     let log = Arc::new(StrandCell::new(&strand, Vec::new()));
///     let own = Arc::clone(&log);
///     strand.post(move || own.borrow_mut().push("posted"));
///     let task = strand.spawn(async move {
///         tress::task::yield_now().await;
///         log.with(|log| log.len())
///     });
///     assert_eq!(task.await.unwrap(), 1);
/// }
/// ```
///
/// # Source
///
/// Asio's `strand`; the protocol is that of cppcoro's `async_mutex`, see the module `serial` of this crate's source.
pub struct Strand<E = RuntimeHandle> {
    core: Handle,
    /// Invariant: the executor below is of this very type.
    _executor: PhantomData<fn(E) -> E>,
}

#[repr(C)]
struct Core(Serial);

// SAFETY: it is the first field, and made with this type's table (see `Strand::with_choices`).
unsafe impl Host for Core {
    const HAS_LOCALS: bool = true;
}

impl<E: Executor> Strand<E> {
    /// A strand over an executor.
    ///
    /// # Examples
    ///
    /// See [`Strand`].
    #[must_use]
    pub fn new(executor: E) -> Self {
        Self::with_choices(executor, Choices::default())
    }

    /// A strand with a name, values, or other limits than the usual ones.
    ///
    /// # Examples
    ///
    /// See [`Builder`].
    pub fn builder(executor: E) -> Builder<E> {
        Builder::new(executor)
    }

    pub(crate) fn with_choices(executor: E, choices: Choices) -> Self {
        let serial = Serial::new::<Core>(Some(AnyExecutor::new(executor)), choices);
        Self { core: Handle::new(Core(serial)), _executor: PhantomData }
    }

    /// The executor below.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::executor::Inline;
    /// use tress::strand::Strand;
    ///
    /// assert_eq!(Strand::new(Inline).inner(), &Inline);
    /// ```
    #[must_use]
    pub fn inner(&self) -> &E {
        let any = self.any();
        // One that has been made over an `AnyExecutor` holds that itself.
        (any as &dyn Any)
            .downcast_ref()
            .or_else(|| any.downcast_ref())
            .expect("it is what the strand was made with")
    }

    /// Its name, if it was [given](Builder::name) one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.core.name().map(AsRef::as_ref)
    }

    /// Figures about it.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::executor::Manual;
    /// use tress::strand::Strand;
    ///
    /// let manual = Manual::new();
    /// let strand = Strand::new(manual.executor());
    /// for _ in 0..3 {
    ///     strand.post(|| ());
    /// }
    /// manual.run_one();
    /// let metrics = strand.metrics();
    /// assert_eq!((metrics.turns, metrics.items, metrics.depth), (1, 3, 0));
    /// ```
    #[must_use]
    pub fn metrics(&self) -> StrandMetrics {
        self.core.metrics()
    }

    fn any(&self) -> &AnyExecutor {
        self.core.executor().expect("a strand has an executor")
    }

    pub(crate) fn core(&self) -> SerialRef {
        self.core.downgrade()
    }

    /// Calls the closure on the strand, after all that is queued there, and not before this returns (except on
    /// [`Inline`](tress_runtime::executor::Inline)). A panic of it ends there.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use tress::executor::Manual;
    /// use tress::strand::Strand;
    ///
    /// let manual = Manual::new();
    /// let strand = Strand::new(manual.executor());
    /// let (tx, rx) = mpsc::channel();
    /// strand.post(move || tx.send(7).unwrap());
    /// assert!(rx.try_recv().is_err());
    /// manual.run_one();
    /// assert_eq!(rx.try_recv(), Ok(7));
    /// ```
    pub fn post(&self, f: impl FnOnce() + Send + 'static) {
        Executor::post(self, Job::runnable(f));
    }

    /// Calls the closure on the strand: at once, if the calling code runs there, or if the strand is idle and the calling code runs on the executor below;
    /// otherwise as [`post`](Self::post).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use tress::executor::Inline;
    /// use tress::strand::Strand;
    ///
    /// let (tx, rx) = mpsc::channel();
    /// // Whoever calls runs on `Inline`.
    /// Strand::new(Inline).dispatch(move || tx.send(7).unwrap());
    /// assert_eq!(rx.try_recv(), Ok(7));
    /// ```
    pub fn dispatch(&self, f: impl FnOnce() + Send + 'static) {
        Executor::dispatch(self, Job::runnable(f));
    }

    /// As [`post`](Self::post), and the strand, if it is idle, goes to the back of its executor's queue.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::executor::Manual;
    /// use tress::strand::Strand;
    ///
    /// let manual = Manual::new();
    /// let strand = Strand::new(manual.executor());
    /// strand.defer(|| println!("some time"));
    /// assert_eq!(manual.run_until_idle(10), 1);
    /// ```
    pub fn defer(&self, f: impl FnOnce() + Send + 'static) {
        Executor::defer(self, Job::runnable(f));
    }

    /// Spawns a task that lives on the strand: each poll of it is an item, and it is dropped there; except by a runtime that ends, which drops it
    /// on the thread that ends it.
    ///
    /// As [`launch`](tress_runtime::executor::launch()), which can give it a name and a stop token.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::strand::Strand;
    ///
    /// let runtime = tress::Runtime::new()?;
    /// let strand = Strand::new(runtime.handle().clone());
    /// let own = strand.clone();
    /// let task = strand.spawn(async move { own.is_current() });
    /// assert!(runtime.block_on(task).unwrap());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(not(tress_loom))]
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        launch(self.clone()).spawn(future)
    }

    /// Whether the calling code runs on the strand; also if that is below another one, on which it runs, too.
    ///
    /// # Examples
    ///
    /// See [`spawn`](Self::spawn).
    #[must_use]
    #[inline]
    pub fn is_current(&self) -> bool {
        self.core.is_current()
    }

    #[inline]
    fn queue(&self, runnable: Runnable, place: Place) {
        // SAFETY: the handle keeps it.
        unsafe { Serial::post(self.core.as_ptr(), runnable, place) };
    }
}

impl<E: Executor> Executor for Strand<E> {
    fn post(&self, runnable: Runnable) {
        self.queue(runnable, Place::Next);
    }

    fn dispatch(&self, runnable: Runnable) {
        let run_inside = |runnable| {
            let _serial = run::enter_serial(self.core.address());
            seam::run_inside(runnable);
        };
        if self.is_current() {
            return run_inside(runnable);
        }
        if !(self.core.looks_idle() && self.any().is_current() && self.core.try_acquire()) {
            return self.queue(runnable, Place::Next);
        }
        run_inside(runnable);
        // SAFETY: this has acquired it, and the handle keeps it.
        unsafe { self.core.pass_on(Place::Next) };
    }

    fn defer(&self, runnable: Runnable) {
        self.queue(runnable, Place::Behind);
    }

    fn is_current(&self) -> bool {
        self.core.is_current()
    }

    fn is_innermost(&self) -> bool {
        self.core.is_current() && run::innermost_serial() == self.core.address()
    }

    #[inline]
    unsafe fn hand_over(this: *const Self, runnable: Runnable, is_yield: bool) {
        // SAFETY: nobody has the runnable yet.
        let core: NonNull<Serial> = unsafe { &*this }.core.as_ptr();
        let place = if is_yield { Place::Behind } else { Place::Next };
        // SAFETY: the task's handle keeps it until the runnable is handed over.
        unsafe { Serial::post(core, runnable, place) };
    }

    fn runtime(&self) -> Option<&RuntimeHandle> {
        self.any().runtime()
    }

    fn strand_name(&self) -> Option<Name> {
        self.core.name().cloned().or_else(|| self.any().strand_name())
    }
}

impl<E> Clone for Strand<E> {
    fn clone(&self) -> Self {
        Self { core: self.core.clone(), _executor: PhantomData }
    }
}

impl<E> PartialEq for Strand<E> {
    fn eq(&self, other: &Self) -> bool {
        self.core.as_ptr() == other.core.as_ptr()
    }
}

impl<E> Eq for Strand<E> {}

impl<E> fmt::Debug for Strand<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Strand").field(&*self.core).finish()
    }
}
