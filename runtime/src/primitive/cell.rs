//! `UnsafeCell` with loom's interface: access is a closure, so that loom can see overlapping ones.

#[cfg(tress_loom)]
pub use loom::cell::UnsafeCell;

#[cfg(not(tress_loom))]
pub use self::plain::UnsafeCell;

#[cfg(not(tress_loom))]
mod plain {
    /// A cell whose pointer is handed to a closure.
    #[derive(Debug)]
    #[repr(transparent)]
    #[expect(clippy::disallowed_types, reason = "this is the wrapper that the lint points to")]
    pub struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// A cell with this in it.
        #[expect(clippy::disallowed_types, reason = "this is the wrapper that the lint points to")]
        pub const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// Lends the pointer for shared access.
        #[inline(always)]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Lends the pointer for exclusive access.
        #[inline(always)]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}
