//! Which sources of events are ready, and who is woken when one becomes so.
//!
//! Each worker has a reactor of its own: a selector (epoll, kqueue) and what is registered with it. Sockets of
//! `tress::net` register themselves. Whoever writes an operation of their own, on a descriptor that `tress::net` does not
//! know, makes a [`Registration`] of it and waits by [`Registration::poll_io`]; a [`leaf::Wait`](crate::leaf::Wait) makes
//! the wait part of the task's budget and of dumps.
//!
//! What is not here: deadlines, see [`time`](crate::time).
//!
//! How it works, and why that is safe, is told by the `README.md` beside this module's source.

#[doc = include_str!("README.md")]
mod protocol {}

#[cfg(not(tress_loom))]
mod driver;
#[cfg(not(tress_loom))]
mod operation;
mod overflow;
#[cfg(all(not(tress_loom), not(target_os = "linux")))]
#[path = "imprecise.rs"]
mod precise;
#[cfg(all(not(tress_loom), target_os = "linux"))]
mod precise;
mod readiness;
mod ready;
#[cfg(not(tress_loom))]
mod registration;
mod slab;
mod slot;
mod snapshot;
#[cfg(tress_loom)]
mod stand_in;

#[cfg(all(test, tress_loom))]
mod model;
#[cfg(all(test, not(tress_loom)))]
mod stress;
#[cfg(all(test, not(tress_loom)))]
mod tests;

use crate::containment::contain_panic;

pub use ::mio::{self, Interest, event::Source};

#[cfg(not(tress_loom))]
pub(crate) use self::driver::{Events, Reactor};
pub use self::ready::{Direction, Ready};
#[cfg(not(tress_loom))]
pub use self::registration::Registration;
#[cfg(tress_loom)]
pub(crate) use self::stand_in::{Events, Reactor};
