//! The frames of a tree that have been woken.
#![expect(unsafe_code, reason = "links frames through their headers")]

use std::ptr::{self, NonNull};

use super::raw::{FrameHeader, RawFrame};
use crate::primitive::sync::atomic::{AtomicPtr, Ordering};

/// A stack that any thread pushes to and the one that runs the tree takes whole.
#[derive(Debug)]
pub(super) struct ReadyList {
    /// Values: null, the newest frame, or [`CLOSED`]. Pushers put a frame in front with a compare-exchange; the one who
    /// runs the tree takes everything with a swap, or closes the list with one. Publishes the links of the frames.
    head: AtomicPtr<FrameHeader>,
}

/// What a push has found.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// Nothing: the root has to be scheduled.
    First,
    /// Other frames: whoever pushed the first of them schedules the root.
    Later,
    /// The tree has ended: the frame was not pushed.
    Closed,
}

/// Frames that stand in no list any more, but are linked and counted as if they did: the caller's alone. What is left in it when
/// it is dropped is not to be polled any more.
#[derive(Debug)]
pub(super) struct Chain(*mut FrameHeader);

impl ReadyList {
    pub(super) fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Pushes a frame.
    ///
    /// # Safety
    ///
    /// The caller has made the transition that says so: the frame's link and the list's reference are the caller's.
    pub(super) unsafe fn push(&self, frame: RawFrame) -> Pushed {
        // Relaxed: only the address is used; what counts is what the head is at the exchange.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head == closed() {
                return Pushed::Closed;
            }
            frame.header().link.set(head);
            // Release: partner is the Acquire in `take`, also for the frames that are there already, whose releases are
            // continued by this read-modify-write.
            match self.head.compare_exchange_weak(head, frame.as_ptr(), Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) if head.is_null() => return Pushed::First,
                Ok(_) => return Pushed::Later,
                Err(current) => head = current,
            }
        }
    }

    /// Whether there was nothing to take a moment ago.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        // Relaxed: whoever pushes the first frame schedules the root, which orders its next look.
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// Takes everything, oldest first. For the one who runs the tree.
    pub(super) fn take(&self) -> Chain {
        if self.is_empty() {
            return Chain(ptr::null_mut());
        }
        // Acquire: partner is the Release in `push`.
        Chain::reversed(self.head.swap(ptr::null_mut(), Ordering::Acquire))
    }

    /// Takes everything and refuses what comes later. For the one who ends the tree.
    pub(super) fn close(&self) -> Chain {
        // Acquire: as in `take`.
        let head = self.head.swap(closed(), Ordering::Acquire);
        debug_assert!(head != closed(), "a tree ends once");
        Chain::reversed(head)
    }
}

impl Chain {
    /// No frames.
    pub(super) const EMPTY: Self = Self(ptr::null_mut());

    fn reversed(mut newest: *mut FrameHeader) -> Self {
        let mut chain = Self::EMPTY;
        while let Some(frame) = NonNull::new(newest) {
            // SAFETY: frames that were in the list are held by its references, which are the caller's now.
            let frame = unsafe { RawFrame::from_ptr(frame) };
            // SAFETY: it was set when the frame was queued.
            newest = unsafe { frame.header().link.get() };
            chain.push(frame);
        }
        chain
    }

    /// Puts a frame in front, whose link and list reference are the caller's.
    pub(super) fn push(&mut self, frame: RawFrame) {
        frame.header().link.set(self.0);
        self.0 = frame.as_ptr();
    }

    /// Takes the frame in front.
    pub(super) fn pop(&mut self) -> Option<RawFrame> {
        let frame = NonNull::new(self.0)?;
        // SAFETY: the chain's frames are held by the references that it owns.
        let frame = unsafe { RawFrame::from_ptr(frame) };
        // SAFETY: it was set when the frame was queued.
        self.0 = unsafe { frame.header().link.get() };
        Some(frame)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_null()
    }
}

impl Drop for Chain {
    #[inline]
    fn drop(&mut self) {
        while let Some(frame) = self.pop() {
            // Whether it has been woken does not matter any more.
            let _ = frame.header().state.transition_to_popped();
            frame.release();
        }
    }
}

/// Stands for the end of the tree: no frame lies at this address.
fn closed() -> *mut FrameHeader {
    ptr::without_provenance_mut(CLOSED)
}

const CLOSED: usize = 1;
