//! How a stop travels up, from the operation that it hits to whoever catches it.
#![expect(unsafe_code, reason = "a scoped thread-local pointer")]

use std::cell::Cell;
use std::ptr;
use std::task::Context;

use crate::tree::{self, Place};

/// What stands where a future's output would, if it has been stopped: the payload of a panic that never was.
#[derive(Debug)]
pub(crate) struct StopSignal;

thread_local! {
    /// The innermost catch point that is being polled on this thread; null if there is none.
    static CATCH: Cell<*const Catch> = const { Cell::new(ptr::null()) };
}

/// A catch point during a poll of its future.
struct Catch {
    /// What was being polled around it.
    place: Place,
    is_raised: Cell<bool>,
}

/// Puts the outer catch point back when dropped.
struct Restore(*const Catch);

impl Drop for Restore {
    fn drop(&mut self) {
        CATCH.set(self.0);
    }
}

/// Polls or drops something; says whether a stop has been raised meanwhile, which then goes no further.
pub(super) fn catch<R>(f: impl FnOnce() -> R) -> (R, bool) {
    let catch = Catch { place: tree::place(), is_raised: Cell::new(false) };
    let restore = Restore(CATCH.replace(&raw const catch));
    let result = f();
    drop(restore);
    (result, catch.is_raised.get())
}

/// Whether a stop holds that has been raised in a poll that has ended pending, by the rule that is the same at every place: the poll is
/// repeated, and the stop holds if one is raised each time. So it is who is still awaited that counts, and not who has lost a `select!` before.
///
/// `again` makes the poll, and says whether it has ended like that again. More than once, since what has lost may be followed by what is ready
/// in the next poll and then by another that loses.
#[cold]
#[inline(never)]
pub(crate) fn holds(again: &mut dyn FnMut() -> bool) -> bool {
    (0..REPEATS).all(|_| again())
}

/// Raises a stop at the innermost place that can end what is being polled, and wakes it: it is polled again if the stop does not hold, and so
/// is who is polled for its own wakes only. Where there is no such place, on foreign executors, nothing happens.
#[cold]
pub(crate) fn raise(cx: &Context<'_>) {
    let innermost = CATCH.get();
    // SAFETY: null, or set by `catch`, further up on this stack, which resets it before it returns.
    let is_raised = match unsafe { innermost.as_ref() } {
        Some(catch) if catch.place == tree::place() => {
            catch.is_raised.set(true);
            true
        }
        _ => tree::raise(),
    };
    if is_raised {
        cx.waker().wake_by_ref();
    }
}

/// So often is a poll repeated in which a stop has been raised.
const REPEATS: usize = 3;
