//! How a stop travels up, from the operation that it hits to whoever catches it.
#![expect(unsafe_code, reason = "a scoped thread-local pointer")]

use std::cell::{Cell, RefCell};
use std::ptr;

use crate::primitive::sync::PlainArc;
use crate::tree::{self, Place};

/// What stands where a future's output would, if it has been stopped: the payload of a panic that never was.
#[derive(Debug)]
pub(crate) struct StopSignal;

/// Whether a stop has been raised, and how.
///
/// A stop is *raised* by an operation during its poll, which is then pending, at the innermost place that can end what is being polled: a
/// catch point, a [`Lazy`](crate::task::Lazy) frame, or the root. That place looks when the poll that it makes ends: if that is pending, it
/// drops what it has polled; if it is ready, nothing has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raised(u8);

impl Raised {
    pub(crate) const NOT: Self = Self(0);
    /// By an operation that the token has stopped.
    pub(crate) const FIRMLY: Self = Self(1);
    /// By a future that may be dropped before the poll ends, which takes it back.
    pub(crate) const LOOSELY: Self = Self(2);

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    #[inline(always)]
    pub(crate) fn is_raised(self) -> bool {
        self != Self::NOT
    }

    /// Whether the stop still holds, at the place with this address, now that the poll has ended pending.
    #[cold]
    pub(crate) fn holds(self, place: usize) -> bool {
        // Both, since the second forgets what belongs to this place.
        let loosely = self.0 & Self::LOOSELY.0 != 0 && take_loose(place);
        loosely || self.0 & Self::FIRMLY.0 != 0
    }
}

thread_local! {
    /// The innermost catch point that is being polled on this thread; null if there is none.
    static CATCH: Cell<*const Catch> = const { Cell::new(ptr::null()) };
    /// The futures that have raised a stop loosely, each with the address of the place.
    static LOOSE: RefCell<Vec<(usize, std::sync::Weak<()>)>> = const { RefCell::new(Vec::new()) };
}

/// A catch point during a poll of its future.
struct Catch {
    /// What was being polled around it.
    place: Place,
    raised: Cell<Raised>,
}

/// Puts the outer catch point back when dropped.
struct Restore(*const Catch);

impl Drop for Restore {
    fn drop(&mut self) {
        CATCH.set(self.0);
    }
}

/// Polls something; says whether that has raised a stop, which holds if the poll has ended pending.
pub(super) fn catch<R>(poll: impl FnOnce() -> R) -> (R, bool) {
    let catch = Catch { place: tree::place(), raised: Cell::new(Raised::NOT) };
    let restore = Restore(CATCH.replace(&raw const catch));
    let result = poll();
    drop(restore);
    let raised = catch.raised.get();
    (result, raised.is_raised() && raised.holds((&raw const catch).addr()))
}

/// Raises a stop at the innermost place. Returns the place's address; `None` if there is none: on foreign executors.
#[cold]
pub(crate) fn raise(how: Raised) -> Option<usize> {
    let innermost = CATCH.get();
    // SAFETY: null, or set by `catch`, further up on this stack, which resets it before it returns.
    if let Some(catch) = unsafe { innermost.as_ref() }
        && catch.place == tree::place()
    {
        catch.raised.set(catch.raised.get().and(how));
        return Some(innermost.addr());
    }
    tree::raise(how)
}

/// Remembers who has raised a stop loosely.
pub(super) fn note_loose(place: usize, by: &PlainArc<()>) {
    let by = PlainArc::downgrade(by);
    LOOSE.with_borrow_mut(|loose| {
        loose.retain(|(_, other)| other.strong_count() > 0 && !other.ptr_eq(&by));
        loose.push((place, by));
    });
}

/// Forgets those who have raised a stop at this place; true if one of them is still there.
fn take_loose(place: usize) -> bool {
    LOOSE.with_borrow_mut(|loose| {
        let mut is_alive = false;
        loose.retain(|(other, by)| {
            let alive = by.strong_count() > 0;
            is_alive |= alive && *other == place;
            alive && *other != place
        });
        is_alive
    })
}
