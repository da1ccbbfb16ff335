//! Calls that the caller makes himself, once the state is his.
#![expect(unsafe_code, reason = "lends the state to a future of the caller's")]

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tress_runtime::leaf::Wait;
use tress_runtime::seam::run;

use super::CallError;
use super::core::{Core, HandBack};
use super::reentrance;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::serial::{Acquire, Serial};

/// Makes the caller the holder.
pub(super) struct Enter<'a, T> {
    core: &'a Core<T>,
    acquire: Acquire<'a>,
    wait: Wait,
    is_shielded: bool,
}

impl<'a, T: Send + 'static> Enter<'a, T> {
    pub(super) fn new(core: &'a Core<T>, wait: Wait) -> Self {
        Self { core, acquire: Acquire::new(&core.serial), wait, is_shielded: false }
    }

    /// Goes on if the caller is to stop.
    fn shielded(self) -> Self {
        Self { is_shielded: true, ..self }
    }

    /// Ready when the caller is the holder, and at work.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        let Self { core, acquire, wait, is_shielded } = self;
        let attempt = |cx: &mut Context<'_>| {
            if acquire.try_at_once() {
                return Poll::Ready(Ok(()));
            }
            if acquire.is_new() && (core.serial.is_current() || reentrance::is_inside(core)) {
                return Poll::Ready(Err(CallError::Reentrant));
            }
            acquire.poll(cx).map_err(|_refused| CallError::Refused)
        };
        if *is_shielded { wait.poll_shielded(cx, attempt) } else { wait.poll(cx, attempt) }
    }
}

/// The future of [`Actor::with`](super::Actor::with).
#[must_use = "futures do nothing unless awaited"]
pub struct With<'a, T: Send + 'static, F> {
    enter: Enter<'a, T>,
    f: Option<F>,
}

/// Nothing in it is pinned: the closure is called, not polled.
impl<T: Send + 'static, F> Unpin for With<'_, T, F> {}

impl<'a, T: Send + 'static, F> With<'a, T, F> {
    pub(super) fn new(core: &'a Core<T>, f: F, wait: Wait) -> Self {
        Self { enter: Enter::new(core, wait), f: Some(f) }
    }
}

impl<T: Send + 'static, F: FnOnce(&mut T) -> R, R> Future for With<'_, T, F> {
    type Output = Result<R, CallError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { enter, f } = self.get_mut();
        assert!(f.is_some(), "a call was polled after it had been completed");
        match enter.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(entered) => {
                let f = f.take().expect("it was just there");
                Poll::Ready(match entered {
                    // SAFETY: it has just been entered, and the caller has a handle.
                    Ok(()) => unsafe { enter.core.run_as_holder(f) },
                    Err(error) => Err(error),
                })
            }
        }
    }
}

impl<T: Send + 'static, F> fmt::Debug for With<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("With").field("is_done", &self.f.is_none()).finish_non_exhaustive()
    }
}

/// The caller is the holder, from one poll to the next, until this is dropped.
struct Held<'a, T: Send + 'static> {
    core: &'a Core<T>,
    /// Whether the closure has had its say; if not, it was cancelled or has panicked.
    is_whole: bool,
    is_polling: bool,
}

impl<T: Send + 'static> Held<'_, T> {
    /// Calls `f` as the holder, who is at work.
    fn poll<R>(&mut self, f: impl FnOnce() -> R) -> R {
        /// Until the next poll the holder is not at work, also if this one unwinds.
        struct Sleep<'a>(&'a Serial);

        impl Drop for Sleep<'_> {
            fn drop(&mut self) {
                self.0.sleep();
            }
        }

        self.is_polling = true;
        self.core.serial.enter();
        let sleep = Sleep(&self.core.serial);
        let result = f();
        drop(sleep);
        self.is_polling = false;
        result
    }
}

impl<T: Send + 'static> Drop for Held<'_, T> {
    fn drop(&mut self) {
        self.core.serial.enter();
        if self.is_whole {
            // SAFETY: the holder, who is at work and has a handle.
            unsafe { self.core.serial.leave() };
        } else {
            drop(HandBack { core: self.core, is_unwinding: self.is_polling });
        }
    }
}

