//! Algorithms over futures.

mod backoff;
mod bell;
mod bulk;
mod fan;
mod job;
mod join_all;
mod pace;
mod repeat_until;
mod retry_when;
mod slots;
mod stoppable;
mod when_all;
mod when_any;

pub use self::backoff::Backoff;
pub use self::bulk::{bulk, bulk_chunked, try_bulk, try_bulk_chunked};
pub use self::join_all::{JoinAll, join_all};
pub use self::repeat_until::repeat_until;
pub use self::retry_when::{RetryPolicy, retry_when};
pub use self::when_all::{WhenAll, when_all};
pub use self::when_any::{WhenAny, when_any};
