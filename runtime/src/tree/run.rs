//! The loop that runs a tree.

use super::Tree;
use super::current::Current;
use super::raw::RawFrame;
use super::ready::Chain;
use super::status::Phase;
use crate::coop;

/// What is polled next without having been woken: the parent of a frame that is done.
enum Parent {
    Root,
    Frame(RawFrame),
}

/// Runs a root once: polls its own future if it was woken, and the frames that were.
///
/// `poll_root` polls the root's own future, does not unwind, and says if it is ready: then the run is over.
#[inline]
pub(crate) fn run(current: &Current, root_woken: bool, poll_root: &mut impl FnMut() -> bool) {
    let is_ready = root_woken && poll_root();
    if !is_ready && has_woken_frames(current) {
        run_frames(current, poll_root);
    }
}

/// Whether frames below the root were woken, or have begun and are to be polled.
#[inline]
pub(crate) fn has_woken_frames(current: &Current) -> bool {
    current.tree_if_any().is_some_and(|tree| current.has_fresh() || !tree.ready.is_empty())
}

/// Polls frames that were woken, each one's parent after it if it is done, and so on, until the root's own future is ready.
///
/// What is woken meanwhile is left to the next run, so that a frame that wakes itself lets other tasks run in between.
pub(crate) fn run_frames(current: &Current, poll_root: &mut dyn FnMut() -> bool) {
    let Some(tree) = current.tree_if_any() else { return };
    let mut woken = tree.ready.take();
    let mut next = None;
    for _ in 0..POLLS_PER_RUN {
        if let Some(parent) = next.take() {
            match parent {
                Parent::Root if poll_root() => return,
                Parent::Root => {}
                Parent::Frame(frame) => {
                    frame.header().state.transition_to_polled();
                    next = poll(frame, current);
                }
            }
        } else if let Some(frame) = current.pop_fresh().or_else(|| woken.pop()) {
            if frame.header().state.transition_to_popped() {
                next = poll(frame, current);
            }
            frame.release();
        } else {
            return;
        }
    }
    put_off(current, tree, next, woken);
}

/// Polls a frame, if that is still wanted, and says whose turn it is if it is done.
fn poll(frame: RawFrame, current: &Current) -> Option<Parent> {
    if frame.header().state.is_orphaned() {
        // It is empty: what is left to do is what could not be done on another thread.
        super::teardown::detach(frame);
        return None;
    }
    if frame.phase() != Phase::Rooted {
        return None;
    }
    let _unconstrained = frame.status().is_unconstrained().then(|| coop::enter(None));
    let _nested = current.nest(frame);
    frame.poll_stored().then(|| frame.parent().map_or(Parent::Root, Parent::Frame))
}

/// Leaves what this run does not get round to for the next one.
fn put_off(current: &Current, tree: &Tree, next: Option<Parent>, mut woken: Chain) {
    match next {
        Some(Parent::Root) => current.wake_root(),
        Some(Parent::Frame(frame)) => frame.wake_by_ref(),
        None => {}
    }
    while let Some(frame) = current.pop_fresh().or_else(|| woken.pop()) {
        tree.push_back(frame);
    }
    current.schedule_root();
}

/// Ends a tree: drops every future in it, leaf first, and refuses what is woken later.
///
/// The root's own future is still there, or gone; what its drop does later finds the frames empty. Panics of the futures'
/// drops are gathered: the first one is returned.
#[inline(always)]
pub(crate) fn end(current: &Current) -> Option<super::raw::Payload> {
    // Most tasks have none.
    #[inline(never)]
    fn end_frames(current: &Current, tree: &Tree) -> Option<super::raw::Payload> {
        let first = super::teardown::tear_down_all(&tree.children);
        drop(current.take_fresh());
        drop(tree.ready.close());
        first
    }

    // Nobody would take from a list again what is woken of them.
    current.refuse_frames();
    current.tree_if_any().and_then(|tree| end_frames(current, tree))
}

/// How many polls of frames one run makes before it lets other tasks run. Models have to get there.
const POLLS_PER_RUN: usize = if cfg!(tress_loom) { 2 } else { 256 };
