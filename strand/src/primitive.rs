//! The only place that names `std::sync` or loom, as that of the runtime.

pub(crate) mod cell {
    //! A cell whose pointer is handed to a closure, so that loom can see overlapping accesses.
    #[cfg(tress_loom)]
    pub(crate) use loom::cell::UnsafeCell;

    #[cfg(not(tress_loom))]
    pub(crate) use self::plain::UnsafeCell;

    #[cfg(not(tress_loom))]
    mod plain {
        /// A cell whose pointer is handed to a closure.
        #[derive(Debug)]
        #[repr(transparent)]
        #[expect(clippy::disallowed_types, reason = "this is the wrapper that the lint points to")]
        pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

        impl<T> UnsafeCell<T> {
            #[expect(clippy::disallowed_types, reason = "this is the wrapper that the lint points to")]
            pub(crate) const fn new(value: T) -> Self {
                Self(std::cell::UnsafeCell::new(value))
            }

            /// Lends the pointer for shared access.
            #[inline(always)]
            pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
                f(self.0.get())
            }

            /// Lends the pointer for exclusive access.
            #[inline(always)]
            pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
                f(self.0.get())
            }
        }
    }
}

pub(crate) mod atomic {
    //! Atomic integers and fences.
    #[cfg(not(tress_loom))]
    pub(crate) use super::plain::*;
    #[cfg(tress_loom)]
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
}

#[cfg(not(tress_loom))]
#[expect(clippy::disallowed_types, reason = "these are the aliases that the lint points to")]
mod plain {
    pub(crate) use std::sync::atomic::Ordering;
    pub(crate) type AtomicBool = std::sync::atomic::AtomicBool;
    pub(crate) type AtomicPtr<T> = std::sync::atomic::AtomicPtr<T>;
    pub(crate) type AtomicU64 = std::sync::atomic::AtomicU64;
    pub(crate) type AtomicUsize = std::sync::atomic::AtomicUsize;
}

#[cfg(tress_loom)]
pub(crate) use self::stand_in::thread_local;
#[cfg(not(tress_loom))]
pub(crate) use std::thread_local;

#[cfg(tress_loom)]
mod stand_in {
    /// Loom's does not know `const`.
    macro_rules! modelled {
        ($($(#[$attribute:meta])* static $name:ident: $type:ty = const { $value:expr };)*) => {
            $(loom::thread_local! { $(#[$attribute])* static $name: $type = $value })*
        };
    }

    pub(crate) use modelled as thread_local;
}

/// Spin hints; under loom a hint is a yield, so that models end.
#[cfg(tress_loom)]
pub(crate) use loom::hint::spin_loop;
#[cfg(not(tress_loom))]
pub(crate) use std::hint::spin_loop;
