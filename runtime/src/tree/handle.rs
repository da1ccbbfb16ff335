//! What both kinds of handles do with their frame.
#![expect(unsafe_code, reason = "a handle owns a frame whose type it does not know")]

use std::future::Future;
use std::marker::{PhantomData, PhantomPinned};
use std::mem::MaybeUninit;
use std::panic::{Location, resume_unwind};
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

use super::cell::{self, Stored};
use super::current::{Current, runs, with_current};
use super::raw::{Polled, RawFrame};
use super::status::{Bounds, Phase, Status};
use super::waker::WakerRef;
use super::{island, polled, teardown};
use crate::containment::discard_payload;
use crate::coop;
use crate::env;
use crate::frame::{self, AllocError, Origin};
use crate::stop::raise;
use crate::trace::collector;

/// What both handles are made of.
pub(super) struct Handle<T> {
    /// `None` once the output has been given and the frame let go of.
    frame: Option<RawFrame>,
    _output: PhantomData<T>,
    _pinned: PhantomPinned,
}

impl<T> Handle<T> {
    #[inline(always)]
    pub(super) fn new<F: Future<Output = T>>(future: F, bounds: Bounds) -> Self {
        match Self::try_new(future, bounds) {
            Ok(handle) => handle,
            Err(error) => refused(error),
        }
    }

    #[inline(always)]
    pub(super) fn try_new<F: Future<Output = T>>(future: F, bounds: Bounds) -> Result<Self, AllocError> {
        let frame = cell::allocate(future, bounds)?;
        Ok(Self { frame: Some(frame), _output: PhantomData, _pinned: PhantomPinned })
    }

    /// Changes what may become of the frame, unless that is decided.
    pub(super) fn set_bounds(&mut self, bounds: Bounds) {
        if let Some(frame) = self.frame {
            frame.set_bounds(bounds);
        }
    }

    /// Whether the loop polls the frame, or did.
    #[cfg(all(test, tress_loom))]
    pub(super) fn is_rooted(&self) -> bool {
        self.frame.is_some_and(|frame| matches!(frame.phase(), Phase::Rooted | Phase::Done))
    }

