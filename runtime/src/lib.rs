//! The scheduler, tasks, reactor and timers of tress.
//!
//! Users depend on the crate `tress`, which re-exports what is public here.

#![cfg_attr(
    tress_loom,
    allow(
        dead_code,
        unused_imports,
        reason = "threads, selectors and pools of memory are left out of models"
    )
)]

pub mod algorithm;
mod blocking;
mod builder;
mod containment;
mod context;
mod coop;
pub mod env;
mod error;
pub mod executor;
pub mod frame;
mod handle;
pub mod leaf;
mod metrics;
mod primitive;
pub mod reactor;
mod run;
mod runtime;
mod scheduler;
#[doc(hidden)]
pub mod seam;
pub mod stop;
#[cfg(not(tress_loom))]
pub mod stream;
#[cfg(not(tress_loom))]
pub mod sync;
pub mod task;
pub mod time;
pub mod trace;
mod tree;

/// The path that the names of this crate's source files begin with, as in what `Location::caller` gives.
const SOURCES: &str = file!().split_at(file!().len() - "lib.rs".len()).0;

pub use self::builder::Builder;
pub use self::error::ShutdownError;
pub use self::handle::{EnterGuard, Handle, spawn};
pub use self::metrics::{RuntimeMetrics, StrandMetrics, WorkerMetrics};
pub use self::runtime::Runtime;
pub use tress_macros::{main, test};
