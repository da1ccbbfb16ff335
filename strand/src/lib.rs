//! Serial executors over any executor of tress, and state that belongs to them.
#![doc = include_str!("../README.md")]

mod actor;
mod builder;
mod cell;
mod job;
mod local;
mod primitive;
mod serial;
mod strand;

#[cfg(not(tress_loom))]
pub use self::actor::PostPermit;
pub use self::actor::{
    Access, AccessError, Actor, ActorBuilder, Call, CallError, PostError, TryCallError, With,
};
pub use self::builder::Builder;
pub use self::cell::{BorrowError, RefMut, StrandCell};
pub use self::local::Local;
pub use self::strand::Strand;
pub use tress_runtime::StrandMetrics;
