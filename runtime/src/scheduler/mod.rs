//! Who runs which task when.
#![doc = include_str!("README.md")]

mod config;
mod guest;
mod guest_root;
mod idle;
mod local;
#[cfg(all(test, tress_loom))]
mod model;
mod next_task;
mod parker;
mod pool;
mod remote;
mod sentinel;
mod shutdown;
mod start;
mod worker;

pub(crate) use self::config::{Config, Hooks};
pub(crate) use self::guest::block_on;
pub(crate) use self::local::Local;
pub(crate) use self::parker::Parker;
pub(crate) use self::pool::{Pool, PoolOwner, PoolRef};
pub(crate) use self::remote::{Counters, Remote};
pub(crate) use self::shutdown::{Threads, clear, drop_tasks};
pub(crate) use self::start::start;

use std::time::Duration;

/// A queue that takes its owner longer than this is worth waking somebody for.
///
/// Waking costs some microseconds on both sides, and a second reactor makes each request dearer; so light load stays
/// where it is. What a queue takes is its length times the mean length of a poll. One batch of some dozens of requests, at
/// several microseconds each, is no backlog: it is what one loop does between two looks.
const HELP_BACKLOG: Duration = Duration::from_micros(1000);

/// However late helpers have come before, a queue that takes its owner longer than this is worth calling one.
const HELP_BACKLOG_MAX: Duration = Duration::from_micros(2_500);

/// A busy worker looks at its reactor no more often than this: with short polls, each look would cost more than they.
const TURN_GAP: Duration = Duration::from_micros(100);

/// A queue that takes its owner longer than this is worth stealing from, for a worker that is awake anyway.
const STEAL_BACKLOG: Duration = Duration::from_micros(10);
