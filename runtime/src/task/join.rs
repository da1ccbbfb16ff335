//! The handle that gives a task's output.
#![expect(
    unsafe_code,
    reason = "the handle owns a reference to the frame and, once complete, the output in it"
)]

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::error::JoinError;
use super::raw::RawTask;
use super::state::ToDetached;
use super::{AbortHandle, Id};
use crate::containment::contain_panic;
use crate::leaf::Wait;
use crate::primitive::coarse::Moment;

/// The right to a task's output.
///
/// Awaiting it gives what the task returned, or a [`JoinError`] that says why there is nothing. Dropping it detaches
/// the task, which goes on. Awaiting works from any executor.
///
/// # Cancel safety
///
/// Dropping a pending `await` of `&mut handle` loses nothing; dropping the handle itself detaches the task.
///
/// # Panics
///
/// When polled again after it has given its output.
///
/// # Examples
///
/// ```
/// let runtime = tress::Runtime::new()?;
/// let handle = runtime.spawn(async { 6 * 7 });
/// assert_eq!(runtime.block_on(handle).unwrap(), 42);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct JoinHandle<T> {
    task: RawTask,
    /// Since when somebody waits.
    since: Moment,
    _output: PhantomData<T>,
}

// SAFETY: the handle gives the output, which may then be on another thread than the one that made it.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: a shared handle gives access to the state word only.
unsafe impl<T: Send> Sync for JoinHandle<T> {}
impl<T> Unpin for JoinHandle<T> {}
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// Takes over the join reference of a new task.
    ///
    /// # Safety
    ///
    /// The task's output is `T`, and there is no other join handle.
    #[inline]
    pub(super) unsafe fn new(task: RawTask) -> Self {
        Self { task, since: Moment::NEVER, _output: PhantomData }
    }

    /// Asks for the task to be dropped at its next await.
    ///
    /// A task that has finished is left as it is. Awaiting the handle then says which of the two it was.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = tress::Runtime::new()?;
    /// let handle = runtime.spawn(std::future::pending::<()>());
    /// handle.abort();
    /// assert!(runtime.block_on(handle).unwrap_err().is_aborted());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn abort(&self) {
        self.task.abort();
    }

    /// A handle that can abort the task but not join it.
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle::new(self.task)
    }

    /// Whether the task has finished, was dropped, or never started.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.state().load().is_complete()
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.task.id()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let task = self.task;
        let mut wait = Wait::resume("task", Location::caller(), self.since);
        if wait.poll(cx, |cx| poll_complete(task, cx)).is_pending() {
            self.since = wait.since();
            return Poll::Pending;
        }
        self.take_output()
    }
}

impl<T> JoinHandle<T> {
    /// As a poll, but whoever waits is not asked to stop, and has a record of its own of what it waits for.
    pub(super) fn poll_shielded(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        if poll_complete(self.task, cx).is_pending() {
            return Poll::Pending;
        }
        self.take_output()
    }

    /// The output of a task that is complete. Once it has been given, nobody asks again.
    #[inline(always)]
    fn take_output(&mut self) -> Poll<Result<T, JoinError>> {
        let task = self.task;
        // Written where the caller wants it.
        let mut output = Poll::Pending;
        // SAFETY: the task is complete and the caller is its join handle; the address is that of a value of the
        // type that the table's function writes.
        unsafe { (task.vtable().take_output)(task.as_ptr(), NonNull::from(&mut output).cast()) };
        output
    }
}

/// Waits until the task is complete.
#[inline(always)]
fn poll_complete(task: RawTask, cx: &Context<'_>) -> Poll<()> {
    match task.state().load().is_complete() || !set_join_waker(task, cx) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    }
}

/// Leaves the context's waker with the task. False if the task has completed.
fn set_join_waker(task: RawTask, cx: &Context<'_>) -> bool {
    // A foreign waker's clone and drop may do anything, also panic: they are called while the cell and the flag agree,
    // so that between polls the cell is empty whenever the flag is clear.
    let waker = cx.waker().clone();
    if task.state().load().has_join_waker() && !task.state().transition_to_join_waker_unset() {
        return false;
    }
    // SAFETY: `JOIN_WAKER` is clear and the task was not complete: the cell is the handle's until it is set again.
    let former = unsafe { task.replace_join_waker(Some(waker)) };
    if task.state().transition_to_join_waker_set() {
        contain_panic(|| drop(former));
        return true;
    }
    // SAFETY: the task completed without `JOIN_WAKER`: the cell stays the handle's.
    let waker = unsafe { task.replace_join_waker(None) };
    contain_panic(|| drop(former));
    contain_panic(|| drop(waker));
    false
}

impl<T> JoinHandle<T> {
    /// Drops the output of a task that has ended, whose handle is going away.
    fn drop_output(&self) {
        // SAFETY: the task has ended, and the caller is its join handle, which takes no output any more.
        unsafe { (self.task.vtable().drop_output)(self.task.as_ptr()) };
    }
}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        match self.task.state().transition_to_detached() {
            ToDetached::Released => return,
            ToDetached::DropWaker => {
                // SAFETY: the transition gave the cell back to the handle.
                let waker = unsafe { self.task.replace_join_waker(None) };
                contain_panic(|| drop(waker));
            }
            ToDetached::DropOutput => self.drop_output(),
            ToDetached::DropBoth => {
                // SAFETY: the transition gave the cell back to the handle.
                let waker = unsafe { self.task.replace_join_waker(None) };
                contain_panic(|| drop(waker));
                self.drop_output();
            }
        }
        self.task.release();
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("id", &self.id()).field("finished", &self.is_finished()).finish()
    }
}
