//! Tasks that borrow from the thread that waits for them.
#![expect(unsafe_code, reason = "lends to tasks, and waits until they have given everything back")]

use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;

use pin_project_lite::pin_project;

use super::{AbortHandle, JoinError, JoinHandle};
use crate::handle::submit_lent;
use crate::primitive::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::primitive::sync::{Mutex, PlainArc};
use crate::{Handle, context, scheduler};

/// A scope for tasks that borrow; see [`Handle::scope`].
pub struct BlockingScope<'scope, 'env: 'scope> {
    handle: Handle,
    shared: PlainArc<Shared>,
    /// Invariant, as that of std's `thread::Scope`: else a scope could be taken for one that ends earlier.
    _scope: PhantomData<&'scope mut &'scope ()>,
    _env: PhantomData<&'env mut &'env ()>,
}

/// Waits for a task of a [`BlockingScope`]: by `.await`, or by [`Handle::block_on`]. Dropped, it detaches the task, for which the scope waits in any
/// case.
///
/// # Cancel safety
///
/// As that of a [`JoinHandle`].
pub struct ScopedJoinHandle<'scope, T> {
    task: JoinHandle<()>,
    packet: PlainArc<Packet<T>>,
    _scope: PhantomData<&'scope ()>,
}

struct Shared {
    /// Values: tasks whose futures, and outputs that nobody took, have not been dropped. Written by whoever spawns or drops; its last release publishes what
    /// the tasks did.
    running: AtomicUsize,
    /// Values: tasks that have panicked and whose joiner was not told. Written by the tasks and by those who join them.
    untold_panics: AtomicUsize,
    /// Wakes the thread that waits.
    waker: Mutex<Option<Waker>>,
}

/// Where a task leaves its output.
struct Packet<T> {
    output: Mutex<Option<T>>,
    /// Values: whether the task has panicked and its joiner was not told.
    is_untold: AtomicBool,
    shared: PlainArc<Shared>,
}

