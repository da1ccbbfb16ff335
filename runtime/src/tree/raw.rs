//! A frame without its type.
#![expect(unsafe_code, reason = "frames of every type share one pointer type and one table of functions")]

use std::alloc::Layout;
use std::any::Any;
use std::ops::Range;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::task::{Context, Waker};

use super::Tree;
use super::owned::Owned;
use super::ready::Pushed;
use super::state::{Freed, State, ToNotified, ToReleased};
use super::waker::WakerRef;
use crate::frame;

/// What every frame begins with; the future, later its output, follows.
///
/// | field | who may touch it, when |
/// |---|---|
/// | `state` | anybody who holds a reference |
/// | `link` | whoever queued the frame, until it is popped |
/// | `vtable` | read by anybody who holds a reference; never written again |
/// | `tree` | written at the first poll by whoever runs the tree, before a waker exists; then read by anybody |
/// | the rest | whoever runs the tree; before the first poll and on an island, whoever has the handle |
#[repr(C)]
#[derive(Debug)]
pub(super) struct FrameHeader {
    pub(super) state: State,
    pub(super) link: Owned<*mut FrameHeader>,
    vtable: &'static FrameVtable,
    /// Null until the frame is part of a tree.
    tree: Owned<*const Tree>,
    /// The frame whose future holds the handle; `None` for the root's.
    parent: Owned<Option<RawFrame>>,
    pub(super) children: Owned<Option<RawFrame>>,
    prev_sibling: Owned<Option<RawFrame>>,
    next_sibling: Owned<Option<RawFrame>>,
    /// The line that awaits the frame.
    awaited_at: Owned<Option<&'static Location<'static>>>,
    phase: Owned<Phase>,
    bounds: Owned<Bounds>,
    flags: Owned<Flags>,
}

/// Where a frame stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The future was never polled; the handle may move.
    Fresh,
    /// The future is polled under its handle's poll, with that poll's waker.
    Island,
    /// The future is polled by whoever runs the tree.
    Rooted,
    /// The output, or the panic, lies where the future was.
    Done,
    /// The first poll, under the handle's poll, has panicked; what is left of the future is still there, with frames below.
    PoisonedRooted,
    /// A poll as an island has panicked; what is left of the future is still there.
    PoisonedIsland,
    /// Neither future nor output is there any more.
    Empty,
}

/// What may become of a frame at its first poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bounds {
    /// Its future is `Send` and borrows nothing that it could outlive.
    Rootable,
    /// The same, but bound to its thread.
    RootableOnThread,
    /// It is always an island.
    Island,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    /// Whether its future is being polled.
    pub(super) is_polling: bool,
    /// Whether it stands in its parent's list of children.
    is_linked: bool,
    /// Whether it was first polled inside [`unconstrained`](crate::task::coop::unconstrained).
    pub(super) is_unconstrained: bool,
}

