//! Keeping panics of foreign code from those who have nothing to do with it.
//!
//! A worker calls code of its users at many places where nobody could be told of a panic: wakers, hooks, drops of what
//! nobody wants. The panic hook has reported it by then; what is left is to go on.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls foreign code; its panic ends here.
pub fn contain_panic(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        discard_payload(payload);
    }
}

/// Holds a foreign value whose drop may panic, in a place that may unwind: there a second panic would end the process. It ends here.
pub(crate) struct Contained<T>(Option<T>);

impl<T> Contained<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    pub(crate) fn get(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        contain_panic(|| drop(self.0.take()));
    }
}

/// Drops what a panic left behind.
///
/// The payload is as foreign as what raised it: its drop may panic too, and so may the drop of what that panics with.
/// There has to be an end, where the last of them is leaked.
pub fn discard_payload(mut payload: Box<dyn Any + Send>) {
    for _ in 0..PATIENCE {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(again) => payload = again,
        }
    }
    mem::forget(payload);
}

const PATIENCE: u32 = 8;
