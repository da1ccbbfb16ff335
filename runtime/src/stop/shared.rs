//! What the sources, tokens and callbacks of one stop share.
#![expect(
    unsafe_code,
    reason = "counts its own references, since callbacks keep it without being counted in them"
)]

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};
use std::task::Waker;

use super::list::{Due, List, Node, Place};
use super::state::{ToRegistering, ToStopped, Word};
use crate::containment::{contain_panic, discard_payload};
use crate::primitive::cell::UnsafeCell;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};
use crate::primitive::thread::{ThreadId, current, park};

/// One stop: whether it was requested, and what is to happen then.
///
/// | field | who may touch it, when |
/// |---|---|
/// | `link` | see [`Node`]; first, so that a pointer to it is one to the whole |
/// | `word`, `refs` | anybody for whom the state is kept |
/// | `list` | whoever has the lock in `word` |
#[repr(C)]
pub(super) struct Shared {
    /// The state's place in the list of its parent, if it has one.
    link: Node,
    word: Word,
    /// Values: how many sources and tokens there are. Becomes zero under the lock only, and may become more again under the lock, by a
    /// parent's stop. The release of each decrement pairs with the acquire of the lock of whoever frees the state.
    refs: AtomicUsize,
    list: UnsafeCell<List>,
    /// Has loom look for states that nobody frees.
    #[cfg(tress_loom)]
    _alive: loom::sync::Arc<()>,
    #[cfg(tress_loom)]
    touched: UnsafeCell<()>,
}

// SAFETY: the list is guarded by the lock; what its nodes point to is used by the thread that stops, which their owners vouch for.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

/// A counted reference to a state.
pub(super) struct StopRef(NonNull<Shared>);

// SAFETY: it shares a `Shared`, which is `Send` and `Sync`.
unsafe impl Send for StopRef {}
// SAFETY: as above.
unsafe impl Sync for StopRef {}

/// What a node's owner finds when it registers.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Registered {
    /// The node is in the list.
    Yes,
    /// A stop has been requested already: the node stays as it was.
    Stopped,
}

/// What a panic carries.
type Payload = Box<dyn Any + Send>;

impl StopRef {
    /// A state of its own.
    pub(super) fn new() -> Self {
        let shared = Box::new(Shared {
            link: Node::new(take_link),
            word: Word::new(),
            refs: AtomicUsize::new(1),
            list: UnsafeCell::new(List::EMPTY),
            #[cfg(tress_loom)]
            _alive: loom::sync::Arc::new(()),
            #[cfg(tress_loom)]
            touched: UnsafeCell::new(()),
        });
        Self(NonNull::from(Box::leak(shared)))
    }

    /// A state that is stopped when `parent` is.
    pub(super) fn child_of(parent: &Self) -> Self {
        let child = Self::new();
        // SAFETY: the link lies in the child, which does not move, and is taken out of the list before the child is freed. What it does
        // when it is run may be done on any thread.
        let registered = unsafe { register(child.0.cast(), parent) };
        if registered == Registered::Stopped {
            child.request_stop();
        }
        child
    }

    #[inline]
    fn get(&self) -> &Shared {
        // SAFETY: the reference counts, so the state is there.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(super) fn is_stopped(&self) -> bool {
        self.get().word.is_stopped()
    }

    /// Whether both are of the same stop.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Requests the stop and runs what waits for it: in the order of registration, then what waits for the stops linked to this one. False
    /// if somebody else was earlier. A panic of one callback goes on when all have been run.
    pub(super) fn request_stop(&self) -> bool {
        // Before the lock is taken: it may allocate, and in the last destructors of a thread panic.
        let runner = current().id();
        if self.get().word.transition_to_stopped() == ToStopped::Already {
            return false;
        }
        let mut panic = None;
        // A list, not recursion: links may be deep.
        let mut linked = VecDeque::new();
        self.get().run_all(runner, &mut linked, &mut panic);
        while let Some(child) = linked.pop_front() {
            if child.get().word.transition_to_stopped() == ToStopped::Locked {
                child.get().run_all(runner, &mut linked, &mut panic);
            }
        }
        match panic {
            None => {}
            // A second panic would end the process.
            Some(payload) if std::thread::panicking() => discard_payload(payload),
            Some(payload) => resume_unwind(payload),
        }
        true
    }
}

