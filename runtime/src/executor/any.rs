//! Executors of any type.
#![expect(
    unsafe_code,
    reason = "a hand-made virtual table: handles of two words are kept without an allocation, and a borrowed one is two words"
)]

use crate::primitive::sync::PlainArc as Arc;
use std::any::{Any, TypeId};
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::{Executor, Runnable};
use crate::Handle;
use crate::containment::contain_panic;
use crate::trace::strands::Name;

/// Room for a small handle, or for a counted pointer to a larger one.
type Room = MaybeUninit<[*mut (); 2]>;

/// What can be done with an executor whose type is not known. The pointers are to a value of that type.
struct Vtable {
    type_id: fn() -> TypeId,
    type_name: fn() -> &'static str,
    /// Whether the value itself lies in an `AnyExecutor`'s room.
    is_small: bool,
    post: unsafe fn(*const (), Runnable),
    dispatch: unsafe fn(*const (), Runnable),
    defer: unsafe fn(*const (), Runnable),
    hand_over: unsafe fn(*const (), Runnable, bool),
    is_current: unsafe fn(*const ()) -> bool,
    is_innermost: unsafe fn(*const ()) -> bool,
    runtime: unsafe fn(*const ()) -> Option<*const Handle>,
    strand_name: unsafe fn(*const ()) -> Option<Name>,
    eq: unsafe fn(*const (), *const ()) -> bool,
    /// Clones the value into a room; called with the address of a value.
    to_room: unsafe fn(*const ()) -> Room,
    /// As `to_room`, for a value that an `AnyExecutor` holds: that of a large one is shared.
    clone_room: unsafe fn(&Room) -> Room,
    drop_room: unsafe fn(&mut Room),
}

/// An executor of any type, owned.
///
/// Handles of up to two words, as those of this crate, are kept without an allocation. Two are equal if they hold equal handles of the same
/// type. A clone clones the handle, or counts a reference to a large one. If a handle panics when it is dropped, that goes no further.
///
/// # Examples
///
/// ```
/// use tress::executor::{AnyExecutor, Executor, Inline};
///
/// let runtime = tress::Runtime::new()?;
/// let (pool, inline) = (AnyExecutor::new(runtime.handle().clone()), AnyExecutor::new(Inline));
/// assert_eq!(pool, AnyExecutor::new(runtime.handle().clone()));
/// assert_ne!(pool, inline);
/// assert!(inline.is_current() && !pool.is_current());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
///
/// P3552 §4.4 (`task_scheduler`).
pub struct AnyExecutor {
    room: Room,
    vtable: &'static Vtable,
}

// SAFETY: what it holds is an `Executor`, which is `Send`; a shared one is `Sync`, too.
unsafe impl Send for AnyExecutor {}
// SAFETY: what it shows is an `Executor`, which is `Sync`.
unsafe impl Sync for AnyExecutor {}

/// A borrowed executor of any type, in two words.
///
/// # Examples
///
/// ```
/// use tress::executor::{ExecutorRef, Inline};
///
/// let executor = ExecutorRef::new(&Inline);
/// assert!(executor.is_current());
/// assert_eq!(size_of::<ExecutorRef>(), 2 * size_of::<usize>());
/// ```
///
/// # Source
///
/// P4003 (`executor_ref`).
#[derive(Clone, Copy)]
pub struct ExecutorRef<'a> {
    target: *const (),
    vtable: &'static Vtable,
    _borrow: PhantomData<&'a ()>,
}

// SAFETY: it is a borrow of an `Executor`, which is `Sync`.
unsafe impl Send for ExecutorRef<'_> {}
// SAFETY: as above.
unsafe impl Sync for ExecutorRef<'_> {}

/// The table of an executor's type.
struct Of<E>(PhantomData<E>);

impl<E: Executor> Of<E> {
    const IS_SMALL: bool = size_of::<E>() <= size_of::<Room>() && align_of::<E>() <= align_of::<Room>();

