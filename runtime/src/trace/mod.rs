//! What the tasks of a live runtime are doing.
#![doc = include_str!("README.md")]

mod backtrace;
pub(crate) mod collector;
mod dump;
mod json;
pub(crate) mod strands;
mod text;

pub use self::backtrace::{Backtrace, BacktraceFrame, backtrace};
pub use self::dump::{Dump, FrameDump, State, TaskDump, WaitDump, dump};
pub use self::strands::{StrandDump, StrandState};