/// What can be done with a frame whose future's type is not known.
#[derive(Debug)]
pub(super) struct FrameVtable {
    /// Polls the future; a ready output is written to the address, a `Poll` of it, and the future dropped. Unwinds if the
    /// future panics.
    pub(super) poll_into: unsafe fn(RawFrame, &mut Context<'_>, NonNull<()>),
    /// Polls the future; stores a ready output or a panic in the future's place. True if it did. Does not unwind.
    pub(super) poll_stored: unsafe fn(RawFrame, &mut Context<'_>) -> bool,
    /// Moves the stored output to the address.
    pub(super) take: unsafe fn(RawFrame, NonNull<()>),
    /// Drops the future in place.
    pub(super) drop_future: unsafe fn(RawFrame),
    /// Drops the stored output in place.
    pub(super) drop_output: unsafe fn(RawFrame),
    /// The frame's layout.
    pub(super) layout: Layout,
    /// The name of the future's type.
    pub(super) future_name: fn() -> &'static str,
    /// Where the future lies in the frame.
    pub(super) body_offset: usize,
    /// The future's size.
    pub(super) body_bytes: usize,
}

/// What a panic leaves behind.
pub(super) type Payload = Box<dyn Any + Send>;

/// A pointer to a frame. Copying it does not count; whoever uses it holds a reference in one of the ways that the
/// module's README lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct RawFrame(NonNull<FrameHeader>);

impl FrameHeader {
    pub(super) fn new(vtable: &'static FrameVtable, bounds: Bounds) -> Self {
        Self {
            state: State::new(),
            link: Owned::new(ptr::null_mut()),
            vtable,
            tree: Owned::new(ptr::null()),
            parent: Owned::new(None),
            children: Owned::new(None),
            prev_sibling: Owned::new(None),
            next_sibling: Owned::new(None),
            awaited_at: Owned::new(None),
            phase: Owned::new(Phase::Fresh),
            bounds: Owned::new(bounds),
            flags: Owned::new(Flags::default()),
        }
    }
}

impl RawFrame {
    /// Names the frame at `header`.
    ///
    /// # Safety
    ///
    /// As long as the value is used, the frame is held by a reference.
    #[inline(always)]
    pub(super) const unsafe fn from_ptr(header: NonNull<FrameHeader>) -> Self {
        Self(header)
    }

    #[inline(always)]
    pub(super) const fn as_ptr(self) -> *mut FrameHeader {
        self.0.as_ptr()
    }

    #[inline(always)]
    pub(super) fn header(&self) -> &FrameHeader {
        // SAFETY: the frame is held while the value is used (see `from_ptr`), and the header is only shared.
        unsafe { self.0.as_ref() }
    }

    #[inline(always)]
    pub(super) fn vtable(&self) -> &'static FrameVtable {
        self.header().vtable
    }

    #[inline(always)]
    pub(super) fn phase(self) -> Phase {
        self.header().phase.get()
    }

    #[inline(always)]
    pub(super) fn set_phase(self, phase: Phase) {
        self.header().phase.set(phase);
    }

    pub(super) fn bounds(self) -> Bounds {
        self.header().bounds.get()
    }

    pub(super) fn set_bounds(self, bounds: Bounds) {
        self.header().bounds.set(bounds);
    }

    pub(super) fn parent(self) -> Option<RawFrame> {
        self.header().parent.get()
    }

    /// The next frame in the parent's list of children, which was awaited earlier.
    pub(super) fn next_sibling(self) -> Option<RawFrame> {
        self.header().next_sibling.get()
    }

    /// The line that awaits the frame, if it is part of a tree.
    pub(super) fn awaited_at(self) -> Option<&'static Location<'static>> {
        self.header().awaited_at.get()
    }

    #[inline(always)]
    pub(super) fn set_awaited_at(self, awaited_at: &'static Location<'static>) {
        self.header().awaited_at.set(Some(awaited_at));
    }

    /// The name of the future's type.
    pub(super) fn future_name(self) -> &'static str {
        (self.vtable().future_name)()
    }

    /// The tree that the frame is part of; callers know that it is.
    pub(super) fn tree_ptr(self) -> *const Tree {
        self.header().tree.get()
    }

    /// The addresses of the frame's future.
    #[inline(always)]
    pub(super) fn body(self) -> Range<usize> {
        let vtable = self.vtable();
        let start = self.0.addr().get() + vtable.body_offset;
        start..start + vtable.body_bytes
    }

    /// Whether the frame stands in its parent's list of children.
    pub(super) fn is_linked(self) -> bool {
        self.header().flags.get().is_linked
    }

    /// Whether the future is being polled, further up on this stack.
    pub(super) fn is_polling(self) -> bool {
        self.header().flags.get().is_polling
    }

    #[inline(always)]
    pub(super) fn set_polling(self, is_polling: bool) {
        let flags = self.header().flags.get();
        self.header().flags.set(Flags { is_polling, ..flags });
    }

    pub(super) fn is_unconstrained(self) -> bool {
        self.header().flags.get().is_unconstrained
    }

    /// Makes the frame part of a tree. By whoever runs the tree.
    #[inline(always)]
    pub(super) fn root(self, tree: NonNull<Tree>, parent: Option<RawFrame>, is_unconstrained: bool) {
        let header = self.header();
        header.tree.set(tree.as_ptr());
        header.parent.set(parent);
        header.phase.set(Phase::Rooted);
        let flags = header.flags.get();
        header.flags.set(Flags { is_unconstrained, ..flags });
    }

    /// Puts the frame into its parent's list of children.
    pub(super) fn link(self, tree: &Tree, awaited_at: &'static Location<'static>) {
        let header = self.header();
        header.awaited_at.set(Some(awaited_at));
        let flags = header.flags.get();
        debug_assert!(!flags.is_linked);
        header.flags.set(Flags { is_linked: true, ..flags });
        let list = self.siblings(tree);
        let next = list.get();
        header.next_sibling.set(next);
        header.prev_sibling.set(None);
        if let Some(next) = next {
            next.header().prev_sibling.set(Some(self));
        }
        list.set(Some(self));
    }

    /// Takes the frame out of its parent's list of children, if it is there.
    pub(super) fn unlink(self, tree: &Tree) {
        let header = self.header();
        let flags = header.flags.get();
        if !flags.is_linked {
            return;
        }
        header.flags.set(Flags { is_linked: false, ..flags });
        let (prev, next) = (header.prev_sibling.get(), header.next_sibling.get());
        if let Some(next) = next {
            next.header().prev_sibling.set(prev);
        }
        match prev {
            Some(prev) => prev.header().next_sibling.set(next),
            None => self.siblings(tree).set(next),
        }
    }

