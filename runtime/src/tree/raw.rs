//! A frame without its type.
#![expect(unsafe_code, reason = "frames of every type share one pointer type and one table of functions")]

use std::alloc::Layout;
use std::any::Any;
use std::panic::Location;
use std::ptr::NonNull;
use std::task::{Context, Waker};

use super::Tree;
use super::owned::{Owned, Unset};
use super::ready::Pushed;
use super::state::{Freed, State, ToNotified, ToReleased};
use super::status::{Bounds, Phase, Status};
use super::teardown;
use super::waker::WakerRef;
use crate::env::{self, Entered, Recorded, RecordedSpan};
use crate::frame::{self, EnterAllocator, Maker};
use crate::stop::{self, StopScope};
use crate::trace::collector;

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
    vtable: &'static FrameVtable,
    pub(super) status: Owned<Status>,
    pub(super) children: Owned<Option<RawFrame>>,
    /// Set when the frame becomes part of a tree.
    tree: Unset<NonNull<Tree>>,
    /// Set while the frame is queued.
    pub(super) link: Unset<*mut FrameHeader>,
    /// Set when the frame becomes part of a tree: the frame whose future holds the handle; `None` for the root's.
    parent: Unset<Option<RawFrame>>,
    /// Set when the frame is linked.
    prev_sibling: Unset<Option<RawFrame>>,
    /// Set when the frame is linked.
    next_sibling: Unset<Option<RawFrame>>,
    /// Set when the frame becomes part of a tree: the line that awaits it.
    awaited_at: Unset<&'static Location<'static>>,
    /// Set when the frame is linked, if there is one: the environment that it was first polled in.
    env: Unset<Recorded>,
    /// Set when the frame is linked, if there is one: the span that it was first polled in.
    span: Unset<RecordedSpan>,
}

