//! A value that is made once.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, ready};

use tokio::sync::SetError;

use crate::leaf::Wait;
use crate::primitive::sync::atomic::{AtomicBool, Ordering};

/// A value that is made once, by the first who needs it, while the others wait.
///
/// Behind it stands [`tokio::sync::OnceCell`].
///
/// # Examples
///
/// ```
/// use tress::sync::OnceCell;
///
/// static GREETING: OnceCell<String> = OnceCell::const_new();
///
/// async fn greeting() -> &'static str {
///     GREETING.get_or_init(|| async { "hello".to_owned() }).await
/// }
///
/// # #[tress::main(worker_threads = 1)]
/// # async fn main() {
/// assert_eq!(greeting().await, "hello");
/// assert!(GREETING.initialized());
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnceCell<T> {
    inner: tokio::sync::OnceCell<T>,
}

impl<T> OnceCell<T> {
    /// Makes an empty cell.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(tress::sync::OnceCell::<u8>::new().get(), None);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self { inner: tokio::sync::OnceCell::new() }
    }

    /// As [`new`](Self::new), for constants.
    ///
    /// # Examples
    ///
    /// See [`OnceCell`].
    #[must_use]
    pub const fn const_new() -> Self {
        Self { inner: tokio::sync::OnceCell::const_new() }
    }

    /// Makes a cell that has a value already, if one is given.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(tress::sync::OnceCell::new_with(Some(7)).get(), Some(&7));
    /// ```
    #[must_use]
    pub fn new_with(value: Option<T>) -> Self {
        Self { inner: tokio::sync::OnceCell::new_with(value) }
    }

    /// Makes a cell that has a value already, for constants.
    #[must_use]
    pub const fn const_new_with(value: T) -> Self {
        Self { inner: tokio::sync::OnceCell::const_new_with(value) }
    }

    /// Whether there is a value.
    #[must_use]
    pub fn initialized(&self) -> bool {
        self.inner.initialized()
    }

    /// The value, if there is one.
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        self.inner.get()
    }

    /// The value, if there is one, for whoever has the cell alone.
    #[must_use]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.inner.get_mut()
    }

    /// Puts a value in, if the cell is empty and nobody is making one.
    ///
    /// # Errors
    ///
    /// If it is not, or if somebody is: the error holds the value.
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = tress::sync::OnceCell::new();
    /// assert!(cell.set(1).is_ok());
    /// assert!(cell.set(2).unwrap_err().is_already_init_err());
    /// ```
    pub fn set(&self, value: T) -> Result<(), SetError<T>> {
        self.inner.set(value)
    }

    /// Gives the value; makes it with `init` if there is none, and waits if somebody else is making it.
    ///
    /// The wait is for the others: what `init` waits for by itself is shown and counted as its own. An `init` that asks the same cell waits
    /// for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropping it, or a panic in `init`, drops what `init` has done so far, and the next one who waits calls its own.
    ///
    /// # Examples
    ///
    /// See [`OnceCell`].
    #[track_caller]
    pub fn get_or_init<F, Fut>(&self, init: F) -> impl Future<Output = &T>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        let value = self.make(Wait::new("once cell"), || async { Ok::<_, Infallible>(init().await) });
        async {
            let Ok(value) = value.await;
            value
        }
    }

    /// As [`get_or_init`](Self::get_or_init), with an `init` that may fail.
    ///
    /// # Errors
    ///
    /// That of `init`; the cell is still empty then, and the next one who waits calls its own.
    ///
    /// # Cancel safety
    ///
    /// As that of [`get_or_init`](Self::get_or_init).
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::sync::OnceCell;
    ///
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() {
    /// let cell = OnceCell::new();
    /// assert_eq!(cell.get_or_try_init(|| async { Err("not yet") }).await, Err("not yet"));
    /// assert_eq!(cell.get_or_try_init(|| async { Ok::<_, ()>(7) }).await, Ok(&7));
    /// # }
    /// ```
    #[track_caller]
    pub fn get_or_try_init<E, F, Fut>(&self, init: F) -> impl Future<Output = Result<&T, E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.make(Wait::new("once cell"), init)
    }

    /// Takes the value out of a cell that goes.
    #[must_use]
    pub fn into_inner(self) -> Option<T> {
        self.inner.into_inner()
    }

    /// Takes the value out; the cell is empty then.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut cell = tress::sync::OnceCell::new_with(Some(7));
    /// assert_eq!((cell.take(), cell.take()), (Some(7), None));
    /// ```
    #[must_use]
    pub fn take(&mut self) -> Option<T> {
        self.inner.take()
    }

    async fn make<E, F, Fut>(&self, mut wait: Wait, init: F) -> Result<&T, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        // Whether others have been waited for. No other thread looks at it: a `Cell` would keep the future from being sent to one.
        let has_turn = AtomicBool::new(false);
        let mut made = pin!(self.inner.get_or_try_init(|| async {
            // Leaves the wait, since the future of `init` is none of its attempts.
            poll_fn(|_| match has_turn.swap(true, Ordering::Relaxed) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
            init().await
        }));
        poll_fn(|cx| {
            if !has_turn.load(Ordering::Relaxed) {
                let attempt = wait.poll(cx, |cx| match made.as_mut().poll(cx) {
                    Poll::Ready(value) => Poll::Ready(Some(value)),
                    Poll::Pending if has_turn.load(Ordering::Relaxed) => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                });
                if let Some(value) = ready!(attempt) {
                    return Poll::Ready(value);
                }
            }
            made.as_mut().poll(cx)
        })
        .await
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> Self {
        Self { inner: value.into() }
    }
}
