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
//! | span of the crate `tracing` | yes: by itself down to the first [`Lazy`](crate::task::Lazy), with the feature `tracing` below that, too | no |
//!
//! Where there is none, which is where most code runs, it costs nothing: no allocation, no atomic operation, and a look at it is one load.
//!
//! # Nested executors
//!
//! A future that [`block_on`](crate::Runtime::block_on) drives inside [`block_in_place`](crate::task::block_in_place) has the values of
//! the task that calls it, and no stop token: nobody could be told that it has been stopped. So does that of a
//! [`run_until`](crate::executor::CurrentThread::run_until). The tasks that run meanwhile on that thread have their own environments. Under another library's `block_on`, called in a task, everything is as in the task itself: also the stop
//! token, whose stop that executor knows nothing of: where that may come, wrap the future in [`shield`].
//!
//! # Other executors
//!
//! A task of another library's executor has none, except for what is [run](Scope::run) in one there, which has it wherever that executor polls
//! it. A [`Lazy`](crate::task::Lazy) takes none along: not that in which it was made, nor, when it leaves the task of ours in which it has begun, that
//! of its frame. From then on it is polled like a boxed future, in the environment of whoever polls it. What is to keep the current one elsewhere is run
//! in it: `env::current().run(future)`.
//!
//! # Spans
//!
//! What `future.instrument(span)` makes, of the crate `tracing`, enters its span around each poll; so a [`Lazy`](crate::task::Lazy) inside, which is
//! polled directly, would leave it after the first. With the feature `tracing`, which is off by default, the frame of a `Lazy` keeps the span
//! that is current when it is first polled, and is in it whenever it is polled or dropped, on whatever thread:
//!
//! * That is the innermost one; those around it are seen as its parents only. A layer of `tracing-subscriber` whose own filter leaves the
//!   innermost one out finds none in direct polls.
//! * It is current for the subscriber that it was made for. Which subscriber is the thread's, as `with_subscriber` says for a future, is not kept:
//!   there, use [`Lazy::opaque`](crate::task::Lazy::opaque).
//! * What a frame holds is dropped in its own span, leaf first, before `tracing` enters the spans further up in order to drop what they are around.
//! * A spawned task is in no span of whoever spawns it, wakes it, or runs it meanwhile, as in `block_on`, an executor's loop or a dump: to be in
//!   one, it is spawned as `tress::spawn(future.instrument(span))`.
//! * What [`run_on`](crate::executor::run_on) runs elsewhere is in the span of whoever awaits it.
//!
//! A subscriber that panics meanwhile, when a span is entered, left or dropped, ends nothing.
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
/// In a task of another library's executor, and on a thread of its own, that is the empty one, unless what asks is [run](Scope::run) in
/// another. Under another library's `block_on` inside a task of ours it is the task's.
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