/// What can be done with a frame whose future's type is not known.
#[derive(Debug)]
pub(super) struct FrameVtable {
    /// Polls the future; a ready output is written to the address, a `Poll` of it, and the future dropped. Unwinds if the future panics.
    pub(super) poll_into: unsafe fn(RawFrame, &mut Context<'_>, NonNull<()>) -> Polled,
    /// Polls the future; stores a ready output or a panic in the future's place. True if it did. Does not unwind.
    pub(super) poll_stored: unsafe fn(RawFrame, &mut Context<'_>) -> bool,
    /// Moves the stored output to the address.
    pub(super) take: unsafe fn(RawFrame, NonNull<()>),
    /// Drops the future in place.
    pub(super) drop_future: unsafe fn(RawFrame),
    /// Puts what a panic left behind, or a stop, where the output would be, into the empty place.
    pub(super) store_failure: unsafe fn(RawFrame, Payload),
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

/// What came of a poll whose output is written to its caller.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Polled {
    /// The future is pending.
    Pending,
    /// It was ready, and the frame is freed.
    Gone,
    /// It was ready, and the handle is to let go of the frame: once nothing names the frame any more, since that may call a foreign
    /// allocator, which may look at what the thread polls.
    Ended,
}

/// What a panic leaves behind.
pub(super) type Payload = Box<dyn Any + Send>;

/// A pointer to a frame. Copying it does not count; whoever uses it holds a reference in one of the ways that the
/// module's README lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct RawFrame(NonNull<FrameHeader>);

impl FrameHeader {
    /// Writes a new frame's header, field by field: to build it elsewhere and copy it would cost more than all the rest.
    ///
    /// # Safety
    ///
    /// `place` is the caller's, aligned, and has room for a header.
    #[inline(always)]
    #[expect(clippy::multiple_unsafe_ops_per_block, reason = "a field is named and written in one step")]
    pub(super) unsafe fn write(place: *mut Self, vtable: &'static FrameVtable, status: Status) {
        // SAFETY: the place is the caller's.
        unsafe { (&raw mut (*place).state).write(State::new()) };
        // SAFETY: as above.
        unsafe { (&raw mut (*place).vtable).write(vtable) };
        // SAFETY: as above.
        unsafe { (&raw mut (*place).status).write(Owned::new(status)) };
        // SAFETY: as above.
        unsafe { (&raw mut (*place).children).write(Owned::new(None)) };
        // SAFETY: as above.
        unsafe { Self::write_unset(place) };
    }

    /// The cells without a value need no write.
    #[cfg(not(tress_loom))]
    #[inline(always)]
    unsafe fn write_unset(_place: *mut Self) {}

    /// Loom's cells have something to remember also if they have no value.
    #[cfg(tress_loom)]
    #[expect(clippy::multiple_unsafe_ops_per_block, reason = "a field is named and written in one step")]
    unsafe fn write_unset(place: *mut Self) {
        // SAFETY: the place is the caller's.
        unsafe { (&raw mut (*place).tree).write(Unset::new()) };
        // SAFETY: as above.
        unsafe { (&raw mut (*place).link).write(Unset::new()) };
        // SAFETY: as above.
        unsafe { (&raw mut (*place).parent).write(Unset::new()) };
        // SAFETY: as above.
        unsafe { (&raw mut (*place).prev_sibling).write(Unset::new()) };
        // SAFETY: as above.
        unsafe { (&raw mut (*place).next_sibling).write(Unset::new()) };
        // SAFETY: as above.
        unsafe { (&raw mut (*place).awaited_at).write(Unset::new()) };
        // SAFETY: as above.
        unsafe { (&raw mut (*place).env).write(Unset::new()) };
        // SAFETY: as above.
        unsafe { (&raw mut (*place).span).write(Unset::new()) };
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
    pub(super) const fn as_non_null(self) -> NonNull<FrameHeader> {
        self.0
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
    pub(super) fn status(self) -> Status {
        self.header().status.get()
    }

    #[inline(always)]
    pub(super) fn phase(self) -> Phase {
        self.status().phase()
    }

    #[inline(always)]
    pub(super) fn set_phase(self, phase: Phase) {
        self.header().status.set(self.status().with_phase(phase));
    }

    pub(super) fn set_bounds(self, bounds: Bounds) {
        self.header().status.set(self.status().with_bounds(bounds));
    }

    /// The next frame in the parent's list of children, which was awaited earlier; of a frame that is linked.
    pub(super) fn next_sibling(self) -> Option<RawFrame> {
        // SAFETY: it was set when the frame was linked.
        unsafe { self.header().next_sibling.get() }
    }

    /// The line that awaits the frame, if it is part of a tree.
    pub(super) fn awaited_at(self) -> Option<&'static Location<'static>> {
        // SAFETY: it was set when the frame became part of the tree.
        collector::line_of_user(unsafe { self.header().awaited_at.get() })
    }

    /// The name of the future's type.
    pub(super) fn future_name(self) -> &'static str {
        (self.vtable().future_name)()
    }

    /// The frame whose future holds the handle, of a frame that is or was part of a tree; `None` for the root's.
    #[inline(always)]
    pub(super) fn parent(self) -> Option<RawFrame> {
        // SAFETY: it was set when the frame was linked.
        unsafe { self.header().parent.get() }
    }

    /// The tree that the frame is part of; callers know that it is, or was.
    #[inline(always)]
    pub(super) fn tree_ptr(self) -> NonNull<Tree> {
        // SAFETY: it was set when the frame became part of the tree.
        unsafe { self.header().tree.get() }
    }

    /// Whether the address lies in the frame's future.
    #[inline(always)]
    pub(super) fn has_in_body(self, address: usize) -> bool {
        let vtable = self.vtable();
        address.wrapping_sub(self.0.addr().get() + vtable.body_offset) < vtable.body_bytes
    }

    #[inline(always)]
    pub(super) fn set_polling(self, is_polling: bool) {
        self.header().status.set(self.status().with_polling(is_polling));
    }

    /// Makes a frame of this status part of a tree, when its first poll begins. By whoever runs the tree.
    #[inline(always)]
    pub(super) fn root(
        self,
        tree: NonNull<Tree>,
        status: Status,
        parent: Option<RawFrame>,
        awaited_at: &'static Location<'static>,
    ) {
        let header = self.header();
        header.tree.set(tree);
        // Already now, for whoever looks from inside the poll.
        header.parent.set(parent);
        header.awaited_at.set(awaited_at);
        header.status.set(status.with_phase(Phase::Rooted).with_polling(true));
    }

    /// Puts the frame into its parent's list of children, when its first poll has ended.
    #[inline]
    pub(super) fn link(self, tree: &Tree, is_unconstrained: bool) {
        let header = self.header();
        let status = header.status.get();
        debug_assert!(!status.is_linked());
        let env = Recorded::current();
        if let Some(env) = env {
            header.env.set(env);
        }
        let status = status.with_polling(false).with_linked(true).with_unconstrained(is_unconstrained);
        let mut status = status.with_env(env.is_some());
        if let Some(span) = RecordedSpan::current() {
            header.span.set(span);
            status = status.with_span(true);
        }
        header.status.set(status);
        let list = self.siblings(tree);
        let next = list.get();
        header.next_sibling.set(next);
        header.prev_sibling.set(None);
        if let Some(next) = next {
            next.header().prev_sibling.set(Some(self));
        }
        list.set(Some(self));
    }

    /// Takes the frame out of its parent's list of children; false if it was not there.
    pub(super) fn unlink(self, tree: &Tree) -> bool {
        let header = self.header();
        let status = header.status.get();
        if !status.is_linked() {
            return false;
        }
        header.status.set(status.with_linked(false));
        // SAFETY: it was set when the frame was linked.
        let prev = unsafe { header.prev_sibling.get() };
        // SAFETY: as above.
        let next = unsafe { header.next_sibling.get() };
        if let Some(next) = next {
            next.header().prev_sibling.set(prev);
        }
        match prev {
            Some(prev) => prev.header().next_sibling.set(next),
            None => self.siblings(tree).set(next),
        }
        true
    }

    /// The list of children that this frame is, or is about to be, in.
    #[inline]
    fn siblings<'a>(&'a self, tree: &'a Tree) -> &'a Owned<Option<RawFrame>> {
        match self.parent() {
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

    #[inline]
    fn free(self, freed: Freed) {
        // The reference to the root keeps the tree until it is released.
        let root = freed.holds_root.then(|| self.tree().root);
        let (layout, status) = (self.vtable().layout, self.status());
        let origin = status.origin();
        self.drop_env();
        debug_assert!(!status.has_span(), "its future is gone, or an island's");
        self.retire();
        // SAFETY: the last reference is gone; the frame was allocated with this layout and kind, by this maker.
        unsafe { frame::free_from(self.0.cast(), layout, frame::Kind::Raw, origin) };
        if let Some(root) = root {
            root.release();
        }
    }

    /// Lets go of the frame's environment, if it has one: its future is gone, or nobody polls it as a frame any more.
    #[inline(always)]
    pub(super) fn drop_env(self) {
        if self.status().has_env() {
            self.drop_its_env();
        }
    }

    #[cold]
    fn drop_its_env(self) {
        self.header().status.set(self.status().with_env(false));
        // SAFETY: the status said that it was set.
        let env = unsafe { self.header().env.get() };
        // SAFETY: the status does not say so any more, and whoever has entered it has left it.
        unsafe { env.release(&WakerRef::new(&self)) };
    }

    /// Lets go of the frame's span, if it has one: nobody polls the frame past what is around its handle any more.
    #[inline(always)]
    pub(super) fn drop_span(self) {
        if self.status().has_span() {
            self.drop_its_span();
        }
    }

    #[cold]
    fn drop_its_span(self) {
        self.header().status.set(self.status().with_span(false));
        // SAFETY: the status said that it was set, and does not say so any more; whoever has entered it has left it.
        unsafe { self.header().span.take() }.release();
    }

    /// Polls or drops the frame's future in the span that its first poll was made in, if there was one.
    #[inline(always)]
    pub(super) fn in_span<R>(self, f: impl FnOnce() -> R) -> R {
        // SAFETY: the status says that it was set; who polls or drops the future is the one who lets go of the span, afterwards.
        let span = self.status().has_span().then(|| unsafe { self.header().span.get_ref() });
        let _entered = span.map(RecordedSpan::enter);
        f()
    }

    /// Whether the frame was first polled below a scope that is stopped as this one is.
    pub(super) fn is_below(self, stop: &StopScope) -> bool {
        // SAFETY: if the status says so, it was set.
        self.status().has_env() && unsafe { self.header().env.get() }.is_stopped_by(stop)
    }

    /// Has this thread run with the frame's environment, or with none if it has none.
    ///
    /// # Safety
    ///
    /// The guard is dropped before the frame is freed, on this thread, and before any that was made earlier.
    #[inline(always)]
    pub(super) unsafe fn enter_env<'a>(self) -> Option<Entered<'a>> {
        if !self.status().has_env() {
            // SAFETY: the caller's promise; it borrows nothing.
            return (!env::is_empty()).then(|| unsafe { Entered::nothing() });
        }
        // SAFETY: the status says that it was set.
        let env = unsafe { self.header().env.get() };
        // SAFETY: the caller's promise: the frame holds it.
        Some(unsafe { env.enter() })
    }

    /// Raises a stop in the poll of the frame that is being made.
    pub(super) fn raise_stop(self) {
        self.header().status.set(self.status().with_stop_raised(true));
    }

    /// Has loom check that every other use of the header comes before.
    #[cfg(tress_loom)]
    pub(super) fn retire(mut self) {
        self.header().tree.set(NonNull::dangling());
        // SAFETY: the last reference is gone.
        unsafe { self.0.as_mut() }.state.retire();
    }

    #[cfg(not(tress_loom))]
    #[inline(always)]
    pub(super) fn retire(self) {}

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
    #[inline]
    pub(super) fn tree(&self) -> &Tree {
        // SAFETY: as above.
        unsafe { self.tree_ptr().as_ref() }
    }

    /// The allocator that made the frame, if it is not the pool.
    pub(super) fn maker(self) -> Maker {
        // SAFETY: the frame is held, and was allocated with this layout, by this maker.
        unsafe { frame::allocator_of(self.0.cast(), self.vtable().layout, self.status().origin()) }
    }

    /// Opens the window of the frame's maker: what the future makes comes from where the frame came from.
    ///
    /// # Safety
    ///
    /// The guard is dropped before the frame is freed, on this thread, and before any that was made earlier.
    #[inline(always)]
    pub(super) unsafe fn enter_maker<'a>(self) -> EnterAllocator<'a> {
        // SAFETY: the caller's promise; the frame was allocated with this layout, by this maker.
        unsafe { frame::enter_maker(self.0.cast(), self.vtable().layout, self.status().origin()) }
    }

    /// Polls the future and stores what comes of it. True if the frame is done. By whoever runs the tree.
    pub(super) fn poll_stored(self) -> bool {
        let waker = WakerRef::new(&self);
        let mut cx = Context::from_waker(&waker);
        // SAFETY: the frame is held by whoever has it polled; the guard is dropped at the end of this function.
        let _window = unsafe { self.enter_maker() };
        // SAFETY: as above.
        let env = unsafe { self.enter_env() };
        let mut done = false;
        let mut poll = || {
            // What was raised between polls is nobody's.
            self.header().status.set(self.status().with_polling(true).with_stop_raised(false));
            // SAFETY: the caller runs the tree, and the frame's phase says that the future is there.
            done = unsafe { (self.vtable().poll_stored)(self, &mut cx) };
            self.set_polling(false);
            !done && self.status().is_stop_raised()
        };
        let is_stopped = self.in_span(|| poll() && stop::holds(&mut poll));
        drop(env);
        if is_stopped {
            teardown::stop(self);
        } else if done {
            self.drop_env();
            self.drop_span();
        }
        done || is_stopped
    }

    /// Whether `waker` is exactly this frame's.
    #[inline(always)]
    pub(super) fn is_waker(self, waker: &Waker) -> bool {
        super::waker::is_of(waker, self)
    }
}
