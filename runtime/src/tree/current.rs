//! What the current thread runs.
#![expect(unsafe_code, reason = "a scoped thread-local pointer; a counted one would cost on every poll")]

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomPinned;
use std::ops::Range;
use std::panic::Location;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::Waker;

use super::raw::RawFrame;
use super::ready::Chain;
use super::root::RootRef;
use super::{Tree, island, polled};
use crate::primitive::sync::Arc;
use crate::primitive::thread::thread_local;
use crate::task::moving::Asks;
use crate::task::{Group, Id, Member};

thread_local! {
    /// The innermost of the runs that [`outside`] hides; null if there is none.
    static HIDDEN: Cell<*const Current> = const { Cell::new(ptr::null()) };
    /// How many calls of [`outside`] there are on this stack.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// The innermost run on this thread; null if there is none. Points to a value on this thread's stack that outlives
    /// the pointer (see [`Entered`]).
    static CURRENT: Cell<*const Current> = const { Cell::new(ptr::null()) };
}

/// A run of one root: from when its executor begins to poll or drop it until it lets go of it.
///
/// While it is entered, its thread is the only one that touches the tree.
pub(crate) struct Current {
    root: RootRef,
    /// Where the root's own future begins.
    body_start: usize,
    /// Where it ends; where it begins, when the tree has ended.
    body_end: Cell<usize>,
    /// Null until the root has a tree.
    tree: Cell<*const Tree>,
    /// The frame whose future is being polled; `None` for the root's own.
    frame: Cell<Option<RawFrame>>,
    /// How much stack first polls may use together; none in a run that only looks.
    room_bytes: Cell<usize>,
    /// Frames that are part of the tree but have yet to be polled for the first time.
    fresh: Cell<Chain>,
    /// The stop that has been raised by the root's own future in the poll that is being made.
    is_stop_raised: Cell<bool>,
    /// The run that this one is nested in.
    outer: Cell<*const Current>,
    _pinned: PhantomPinned,
}

/// Leaves the run when dropped.
#[derive(Debug)]
pub(crate) struct Entered<'a>(Pin<&'a Current>);

/// Says that the parent's future is being polled again when dropped.
pub(super) struct Nested<'a> {
    current: &'a Current,
    frame: Option<RawFrame>,
}

impl Current {
    /// A run of `root`, whose future lies at `root_body`; `tree` is null if it has none yet.
    #[inline]
    pub(crate) fn new(root: RootRef, root_body: Range<usize>, tree: *const Tree) -> Self {
        Self {
            root,
            body_start: root_body.start,
            body_end: Cell::new(root_body.end),
            tree: Cell::new(tree),
            frame: Cell::new(None),
            room_bytes: Cell::new(INLINE_STACK_BYTES),
            fresh: Cell::new(Chain::EMPTY),
            is_stop_raised: Cell::new(false),
            outer: Cell::new(ptr::null()),
            _pinned: PhantomPinned,
        }
    }

