//! Keeping panics of foreign code from those who have nothing to do with it.
//!
//! A worker calls code of its users at many places where nobody could be told of a panic: wakers, hooks, drops of what
//! nobody wants. The panic hook has reported it by then; what is left is to go on.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls foreign code; its panic ends here.
pub(crate) fn contain_panic(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        discard_payload(payload);
    }
}

/// Drops what a panic left behind.
///
/// The payload is as foreign as what raised it: its drop may panic too. What that panics with is leaked, since there
/// has to be an end.
pub(crate) fn discard_payload(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(again);
    }
}
