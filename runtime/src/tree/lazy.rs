//! The handles of frames: what users hold.
#![expect(unsafe_code, reason = "pins what it does not move, and says which threads a handle may go to")]

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::handle::Handle;
use super::shared::SharedLazy;
use super::status::Bounds;
use crate::frame::AllocError;

/// A future in a frame of its own, which starts when it is first awaited.
///
/// What `Box::pin(future)` is elsewhere, and more where it is awaited in a task of tress, or in `block_on`:
///
/// * a wake polls the frame that was woken, not every future from the root down to it;
/// * its end leads straight to its parent's poll, in the worker's loop;
/// * neither depth of awaits nor of drops costs native stack: recursion to a depth of a million runs on a small one.
///
/// An `async fn` that does not recurse needs none of it: its callers' frames hold it.
///
/// # Where that is so
///
/// For a frame made by [`lazy`], whose handle lies in the future that awaits it (`.await` a value, `pin!`, `join!`, `select!`), if
/// that future is a task's, `block_on`'s, or such a frame's again. Everything else is an *island*: it is polled whenever its
/// handle is, with the waker of that poll, exactly like a boxed future. So a `Lazy` is correct in `FuturesUnordered`, in
/// a box that changes hands, and on the executors of others. Which of the two it is, is decided at the first poll. One
/// that is later polled by a detour (another waker, another future than the one that began to await it) becomes an
/// island, with everything below it.
///
/// A wrapper that does something around each poll sees the first one only, since later ones go to the frame directly, and one that
/// does something around the drop may come after that of the frame; [`opaque`](Self::opaque) keeps a frame an island. Not so an
/// [environment](crate::env), and [spans](crate::env#spans) of the crate `tracing`, with the feature of that name: a frame is polled, and what its
/// future holds is dropped, in those in which it was awaited first.
///
/// What is said of wrappers goes for unsafe code in particular which lets others than its own owner at what is pinned in it, such as an intrusive list
/// whose lock any thread may take: what it polls or drops under that lock, a worker may be polling without it.
///
/// An island, in particular one on the executor of others, has the environment of whoever polls it: neither that in which it was made nor that in
/// which it has begun, if it was a frame before. See [there](crate::env#other-executors).
///
/// Where the stack is deep already, the first poll is made by the worker's loop: then the handle is pending at first, also if the
/// future is ready at once.
///
/// # Dropping it
///
/// Drops the future, with every frame below it: first the frames, leaf first, then what else the futures hold.
///
/// # Cancel safety
///
/// As that of the future inside.
///
/// # Panics
///
/// A panic of the future goes on in the poll that awaits it. Polling it after it has completed or panicked panics.
///
/// # Source
///
/// P1056 (`lazy`: starts when awaited), P0913 and D2583 (symmetric transfer).
///
/// # Examples
///
/// Recursion through a plain function:
///
/// ```
/// use tress::task::{Lazy, lazy};
///
/// fn sum_to(n: u64) -> Lazy<'static, u64> {
///     lazy(async move { if n == 0 { 0 } else { n + sum_to(n - 1).await } })
/// }
///
/// let runtime = tress::Runtime::new()?;
/// assert_eq!(runtime.block_on(sum_to(100_000)), 5_000_050_000);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Lazy<'a, T> {
    frame: Handle<T>,
    /// Its drop may use what is borrowed. Not a future of `T`: the handle is covariant in its output.
    _future: PhantomData<Box<dyn Send + 'a>>,
}

/// A [`Lazy`] whose future need not be `Send`.
///
/// It is more than a boxed future only where everything stays on one thread: below `block_on`, in that future itself or in another
/// `LocalLazy`. Below what may be sent, a task or a [`Lazy`], which it can get into by a wrapper that vouches for it, it is an island.
///
/// # Cancel safety
///
/// As that of the future inside.
///
/// # Panics
///
/// As [`Lazy`].
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use tress::task::lazy_local;
///
/// let runtime = tress::Runtime::new()?;
/// let shared = Rc::new(5);
/// let task = lazy_local({
///     let shared = Rc::clone(&shared);
///     async move { *shared + 1 }
/// });
/// assert_eq!(runtime.block_on(task), 6);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct LocalLazy<'a, T> {
    frame: Handle<T>,
    /// As that of [`Lazy`], and not `Send`.
    _future: PhantomData<Box<dyn Unsent + 'a>>,
}

/// Puts a future into a frame of its own. Nothing runs before the first await.
///
/// The output has to be `Send` as well: the frame keeps it until whoever awaits it is polled, which may be on another thread. For one
/// that is not there is [`lazy_local`].
///
/// # Panics
///
/// If the allocator whose window is open refuses a frame; see [`try_lazy`].
///
/// # Examples
///
/// See [`Lazy`].
#[inline(always)]
pub fn lazy<F>(future: F) -> Lazy<'static, F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    Lazy { frame: Handle::new(future, Bounds::Rootable), _future: PhantomData }
}

/// As [`lazy`], for when the frame comes from an allocator that may refuse.
///
/// # Errors
///
/// If the allocator whose window is open ([`with_allocator`](crate::frame::with_allocator)) refuses. The future is dropped.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use tress::frame::{Arena, with_allocator};
/// use tress::task::try_lazy;
///
/// let arena = Arc::new(Arena::new(1024).unwrap());
/// let large = [0_u8; 4096];
/// let (small, large) = with_allocator(arena, || {
///     (try_lazy(async { 1 }), try_lazy(async move { large.len() }))
/// });
/// assert!(large.is_err());
/// let runtime = tress::Runtime::new()?;
/// assert_eq!(runtime.block_on(small.expect("there is room")), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn try_lazy<F>(future: F) -> Result<Lazy<'static, F::Output>, AllocError>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    Ok(Lazy { frame: Handle::try_new(future, Bounds::Rootable)?, _future: PhantomData })
}