impl Clone for StopRef {
    #[inline]
    fn clone(&self) -> Self {
        // `Relaxed`: a new reference is made from an existing one, which orders everything that matters.
        let former = self.get().refs.fetch_add(1, Ordering::Relaxed);
        if former > REF_LIMIT {
            std::process::abort();
        }
        Self(self.0)
    }
}

impl Drop for StopRef {
    fn drop(&mut self) {
        let shared = self.get();
        shared.touch();
        // `Relaxed`: the exchange below orders what matters.
        let mut refs = shared.refs.load(Ordering::Relaxed);
        while refs > 1 {
            let less =
                shared.refs.compare_exchange_weak(refs, refs - 1, Ordering::Release, Ordering::Relaxed);
            match less {
                Ok(_) => return,
                Err(actual) => refs = actual,
            }
        }
        // It may be the last one, which goes under the lock only: a parent's stop may be about to make another.
        shared.word.transition_to_locked();
        // `Release`, as above; `Acquire`, if it is the last, pairs with the others'.
        let is_last = shared.refs.fetch_sub(1, Ordering::AcqRel) == 1;
        // SAFETY: this call has the lock.
        unsafe { leave(self.0, is_last) };
    }
}

impl Shared {
    /// Has loom check that this comes before the state is freed.
    #[inline]
    fn touch(&self) {
        #[cfg(tress_loom)]
        self.touched.with(|_| ());
    }

    /// Lends the list.
    ///
    /// # Safety
    ///
    /// The caller has the lock, and `f` does not give it up.
    #[inline]
    unsafe fn with_list<R>(&self, f: impl FnOnce(&mut List) -> R) -> R {
        // SAFETY: the lock guards the list.
        self.list.with_mut(|list| f(unsafe { &mut *list }))
    }

    /// Does what is due for each node in the list. The caller has the lock, and a reference; the lock is given up.
    fn run_all(&self, runner: ThreadId, linked: &mut VecDeque<StopRef>, panic: &mut Option<Payload>) {
        loop {
            let take = |list: &mut List| {
                list.runner = Some(runner);
                // SAFETY: this call has the lock.
                let node = unsafe { list.pop() }?;
                // SAFETY: the node's owner takes the lock before it lets go of the node.
                let header = unsafe { node.as_ref() };
                // SAFETY: this call has the lock, and has just taken the node out.
                let due = unsafe { (header.take)(node) };
                if matches!(due, Due::Call(_)) {
                    list.running = node.as_ptr();
                    // SAFETY: this call has the lock.
                    unsafe { header.set_place(Place::Running) };
                }
                Some((node, due))
            };
            // SAFETY: this call has the lock.
            let next = unsafe { self.with_list(take) };
            self.word.transition_to_unlocked();
            match next {
                None => return,
                Some((_, Due::Wake(waker))) => contain_panic(|| waker.into_iter().for_each(Waker::wake)),
                Some((_, Due::Stop(child))) => linked.extend(child),
                // Its drop may take the lock, which is given up.
                Some((_, Due::Scope(scope))) => {
                    contain_panic(|| scope.iter().for_each(|scope| scope.wake_all()))
                }
                Some((node, Due::Call(call))) => {
                    // SAFETY: the node was registered, and is called once. Its owner waits until that is over, if that is on
                    // another thread.
                    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| unsafe { call(node) })) {
                        match panic {
                            None => *panic = Some(payload),
                            Some(_) => discard_payload(payload),
                        }
                    }
                    self.end_call(node);
                }
            }
            self.word.transition_to_locked();
        }
    }

    /// Says that a node's function has been called, and wakes who waits for that.
    fn end_call(&self, node: NonNull<Node>) {
        self.word.transition_to_locked();
        let end = |list: &mut List| {
            if ptr::eq(list.running, node.as_ptr()) {
                list.running = ptr::null();
                // SAFETY: its owner has not let go of it, or it would not stand there any more.
                let node = unsafe { node.as_ref() };
                // SAFETY: this call has the lock.
                unsafe { node.set_place(Place::Outside) };
            }
            list.waiter.take()
        };
        // SAFETY: this call has the lock.
        let waiter = unsafe { self.with_list(end) };
        self.word.transition_to_unlocked();
        if let Some(waiter) = waiter {
            waiter.unpark();
        }
    }
}

