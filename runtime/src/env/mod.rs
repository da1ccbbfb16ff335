//! What code runs with: a stop token, and values of any type.
//!
//! An *environment* is inherited down awaits: what a future awaits has its environment, wherever it is polled from, also after it
//! has moved to another thread, and in [`Lazy`](crate::task::Lazy) frames that a worker polls directly. [`scope()`] begins one that
//! differs for a future; [`with`] looks at the current one.
//!
//! | | inherited by what is awaited | by [`spawn`](crate::spawn) |
//! |---|---|---|
//! | stop token | yes | no: whoever detaches a task says by what it is stopped |
//! | values | yes | yes |
//! | executor (see [`executor::current`](crate::executor::current)) | yes | yes |
//! | allocator of frames | see [`frame::scope`](crate::frame::scope) | yes, if the window is open |
//!
//! Where there is none, which is where most code runs, it costs nothing: no allocation, no atomic operation, and a look at it is one load.
//!
//! # Nested executors
//!
//! A future that [`block_on`](crate::Runtime::block_on) drives inside [`block_in_place`](crate::task::block_in_place) has the values of
//! the task that calls it, and no stop token: nobody could be told that it has been stopped. The tasks that run meanwhile on that thread
//! have their own environments. Under another library's `block_on`, called in a task, everything is as in the task itself: also the stop
//! token, whose stop that executor knows nothing of: where that may come, wrap the future in [`shield`].
//!
//! # Examples
//!
//! ```
//! use tress::{Runtime, env};
//!
//! #[derive(Clone, Debug, PartialEq)]
//! struct RequestId(u64);
//!
//! async fn handle() -> RequestId {
//!     env::value::<RequestId>().expect("whoever calls this says which request it is for")
//! }
//!
//! let runtime = Runtime::new()?;
//! let id = runtime.block_on(env::scope().value(RequestId(7)).run(handle()));
//! assert_eq!(id, RequestId(7));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Source
//!
//! P3552 §4.7 (queries of the environment), P4003 (`io_env`).

mod current;
mod node;
mod scope;

#[cfg(not(feature = "tracing"))]
mod no_span;
#[cfg(feature = "tracing")]
mod span;
#[cfg(not(feature = "tracing"))]
use no_span as span;

pub use self::node::Env;
pub use self::scope::{Scope, Scoped, scope, shield};

pub(crate) use self::current::{Entered, Recorded, detached, is_empty, outside, stop_scope, within};
pub(crate) use self::scope::child;
pub(crate) use self::span::{RecordedSpan, outside_spans};

/// Lends the current environment.
///
/// # Panics
///
/// If `f` does.
///
/// # Examples
///
/// ```
/// assert!(!tress::env::with(|env| env.stop_token().is_stop_requested()));
/// ```
#[inline]
pub fn with<R>(f: impl FnOnce(&Env) -> R) -> R {
    current::with(f)
}

/// The current environment, to be kept.
///
/// # Examples
///
/// A callback that runs elsewhere, with the values of whoever registered it:
///
/// ```
/// use tress::{Runtime, env};
///
/// let runtime = Runtime::new()?;
/// let env = runtime.block_on(env::scope().value("blue").run(async { env::current() }));
/// assert_eq!(env.value::<&str>(), Some(&"blue"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn current() -> Env {
    with(Clone::clone)
}

/// A copy of the current environment's value of this type: the nearest one, if there are several.
///
/// # Examples
///
/// ```
/// assert_eq!(tress::env::value::<u32>(), None);
/// ```
#[must_use]
pub fn value<T: Clone + Send + Sync + 'static>() -> Option<T> {
    with(|env| env.value().cloned())
}
