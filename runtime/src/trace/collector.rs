//! What a poll notes down while somebody wants to see what the polled task waits for.
#![expect(unsafe_code, reason = "a scoped thread-local pointer, which every wait looks at")]

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::ptr;

use super::{FrameDump, WaitDump};
use crate::primitive::coarse::Moment;
use crate::primitive::thread::thread_local;
use crate::tree;

thread_local! {
    /// What the thread notes down; null unless it polls a task for a dump. Points to a value on this thread's stack that
    /// outlives the pointer (see [`Collector::collect`]).
    static COLLECTOR: Cell<*const Collector> = const { Cell::new(ptr::null()) };
}

/// The frames of one task, each after its parent, and what they wait for.
#[derive(Debug)]
pub(super) struct Collector {
    frames: RefCell<Vec<FrameDump>>,
    /// The frame whose future is being polled.
    at: Cell<Option<usize>>,
    now: Moment,
}

/// Puts the former collector back when dropped.
struct Restore(*const Collector);

impl Drop for Restore {
    fn drop(&mut self) {
        let _ = COLLECTOR.try_with(|collector| collector.set(self.0));
    }
}

impl Collector {
    pub(super) fn new(now: Moment) -> Self {
        Self { frames: RefCell::new(Vec::new()), at: Cell::new(None), now }
    }

    /// Notes down what is polled by `poll`, on this thread. `None` inside another such call, or on a thread that is ending.
    pub(super) fn collect<R>(&self, poll: impl FnOnce() -> R) -> Option<R> {
        if is_collecting() {
            return None;
        }
        let former = COLLECTOR.try_with(|collector| collector.replace(self)).ok()?;
        let _restore = Restore(former);
        Some(poll())
    }

    pub(super) fn into_frames(self) -> Vec<FrameDump> {
        self.frames.into_inner()
    }

    /// Begins a frame, which lies below `parent`.
    fn begin(
        &self,
        parent: Option<usize>,
        future: &'static str,
        awaited_at: Option<&'static Location<'static>>,
    ) -> usize {
        let mut frames = self.frames.borrow_mut();
        let depth = parent.map_or(0, |parent| frames[parent].depth + 1);
        frames.push(FrameDump { future, awaited_at, parent, depth, waits: Vec::new() });
        self.at.set(Some(frames.len() - 1));
        frames.len() - 1
    }

    fn wait(&self, what: &'static str, location: &'static Location<'static>, since: Moment) {
        if let Some(at) = self.at.get() {
            let waits = &mut self.frames.borrow_mut()[at].waits;
            waits.push(WaitDump { what, location, waited: since.elapsed(self.now) });
        }
    }
}

/// A frame whose future is being polled; its parent's is again when this is dropped.
#[derive(Debug)]
pub(crate) struct InFrame {
    number: usize,
    outer: Option<usize>,
}

impl InFrame {
    /// The frame's number in the dump.
    pub(crate) const fn number(&self) -> usize {
        self.number
    }
}

impl Drop for InFrame {
    fn drop(&mut self) {
        with_collector(|collector| {
            if let Some(collector) = collector {
                collector.at.set(self.outer);
            }
        });
    }
}

/// Says that the future of a frame is being polled, which lies below the frame with the number `parent`.
pub(crate) fn enter_frame(
    parent: Option<usize>,
    future: &'static str,
    awaited_at: Option<&'static Location<'static>>,
) -> Option<InFrame> {
    with_collector(|collector| {
        let collector = collector?;
        let outer = collector.at.get();
        Some(InFrame { number: collector.begin(parent, future, awaited_at), outer })
    })
}

/// Says that a future is being polled under the poll of another one, if somebody wants to know.
#[inline]
pub(crate) fn enter_island(
    future: fn() -> &'static str,
    awaited_at: &'static Location<'static>,
) -> Option<InFrame> {
    if is_collecting() { note_island(future, awaited_at) } else { None }
}

#[cold]
fn note_island(future: fn() -> &'static str, awaited_at: &'static Location<'static>) -> Option<InFrame> {
    if !tree::is_traced() {
        return None;
    }
    let parent = with_collector(|collector| collector.and_then(|collector| collector.at.get()));
    enter_frame(parent, future(), line_of_user(awaited_at))
}

/// The line, unless it is one of this crate: where a task polls its own future, there is no await that a user wrote.
pub(crate) fn line_of_user(line: &'static Location<'static>) -> Option<&'static Location<'static>> {
    (!line.file().starts_with(crate::SOURCES)).then_some(line)
}

/// An operation waits, and has waited since then; noted down if somebody wants to know.
#[inline]
pub(crate) fn found(what: &'static str, location: &'static Location<'static>, since: Moment) {
    if is_collecting() {
        note_wait(what, location, since);
    }
}

#[cold]
fn note_wait(what: &'static str, location: &'static Location<'static>, since: Moment) {
    // Not what waits in a run loop inside the poll, if somebody has one there.
    if tree::is_traced() {
        with_collector(|collector| {
            if let Some(collector) = collector {
                collector.wait(what, location, since);
            }
        });
    }
}

/// Whether this thread polls a task for a dump.
#[inline]
fn is_collecting() -> bool {
    COLLECTOR.try_with(|collector| !collector.get().is_null()).unwrap_or(false)
}

fn with_collector<R>(f: impl FnOnce(Option<&Collector>) -> R) -> R {
    let collector = COLLECTOR.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: null, or set by `collect`, which borrows the value for longer and puts the former pointer back before it returns.
    f(unsafe { collector.as_ref() })
}
