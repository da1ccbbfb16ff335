//! Asking for work to stop: sources, tokens and callbacks.
//!
//! A [`StopSource`] can request a stop, once; its [`StopToken`]s say whether it has been requested, call a function when it is
//! ([`StopCallback`]), and can be awaited. Sources can be linked: what stops the parent stops the child, never the other way round.
//!
//! Nothing is stopped by force: operations that wait end by themselves if the token of their [environment](crate::env) says so; other code looks at a token,
//! or waits for it beside what it does.
//!
//! | | |
//! |---|---|
//! | [`StopSource`] | requests the stop |
//! | [`StopToken`] | says whether it was requested; [`stop_requested`](StopToken::stop_requested) waits for it |
//! | [`StopCallback`] | a function that is called then; in its owner's memory, without an allocation |
//! | [`StopGuard`] | requests the stop when dropped |
//! | [`stopped()`] | ends the frame that awaits it, as an operation that is stopped does |
//! | [`outcome()`], [`stopped_as_option`], [`stopped_as_error`] | where a stop ends, and becomes a value |
//!
//! A deadline is that of a scope ([`env::Scope::deadline`](crate::env::Scope::deadline)): the token of the environment inside is asked to stop
//! then, and can be handed on to whatever takes one.
//!
//! # Examples
//!
//! A worker that goes on until it is told to stop:
//!
//! ```
//! use std::time::Duration;
//! use tress::{Runtime, stop::StopSource, time};
//!
//! let runtime = Runtime::new()?;
//! let source = StopSource::new();
//! let token = source.token();
//! let ticks = runtime.spawn(async move {
//!     let mut ticks = 0;
//!     while !token.is_stop_requested() {
//!         time::sleep(Duration::from_millis(1)).await;
//!         ticks += 1;
//!     }
//!     ticks
//! });
//! source.request_stop();
//! println!("{} ticks", runtime.block_on(ticks).unwrap());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Source
//!
//! C++'s `std::stop_source`, `stop_token` and `stop_callback` (P0660); P3552 §4.8.

#[doc = include_str!("README.md")]
mod protocol {}

mod callback;
mod error;
mod guard;
mod list;
mod outcome;
mod raise;
mod requested;
mod shared;
mod source;
mod state;
mod stopped;
mod token;
mod waiting;

#[cfg(all(test, tress_loom))]
mod model;

pub use self::callback::StopCallback;
pub use self::error::StoppedAfter;
pub use self::guard::StopGuard;
pub use self::outcome::{CatchStop, Outcome, outcome, stopped_as_error, stopped_as_option};
pub use self::requested::StopRequested;
pub use self::source::StopSource;
pub use self::stopped::{Stopped, stopped};
pub use self::token::StopToken;

pub(crate) use self::raise::{StopSignal, holds, raise};
pub(crate) use self::waiting::StopScope;