impl fmt::Debug for StopRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StopRef").field(&self.0).finish()
    }
}

/// Puts a node into the list of a state, unless that is stopped.
///
/// # Safety
///
/// The node is registered nowhere and in the caller's hands alone; the pointer is good for all that it is part of. The node stays where it
/// is until [`deregister`] has returned, and what is due for it may be done on any thread.
#[inline]
pub(super) unsafe fn register(node: NonNull<Node>, with: &StopRef) -> Registered {
    let shared = with.get();
    match shared.word.transition_to_registering() {
        ToRegistering::Stopped => Registered::Stopped,
        ToRegistering::Locked => {
            // SAFETY: the node is there.
            let header = unsafe { node.as_ref() };
            // SAFETY: the node is the caller's.
            header.registered_with.with_mut(|place| unsafe { *place = Some(with.0) });
            let add = |list: &mut List| {
                list.nodes += 1;
                // SAFETY: the caller's promise; the list is this state's.
                unsafe { list.push(node) };
            };
            // SAFETY: this call has the lock.
            unsafe { shared.with_list(add) };
            shared.word.transition_to_unlocked();
            Registered::Yes
        }
    }
}

/// Calls `f` with the lock, which must not be given up nor foreign code be called in it; `None` if the stop has been requested.
pub(super) fn while_registered<R>(with: &StopRef, f: impl FnOnce() -> R) -> Option<R> {
    let word = &with.get().word;
    match word.transition_to_registering() {
        ToRegistering::Stopped => None,
        ToRegistering::Locked => {
            let result = f();
            word.transition_to_unlocked();
            Some(result)
        }
    }
}

/// Takes a node out of the list it is in, if it is in one. If its function is being called on another thread, waits until that is over.
///
/// # Safety
///
/// The node is the caller's, who does not call this on two threads at once.
#[inline]
pub(super) unsafe fn deregister(node: &Node) {
    // SAFETY: the caller's promise.
    if let Some(shared) = unsafe { take_out(node) } {
        // SAFETY: its lock, which is this call's, keeps the state.
        let no_refs = unsafe { shared.as_ref() }.has_no_refs();
        // SAFETY: this call has the lock, and the node is registered no more.
        unsafe { leave(shared, no_refs) };
    }
}

/// As [`deregister`], but leaves it to the caller to give up the lock of the state that it returns.
///
/// # Safety
///
/// That of [`deregister`].
#[inline]
unsafe fn take_out(node: &Node) -> Option<NonNull<Shared>> {
    // SAFETY: the caller's promise.
    let place = node.registered_with.with_mut(|place| unsafe { (*place).take() })?;
    // SAFETY: a state stays for as long as a node is registered with it.
    let shared = unsafe { place.as_ref() };
    shared.word.transition_to_locked();
    // SAFETY: this call has the lock.
    match unsafe { node.place() } {
        Place::Outside => {}
        Place::Linked => {
            // SAFETY: it is in this list, whose lock this call has.
            let remove = |list: &mut List| unsafe { list.remove(node) };
            // SAFETY: this call has the lock.
            unsafe { shared.with_list(remove) };
        }
        Place::Running => shared.wait_for(node),
    }
    // SAFETY: this call has the lock.
    unsafe { shared.with_list(|list| list.nodes -= 1) };
    Some(place)
}

impl Shared {
    /// Whether there are neither sources nor tokens. With the lock, under which alone that becomes so.
    #[inline]
    fn has_no_refs(&self) -> bool {
        // `Acquire` pairs with the release of the references.
        self.refs.load(Ordering::Acquire) == 0
    }

