//! Frames that are polled and dropped like boxed futures.
#![expect(unsafe_code, reason = "drops futures and outputs in place")]

use super::raw::RawFrame;
use super::status::Phase;
use super::teardown::detach;

/// Makes a frame an island, and everything below it: from now on each is polled under its handle's poll. The frame itself stays
/// in its parent's list.
///
/// By whoever runs the tree, or has the handle: nobody else touches the frames below it then. The caller polls the frame next, and
/// by that everything below it, with the new waker.
///
/// # Panics
///
/// If the frame's own future is being polled further up on this stack.
#[cold]
pub(super) fn isolate(frame: RawFrame) {
    assert!(!frame.status().is_polling(), "a Lazy was polled inside its own poll");
    let mut leaf = frame;
    loop {
        while let Some(child) = leaf.header().children.get() {
            leaf = child;
        }
        let parent = leaf.parent();
        if leaf.status().is_polling() {
            // Further up on this stack, and the caller is about to poll what it is polled by. No safe code gets here.
            std::process::abort();
        }
        // What has woken it, or wakes it before it is polled again, is found by that poll.
        leaf.header().state.transition_to_inert();
        leaf.set_phase(match leaf.phase() {
            Phase::Rooted => Phase::Island,
            Phase::PoisonedRooted => Phase::PoisonedIsland,
            phase => phase,
        });
        // What is around its handle is around its polls again.
        leaf.drop_span();
        if leaf == frame {
            return;
        }
        detach(leaf);
        leaf = parent.expect("frames below another one have a parent");
    }
}

/// Drops what an island, or a frame that was never polled, holds. Unwinds if the drop panics.
pub(super) fn drop_alone(frame: RawFrame) {
    let was = frame.phase();
    frame.set_phase(Phase::Empty);
    frame.header().state.transition_to_inert();
    with_stack(|| match was {
        // SAFETY: the phase said that the future is there, and the handle has it alone.
        Phase::Fresh | Phase::Island | Phase::PoisonedIsland => unsafe {
            (frame.vtable().drop_future)(frame);
        },
        // SAFETY: the phase said that the output is there, and the handle has it alone.
        Phase::Done => unsafe { (frame.vtable().drop_output)(frame) },
        Phase::Rooted | Phase::PoisonedRooted | Phase::Empty => {}
    });
}

/// Calls `f` with enough stack for one more level of recursion, taken from the heap if need be.
#[cfg(not(tress_loom))]
#[inline(always)]
pub(super) fn with_stack<R>(f: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(RED_ZONE_BYTES, SEGMENT_BYTES, f)
}

/// Models do not recurse.
#[cfg(tress_loom)]
pub(super) fn with_stack<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Whether stack is not what this thread is short of.
#[cfg(not(tress_loom))]
pub(super) fn has_much_stack() -> bool {
    stacker::remaining_stack().is_some_and(|bytes| bytes > MUCH_STACK_BYTES)
}

/// Models do not recurse.
#[cfg(tress_loom)]
pub(super) fn has_much_stack() -> bool {
    false
}

#[cfg(not(tress_loom))]
const MUCH_STACK_BYTES: usize = 1024 * 1024;

/// What one level may need, the futures' own locals included.
#[cfg(not(tress_loom))]
const RED_ZONE_BYTES: usize = 32 * 1024;

/// How much is taken from the heap at a time.
#[cfg(not(tress_loom))]
const SEGMENT_BYTES: usize = 1024 * 1024;
