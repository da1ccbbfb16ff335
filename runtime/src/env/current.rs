//! The environment that the current thread runs code with.
#![expect(unsafe_code, reason = "a scoped thread-local pointer; a counted one would cost on every poll")]

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::task::Waker;

use super::node::{Env, Node};
use crate::containment::contain_panic;
use crate::primitive::sync::PlainArc;
use crate::primitive::thread::thread_local;
use crate::stop::StopScope;

thread_local! {
    /// Null, or what an `Arc` points to that a guard further up on this thread's stack borrows.
    static CURRENT: Cell<*const Node> = const { Cell::new(ptr::null()) };
}

#[inline(always)]
fn get() -> *const Node {
    CURRENT.try_with(Cell::get).unwrap_or(ptr::null())
}

#[inline(always)]
fn replace(node: *const Node) -> *const Node {
    CURRENT.try_with(|current| current.replace(node)).unwrap_or(ptr::null())
}

/// Has the thread run with an environment until it is dropped.
#[derive(Debug)]
pub(crate) struct Entered<'a> {
    outer: *const Node,
    _borrow: PhantomData<&'a Env>,
}

impl Entered<'static> {
    /// Begins to run with nothing.
    ///
    /// # Safety
    ///
    /// That of [`new`](Self::new).
    pub(crate) unsafe fn nothing() -> Self {
        Self { outer: replace(ptr::null()), _borrow: PhantomData }
    }
}

impl<'a> Entered<'a> {
    /// Begins to run with `env`.
    ///
    /// # Safety
    ///
    /// The guard is dropped: on this thread, before `'a` ends, and before any guard that was made earlier.
    #[inline]
    pub(crate) unsafe fn new(env: &'a Env) -> Self {
        let node = env.0.as_ref().map_or(ptr::null(), PlainArc::as_ptr);
        Self { outer: replace(node), _borrow: PhantomData }
    }
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        replace(self.outer);
    }
}

/// Runs `f` with an environment.
pub(crate) fn within<R>(env: &Env, f: impl FnOnce() -> R) -> R {
    // SAFETY: the guard lives on this stack frame, and what it borrows outlives that.
    let _entered = unsafe { Entered::new(env) };
    f()
}

/// Runs `f` with no environment: what it polls or drops is none of the caller's.
pub(crate) fn outside<R>(f: impl FnOnce() -> R) -> R {
    within(&Env::empty(), f)
}

/// Lends the current environment.
#[inline]
pub(super) fn with<R>(f: impl FnOnce(&Env) -> R) -> R {
    let node = get();
    let env = if node.is_null() {
        Env(None)
    } else {
        // SAFETY: it came from an `Arc` that is borrowed further up on this stack; the count that this takes over is given back by
        // not dropping it.
        Env(Some(unsafe { PlainArc::from_raw(node) }))
    };
    f(&ManuallyDrop::new(env))
}

/// Whether the thread runs with no environment.
#[inline(always)]
pub(crate) fn is_empty() -> bool {
    get().is_null()
}

/// Calls `f` with what stops the code that runs, if anything does.
#[inline(always)]
pub(crate) fn stop_scope<R>(f: impl FnOnce(&StopScope) -> R) -> Option<R> {
    // SAFETY: null, or borrowed by a guard further up on this stack.
    let node = unsafe { get().as_ref() }?;
    node.stop.as_deref().map(f)
}

/// What a detached task that is spawned now inherits, if that is anything.
pub(crate) fn detached() -> Option<Env> {
    with(Env::inherited_by_detached)
}

/// An environment that is kept in a frame, counted by hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded(NonNull<Node>);

impl Recorded {
    /// Keeps the current environment, if it is not empty, until it is released.
    #[inline]
    pub(crate) fn current() -> Option<Self> {
        let node = NonNull::new(get().cast_mut())?;
        // SAFETY: it came from an `Arc`, which is borrowed further up on this stack.
        unsafe { PlainArc::increment_strong_count(node.as_ptr().cast_const()) };
        Some(Self(node))
    }

    /// Has the thread run with the environment until the guard is dropped.
    ///
    /// # Safety
    ///
    /// The guard is dropped: on this thread, before the environment is released, and before any guard that was made earlier.
    #[inline]
    pub(crate) unsafe fn enter<'a>(self) -> Entered<'a> {
        Entered { outer: replace(self.0.as_ptr()), _borrow: PhantomData }
    }

    /// Lets go of it, for somebody who has waited by this waker. What the drop of a value panics with ends there.
    ///
    /// # Safety
    ///
    /// It is released once, and not used afterwards.
    pub(crate) unsafe fn release(self, waker: &Waker) {
        contain_panic(|| {
            // SAFETY: the caller's promise: this is the count that `current` took.
            let node = unsafe { PlainArc::from_raw(self.0.as_ptr().cast_const()) };
            if let Some(stop) = &node.stop {
                stop.forget(waker);
            }
        });
    }

    /// Whether what runs with it is stopped as part of this scope.
    pub(crate) fn is_stopped_by(&self, scope: &StopScope) -> bool {
        // SAFETY: it has not been released.
        let node = unsafe { self.0.as_ref() };
        node.stop.as_deref().is_some_and(|stop| ptr::eq(stop, scope))
    }
}