    #[inline(always)]
    #[track_caller]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        match self.frame {
            Some(frame) if frame.status() == Status::FRESH_ROOTABLE && !frame::is_window_open() => {
                self.first_poll(frame, Status::FRESH_ROOTABLE, Location::caller(), cx)
            }
            frame => self.poll_again(frame, cx),
        }
    }

    #[inline(never)]
    #[track_caller]
    fn poll_again(&mut self, frame: Option<RawFrame>, cx: &mut Context<'_>) -> Poll<T> {
        if let Some(frame) = frame {
            let status = frame.status();
            match status.phase() {
                Phase::Fresh => {
                    let caller = Location::caller();
                    return in_window_of(frame, || self.first_poll(frame, status, caller, cx));
                }
                Phase::Island => return self.poll_island(frame, Location::caller(), cx),
                Phase::Rooted => return self.poll_rooted(frame, cx),
                Phase::Done => return self.poll_done(frame, cx),
                Phase::Empty | Phase::PoisonedRooted | Phase::PoisonedIsland => {}
            }
        }
        panic!("a Lazy was polled after it had completed or panicked")
    }

    /// Decides what the frame is, and polls it.
    #[inline(always)]
    fn first_poll(
        &mut self,
        frame: RawFrame,
        status: Status,
        caller: &'static Location<'static>,
        cx: &mut Context<'_>,
    ) -> Poll<T> {
        with_current(|current| match current {
            Some(current) if self.is_awaited_by(current, cx) && may_be_rooted(frame, current) => {
                self.start(frame, status, current, caller)
            }
            _ => {
                frame.set_phase(Phase::Island);
                self.poll_island(frame, caller, cx)
            }
        })
    }

    #[inline(always)]
    fn is_awaited_by(&self, current: &Current, cx: &Context<'_>) -> bool {
        current.awaits(std::ptr::from_ref(self).addr(), cx.waker())
    }

    /// Makes the frame part of the tree, and polls it: at once, or from the loop if there is little stack left.
    #[inline(always)]
    fn start(
        &mut self,
        frame: RawFrame,
        status: Status,
        current: &Current,
        caller: &'static Location<'static>,
    ) -> Poll<T> {
        let tree = current.tree();
        frame.root(tree, status, current.frame(), caller);
        let mut poll = Poll::Pending;
        if current.has_room() {
            let poisoning = Poisoning { frame, is_rooted: true };
            let nested = current.nest(frame);
            let waker = WakerRef::new(&frame);
            // SAFETY: this thread runs the tree, the future is there, and the address is that of such a value.
            let polled = unsafe {
                (frame.vtable().poll_into)(
                    frame,
                    &mut Context::from_waker(&waker),
                    NonNull::from(&mut poll).cast(),
                )
            };
            drop(nested);
            std::mem::forget(poisoning);
            if polled != Polled::Pending {
                self.frame = None;
                if polled == Polled::Ended {
                    let_go(frame);
                }
                return poll;
            }
        } else {
            frame.header().state.transition_to_queued_unseen();
            current.push_fresh(frame);
        }
        frame.link(frame.tree(), coop::is_unconstrained());
        poll
    }

    /// The output is there, or what takes its place.
    #[inline(always)]
    #[track_caller]
    fn poll_done(&mut self, frame: RawFrame, cx: &Context<'_>) -> Poll<T> {
        if frame.status().is_stopped() {
            // So is who awaits it, each time it asks.
            raise(cx);
            return Poll::Pending;
        }
        Poll::Ready(self.take(frame))
    }

    /// Polls the frame exactly as a boxed future is polled.
    fn poll_island(
        &mut self,
        frame: RawFrame,
        caller: &'static Location<'static>,
        cx: &mut Context<'_>,
    ) -> Poll<T> {
        let _in_frame = collector::enter_island(frame.vtable().future_name, caller);
        let mut poll = Poll::Pending;
        frame.set_polling(true);
        let poisoning = Poisoning { frame, is_rooted: false };
        let mut poll_once = || {
            island::with_stack(|| {
                polled::poll(frame.vtable().future_name, caller, || {
                    // SAFETY: the handle has the island alone, the future is there, and the address is that of such a value.
                    unsafe { (frame.vtable().poll_into)(frame, cx, NonNull::from(&mut poll).cast()) }
                })
            })
        };
        let is_default = frame.status().origin() == Origin::Pool && !frame::is_window_open();
        let polled = if is_default { poll_once() } else { in_window_of(frame, poll_once) };
        std::mem::forget(poisoning);
        match polled {
            Polled::Pending => frame.set_polling(false),
            Polled::Gone => self.frame = None,
            Polled::Ended => {
                frame.set_polling(false);
                self.frame = None;
                let_go(frame);
            }
        }
        poll
    }

    /// Somebody asks again, before the frame is done.
    #[track_caller]
    fn poll_rooted(&mut self, frame: RawFrame, cx: &mut Context<'_>) -> Poll<T> {
        let by_parent = with_current(|current| {
            current
                .is_some_and(|current| current.frame() == frame.parent() && self.is_awaited_by(current, cx))
        });
        if by_parent {
            // Its end leads to the parent. What stops it is what did so when it was begun; who awaits it now may be stopped by more.
            env::stop_scope(|stop| match stop.is_stop_requested() {
                _ if frame.is_below(stop) => {}
                true => raise(cx),
                false => stop.note(cx.waker()),
            });
            return Poll::Pending;
        }
        island::isolate(frame);
        self.poll_island(frame, Location::caller(), cx)
    }

    /// Takes the stored output. Unwinds with the stored panic: each frame less on the stack makes that cheaper.
    #[inline(always)]
    #[track_caller]
    fn take(&mut self, frame: RawFrame) -> T {
        frame.set_phase(Phase::Empty);
        let mut stored = MaybeUninit::<Stored<T>>::uninit();
        // SAFETY: the phase said that the output is there, and it does not any more; the address is that of such a value.
        unsafe { (frame.vtable().take)(frame, NonNull::from(&mut stored).cast()) };
        self.frame = None;
        let_go(frame);
        // SAFETY: it was written just now.
        match unsafe { stored.assume_init() } {
            Ok(output) => output,
            Err(payload) => resume_unwind(payload),
        }
    }
}

