//! What the handles of an actor share.
#![expect(unsafe_code, reason = "lends the state to one after the other")]

use std::mem;
use std::ptr::NonNull;

use tress_runtime::executor::AnyExecutor;

use super::CallError;
use super::room::Room;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::serial::{Choices, Handle, Host, Serial};

/// The state, and who has it.
#[repr(C)]
pub(super) struct Core<T> {
    pub(super) serial: Serial,
    /// Values: whether a call has panicked, and that matters. Written by the holder; published with the rest of what he does.
    is_poisoned: AtomicBool,
    poisons: bool,
    /// For calls and posts that wait.
    room: Room,
    state: UnsafeCell<T>,
}

// SAFETY: the serial part is the first field, and made with this type's table.
unsafe impl<T: Send + 'static> Host for Core<T> {
    // Calls run on whichever stack.
    const HAS_LOCALS: bool = false;
}
// SAFETY: the state is lent to one thread at a time; it may be sent.
unsafe impl<T: Send> Send for Core<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Core<T> {}

/// What an actor is made with.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) executor: Option<AnyExecutor>,
    pub(super) capacity: usize,
    pub(super) poisons: bool,
    pub(super) choices: Choices,
}

impl<T: Send + 'static> Core<T> {
    pub(super) fn make(state: T, settings: Settings) -> Handle {
        Handle::new(Self {
            serial: Serial::new::<Self>(settings.executor, settings.choices),
            is_poisoned: AtomicBool::new(false),
            poisons: settings.poisons,
            room: Room::new(settings.capacity),
            state: UnsafeCell::new(state),
        })
    }

    /// The core of a handle that was made here, for this type.
    ///
    /// # Safety
    ///
    /// It is one that [`make`](Self::make) has made.
    #[inline]
    pub(super) unsafe fn of(handle: &Handle) -> &Self {
        let core: NonNull<Self> = handle.as_ptr().cast();
        // SAFETY: the serial part is the first field of a core, which the handle keeps.
        unsafe { core.as_ref() }
    }

    /// Calls the closure with the state, then gives it up; what waits meanwhile is run here, for one turn.
    ///
    /// # Safety
    ///
    /// By the holder, who is at work and has a handle; he is not the holder any more when this returns or unwinds.
    #[inline(always)]
    pub(super) unsafe fn run_as_holder<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R, CallError> {
        let unwinding = HandBack { core: self, is_unwinding: true };
        let result = match self.is_poisoned() {
            false => {
                // SAFETY: the state is the holder's.
                Ok(self.state.with_mut(|state| f(unsafe { &mut *state })))
            }
            true => Err(CallError::Poisoned),
        };
        mem::forget(unwinding);
        // SAFETY: the caller's promises.
        unsafe { self.serial.leave() };
        result
    }

    /// Calls the closure with the state.
    ///
    /// # Safety
    ///
    /// By the holder, or by an item that he runs.
    pub(super) unsafe fn with_state<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the state is the holder's.
        self.state.with_mut(|state| f(unsafe { &mut *state }))
    }

    /// Where the state is: for a holder whom a future of its borrower outlives.
    pub(super) fn state_ptr(&self) -> *mut T {
        self.state.with_mut(|state| state)
    }

    #[inline]
    pub(super) fn is_poisoned(&self) -> bool {
        self.is_poisoned.load(Ordering::Relaxed)
    }

    /// A call has panicked.
    pub(super) fn poison(&self) {
        if self.poisons {
            self.is_poisoned.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn clear_poison(&self) {
        self.is_poisoned.store(false, Ordering::Relaxed);
    }

    pub(super) fn room(&self) -> &Room {
        &self.room
    }
}

/// Gives the state back when dropped: nobody's closure is to be run then.
pub(super) struct HandBack<'a, T: Send + 'static> {
    pub(super) core: &'a Core<T>,
    pub(super) is_unwinding: bool,
}

impl<T: Send + 'static> Drop for HandBack<'_, T> {
    fn drop(&mut self) {
        if self.is_unwinding {
            self.core.poison();
        }
        // SAFETY: who makes one is the holder until it is dropped, is at work then, and has a handle.
        unsafe { self.core.serial.hand_back() };
    }
}