    /// The list of children that this frame is or would be in.
    fn siblings<'a>(&'a self, tree: &'a Tree) -> &'a Owned<Option<RawFrame>> {
        match self.header().parent.get() {
            // SAFETY: the parent's future holds this frame's handle, so the parent is held for as long as this frame has a
            // parent that it is linked to.
            Some(parent) => unsafe { &parent.0.as_ref().children },
            None => &tree.children,
        }
    }

    /// Adds a reference for a new waker.
    pub(super) fn retain(self) {
        let header = self.header();
        if header.state.ref_inc() {
            let root = self.tree().root;
            // First the reference, then the flag that vouches for it.
            root.retain();
            if !header.state.transition_to_holding_root() {
                root.release();
            }
        }
    }

    /// Adds a reference that is released before whoever runs the tree lets go of it, and which therefore needs none to the root.
    pub(super) fn hold(self) {
        let _ = self.header().state.ref_inc();
    }

    /// Releases a reference, and the memory with the last one.
    pub(super) fn release(self) {
        if let ToReleased::Free(freed) = self.header().state.ref_dec() {
            self.free(freed);
        }
    }

    /// Releases the handle's reference.
    #[inline(always)]
    pub(super) fn release_handle(self) {
        if let ToReleased::Free(freed) = self.header().state.ref_dec_of_handle() {
            self.free(freed);
        }
    }

    #[inline(always)]
    fn free(self, freed: Freed) {
        let layout = self.vtable().layout;
        let tree = self.tree_ptr();
        // SAFETY: the last reference is gone; the frame was allocated with this layout and kind.
        unsafe { frame::free(self.0.cast(), layout, frame::Kind::Raw) };
        if freed.holds_root {
            // SAFETY: the reference to the root keeps the tree until it is released.
            let root = unsafe { &*tree }.root;
            root.release();
        }
    }

    /// Wakes through a waker that stays.
    pub(super) fn wake_by_ref(self) {
        if self.header().state.transition_to_notified_by_ref() == ToNotified::Push && self.push() {
            self.tree().root.schedule();
        }
    }

    /// Leaves the frame, and the handle's reference, to whoever runs the tree. The caller holds another reference.
    pub(super) fn orphan(self) {
        if self.header().state.transition_to_orphaned() == ToNotified::Push && self.push() {
            self.tree().root.schedule();
        }
    }

    /// Wakes through a waker that is used up.
    pub(super) fn wake_by_value(self) {
        if self.notify_by_value() {
            self.tree().root.schedule();
            // Only now: whoever runs the frame may have let go of it, and of its root with it.
            self.release();
        }
    }

    /// Wakes through a waker that is used up. True if the root is to be scheduled by the caller, who releases the waker's
    /// reference after that.
    #[must_use]
    pub(super) fn notify_by_value(self) -> bool {
        match self.header().state.transition_to_notified_by_value() {
            ToNotified::Nothing => false,
            ToNotified::Free(freed) => {
                self.free(freed);
                false
            }
            ToNotified::Push if self.push() => true,
            ToNotified::Push => {
                self.release();
                false
            }
        }
    }

    /// Pushes the frame to its tree's list; true if the root is to be scheduled. The caller has made the transition that
    /// says so, and holds a reference of its own.
    #[must_use]
    fn push(self) -> bool {
        // SAFETY: the transition gave the link and a reference to the caller.
        match unsafe { self.tree().ready.push(self) } {
            Pushed::First => true,
            Pushed::Later => false,
            Pushed::Closed => {
                self.release();
                false
            }
        }
    }

    /// The tree of a frame that is part of one, for somebody whose reference keeps it: a waker's comes with one to the root,
    /// and whoever runs the tree keeps it anyway.
    pub(super) fn tree(&self) -> &Tree {
        // SAFETY: as above.
        unsafe { &*self.tree_ptr() }
    }

    /// Polls the future and stores what comes of it. True if the frame is done. By whoever runs the tree.
    pub(super) fn poll_stored(self) -> bool {
        let waker = WakerRef::new(&self);
        let mut cx = Context::from_waker(&waker);
        self.set_polling(true);
        // SAFETY: the caller runs the tree, and the frame's phase says that the future is there.
        let done = unsafe { (self.vtable().poll_stored)(self, &mut cx) };
        self.set_polling(false);
        done
    }

    /// Whether `waker` is exactly this frame's.
    #[inline(always)]
    pub(super) fn is_waker(self, waker: &Waker) -> bool {
        super::waker::is_of(waker, self)
    }
}
