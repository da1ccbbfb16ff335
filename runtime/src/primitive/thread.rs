//! Threads, as std's or loom's.

#[cfg(tress_loom)]
pub(crate) use loom::thread::yield_now;
#[cfg(not(tress_loom))]
pub(crate) use std::thread::yield_now;