/// Becomes the holder, then has the closure's future polled until it is ready.
pub(super) async fn call_async<T, F, R>(core: &Core<T>, f: F, wait: Wait) -> Result<R, CallError>
where
    T: Send + 'static,
    F: AsyncFnOnce(&mut T) -> R,
{
    let mut enter = Enter::new(core, wait);
    poll_fn(|cx| enter.poll(cx)).await?;
    drop(enter);
    let mut held = Held { core, is_whole: false, is_polling: false };
    if core.is_poisoned() {
        held.is_whole = true;
        return Err(CallError::Poisoned);
    }
    core.serial.sleep();
    let result = {
        // SAFETY: the state is the holder's, and that is this until `held` is dropped, which is after the future that borrows it.
        let state = unsafe { &mut *core.state_ptr() };
        // The closure itself is called in the first poll, too.
        let mut future = pin!(reentrance::inside(core, async { f(state).await }));
        poll_fn(|cx| held.poll(|| future.as_mut().poll(cx))).await
    };
    held.is_whole = true;
    Ok(result)
}

/// Access to an actor's state while nobody else has it: for the future of a [`call_interleaved`](super::Actor::call_interleaved).
pub struct Access<'a, T: Send + 'static> {
    core: &'a Core<T>,
    /// Values: the number of the run that polls the future, and has the state for it; 0 in between, and while the state is lent. Written by whoever polls,
    /// `Relaxed`: who reads his own number has written it.
    run: &'a AtomicU64,
}

/// Why [`Access::try_with`] does not lend the state: the calling code is not part of the poll of the future that the access was given to, or the state is lent
/// already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessError;

impl<T: Send + 'static> Access<'_, T> {
    /// Calls `f` with the state.
    ///
    /// # Panics
    ///
    /// If the calling code is not part of the poll of the future that the access was given to: because it runs on another thread, in a
    /// [`Lazy`](tress_runtime::task::Lazy) below it, or in a drop; and from inside another `with`.
    #[track_caller]
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("`Access::with`: {error}"),
        }
    }

    /// Calls `f` with the state, if that can be.
    ///
    /// # Errors
    ///
    /// Where [`with`](Self::with) panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::strand::Actor;
    ///
    /// # tress::Runtime::new().unwrap().block_on(async {
    /// let actor = Actor::new(7);
    /// let nested = actor.call_interleaved(async |access| {
    ///     access.with(|number| (*number, access.try_with(|_| ()).is_err()))
    /// });
    /// assert_eq!(nested.await, Ok((7, true)));
    /// # });
    /// ```
    pub fn try_with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R, AccessError> {
        /// Ends the loan.
        struct Restore<'a>(&'a AtomicU64, u64);

        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                self.0.store(self.1, Ordering::Relaxed);
            }
        }

        let number = self.run.load(Ordering::Relaxed);
        if !run::is_current(number) {
            return Err(AccessError);
        }
        self.run.store(0, Ordering::Relaxed);
        let _restore = Restore(self.run, number);
        // SAFETY: this thread is in the poll of a future that is polled by the holder only, and has not lent the state.
        Ok(unsafe { self.core.with_state(f) })
    }
}

impl<T: Send + 'static> fmt::Debug for Access<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_current = run::is_current(self.run.load(Ordering::Relaxed));
        f.debug_struct("Access").field("is_current", &is_current).finish_non_exhaustive()
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the state is lent in a poll of the future that the access was given to, and once at a time",
        )
    }
}

impl Error for AccessError {}

/// Becomes the holder for each poll of the closure's future.
pub(super) async fn call_interleaved<T, F, R>(core: &Core<T>, f: F, wait: Wait) -> Result<R, CallError>
where
    T: Send + 'static,
    F: AsyncFnOnce(Access<'_, T>) -> R,
{
    /// The poll is over, also if it unwinds.
    struct Clear<'a>(&'a AtomicU64);

    impl Drop for Clear<'_> {
        fn drop(&mut self) {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    let (what, location) = (wait.what(), wait.location());
    let run = AtomicU64::new(0);
    let access = Access { core, run: &run };
    // The closure itself is called in the first poll, too.
    let mut future = pin!(async { f(access).await });
    let mut entering = Some(Enter::new(core, wait));
    poll_fn(|cx| {
        // From the second poll on, it is for the future to say what a stop leads to.
        let enter = entering.get_or_insert_with(|| Enter::new(core, Wait::at(what, location)).shielded());
        let entered = ready!(enter.poll(cx));
        entering = None;
        entered?;
        let hand_back = HandBack { core, is_unwinding: true };
        let poll = match core.is_poisoned() {
            true => Poll::Ready(Err(CallError::Poisoned)),
            false => {
                run.store(run::current(), Ordering::Relaxed);
                let _clear = Clear(&run);
                future.as_mut().poll(cx).map(Ok)
            }
        };
        mem::forget(hand_back);
        // SAFETY: it has been entered above, and the caller has a handle.
        unsafe { core.serial.leave() };
        poll
    })
    .await
}
