#![doc = include_str!("README.md")]
#![allow(rustdoc::private_intra_doc_links, reason = "the README is for those who work here, too")]

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
