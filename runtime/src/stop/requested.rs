//! Waiting for a stop.
#![expect(unsafe_code, reason = "lies in its owner's memory, and is woken from the thread that stops")]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

use super::list::{Due, Node};
use super::shared::{Registered, StopRef, deregister, register, while_registered};
use super::token::StopToken;
use crate::leaf::Wait;
use crate::primitive::cell::UnsafeCell;

/// The future of [`StopToken::stop_requested`].
#[must_use = "futures do nothing unless awaited"]
#[repr(C)]
pub struct StopRequested {
    /// First, so that a pointer to it is one to the future.
    node: Node,
    /// The owner's before it is registered and after the stop; in between, of who has the lock.
    waker: UnsafeCell<Option<Waker>>,
    token: StopToken,
    is_registered: bool,
    wait: Wait,
}

// SAFETY: wakers may be woken and dropped on any thread.
unsafe impl Send for StopRequested {}
// SAFETY: nothing can be done with a shared one.
unsafe impl Sync for StopRequested {}

impl StopRequested {
    #[track_caller]
    pub(super) fn new(token: StopToken) -> Self {
        let waker = UnsafeCell::new(None);
        Self { node: Node::new(take), waker, token, is_registered: false, wait: Wait::new("stop request") }
    }

    /// Leaves the waker with the stop, whose list this is in. False if that has been requested.
    fn exchange_waker(cell: &UnsafeCell<Option<Waker>>, stop: &StopRef, waker: &Waker) -> bool {
        let is_same = || {
            // SAFETY: as said at the field: with the lock, and before the stop is requested.
            cell.with(|cell| unsafe { (*cell).as_ref().is_some_and(|former| former.will_wake(waker)) })
        };
        match while_registered(stop, is_same) {
            None => return false,
            Some(true) => return true,
            Some(false) => {}
        }
        // A foreign waker's clone and drop may do anything: they are called without the lock.
        let waker = waker.clone();
        // SAFETY: as above.
        let put = || cell.with_mut(|cell| unsafe { (*cell).replace(waker) });
        while_registered(stop, put).is_some_and(|former| {
            drop(former);
            true
        })
    }
}

impl Future for StopRequested {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Field by field: a stop may be at the node and the waker, which are not borrowed exclusively.
        // SAFETY: nothing is moved out of it.
        let this: *mut Self = unsafe { self.get_unchecked_mut() };
        // SAFETY: the future is there, and shared with a stop by its cells only.
        let cell = unsafe { &(*this).waker };
        // SAFETY: as above; the token is the owner's, who lends it here.
        let token = unsafe { &(*this).token };
        // SAFETY: as above.
        let is_registered = unsafe { &mut (*this).is_registered };
        // SAFETY: as above.
        let wait = unsafe { &mut (*this).wait };
        // Not stopped by what it waits for.
        wait.poll_shielded(cx, |cx| {
            // Nobody can request it.
            let Some(stop) = token.stop() else { return Poll::Pending };
            if stop.is_stopped() {
                return Poll::Ready(());
            }
            let waits = if *is_registered {
                Self::exchange_waker(cell, stop, cx.waker())
            } else {
                // SAFETY: it is not registered: the cell is the owner's.
                cell.with_mut(|cell| unsafe { *cell = Some(cx.waker().clone()) });
                let node = NonNull::new(this).expect("a reference is not null").cast();
                // SAFETY: the future is pinned, and deregisters itself when it is dropped; a waker may be woken on any thread.
                *is_registered = unsafe { register(node, stop) } == Registered::Yes;
                if !*is_registered {
                    // SAFETY: as before: it is not registered.
                    drop(cell.with_mut(|cell| unsafe { (*cell).take() }));
                }
                *is_registered
            };
            if waits { Poll::Pending } else { Poll::Ready(()) }
        })
    }
}

impl Drop for StopRequested {
    fn drop(&mut self) {
        // SAFETY: the owner drops it.
        unsafe { deregister(&self.node) };
    }
}

impl fmt::Debug for StopRequested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopRequested").field("token", &self.token).finish_non_exhaustive()
    }
}

/// What a stop does for who waits.
///
/// # Safety
///
/// The node is that of a `StopRequested`, and the caller has its state's lock.
unsafe fn take(node: NonNull<Node>) -> Due {
    let future = node.cast::<StopRequested>();
    // SAFETY: the owner takes the lock before it lets go of the future.
    let cell = unsafe { &(*future.as_ptr()).waker };
    // SAFETY: with the lock, the waker is the caller's.
    Due::Wake(cell.with_mut(|cell| unsafe { (*cell).take() }))
}
