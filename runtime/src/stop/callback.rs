//! Functions that are called when a stop is requested.
#![expect(unsafe_code, reason = "lies in its owner's memory, and is called from the thread that stops")]

use std::fmt;
use std::pin::Pin;
use std::ptr::NonNull;

use super::list::{Due, Node};
use super::shared::{Registered, deregister, register};
use super::token::StopToken;
use crate::primitive::cell::UnsafeCell;

/// A function that is called when a stop is requested.
///
/// It is called at most once, on the thread that requests the stop, after that is visible to every token, and under no lock: it may use the
/// stop's tokens and sources, register other callbacks (which are called at once then), and drop itself. It should be short.
///
/// # Dropping it
///
/// Means that it will not be called any more: if it is being called on another thread, the drop waits until that is over. So do not hold a
/// lock there that the function takes, nor drop on each of two threads a callback that the other one is calling. In its own call, the drop
/// does not wait.
///
/// # Why `'static`
///
/// What is pinned may be leaked, and whatever the function borrowed could be gone when it is called.
///
/// # Examples
///
/// ```
/// use std::pin::pin;
/// use std::sync::mpsc;
/// use tress::stop::{StopCallback, StopSource};
///
/// let source = StopSource::new();
/// let (tell, told) = mpsc::channel();
/// {
///     let callback = pin!(StopCallback::new(move || tell.send("stopped").unwrap()));
///     callback.register(&source.token());
///     source.request_stop();
/// }
/// assert_eq!(told.recv().unwrap(), "stopped");
/// ```
#[repr(C)]
pub struct StopCallback<F> {
    /// First, so that a pointer to it is one to the callback.
    node: Node,
    /// The owner's before it is registered and after it has been deregistered; in between, the stop's.
    function: UnsafeCell<Option<F>>,
}

// SAFETY: all that is done with the function is to call it or to drop it, on whichever thread.
unsafe impl<F: Send> Send for StopCallback<F> {}
// SAFETY: nothing can be done with a shared callback.
unsafe impl<F: Send> Sync for StopCallback<F> {}

impl<F: FnOnce() + Send + 'static> StopCallback<F> {
    /// Makes a callback that waits for nothing yet.
    #[must_use = "a callback is called only if it is registered, and until it is dropped"]
    pub fn new(function: F) -> Self {
        Self { node: Node::new(take::<F>), function: UnsafeCell::new(Some(function)) }
    }

    /// Has the function called when the token's stop is requested: at once, on this thread, if it has been already.
    ///
    /// Allocates nothing: the callback becomes part of the stop's list.
    ///
    /// # Panics
    ///
    /// If it has been registered before, or called. If the function is called at once and panics.
    pub fn register(self: Pin<&mut Self>, token: &StopToken) {
        let this = self.into_ref().get_ref();
        // SAFETY: the cell is written by the owner only, and the exclusive borrow is its.
        let is_registered = this.node.registered_with.with(|place| unsafe { (*place).is_some() });
        // SAFETY: the function is the owner's, if it is not registered.
        let is_spent = is_registered || this.function.with(|function| unsafe { (*function).is_none() });
        assert!(!is_spent, "a StopCallback was registered twice");
        let Some(stop) = token.stop() else { return };
        // SAFETY: the callback is pinned, and deregisters itself when it is dropped; the function is `Send` and borrows nothing.
        if unsafe { register(NonNull::from(this).cast(), stop) } == Registered::Stopped {
            // SAFETY: it is registered nowhere, so the function is the owner's, who lends it exclusively.
            let function = this.function.with_mut(|function| unsafe { (*function).take() });
            if let Some(function) = function {
                function();
            }
        }
    }
}

impl<F> Drop for StopCallback<F> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the owner drops it.
        unsafe { deregister(&self.node) };
    }
}

impl<F> fmt::Debug for StopCallback<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopCallback").finish_non_exhaustive()
    }
}

/// What a stop does for a callback.
///
/// # Safety
///
/// The node is that of a callback with a function of this type.
unsafe fn take<F: FnOnce()>(_node: NonNull<Node>) -> Due {
    Due::Call(call::<F>)
}

/// Calls the function.
///
/// # Safety
///
/// The node is that of a callback with a function of this type, which is being run.
unsafe fn call<F: FnOnce()>(node: NonNull<Node>) {
    let callback = node.cast::<StopCallback<F>>();
    // SAFETY: the owner waits for the end of this call, except on this thread, where it can drop the callback from the function only.
    let function = unsafe { &(*callback.as_ptr()).function };
    // Out of the callback first: the function may drop it.
    // SAFETY: while a node is run, its function is the stop's.
    let function = function.with_mut(|function| unsafe { (*function).take() });
    if let Some(function) = function {
        function();
    }
}