    const VTABLE: Vtable = Vtable {
        type_id: TypeId::of::<E>,
        type_name: std::any::type_name::<E>,
        is_small: Self::IS_SMALL,
        // SAFETY: here and below, the address is that of an `E`, which is alive.
        post: |executor, runnable| unsafe { Self::of(executor) }.post(runnable),
        // SAFETY: as above.
        dispatch: |executor, runnable| unsafe { Self::of(executor) }.dispatch(runnable),
        // SAFETY: as above.
        defer: |executor, runnable| unsafe { Self::of(executor) }.defer(runnable),
        // SAFETY: the address is that of an `E`, which is there until the runnable is handed over.
        hand_over: |executor, runnable, is_yield| unsafe {
            E::hand_over(executor.cast(), runnable, is_yield);
        },
        // SAFETY: the address is that of an `E`, which is alive.
        is_current: |executor| unsafe { Self::of(executor) }.is_current(),
        // SAFETY: as above.
        is_innermost: |executor| unsafe { Self::of(executor) }.is_innermost(),
        // SAFETY: as above.
        runtime: |executor| unsafe { Self::of(executor) }.runtime().map(std::ptr::from_ref),
        // SAFETY: as above.
        strand_name: |executor| unsafe { Self::of(executor) }.strand_name(),
        // SAFETY: as above.
        eq: |one, other| unsafe { Self::of(one) }.eq(unsafe { Self::of(other) }),
        // SAFETY: as above.
        to_room: |executor| Self::put(unsafe { Self::of(executor) }.clone()),
        clone_room: Self::clone_room,
        drop_room: Self::drop_room,
    };

    /// # Safety
    ///
    /// The address is that of an `E` that is alive for `'a`.
    unsafe fn of<'a>(executor: *const ()) -> &'a E {
        // SAFETY: the caller's promise.
        unsafe { &*executor.cast::<E>() }
    }

    fn put(executor: E) -> Room {
        let mut room = Room::uninit();
        if Self::IS_SMALL {
            // SAFETY: it fits.
            unsafe { room.as_mut_ptr().cast::<E>().write(executor) };
        } else {
            let shared = Arc::into_raw(Arc::new(executor));
            // SAFETY: a pointer fits.
            unsafe { room.as_mut_ptr().cast::<*const E>().write(shared) };
        }
        room
    }

    /// # Safety
    ///
    /// The room is one that [`put`](Self::put) has filled, or this has.
    unsafe fn clone_room(room: &Room) -> Room {
        if Self::IS_SMALL {
            // SAFETY: the value lies in the room.
            return Self::put(unsafe { Self::of(room.as_ptr().cast()) }.clone());
        }
        // SAFETY: a pointer lies in the room.
        let shared = unsafe { room.as_ptr().cast::<*const E>().read() };
        // SAFETY: it came from an `Arc` of which the room holds a count.
        unsafe { Arc::increment_strong_count(shared) };
        *room
    }

    /// # Safety
    ///
    /// As that of [`clone_room`](Self::clone_room), and the room is not used again.
    unsafe fn drop_room(room: &mut Room) {
        if Self::IS_SMALL {
            // SAFETY: the value lies in the room, and is dropped once.
            return unsafe { room.as_mut_ptr().cast::<E>().drop_in_place() };
        }
        // SAFETY: a pointer lies in the room.
        let shared = unsafe { room.as_ptr().cast::<*const E>().read() };
        // SAFETY: it came from an `Arc` of which the room holds a count, which is given up.
        drop(unsafe { Arc::from_raw(shared) });
    }
}

impl AnyExecutor {
    /// Holds an executor. One that is an `AnyExecutor` already stays as it is.
    pub fn new<E: Executor>(executor: E) -> Self {
        let mut executor = Some(executor);
        if let Some(any) = (&mut executor as &mut dyn Any).downcast_mut::<Option<Self>>() {
            return any.take().expect("it was just put there");
        }
        let executor = executor.expect("it was just put there");
        Self { room: Of::<E>::put(executor), vtable: &Of::<E>::VTABLE }
    }

    /// The same, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> ExecutorRef<'_> {
        ExecutorRef { target: self.target(), vtable: self.vtable, _borrow: PhantomData }
    }

    /// The executor, if it is of this type.
    #[must_use]
    pub fn downcast_ref<E: Executor>(&self) -> Option<&E> {
        // SAFETY: it is of that type.
        ((self.vtable.type_id)() == TypeId::of::<E>()).then(|| unsafe { Of::<E>::of(self.target()) })
    }

    fn target(&self) -> *const () {
        if self.vtable.is_small {
            self.room.as_ptr().cast()
        } else {
            // SAFETY: a pointer lies in the room.
            unsafe { self.room.as_ptr().cast::<*const ()>().read() }
        }
    }
}

impl Clone for AnyExecutor {
    fn clone(&self) -> Self {
        // SAFETY: the room is that of this table's type.
        Self { room: unsafe { (self.vtable.clone_room)(&self.room) }, vtable: self.vtable }
    }
}