    /// Makes this the innermost run of the thread.
    #[inline]
    pub(crate) fn enter(self: Pin<&Self>) -> Entered<'_> {
        let this = ptr::from_ref(self.get_ref());
        self.outer.set(CURRENT.try_with(|current| current.replace(this)).unwrap_or(ptr::null()));
        Entered(self)
    }

    /// The tree, if there is one.
    #[inline]
    pub(super) fn tree_if_any(&self) -> Option<&Tree> {
        // SAFETY: null, or the tree of the root, which is held while it is run.
        unsafe { self.tree.get().as_ref() }
    }

    /// The tree, made if there is none.
    #[inline]
    pub(super) fn tree(&self) -> NonNull<Tree> {
        match NonNull::new(self.tree.get().cast_mut()) {
            Some(tree) => tree,
            None => {
                let tree = self.root.tree();
                self.tree.set(tree.as_ptr());
                tree
            }
        }
    }

    pub(super) fn is_thread_bound(&self) -> bool {
        self.root.is_thread_bound()
    }

    /// The frame whose future is being polled; `None` for the root's own.
    #[inline]
    pub(super) fn frame(&self) -> Option<RawFrame> {
        self.frame.get()
    }

    /// Whether a handle at this address, polled with this waker, is awaited by the future that is being polled, by no
    /// detour: then the end of the frame may lead directly to a poll of that future.
    #[inline]
    pub(super) fn awaits(&self, handle: usize, waker: &Waker) -> bool {
        match self.frame.get() {
            Some(frame) => frame.is_waker(waker) && frame.has_in_body(handle),
            None => self.root.is_waker(waker) && (self.body_start..self.body_end.get()).contains(&handle),
        }
    }

    /// Makes islands of what the root's own future polls for the first time while it is dropped.
    #[inline]
    pub(super) fn refuse_frames(&self) {
        self.body_end.set(self.body_start);
    }

    /// Whether there is stack for a frame to be polled for the first time here and now, on top of the polls that are already on the stack.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        let here = 0_u8;
        // On a stack that has been switched to since, this says no: then the frame is polled from the loop, which is always right.
        let used = ptr::from_ref(self).addr().wrapping_sub(ptr::from_ref(&here).addr());
        used < self.room_bytes.get() || self.has_room_for_slow_code(used)
    }

    /// What is not optimised uses many times the stack; where there is much of it, that need not change who is polled when.
    #[inline(always)]
    fn has_room_for_slow_code(&self, used: usize) -> bool {
        cfg!(debug_assertions) && !self.is_traced() && island::has_much_stack() && used < SLOW_STACK_BYTES
    }

    /// Makes it a run in order to see what the tree waits for: frames that would be polled for the first time are left to a
    /// later one.
    pub(super) fn trace(&self) {
        self.room_bytes.set(0);
    }

    fn is_traced(&self) -> bool {
        self.room_bytes.get() == 0
    }

    /// Says that `frame` is being polled, until the result is dropped.
    #[inline]
    pub(super) fn nest(&self, frame: RawFrame) -> Nested<'_> {
        Nested { current: self, frame: self.frame.replace(Some(frame)) }
    }

    /// Whether a stop has been raised in the poll of the root's own future that has just been made; forgets it.
    #[inline]
    pub(crate) fn take_stop(&self) -> bool {
        self.is_stop_raised.get() && self.is_stop_raised.replace(false)
    }

    /// Keeps a frame that is queued and has never been polled for later in this run.
    pub(super) fn push_fresh(&self, frame: RawFrame) {
        let mut fresh = self.fresh.replace(Chain::EMPTY);
        fresh.push(frame);
        self.fresh.set(fresh);
    }

    pub(super) fn pop_fresh(&self) -> Option<RawFrame> {
        let mut fresh = self.fresh.replace(Chain::EMPTY);
        let frame = fresh.pop();
        self.fresh.set(fresh);
        frame
    }

    pub(super) fn take_fresh(&self) -> Chain {
        self.fresh.replace(Chain::EMPTY)
    }

    #[inline]
    pub(super) fn has_fresh(&self) -> bool {
        // SAFETY: nobody changes the cell meanwhile.
        !unsafe { &*self.fresh.as_ptr() }.is_empty()
    }

    /// Has the root's own future polled in a later run.
    pub(super) fn wake_root(&self) {
        self.root.wake();
    }

    /// Has the tree run once more.
    pub(super) fn schedule_root(&self) {
        self.root.schedule();
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current")
            .field("root", &self.root)
            .field("frame", &self.frame)
            .finish_non_exhaustive()
    }
}

impl<'a> Entered<'a> {
    /// The run.
    #[inline]
    pub(crate) fn current(&self) -> Pin<&'a Current> {
        self.0
    }
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        let _ = CURRENT.try_with(|current| current.set(self.0.outer.get()));
    }
}

impl Drop for Nested<'_> {
    #[inline]
    fn drop(&mut self) {
        self.current.frame.set(self.frame);
    }
}

/// Lends the innermost run of the thread.
#[inline]
pub(super) fn with_current<R>(f: impl FnOnce(Option<&Current>) -> R) -> R {
    let current = CURRENT.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: null, or set by `enter`, whose guard resets it before the run ends; `f` cannot keep the borrow.
    f(unsafe { current.as_ref() })
}

/// What is being polled on this thread, as far as trees know: the innermost run, and the frame in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    current: usize,
    depth: usize,
    frame: usize,
}

impl Place {
    /// Whether both are part of one run.
    pub(crate) fn is_same_run(&self, other: &Self) -> bool {
        (self.current, self.depth) == (other.current, other.depth)
    }
}

/// What is being polled on this thread.
pub(crate) fn place() -> Place {
    with_current(|current| Place {
        current: current.map_or(0, |current| ptr::from_ref(current).addr()),
        depth: DEPTH.try_with(Cell::get).unwrap_or(0),
        frame: current.and_then(Current::frame).map_or(0, |frame| frame.as_ptr().addr()),
    })
}

/// Whether anything is being polled, or dropped as part of a task, on this thread.
pub(crate) fn is_polling() -> bool {
    with_current(|current| current.is_some())
}

/// Whether a task is being polled on this thread that may be run on another executor for a while.
pub(crate) fn is_root_movable() -> bool {
    with_current(|current| current.is_some_and(|current| current.root.is_movable()))
}

/// The address of the executor that the task that is being polled on this thread belongs to, unless it has one of its own.
pub(crate) fn current_executor() -> Option<NonNull<()>> {
    with_current(|current| current.and_then(|current| current.root.executor()))
}