    /// Waits until a node's function has been called, or says that the node is gone if this thread is in that call. With the lock, which is
    /// the caller's again when this returns.
    #[cold]
    fn wait_for(&self, node: &Node) {
        // Without the lock: it may allocate, and in the last destructors of a thread panic.
        self.word.transition_to_unlocked();
        let this = current();
        self.word.transition_to_locked();
        let mut has_parked = false;
        // SAFETY: the lock is this call's whenever the loop looks.
        while unsafe { node.place() } == Place::Running {
            let wait = |list: &mut List| {
                let is_own = list.runner == Some(this.id());
                if is_own {
                    list.running = ptr::null();
                } else {
                    list.waiter = Some(this.clone());
                }
                is_own
            };
            // SAFETY: this call has the lock.
            if unsafe { self.with_list(wait) } {
                break;
            }
            self.word.transition_to_unlocked();
            park();
            has_parked = true;
            self.word.transition_to_locked();
        }
        if has_parked {
            // The token may have been meant for somebody further up on this stack.
            this.unpark();
        }
    }
}

/// Gives the lock of a state up, and frees the state if nobody is left who could reach it.
///
/// # Safety
///
/// The caller has the lock, and no reference or node that keeps the state. `no_refs` says that there are no references, as far as the caller
/// knows.
#[inline]
unsafe fn leave(state: NonNull<Shared>, no_refs: bool) {
    // SAFETY: the caller has the lock, and nobody frees the state before it is given up.
    if unsafe { unlock(state, no_refs) } {
        // SAFETY: it is dead.
        unsafe { free(state) };
    }
}

/// Gives the lock of a state up; true if nobody is left who could reach it, and the caller is to free it.
///
/// # Safety
///
/// That of [`leave`].
#[inline]
unsafe fn unlock(state: NonNull<Shared>, no_refs: bool) -> bool {
    // SAFETY: the lock keeps the state.
    let shared = unsafe { state.as_ref() };
    // SAFETY: the caller has the lock.
    let is_free = no_refs && unsafe { shared.with_list(|list| list.nodes == 0) };
    if is_free {
        shared.word.transition_to_dead();
    } else {
        shared.word.transition_to_unlocked();
    }
    is_free
}

/// What a stop does for a link: the state that is linked has to be stopped too, unless it is about to be freed.
///
/// # Safety
///
/// The node is a state's link, and the caller has its parent's lock.
unsafe fn take_link(node: NonNull<Node>) -> Due {
    let child = node.cast::<Shared>();
    // SAFETY: the link is the state's first field; whoever frees the state takes the parent's lock first.
    let shared = unsafe { child.as_ref() };
    // A parent's lock is held while a child's is taken, and never the other way round.
    if !shared.word.transition_to_locked_unless_dead() {
        return Due::Stop(None);
    }
    // `Relaxed`: the lock orders it; from zero, too, since nobody has found it to be zero and free under the lock.
    shared.refs.fetch_add(1, Ordering::Relaxed);
    shared.word.transition_to_unlocked();
    Due::Stop(Some(StopRef(child)))
}

/// Frees a state, and those that only it has kept: its parent, and so on.
///
/// # Safety
///
/// The state is dead: nobody can reach it any more but by its link.
unsafe fn free(state: NonNull<Shared>) {
    let mut next = Some(state);
    // A loop, not recursion: links may be deep.
    while let Some(state) = next {
        // SAFETY: a dead state is there until it is freed below.
        let link = unsafe { &state.as_ref().link };
        // SAFETY: a dead state's link is this call's.
        let parent = unsafe { take_out(link) };
        next = parent.filter(|parent| {
            // SAFETY: its lock, which is this call's, keeps it.
            let no_refs = unsafe { parent.as_ref() }.has_no_refs();
            // SAFETY: this call has the lock, and the link is registered no more.
            unsafe { unlock(*parent, no_refs) }
        });
        // SAFETY: it was leaked from a box, and nobody can reach it any more, since its link is in no list.
        let state = unsafe { Box::from_raw(state.as_ptr()) };
        #[cfg(tress_loom)]
        state.touched.with_mut(|_| ());
        drop(state);
    }
}

/// More references than this can only be a leak in a loop; the process is ended before the count wraps.
const REF_LIMIT: usize = isize::MAX as usize;
