//! The only place that names `std::sync` or loom.
//!
//! Protocol code is written against these names; under `--cfg tress_loom` they are loom's, and every lock-free
//! protocol of this crate can be explored by a model.

pub(crate) mod cell;
pub(crate) mod clock;
pub(crate) mod coarse;
pub(crate) mod deque;
pub(crate) mod epoch;
#[cfg(all(test, tress_loom))]
pub(crate) mod explore;
pub(crate) mod hint;
pub(crate) mod sync;
pub(crate) mod thread;
