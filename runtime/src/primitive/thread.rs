//! Threads, as std's or loom's.

#[cfg(tress_loom)]
pub use self::stand_in::thread_local;
#[cfg(tress_loom)]
pub(crate) use loom::thread::{Thread, ThreadId, current, park, yield_now};
#[cfg(not(tress_loom))]
pub(crate) use std::thread::{Thread, ThreadId, current, park, yield_now};
#[cfg(not(tress_loom))]
pub use std::thread_local;

#[cfg(tress_loom)]
mod stand_in {
    /// Loom's does not know `const`. Exported for the other crates of this workspace.
    #[doc(hidden)]
    #[macro_export]
    macro_rules! modelled {
        ($($(#[$attribute:meta])* static $name:ident: $type:ty = const { $value:expr };)*) => {
            $(loom::thread_local! { $(#[$attribute])* static $name: $type = $value })*
        };
    }

    pub use crate::modelled as thread_local;
}
