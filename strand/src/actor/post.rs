//! A closure that is queued for an actor's state, and nobody waits for.
#![expect(unsafe_code, reason = "finds the core again that the closure is queued at")]

use std::mem;
use std::ptr::NonNull;

use tress_runtime::executor::Runnable;

use super::core::Core;
use crate::job::Job;

/// Something that calls the closure with the state when it is run, which only that actor's core does.
pub(super) fn runnable<T, F>(core: &Core<T>, f: F) -> Runnable
where
    T: Send + 'static,
    F: FnOnce(&mut T) + Send + 'static,
{
    let queued = Queued(NonNull::from(core));
    Job::runnable(move || queued.run(f))
}

/// Counts one that waits, until it is run or dropped. There for whoever does that: he has a reference to the core.
struct Queued<T: Send + 'static>(NonNull<Core<T>>);

// SAFETY: it is a reference to something that may be shared.
unsafe impl<T: Send> Send for Queued<T> {}

impl<T: Send + 'static> Queued<T> {
    fn run(self, f: impl FnOnce(&mut T)) {
        /// The closure has panicked.
        struct Poison<'a, T: Send + 'static>(&'a Core<T>);

        impl<T: Send + 'static> Drop for Poison<'_, T> {
            fn drop(&mut self) {
                self.0.poison();
            }
        }

        // SAFETY: who runs it has a reference to the core.
        let core = unsafe { self.0.as_ref() };
        // It waits no more.
        drop(self);
        if core.is_poisoned() {
            return;
        }
        let unwinding = Poison(core);
        // SAFETY: whoever runs what is queued is the holder.
        unsafe { core.with_state(f) };
        mem::forget(unwinding);
    }
}

impl<T: Send + 'static> Drop for Queued<T> {
    fn drop(&mut self) {
        // SAFETY: who runs or drops it has a reference to the core.
        unsafe { self.0.as_ref() }.room().give_back();
    }
}