/// Counts a task as running until it is dropped.
struct Running(PlainArc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            let waker = self.0.waker.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<T> Packet<T> {
    /// The task has panicked.
    fn note_panic(&self) {
        if !self.is_untold.swap(true, Ordering::AcqRel) {
            self.shared.untold_panics.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The joiner is told how the task has ended.
    fn tell(&self) {
        if self.is_untold.swap(false, Ordering::AcqRel) {
            self.shared.untold_panics.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

pin_project! {
    /// What a task of a scope runs. The fields are dropped in this order: when the task counts as ended, nothing is left that may borrow.
    struct Scoped<F: Future> {
        #[pin]
        future: Option<F>,
        packet: PlainArc<Packet<F::Output>>,
        running: Running,
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let future = this.future.as_mut().as_pin_mut().expect("a task is polled until it is ready");
        let polled = catch_unwind(AssertUnwindSafe(|| future.poll(cx)));
        let ended = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => {
                catch_unwind(AssertUnwindSafe(|| this.future.set(None))).map(|()| output)
            }
            Err(payload) => Err(payload),
        };
        match ended {
            Ok(output) => {
                *this.packet.output.lock() = Some(output);
                Poll::Ready(())
            }
            Err(payload) => {
                this.packet.note_panic();
                resume_unwind(payload)
            }
        }
    }
}

impl Handle {
    /// Runs tasks that may borrow from the calling thread, and blocks it until each of them has ended.
    ///
    /// It is to tasks what [`std::thread::scope`] is to threads: what `f` spawns on its scope may borrow whatever outlives the call. The thread takes part as
    /// in [`block_on`](Self::block_on) while it waits for what `f` has left.
    ///
    /// # Panics
    ///
    /// If `f` does, once the tasks have ended; if a future that was spawned has, and nobody has joined its task (a panic of what a task drops when it is
    /// aborted, or of an output that nobody took, ends there); and from inside a runtime, as [`block_on`](Self::block_on).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = tress::Runtime::new()?;
    /// let mut numbers = vec![1, 2, 3, 4];
    /// let sum = runtime.handle().scope(|scope| {
    ///     let (left, right) = numbers.split_at_mut(2);
    ///     let left = scope.spawn(async move {
    ///         left.iter_mut().for_each(|number| *number *= 10);
    ///         left.iter().sum::<i32>()
    ///     });
    ///     scope.spawn(async move { right.reverse() });
    ///     runtime.block_on(left).unwrap()
    /// });
    /// assert_eq!((sum, numbers), (30, vec![10, 20, 4, 3]));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn scope<'env, F, R>(&self, f: F) -> R
    where
        F: for<'scope> FnOnce(&'scope BlockingScope<'scope, 'env>) -> R,
    {
        /// Blocks the thread until nothing runs, whatever happens.
        struct Wait<'a>(&'a Handle, &'a Shared);

        impl Drop for Wait<'_> {
            fn drop(&mut self) {
                let Self(handle, shared) = self;
                let wait = poll_fn(|cx| {
                    let former = shared.waker.lock().replace(cx.waker().clone());
                    drop(former);
                    // After the waker is there: whoever ends last finds it, or is seen here.
                    if shared.running.load(Ordering::Acquire) == 0 { Poll::Ready(()) } else { Poll::Pending }
                });
                let waited = catch_unwind(AssertUnwindSafe(|| scheduler::block_on(&handle.pool, wait)));
                while waited.is_err() && shared.running.load(Ordering::Acquire) > 0 {
                    thread::yield_now();
                }
            }
        }

        context::assert_outside("scope");
        let shared = PlainArc::new(Shared {
            running: AtomicUsize::new(0),
            untold_panics: AtomicUsize::new(0),
            waker: Mutex::new(None),
        });
        let scope = BlockingScope {
            handle: self.clone(),
            shared: PlainArc::clone(&shared),
            _scope: PhantomData,
            _env: PhantomData,
        };
        let wait = Wait(self, &shared);
        let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
        drop(wait);
        match result {
            Err(payload) => resume_unwind(payload),
            Ok(_) if shared.untold_panics.load(Ordering::Acquire) > 0 => {
                panic!("a task of the scope has panicked")
            }
            Ok(result) => result,
        }
    }
}

impl<'scope> BlockingScope<'scope, '_> {
    /// Spawns a task, which may borrow what outlives the scope, and the scope itself, on which it may spawn others.
    ///
    /// If the runtime has been shut down, the future is dropped and the handle gives an error for which
    /// [`is_refused`](JoinError::is_refused) holds.
    #[track_caller]
    pub fn spawn<F>(&'scope self, future: F) -> ScopedJoinHandle<'scope, F::Output>
    where
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        self.shared.running.fetch_add(1, Ordering::Relaxed);
        let running = Running(PlainArc::clone(&self.shared));
        let packet = PlainArc::new(Packet {
            output: Mutex::new(None),
            is_untold: AtomicBool::new(false),
            shared: PlainArc::clone(&self.shared),
        });
        let scoped = Scoped { future: Some(future), packet: PlainArc::clone(&packet), running };
        let pool = &self.handle.pool;
        // SAFETY: `'scope` does not end before `Handle::scope` returns or unwinds, which waits until `running` has been dropped, after everything else in
        // there. A frame that is rooted in the task may go after it: it borrows nothing, being of a future that is `'static`, or of one whose maker has
        // promised that its handle is dropped. The output has no content.
        let task = unsafe { submit_lent(pool, pool.executor(), scoped, None, Location::caller()) };
        ScopedJoinHandle { task, packet, _scope: PhantomData }
    }
}

impl<T> ScopedJoinHandle<'_, T> {
    /// As [`JoinHandle::abort`].
    pub fn abort(&self) {
        self.task.abort();
    }

    /// As [`JoinHandle::abort_handle`].
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        self.task.abort_handle()
    }

    /// As [`JoinHandle::is_finished`].
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

impl<T> Future for ScopedJoinHandle<'_, T> {
    type Output = Result<T, JoinError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(joined) = Pin::new(&mut self.task).poll(cx) else { return Poll::Pending };
        Poll::Ready(match joined {
            Ok(()) => {
                Ok(self.packet.output.lock().take().expect("a task that has ended has left its output"))
            }
            Err(error) => {
                // The joiner is told.
                self.packet.tell();
                Err(error)
            }
        })
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopedJoinHandle").field(&self.task).finish()
    }
}

impl fmt::Debug for BlockingScope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingScope")
            .field("running", &self.shared.running.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}
