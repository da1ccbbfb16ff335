//! Algorithms over futures.

mod bell;
mod fan;
mod join_all;
mod slots;
mod stoppable;
mod when_all;
mod when_any;

pub use self::join_all::{JoinAll, join_all};
pub use self::when_all::{WhenAll, when_all};
pub use self::when_any::{WhenAny, when_any};