/// Runs `f` as if nothing were being polled on this thread.
pub(crate) fn outside<R>(f: impl FnOnce() -> R) -> R {
    /// Puts the innermost run back, and the hidden one.
    struct Restore(*const Current, *const Current);

    impl Drop for Restore {
        fn drop(&mut self) {
            let _ = CURRENT.try_with(|current| current.set(self.0));
            let _ = HIDDEN.try_with(|hidden| hidden.set(self.1));
            let _ = DEPTH.try_with(|depth| depth.set(depth.get() - 1));
        }
    }

    let current = CURRENT.try_with(|current| current.replace(ptr::null())).unwrap_or(ptr::null());
    let hidden = HIDDEN.try_with(Cell::get).unwrap_or(ptr::null());
    let _ = DEPTH.try_with(|depth| depth.set(depth.get() + 1));
    let _restore = Restore(current, hidden);
    if !current.is_null() {
        let _ = HIDDEN.try_with(|hidden| hidden.set(current));
    }
    f()
}

/// Lends what the task that is being polled or dropped on this thread is asked for; unless it has no tree, and none is to be made.
pub(crate) fn with_asks<R>(is_made: bool, f: impl FnOnce(&Asks) -> R) -> Option<R> {
    with_current(|current| {
        let current = current?;
        match current.tree_if_any() {
            Some(tree) => Some(f(tree.asks())),
            // SAFETY: the root is held while it is run.
            None => is_made.then(|| f(unsafe { current.tree().as_ref() }.asks())),
        }
    })
}

/// How many runs of the task that is being polled on this thread have ended, or 0; modulo what 32 bits hold.
pub(crate) fn root_polls() -> u32 {
    with_current(|current| current.map_or(0, |current| current.root.polls()))
}

/// Has what is being polled on this thread, be it hidden, not end before the members of a group are gone. False if nothing is: nobody waits for them
/// then.
pub(crate) fn outlive(group: &Arc<Group>) -> bool {
    let current = CURRENT.try_with(Cell::get).unwrap_or(ptr::null());
    let hidden = HIDDEN.try_with(Cell::get).unwrap_or(ptr::null());
    let run = if current.is_null() { hidden } else { current };
    // SAFETY: null, or a run that was entered further up on this stack and has not been left.
    let run = unsafe { run.as_ref() };
    if let Some(run) = run {
        // SAFETY: the root is held while it is run.
        unsafe { run.tree().as_ref() }.outlived.add(Arc::clone(group));
    }
    run.is_some()
}

/// Keeps what a task is a member of, which is being polled or dropped on this thread, if it leaves others behind: until it is complete. Gives it
/// back otherwise.
pub(crate) fn stay(task: Id, member: Member) -> Option<Member> {
    with_current(|current| {
        let current = current.filter(|current| current.root.id() == Some(task));
        match current.and_then(Current::tree_if_any) {
            Some(tree) => tree.outlived.keep(member),
            None => Some(member),
        }
    })
}

/// Raises a stop in what is being polled on this thread; false if that is nothing.
pub(crate) fn raise() -> bool {
    with_current(|current| {
        match current {
            None => return false,
            Some(current) => match current.frame() {
                Some(frame) => frame.raise_stop(),
                None => current.is_stop_raised.set(true),
            },
        }
        true
    })
}

/// Whether this thread runs the tree, be it in an outer run: then it alone touches it.
#[inline]
pub(super) fn runs(tree: NonNull<Tree>) -> bool {
    let mut next = CURRENT.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: null, or a run that was entered further up on this stack and has not been left.
    while let Some(current) = unsafe { next.as_ref() } {
        if ptr::eq(current.tree.get(), tree.as_ptr()) {
            return true;
        }
        next = current.outer.get();
    }
    false
}

/// The id of the task that the thread polls or drops, if it does.
pub(crate) fn current_id() -> Option<Id> {
    with_current(|current| current.and_then(|current| current.root.id()))
}

/// Whether the thread polls or drops the task, be it in an outer run.
pub(crate) fn is_on_stack(id: Id) -> bool {
    let mut next = CURRENT.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: null, or a run that was entered further up on this stack and has not been left.
    while let Some(current) = unsafe { next.as_ref() } {
        if current.root.id() == Some(id) {
            return true;
        }
        next = current.outer.get();
    }
    false
}

/// Whether the thread polls a tree in order to see what it waits for.
pub(crate) fn is_traced() -> bool {
    with_current(|current| current.is_some_and(Current::is_traced))
}

/// Calls `f` for each frame from the one whose future the thread is polling up to the root's own, with its future's name and
/// the line that awaits it. Returns the root's task, if there is a root that is one.
pub(crate) fn backtrace(f: impl FnMut(&'static str, Option<&'static Location<'static>>)) -> Option<Id> {
    with_current(|current| {
        polled::for_each(current, f);
        current.and_then(|current| current.root.id())
    })
}

/// How much stack frames may use that are polled for the first time on top of each other.
const INLINE_STACK_BYTES: usize = 12 * 1024;

/// The same of code that is not optimised.
const SLOW_STACK_BYTES: usize = 256 * 1024;
