//! Spin hints; under loom a hint is a yield, so that models end.

#[cfg(tress_loom)]
pub use loom::hint::spin_loop;
#[cfg(not(tress_loom))]
pub use std::hint::spin_loop;
