//! The list of what waits for a stop: nodes that lie in their owners' memory.
#![expect(unsafe_code, reason = "an intrusive list, so that registering allocates nothing")]

use std::marker::PhantomPinned;
use std::ptr::{self, NonNull};
use std::task::Waker;

use super::shared::{Shared, StopRef};
use super::waiting::StopScope;
use crate::primitive::cell::UnsafeCell;
use crate::primitive::sync::PlainArc;
use crate::primitive::thread::{Thread, ThreadId};

/// What waits for a stop. First in what it is part of, so that a pointer to it is one to the whole.
#[derive(Debug)]
pub(super) struct Node {
    /// What a stop is to do for it. Called once, with the lock of its state, by who has just taken it out of the list.
    pub(super) take: unsafe fn(NonNull<Node>) -> Due,
    /// The state whose list the node is, or was, in; `None` before. The owner's.
    pub(super) registered_with: UnsafeCell<Option<NonNull<Shared>>>,
    /// Touched by whoever has the lock of that state.
    inner: UnsafeCell<Inner>,
    _pinned: PhantomPinned,
}

#[derive(Clone, Copy, Debug)]
struct Inner {
    place: Place,
    prev: *const Node,
    next: *const Node,
}

/// What a stop does for a node, without the lock.
#[derive(Debug)]
pub(super) enum Due {
    /// Call the function. The node's owner waits for the end of that.
    Call(unsafe fn(NonNull<Node>)),
    /// Wake. The node may be gone by then.
    Wake(Option<Waker>),
    /// Stop this one too, unless it is about to be freed. The node may be gone by then.
    Stop(Option<StopRef>),
    /// Wake who waits in this scope, unless it is about to be freed. The node may be gone by then.
    Scope(Option<PlainArc<StopScope>>),
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is not registered, or has been run.
    Outside,
    /// It is in the list.
    Linked,
    /// Whoever requested the stop calls its function.
    Running,
}

/// What a state's lock guards.
#[derive(Debug)]
pub(super) struct List {
    first: *const Node,
    last: *const Node,
    /// How many nodes are registered, those included that have been run: their owners will still take the lock.
    pub(super) nodes: usize,
    /// The node that is being run; null if there is none, or if it is gone.
    pub(super) running: *const Node,
    /// Who runs the nodes, from the stop on.
    pub(super) runner: Option<ThreadId>,
    /// Who waits until the node that is being run has been run.
    pub(super) waiter: Option<Thread>,
}

impl Node {
    /// A node that is not registered.
    #[cfg(not(tress_loom))]
    pub(super) const fn new(take: unsafe fn(NonNull<Node>) -> Due) -> Self {
        let inner = UnsafeCell::new(Inner::OUTSIDE);
        Self { take, registered_with: UnsafeCell::new(None), inner, _pinned: PhantomPinned }
    }

    /// The same; loom's cells cannot be made in a constant.
    #[cfg(tress_loom)]
    pub(super) fn new(take: unsafe fn(NonNull<Node>) -> Due) -> Self {
        let inner = UnsafeCell::new(Inner::OUTSIDE);
        Self { take, registered_with: UnsafeCell::new(None), inner, _pinned: PhantomPinned }
    }

    /// Where the node stands.
    ///
    /// # Safety
    ///
    /// The caller has the lock of the state that the node is registered with.
    pub(super) unsafe fn place(&self) -> Place {
        // SAFETY: the caller's promise.
        unsafe { self.inner() }.place
    }

    /// # Safety
    ///
    /// That of [`place`](Self::place).
    pub(super) unsafe fn set_place(&self, place: Place) {
        // SAFETY: the caller's promise.
        unsafe { self.update(|inner| inner.place = place) }
    }

    /// # Safety
    ///
    /// That of [`place`](Self::place).
    unsafe fn inner(&self) -> Inner {
        // SAFETY: the caller's promise: nobody else touches it meanwhile.
        self.inner.with(|inner| unsafe { *inner })
    }

    /// # Safety
    ///
    /// That of [`place`](Self::place).
    unsafe fn update(&self, f: impl FnOnce(&mut Inner)) {
        // SAFETY: the caller's promise: nobody else touches it meanwhile.
        self.inner.with_mut(|inner| f(unsafe { &mut *inner }));
    }
}

impl Inner {
    const OUTSIDE: Self = Self { place: Place::Outside, prev: ptr::null(), next: ptr::null() };
}

impl List {
    pub(super) const EMPTY: Self = Self {
        first: ptr::null(),
        last: ptr::null(),
        nodes: 0,
        running: ptr::null(),
        runner: None,
        waiter: None,
    };

    /// Puts a node behind the others.
    ///
    /// # Safety
    ///
    /// The node is in no list, stays where it is until it has been taken out of this one, and is not changed by anybody without the
    /// lock that guards this list. The pointer is good for all that the node is part of.
    pub(super) unsafe fn push(&mut self, place: NonNull<Node>) {
        // SAFETY: the caller's promise.
        let node = unsafe { place.as_ref() };
        let prev = self.last;
        // SAFETY: the caller's promise.
        unsafe { node.update(|inner| *inner = Inner { place: Place::Linked, prev, next: ptr::null() }) };
        // SAFETY: null, or a node in the list, which is there for as long as it is in it.
        match unsafe { prev.as_ref() } {
            // SAFETY: the caller has the lock.
            Some(prev) => unsafe { prev.update(|inner| inner.next = place.as_ptr()) },
            None => self.first = place.as_ptr(),
        }
        self.last = place.as_ptr();
    }

    /// Takes the node in front.
    ///
    /// # Safety
    ///
    /// The caller has the lock that guards the list.
    pub(super) unsafe fn pop(&mut self) -> Option<NonNull<Node>> {
        let first = NonNull::new(self.first.cast_mut())?;
        // SAFETY: a node in the list is there for as long as it is in it.
        let node = unsafe { first.as_ref() };
        // SAFETY: it is in this list, and the caller has the lock.
        unsafe { self.remove(node) };
        Some(first)
    }

    /// Takes a node out.
    ///
    /// # Safety
    ///
    /// The node is in this list, and the caller has the lock that guards it.
    pub(super) unsafe fn remove(&mut self, node: &Node) {
        // SAFETY: the caller has the lock.
        let Inner { prev, next, .. } = unsafe { node.inner() };
        // SAFETY: null, or a node in the list.
        match unsafe { prev.as_ref() } {
            // SAFETY: the caller has the lock.
            Some(prev) => unsafe { prev.update(|inner| inner.next = next) },
            None => self.first = next,
        }
        // SAFETY: null, or a node in the list.
        match unsafe { next.as_ref() } {
            // SAFETY: the caller has the lock.
            Some(next) => unsafe { next.update(|inner| inner.prev = prev) },
            None => self.last = prev,
        }
        // SAFETY: the caller has the lock.
        unsafe { node.set_place(Place::Outside) };
    }
}