impl<T> Drop for Handle<T> {
    #[inline(always)]
    fn drop(&mut self) {
        match self.frame {
            None => {}
            // It was torn down with what it is part of.
            Some(frame) if frame.phase() == Phase::Empty => let_go(frame),
            Some(frame) => drop_frame(frame),
        }
    }
}

/// Calls `f` in the window of the frame's maker: what the future makes comes from where the frame came from.
#[cold]
fn in_window_of<R>(frame: RawFrame, f: impl FnOnce() -> R) -> R {
    // Counted, since the frame may be freed at the end of the poll.
    let maker = frame.maker();
    frame::within(maker.get(), f)
}

/// There is no frame to be had.
#[cold]
#[inline(never)]
#[track_caller]
fn refused(error: AllocError) -> ! {
    panic!("a Lazy got no frame: {error}; `try_lazy` says so without a panic")
}

#[inline(always)]
fn may_be_rooted(frame: RawFrame, current: &Current) -> bool {
    match frame.status().bounds() {
        Bounds::Rootable => true,
        // Also its parent has to be bound to the thread: one that may be sent can be dropped elsewhere, with everything below it,
        // past any wrapper that would keep this handle from being dropped there.
        Bounds::RootableOnThread => {
            current.is_thread_bound()
                && current.frame().is_none_or(|parent| parent.status().bounds() == Bounds::RootableOnThread)
        }
        Bounds::Island => false,
    }
}

/// Drops what is left of a frame, and the handle's reference. Unwinds if a drop panics.
#[inline(never)]
fn drop_frame(frame: RawFrame) {
    /// The reference goes in any case.
    struct LetGo(RawFrame);

    impl Drop for LetGo {
        fn drop(&mut self) {
            let_go(self.0);
        }
    }

    let _let_go = LetGo(frame);
    match frame.phase() {
        Phase::Rooted | Phase::PoisonedRooted => match teardown::tear_down(frame) {
            Some(payload) if !std::thread::panicking() => resume_unwind(payload),
            Some(payload) => discard_payload(payload),
            None => {}
        },
        _ => island::drop_alone(frame),
    }
}

/// Gives up an empty frame, and the handle's reference.
#[inline]
fn let_go(frame: RawFrame) {
    if !frame.status().is_linked() {
        frame.release_handle();
    } else if runs(frame.tree_ptr()) {
        frame.unlink(frame.tree());
        frame.release_handle();
    } else {
        orphan(frame);
    }
}

/// Leaves a frame that is empty to whoever runs its tree, with the handle's reference: its place in its parent's list must not be
/// touched by others.
#[cold]
fn orphan(frame: RawFrame) {
    // A reference of its own: from the transition on, the handle's may go at any time.
    let _held = Waker::clone(&WakerRef::new(&frame));
    frame.orphan();
}

/// Marks a frame as poisoned when a poll of it unwinds.
struct Poisoning {
    frame: RawFrame,
    /// Whether it has just become part of a tree.
    is_rooted: bool,
}

impl Drop for Poisoning {
    // So that the guard need not be in memory while all goes well.
    #[inline(always)]
    fn drop(&mut self) {
        poison(self.frame, self.is_rooted);
    }
}

#[cold]
fn poison(frame: RawFrame, is_rooted: bool) {
    frame.set_polling(false);
    if frame.phase() == Phase::Empty {
        // The future was ready, and its drop has panicked.
        return;
    }
    if is_rooted {
        frame.set_phase(Phase::PoisonedRooted);
        // This thread runs the tree: it is where the poll was made.
        frame.link(frame.tree(), false);
    } else {
        frame.set_phase(Phase::PoisonedIsland);
    }
}
