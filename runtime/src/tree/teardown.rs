//! Dropping a frame with everything below it, without recursion.
#![expect(unsafe_code, reason = "drops futures and outputs in place")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::owned::Owned;
use super::raw::{Payload, RawFrame};
use super::status::Phase;
use crate::containment::discard_payload;
use crate::stop::StopSignal;

/// Drops the future or the output of a rooted frame, after those of all frames below it: leaf first, each child before
/// its parent. The handles below find their frames empty. The frame itself stays in its parent's list.
///
/// By whoever runs the tree, or has the handle: nobody else touches the frames below it then.
///
/// Panics of the drops are gathered: the first one is returned, the others are discarded.
pub(super) fn tear_down(frame: RawFrame) -> Option<Payload> {
    let mut first = None;
    let mut leaf = frame;
    loop {
        while let Some(child) = leaf.header().children.get() {
            leaf = child;
        }
        let parent = leaf.parent();
        keep_first(&mut first, empty(leaf));
        if leaf == frame {
            return first;
        }
        detach(leaf);
        leaf = parent.expect("frames below another one have a parent");
    }
}

/// Drops what is in a list of children, and empties the list.
pub(super) fn tear_down_all(children: &Owned<Option<RawFrame>>) -> Option<Payload> {
    let mut first = None;
    while let Some(child) = children.get() {
        keep_first(&mut first, tear_down(child));
        detach(child);
    }
    first
}

/// Ends a frame whose future has been stopped: drops the frames below it, then the future, and says so where the output would be.
///
/// By whoever runs the tree, after a poll that was pending. If a drop panics, that is what came of the frame.
#[cold]
pub(super) fn stop(frame: RawFrame) {
    let panic = tear_down(frame);
    let status = frame.status();
    let (payload, status) = match panic {
        Some(payload) => (payload, status),
        None => (Box::new(StopSignal) as Payload, status.with_stopped()),
    };
    // SAFETY: the frame is empty.
    unsafe { (frame.vtable().store_failure)(frame, payload) };
    frame.header().status.set(status.with_phase(Phase::Done));
}

/// Takes a frame out of its parent's list, and releases the reference of a handle that was dropped where that could not be
/// done. By whoever runs the tree, or has the parent's handle.
///
/// An orphan is both in the list and queued: it may come here twice, and the reference goes with its place in the list.
pub(super) fn detach(frame: RawFrame) {
    if frame.unlink(frame.tree()) && frame.header().state.is_orphaned() {
        frame.release();
    }
}

/// Drops what is left in a frame that has no children, if that is not its handle's business.
fn empty(frame: RawFrame) -> Option<Payload> {
    if frame.status().is_polling() {
        // Its own poll drops it: the future is in use further up on this stack, and the caller is about to free what it
        // borrows or lies in. No safe code gets here.
        std::process::abort();
    }
    frame.header().state.transition_to_inert();
    let was = frame.phase();
    let drop_it = match was {
        Phase::Rooted | Phase::PoisonedRooted => frame.vtable().drop_future,
        Phase::Done => frame.vtable().drop_output,
        Phase::Fresh | Phase::Island | Phase::PoisonedIsland | Phase::Empty => return None,
    };
    frame.set_phase(Phase::Empty);
    // SAFETY: the guard is dropped in this function.
    let env = unsafe { frame.enter_env() };
    // SAFETY: the phase said that the future, or the output, is there, and it does not any more.
    let panic = frame.in_span(|| catch_unwind(AssertUnwindSafe(|| unsafe { drop_it(frame) }))).err();
    drop(env);
    frame.drop_env();
    frame.drop_span();
    panic
}

/// Keeps the first payload and discards the other.
#[inline(always)]
pub(crate) fn keep_first(first: &mut Option<Payload>, payload: Option<Payload>) {
    #[cold]
    fn keep(first: &mut Option<Payload>, payload: Payload) {
        match first {
            Some(_) => discard_payload(payload),
            None => *first = Some(payload),
        }
    }

    if let Some(payload) = payload {
        keep(first, payload);
    }
}
