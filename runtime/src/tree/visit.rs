//! Polling everything in a tree, to see what it waits for.

use super::Tree;
use super::current::Current;
use super::raw::RawFrame;
use super::status::Phase;
use crate::coop;
use crate::trace::collector;

/// A frame that stays in memory, whatever the polls of others do to it.
struct Held {
    frame: RawFrame,
    /// The place of its parent among the frames that are held; `None` for the root's own future.
    parent: Option<usize>,
    /// Its number in the dump, once it has been polled; of a frame that cannot be polled, that of the nearest above it that was.
    number: Option<usize>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.frame.release();
    }
}

/// Polls the root's own future and every frame below it, once each, whether woken or not.
///
/// Whoever runs the root may do so at any time: every future may be polled without having been woken. What is woken meanwhile,
/// and what such a poll has begun, is left to the next run.
pub(crate) fn visit(current: &Current, root_future: &'static str, poll_root: &mut dyn FnMut() -> bool) {
    current.trace();
    // Before any poll: polls change the tree.
    let mut frames = current.tree_if_any().map_or_else(Vec::new, hold_all);
    let in_root = collector::enter_frame(None, root_future, None);
    let root_number = in_root.as_ref().map(collector::InFrame::number);
    if poll_root() {
        return;
    }
    drop(in_root);
    for place in 0..frames.len() {
        let Held { frame, parent, .. } = frames[place];
        let above = parent.map_or(root_number, |parent| frames[parent].number);
        frames[place].number = if is_waiting(frame) { poll(frame, above, current) } else { above };
    }
    drop(frames);
    leave_to_next_run(current);
}

/// Has another run poll what this one has begun, and what was woken before it and relies on it.
pub(crate) fn leave_to_next_run(current: &Current) {
    let Some(tree) = current.tree_if_any() else { return };
    while let Some(frame) = current.pop_fresh() {
        tree.push_back(frame);
    }
    if tree.has_ready() {
        current.schedule_root();
    }
}

/// Whether it is in the tree and its future is there.
fn is_waiting(frame: RawFrame) -> bool {
    frame.phase() == Phase::Rooted && !frame.header().state.is_orphaned()
}

/// Polls a frame, and has its parent polled by a later run if it is done. Returns its number in the dump.
fn poll(frame: RawFrame, parent: Option<usize>, current: &Current) -> Option<usize> {
    let in_frame = collector::enter_frame(parent, frame.future_name(), frame.awaited_at());
    let _nested = current.nest(frame);
    let _unconstrained = frame.status().is_unconstrained().then(|| coop::enter(None));
    if frame.poll_stored() {
        match frame.parent() {
            Some(parent) => parent.wake_by_ref(),
            None => current.wake_root(),
        }
    }
    in_frame.map(|in_frame| in_frame.number())
}

/// Holds every frame of the tree, each after its parent, and children in the order in which they were first awaited.
fn hold_all(tree: &Tree) -> Vec<Held> {
    let mut held = Vec::new();
    let mut left: Vec<(RawFrame, Option<usize>)> = Vec::new();
    // The list begins with the youngest, and the stack ends with what is next.
    push_siblings(&mut left, tree.children.get(), None);
    while let Some((frame, parent)) = left.pop() {
        frame.hold();
        held.push(Held { frame, parent, number: None });
        push_siblings(&mut left, frame.header().children.get(), Some(held.len() - 1));
    }
    held
}

fn push_siblings(left: &mut Vec<(RawFrame, Option<usize>)>, first: Option<RawFrame>, parent: Option<usize>) {
    let mut next = first;
    while let Some(frame) = next {
        left.push((frame, parent));
        next = frame.next_sibling();
    }
}
