//! The islands that the current thread polls, for backtraces.
#![expect(unsafe_code, reason = "a scoped thread-local pointer; a list on the heap would cost on every poll")]

use std::cell::Cell;
use std::panic::Location;
use std::ptr;

use super::current::{Current, with_current};
use super::raw::RawFrame;
use crate::primitive::thread::thread_local;
use crate::trace::collector::line_of_user;

thread_local! {
    /// The innermost island that is being polled on this thread; null if there is none. Points to a value on this thread's stack
    /// that outlives the pointer (see [`poll`]).
    static INNERMOST: Cell<*const Island> = const { Cell::new(ptr::null()) };
}

/// An island that is being polled.
#[derive(Debug)]
struct Island {
    future: fn() -> &'static str,
    awaited_at: &'static Location<'static>,
    /// The run that it is polled in; null if there is none. Only ever compared.
    run: *const Current,
    /// The frame in whose poll it is polled; `None` for the root's own future.
    frame: Option<RawFrame>,
    /// The next one further up on this stack.
    outer: *const Self,
}

/// Makes the next one further up the innermost when dropped, also by a panic.
struct Leave(*const Island);

impl Drop for Leave {
    #[inline]
    fn drop(&mut self) {
        let _ = INNERMOST.try_with(|innermost| innermost.set(self.0));
    }
}

/// Polls an island, of which backtraces tell meanwhile.
#[inline]
pub(super) fn poll<R>(
    future: fn() -> &'static str,
    awaited_at: &'static Location<'static>,
    poll: impl FnOnce() -> R,
) -> R {
    let (run, frame) = with_current(|current| match current {
        Some(current) => (ptr::from_ref(current), current.frame()),
        None => (ptr::null(), None),
    });
    let outer = innermost();
    let polled = Island { future, awaited_at, run, frame, outer };
    let _ = INNERMOST.try_with(|innermost| innermost.set(&raw const polled));
    let _leave = Leave(outer);
    poll()
}

fn innermost() -> *const Island {
    INNERMOST.try_with(Cell::get).unwrap_or(ptr::null())
}

/// Calls `f` for each frame and island from the one whose future is being polled in a run up to the root's own, the innermost
/// first, with its future's name and the line that awaits it. Without a run, for the islands that are polled in none.
pub(super) fn for_each(
    run: Option<&Current>,
    mut f: impl FnMut(&'static str, Option<&'static Location<'static>>),
) {
    let mut island = innermost();
    let mut next = run.and_then(Current::frame);
    let run = run.map_or(ptr::null(), ptr::from_ref);
    loop {
        // SAFETY: null, or an island further up on this stack, whose poll goes on for longer than this call.
        let polled = unsafe { island.as_ref() };
        if let Some(polled) = polled.filter(|polled| polled.run == run && polled.frame == next) {
            f((polled.future)(), line_of_user(polled.awaited_at));
            island = polled.outer;
        } else if let Some(frame) = next {
            f(frame.future_name(), frame.awaited_at());
            next = frame.parent();
        } else {
            return;
        }
    }
}