impl Drop for AnyExecutor {
    /// A panic of the handle's own drop ends here. Whoever has the last one, as a waker may, has nothing to do with it, and may be unwinding already:
    /// then a second panic would end the process.
    fn drop(&mut self) {
        // SAFETY: the room is that of this table's type, and is dropped once.
        contain_panic(|| unsafe { (self.vtable.drop_room)(&mut self.room) });
    }
}

impl PartialEq for AnyExecutor {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for AnyExecutor {}

impl Executor for AnyExecutor {
    fn post(&self, runnable: Runnable) {
        self.as_ref().post(runnable);
    }

    fn dispatch(&self, runnable: Runnable) {
        self.as_ref().dispatch(runnable);
    }

    fn defer(&self, runnable: Runnable) {
        self.as_ref().defer(runnable);
    }

    fn is_current(&self) -> bool {
        self.as_ref().is_current()
    }

    fn is_innermost(&self) -> bool {
        self.as_ref().is_innermost()
    }

    #[inline]
    unsafe fn hand_over(this: *const Self, runnable: Runnable, is_yield: bool) {
        // SAFETY: nobody has the runnable yet.
        let executor = unsafe { &*this };
        let (target, vtable) = (executor.target(), executor.vtable);
        if !vtable.is_small {
            // To count a reference is less than to clone it.
            let executor = executor.clone();
            return if is_yield { executor.defer(runnable) } else { executor.post(runnable) };
        }
        // SAFETY: the target is of the type that the table is for, and there as long as `this` is.
        unsafe { (vtable.hand_over)(target, runnable, is_yield) }
    }

    fn runtime(&self) -> Option<&Handle> {
        self.as_ref().runtime()
    }

    fn strand_name(&self) -> Option<Name> {
        let target = self.target();
        // SAFETY: the target is of the type that the table is for, and borrowed.
        unsafe { (self.vtable.strand_name)(target) }
    }
}

impl fmt::Debug for AnyExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyExecutor").field(&(self.vtable.type_name)()).finish()
    }
}

impl<'a> ExecutorRef<'a> {
    /// Borrows an executor.
    pub fn new<E: Executor>(executor: &'a E) -> Self {
        if let Some(any) = (executor as &dyn Any).downcast_ref::<AnyExecutor>() {
            return any.as_ref();
        }
        Self { target: std::ptr::from_ref(executor).cast(), vtable: &Of::<E>::VTABLE, _borrow: PhantomData }
    }

    /// See [`Executor::post`].
    pub fn post(self, runnable: Runnable) {
        // SAFETY: here and below, the target is borrowed, and of the type that the table is for.
        unsafe { (self.vtable.post)(self.target, runnable) }
    }

    /// See [`Executor::dispatch`].
    pub fn dispatch(self, runnable: Runnable) {
        // SAFETY: as above.
        unsafe { (self.vtable.dispatch)(self.target, runnable) }
    }

    /// See [`Executor::defer`].
    pub fn defer(self, runnable: Runnable) {
        // SAFETY: as above.
        unsafe { (self.vtable.defer)(self.target, runnable) }
    }

    /// See [`Executor::is_current`].
    #[must_use]
    pub fn is_current(self) -> bool {
        // SAFETY: as above.
        unsafe { (self.vtable.is_current)(self.target) }
    }

    /// See [`Executor::is_innermost`].
    #[must_use]
    pub fn is_innermost(self) -> bool {
        // SAFETY: as above.
        unsafe { (self.vtable.is_innermost)(self.target) }
    }

    /// See [`Executor::runtime`].
    #[must_use]
    pub fn runtime(self) -> Option<&'a Handle> {
        // SAFETY: as above.
        let runtime = unsafe { (self.vtable.runtime)(self.target) };
        // SAFETY: it is borrowed from the target, which is borrowed for `'a`.
        runtime.map(|runtime| unsafe { &*runtime })
    }

    /// An executor that is owned, and equal to this one.
    #[must_use]
    pub fn to_any(self) -> AnyExecutor {
        // SAFETY: as above.
        AnyExecutor { room: unsafe { (self.vtable.to_room)(self.target) }, vtable: self.vtable }
    }
}

impl PartialEq for ExecutorRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.vtable.type_id)() == (other.vtable.type_id)()
            // SAFETY: both are borrowed, and of the type that the table is for.
            && unsafe { (self.vtable.eq)(self.target, other.target) }
    }
}

impl Eq for ExecutorRef<'_> {}

impl fmt::Debug for ExecutorRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExecutorRef").field(&(self.vtable.type_name)()).finish()
    }
}
