//! Values that each strand has its own of.
#![expect(unsafe_code, reason = "finds the strand further up on the stack, and its value")]

use std::any::type_name;
use std::cell::RefCell;
use std::fmt;

use crate::BorrowError;
use crate::serial::{Locals, Serial};

/// A key to a value that each strand has its own of: as a thread-local is to threads.
///
/// Code that runs on a strand reaches it without a handle. The strand is the innermost whose item the code is: of two that stand on
/// each other, the upper one; in what is [dispatched](crate::Strand::dispatch) to another, that other one, until it returns. In [`block_in_place`] that
/// is still the caller's strand, whose item it is; in what a runtime or executor runs meanwhile, nested on the same thread, it is not.
///
/// A value is made when it is first asked for, unless the [builder](crate::Builder::local) gave one. It is dropped with the strand's memory: when the
/// last handle is gone, the last [`StrandCell`](crate::StrandCell), and what was queued; on the thread that this happens on, outside of the
/// strand. A panic of that ends there. A value that holds a handle to its own strand keeps both.
///
/// [`block_in_place`]: tress_runtime::task::block_in_place
///
/// # Actors
///
/// They have none: a closure that is queued is run by whoever has the actor, so `with` refuses there. A call that runs at once, on its caller's
/// strand, sees that one's values.
///
/// # Examples
///
/// ```
/// use tress::strand::{Local, Strand};
///
/// static SEEN: Local<Vec<u32>> = Local::new(Vec::new);
///
/// let runtime = tress::Runtime::new()?;
/// let strands = [1, 2].map(|_| Strand::new(runtime.handle().clone()));
/// runtime.block_on(async {
///     for number in 0..10 {
///         let strand = &strands[number as usize % 2];
///         strand.spawn(async move { SEEN.with(|seen| seen.push(number)) }).await.unwrap();
///     }
///     let seen = strands[1].spawn(async { SEEN.with(|seen| seen.clone()) }).await.unwrap();
///     assert_eq!(seen, [1, 3, 5, 7, 9]);
/// });
/// assert!(SEEN.try_with(|_| ()).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
///
/// `std::thread_local!`; the name is that of its `LocalKey`.
pub struct Local<T: Send + 'static> {
    make: fn() -> T,
}

/// What a strand has for a key: nothing yet, or while the value is being made.
type Slot<T> = RefCell<Option<T>>;

impl<T: Send + 'static> Local<T> {
    /// A key whose values are made by this function, on the strand.
    #[must_use]
    pub const fn new(make: fn() -> T) -> Self {
        Self { make }
    }

    /// Calls `f` with the value of the strand that the calling code runs on.
    ///
    /// # Panics
    ///
    /// If it runs on none, or `f` does, or the function that makes the value; and if the value is borrowed already, further up on the stack.
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("a `strand::Local` cannot be borrowed: {error}"),
        }
    }

    /// Calls `f` with the value of the strand that the calling code runs on, if that can be.
    ///
    /// # Errors
    ///
    /// If the code runs on none, or the value is borrowed already, or being made, further up on the stack.
    ///
    /// # Panics
    ///
    /// If `f` does, or the function that makes the value; that is called again then the next time.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> Result<R, BorrowError> {
        let find = |locals: &mut Locals| locals.find_or_put(self.key(), Slot::<T>::default);
        let slot = Serial::with_innermost_locals(find).ok_or(BorrowError::NotOnStrand)?;
        // SAFETY: the slot lies in a box of the innermost strand, which the item that this code is part of keeps until after this call; only who is on
        // that strand comes to it, on this stack, so it is not shared with another thread.
        let slot = unsafe { slot.as_ref() };
        let mut value = slot.try_borrow_mut().map_err(|_| BorrowError::Borrowed)?;
        Ok(f(value.get_or_insert_with(self.make)))
    }

    /// Puts the value that a strand which is being made begins with in place of one that was put before.
    pub(crate) fn put(&'static self, locals: &mut Locals, value: T) {
        let mut slot = locals.find_or_put(self.key(), Slot::<T>::default);
        // SAFETY: the locals are borrowed exclusively, and so is what they own.
        *unsafe { slot.as_mut() }.get_mut() = Some(value);
    }

    /// It stays what it is: the key is there for ever. Constants of different types may have the same; so the type is looked at, too.
    fn key(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl<T: Send + 'static> fmt::Debug for Local<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Local").field(&type_name::<T>()).finish()
    }
}