/// Puts a future that borrows into a frame of its own: always an island, exactly like a boxed future.
///
/// The reason is soundness: the handle could be leaked while what the future borrows goes away, and a frame that others
/// poll would go on using it. [`Lazy::assume_unleaked`] is for callers who know better. Deep recursion of islands takes its
/// stack from the heap.
///
/// # Panics
///
/// As [`lazy`].
///
/// # Examples
///
/// ```
/// use tress::task::{Lazy, lazy_borrowed};
///
/// fn longest<'a>(words: &'a [String]) -> Lazy<'a, usize> {
///     lazy_borrowed(async move {
///         let Some((first, rest)) = words.split_first() else { return 0 };
///         first.len().max(longest(rest).await)
///     })
/// }
///
/// let runtime = tress::Runtime::new()?;
/// let words = ["a", "bcd", "ef"].map(String::from);
/// assert_eq!(runtime.block_on(longest(&words)), 3);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn lazy_borrowed<'a, F>(future: F) -> Lazy<'a, F::Output>
where
    F: Future + Send + 'a,
{
    Lazy { frame: Handle::new(future, Bounds::Island), _future: PhantomData }
}

/// As [`lazy`], for a future that is not `Send`.
///
/// # Panics
///
/// As [`lazy`].
///
/// # Examples
///
/// See [`LocalLazy`].
pub fn lazy_local<F>(future: F) -> LocalLazy<'static, F::Output>
where
    F: Future + 'static,
{
    LocalLazy { frame: Handle::new(future, Bounds::RootableOnThread), _future: PhantomData }
}

/// As [`lazy_borrowed`], for a future that is not `Send`.
///
/// # Panics
///
/// As [`lazy`].
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use tress::task::lazy_local_borrowed;
///
/// let runtime = tress::Runtime::new()?;
/// let count = Cell::new(0);
/// runtime.block_on(lazy_local_borrowed(async { count.set(count.get() + 1) }));
/// assert_eq!(count.get(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn lazy_local_borrowed<'a, F>(future: F) -> LocalLazy<'a, F::Output>
where
    F: Future + 'a,
{
    LocalLazy { frame: Handle::new(future, Bounds::Island), _future: PhantomData }
}

// SAFETY: the future is `Send` (see the constructors), and of a shared handle nothing can be used. The output, which the
// frame may hold when it changes threads, has to be `Send` too.
unsafe impl<T: Send> Send for Lazy<'_, T> {}
// SAFETY: of a shared handle nothing can be used.
unsafe impl<T> Sync for Lazy<'_, T> {}

impl<'a, T> Lazy<'a, T> {
    /// Lets a future that borrows be polled like one that does not.
    ///
    /// # Safety
    ///
    /// Once it has been polled, the handle is dropped before what the future borrows goes away or is used in a way that
    /// conflicts with the borrow. That is so if it is awaited where it stands. It is not if the handle, or a future that it lies
    /// in, is leaked in place. Also, it is polled and dropped only by the task that it was first polled in.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::task::{Lazy, lazy_borrowed};
    ///
    /// fn count<'a>(bytes: &'a [u8]) -> Lazy<'a, usize> {
    ///     let lazy = lazy_borrowed(async move {
    ///         match bytes.split_first() {
    ///             Some((_, rest)) => 1 + count(rest).await,
    ///             None => 0,
    ///         }
    ///     });
    ///     // SAFETY: every handle is awaited where it stands.
    ///     unsafe { lazy.assume_unleaked() }
    /// }
    ///
    /// let runtime = tress::Runtime::new()?;
    /// let bytes = vec![0; 10_000];
    /// assert_eq!(runtime.block_on(count(&bytes)), 10_000);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub unsafe fn assume_unleaked(mut self) -> Self
    where
        T: Send,
    {
        self.frame.set_bounds(Bounds::Rootable);
        self
    }

    /// Keeps the frame an island: it is polled under its handle's poll always.
    ///
    /// For what is wrapped by something that acts around each poll, and is neither of the two that reach frames by themselves, an
    /// [environment](crate::env) and a [span](crate::env#spans).
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::task::lazy;
    ///
    /// let runtime = tress::Runtime::new()?;
    /// assert_eq!(runtime.block_on(lazy(async { 1 }).opaque()), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn opaque(mut self) -> Self {
        self.frame.set_bounds(Bounds::Island);
        self
    }

    /// Whether the loop polls the frame, or did.
    #[cfg(all(test, tress_loom))]
    pub(super) fn is_rooted(&self) -> bool {
        self.frame.is_rooted()
    }

    /// Makes it one that many can await, each of which gets a clone of the output.
    pub fn shared(self) -> SharedLazy<'a, T>
    where
        T: Clone,
    {
        SharedLazy::new(self)
    }
}

impl<T> LocalLazy<'_, T> {
    /// Keeps the frame an island; see [`Lazy::opaque`].
    pub fn opaque(mut self) -> Self {
        self.frame.set_bounds(Bounds::Island);
        self
    }
}

impl<T> Future for Lazy<'_, T> {
    type Output = T;

    #[inline]
    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // SAFETY: the handle is not moved.
        unsafe { self.get_unchecked_mut() }.frame.poll(cx)
    }
}

impl<T> Future for LocalLazy<'_, T> {
    type Output = T;

    #[inline]
    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // SAFETY: the handle is not moved.
        unsafe { self.get_unchecked_mut() }.frame.poll(cx)
    }
}

impl<T> fmt::Debug for Lazy<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for LocalLazy<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalLazy").finish_non_exhaustive()
    }
}

/// Anything.
trait Unsent {}
