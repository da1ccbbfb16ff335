//! Many futures at once, work that is shared out, and something done again.
//!
//! | | |
//! |---|---|
//! | [`when_all()`], [`when_all_of()`] | waits for all, of one type or of a few; the first error stops the others, and waits for them |
//! | [`when_any()`] | the first that succeeds; the others are stopped and waited for |
//! | [`join_all()`] | waits for all, which cannot fail |
//! | [`bulk()`], [`bulk_chunked`], [`try_bulk`], [`try_bulk_chunked`] | work that computes, on all workers |
//! | [`retry_when()`], [`repeat_until()`] | the same again |
//!
//! # The algorithms of senders
//!
//! A future is what a sender of C++ is, and most of what an algorithm does to a sender, `.await` and the language do to a future. Here is
//! where each of those of P2300 and its followers is:
//!
//! | sender algorithm | here | the line |
//! |---|---|---|
//! | `just` | plain Rust | `async { 5 }` |
//! | `just_error` | plain Rust: errors are values | `async { Err("no number") }` |
//! | `just_stopped` | [`stop::stopped`](crate::stop::stopped) | `stop::stopped()` |
//! | `read_env` | [`env::value`](crate::env::value); [`env::with`](crate::env::with) for the stop token | `async { env::value::<u32>() }` |
//! | `then` | plain Rust | `async { half(number.await) }` |
//! | `upon_error` | plain Rust | `async { result.await.unwrap_or_else(count) }` |
//! | `upon_stopped`, `let_stopped` | [`stop::outcome`](crate::stop::outcome) and `match` | `async { match stop::outcome(nap).await { Outcome::Value(n) => n, Outcome::Stopped => ask(0).await } }` |
//! | `stopped_as_optional` | [`stop::stopped_as_option`](crate::stop::stopped_as_option) | `stop::stopped_as_option(nap)` |
//! | `stopped_as_error` | [`stop::stopped_as_error`](crate::stop::stopped_as_error) | `stop::stopped_as_error(nap, "stopped")` |
//! | `let_value` | plain Rust, with `?` where it can fail | `async { ask(number.await).await }` |
//! | `let_error` | plain Rust | `async { match result.await { Ok(n) => n, Err(e) => recover(e).await } }` |
//! | `starts_on`, `on`, `schedule_from` | [`executor::run_on`](crate::executor::run_on()), which comes back; [`executor::launch`](crate::executor::launch()) for what stays there | `run_on(there, number)` |
//! | `continues_on` | the same, with what follows inside | `async { let n = number.await; run_on(there, async { half(n) }).await }` |
//! | `affine_on` | plain Rust: whatever it awaits, a task goes on [on its executor](crate::executor#affinity) | `async { half(elsewhere.await) }` |
//! | `bulk` | [`bulk()`], and [`try_bulk`] for what may fail | `bulk(500, call)` |
//! | `bulk_chunked` | [`bulk_chunked`], and [`try_bulk_chunked`] for what may fail | `bulk_chunked(500, call_each)` |
//! | `bulk_unchunked` | a [`scope`](crate::task::scope()) with a task for each call, which may wait for another one | `scope(\|scope\| async move { for n in 0..500 { scope.spawn(work(n)); } Ok(()) })` |
//! | `split` | [`SharedLazy`](crate::task::SharedLazy) | `lazy(number).shared()` |
//! | `ensure_started` | [`spawn`](crate::spawn): it starts now, and is awaited later | `tress::spawn(number)` |
//! | `start_detached` | the same, with nobody who awaits it | `drop(tress::spawn(work))` |
//! | `spawn_future` | [`CountingScope`](crate::task::CountingScope) | `scope.spawn(number)` |
//! | `into_variant` | an `enum`: a future has one type of output | `async { if early { Answer::Number(number.await) } else { Answer::Text(text.await) } }` |
//! | `when_all` | [`when_all_of()`], for a few of different types | `when_all_of((one, two))` |
//! | | [`when_all()`] for many of one type, and [`join_all()`] for what cannot fail | `when_all(requests)` |
//! | | for a few which are dropped at the first error | `tress::try_join!(one, two)` |
//! | `when_all_with_variant` | the same, of futures whose outputs are an `enum` | `join_all(answers)` |
//! | `when_any` | [`when_any()`] | `when_any(requests)` |
//! | `sync_wait` | [`Runtime::block_on`](crate::Runtime::block_on) | `runtime.block_on(number)` |
//! | `sync_wait_with_variant` | the same | `runtime.block_on(answer)` |
//! | `repeat_until` | [`repeat_until()`] | `repeat_until(is_done, step)` |
//! | `retry` | [`retry_when()`], with a [`Backoff`] or another [`RetryPolicy`] | `retry_when(backoff, request)` |
//!
//! And of streams, which give one value after the other:
//!
//! | of streams | here | the line |
//! |---|---|---|
//! | async generators | [`stream::generator`](crate::stream::generator) | `stream::generator(count_up)` |
//! | `map` | `StreamExt` | `numbers.map(half)` |
//! | `filter` | `StreamExt`; what it asks may wait | `numbers.filter(\|n\| ready(n % 2 == 0))` |
//! | `merge` | `select`, which takes turns, and `select_all` for many | `stream::select(odd, even)` |
//! | `take_until` | `StreamExt` | `numbers.take_until(end)` |
//! | windows by count | `StreamExt`: `chunks`, or `ready_chunks`, which do not wait | `numbers.chunks(10)` |
//! | windows by count and time | [`stream::chunks_timeout`](crate::stream::chunks_timeout) | `stream::chunks_timeout(numbers, 10, time)` |
//!
//! # The lines
//!
//! They are compiled, and say what is said:
//!
//! ```
//! use std::future::ready;
//! use std::time::Duration;
//! use tress::algorithm::{Backoff, bulk, bulk_chunked, join_all, repeat_until, retry_when, when_all, when_all_of, when_any};
//! use tress::env;
//! use tress::executor::run_on;
//! use tress::stop::{self, Outcome};
//! use tress::stream::{self, StreamExt, Yielder};
//! use tress::task::{CountingScope, lazy, scope};
//!
//! #[derive(Debug, PartialEq)]
//! enum Answer {
//!     Number(i32),
//!     Text(&'static str),
//! }
//!
//! fn half(n: i32) -> i32 {
//!     n / 2
//! }
//!
//! fn count(error: &str) -> i32 {
//!     error.len() as i32
//! }
//!
//! async fn ask(n: i32) -> i32 {
//!     n + 1
//! }
//!
//! async fn recover(error: &str) -> i32 {
//!     count(error)
//! }
//!
//! fn call(n: usize) {
//!     assert!(n < 500);
//! }
//!
//! fn call_each(chunk: std::ops::Range<usize>) {
//!     chunk.for_each(call);
//! }
//!
//! async fn work(n: usize) -> Result<(), &'static str> {
//!     if n < 500 { Ok(()) } else { Err("too large") }
//! }
//!
//! async fn count_up(mut yielder: Yielder<i32>) {
//!     for n in 0.. {
//!         yielder.emit(n).await;
//!     }
//! }
//!
//! let runtime = tress::Runtime::new()?;
//!
//! let just = async { 5 };
//! # let number = just;
//! # assert_eq!(runtime.block_on(number), 5);
//! let just_error = async { Err("no number") };
//! # let result: Result<i32, &str> = runtime.block_on(just_error);
//! # let (number, result) = (ready(4), ready(result));
//! let just_stopped = stop::stopped();
//! # assert_eq!(runtime.block_on(stop::outcome(just_stopped)), Outcome::Stopped);
//! let read_env = async { env::value::<u32>() };
//! # assert_eq!(runtime.block_on(env::scope().value(7_u32).run(read_env)), Some(7));
//! # let there = runtime.handle().clone();
//! let starts_on = run_on(there, number);
//! # assert_eq!(runtime.block_on(starts_on), 4);
//! # let (there, number) = (runtime.handle().clone(), ready(4));
//! let continues_on = async { let n = number.await; run_on(there, async { half(n) }).await };
//! # assert_eq!(runtime.block_on(continues_on), 2);
//! # let there = runtime.handle().clone();
//! # let elsewhere = async move { there.spawn(ready(4)).await.unwrap() };
//! let affine_on = async { half(elsewhere.await) };
//! # assert_eq!(runtime.block_on(affine_on), 2);
//! # let number = ready(4);
//! let then = async { half(number.await) };
//! # assert_eq!(runtime.block_on(then), 2);
//! # let number = ready(4);
//! # let result = async { result.await };
//! let upon_error = async { result.await.unwrap_or_else(count) };
//! # assert_eq!(runtime.block_on(upon_error), 9);
//! let let_value = async { ask(number.await).await };
//! # assert_eq!(runtime.block_on(let_value), 5);
//! # let result = ready(Err("none"));
//! let let_error = async { match result.await { Ok(n) => n, Err(e) => recover(e).await } };
//! # assert_eq!(runtime.block_on(let_error), 4);
//! # let number = async { 6 };
//! # async fn naps() -> i32 {
//! #     match stop::stopped().await {}
//! # }
//! # let nap = naps();
//! let let_stopped = async { match stop::outcome(nap).await { Outcome::Value(n) => n, Outcome::Stopped => ask(0).await } };
//! # assert_eq!(runtime.block_on(let_stopped), 1);
//! # let nap = naps();
//! let stopped_as_optional = stop::stopped_as_option(nap);
//! # assert_eq!(runtime.block_on(stopped_as_optional), None);
//! # let nap = naps();
//! let stopped_as_error = stop::stopped_as_error(nap, "stopped");
//! # assert_eq!(runtime.block_on(stopped_as_error), Err("stopped"));
//!
//! let bulk = bulk(500, call);
//! # runtime.block_on(bulk);
//! let bulk_chunked = bulk_chunked(500, call_each);
//! # runtime.block_on(bulk_chunked);
//! let bulk_unchunked = scope(|scope| async move { for n in 0..500 { scope.spawn(work(n)); } Ok(()) });
//! # assert_eq!(runtime.block_on(bulk_unchunked), Ok(()));
//! let split = lazy(number).shared();
//! # assert_eq!(runtime.block_on(async { (split.clone().await, split.await) }), (6, 6));
//! # let guard = runtime.handle().enter();
//! # let (number, work) = (ready(7), ready(()));
//! let ensure_started = tress::spawn(number);
//! # assert_eq!(runtime.block_on(ensure_started).unwrap(), 7);
//! drop(tress::spawn(work)); // `start_detached`
//! # let (number, scope) = (ready(7), CountingScope::new());
//! let spawn_future = scope.spawn(number);
//! # assert_eq!(runtime.block_on(spawn_future.unwrap()).unwrap(), 7);
//! # let (number, text) = (ready(8), ready("eight"));
//!
//! # for (early, expected) in [(true, Answer::Number(8)), (false, Answer::Text("eight"))] {
//! # let (number, text) = (number.clone(), text.clone());
//! let into_variant = async { if early { Answer::Number(number.await) } else { Answer::Text(text.await) } };
//! # assert_eq!(runtime.block_on(into_variant), expected);
//! # }
//! # let (one, two) = (ready(Ok::<_, ()>(1)), ready(Ok("two")));
//! let when_few = when_all_of((one, two));
//! # assert_eq!(runtime.block_on(when_few), Ok((1, "two")));
//! # let (one, two) = (ready(Ok::<_, ()>(1)), ready(Ok("two")));
//! # let requests = [1, 2].map(|n| ready(Ok::<_, ()>(n)));
//! let when_many = when_all(requests);
//! # assert_eq!(runtime.block_on(when_many), Ok(vec![1, 2]));
//! # let when_all = async {
//! let when_all = tress::try_join!(one, two);
//! # when_all
//! # };
//! # assert_eq!(runtime.block_on(when_all), Ok((1, "two")));
//! # let answers = [ready(Answer::Number(1)), ready(Answer::Text("two"))];
//! let when_all_with_variant = join_all(answers);
//! # assert_eq!(runtime.block_on(when_all_with_variant), [Answer::Number(1), Answer::Text("two")]);
//! # let requests = [ready(Err("down")), ready(Ok(2))];
//! let when_any = when_any(requests);
//! # assert_eq!(runtime.block_on(when_any), Ok(2));
//! # let (number, answer) = (ready(9), ready(Answer::Number(9)));
//! let sync_wait = runtime.block_on(number);
//! let sync_wait_with_variant = runtime.block_on(answer);
//! # assert_eq!(Answer::Number(sync_wait), sync_wait_with_variant);
//! # let mut n = 0;
//! # let (is_done, step) = (|n: &i32| *n == 5, || { n += 1; ready(n) });
//! let repeat_until = repeat_until(is_done, step);
//! # assert_eq!(runtime.block_on(repeat_until), 5);
//! # let mut n = 0;
//! # let (backoff, request) = (Backoff::new(Duration::from_micros(1)), || { n += 1; ready(if n < 3 { Err("down") } else { Ok(n) }) });
//! let retry = retry_when(backoff, request);
//! # assert_eq!(runtime.block_on(retry), Ok(3));
//!
//! let generator = stream::generator(count_up);
//! # assert_eq!(runtime.block_on(generator.take(3).collect::<Vec<_>>()), [0, 1, 2]);
//! # let numbers = stream::iter(0..4);
//! let map = numbers.map(half);
//! # assert_eq!(runtime.block_on(map.collect::<Vec<_>>()), [0, 0, 1, 1]);
//! # let numbers = stream::iter(0..4);
//! let filter = numbers.filter(|n| ready(n % 2 == 0));
//! # assert_eq!(runtime.block_on(filter.collect::<Vec<_>>()), [0, 2]);
//! # let (odd, even) = (stream::iter([1, 3]), stream::iter([2, 4]));
//! let merge = stream::select(odd, even);
//! # assert_eq!(runtime.block_on(merge.collect::<Vec<_>>()), [1, 2, 3, 4]);
//! # let (numbers, end) = (stream::iter(0..4), ready(()));
//! let take_until = numbers.take_until(end);
//! # assert_eq!(runtime.block_on(take_until.count()), 0);
//! # let numbers = stream::iter(0..14);
//! let windows = numbers.chunks(10);
//! # assert_eq!(runtime.block_on(windows.count()), 2);
//! # let (numbers, time) = (stream::iter(0..14), Duration::from_secs(60));
//! let timed_windows = stream::chunks_timeout(numbers, 10, time);
//! # assert_eq!(runtime.block_on(timed_windows.count()), 2);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # How the children of one future run
//!
//! Those of [`when_all()`], [`when_all_of()`] and [`when_any()`] have an environment whose stop token is linked to the one outside; each of
//! them is a place where a stop ends, as in [`outcome`](crate::stop::outcome). In [`join_all()`], where nobody stops anybody, a child that
//! is stopped takes whoever awaits all with it at once.
//!
//! They lie side by side in one allocation. Each is polled when it was woken itself: those that
//! are pending have a waker of their own, which queues the child and wakes the task. A task that is looked into
//! ([`trace`](crate::trace)) polls all of them, so that a dump shows what they wait for.
//!
//! # Source
//!
//! D2583 §10, which lists the algorithms of P2300, P3149 (`spawn_future`) and P3552 (`affine_on`).

mod all;
mod backoff;
mod bell;
mod branches;
mod bulk;
mod children;
mod fan;
mod future_tuple;
mod job;
mod join_all;
#[cfg(all(test, tress_loom))]
mod model;
mod pace;
mod repeat_until;
mod retry_when;
mod slots;
mod stoppable;
#[cfg(test)]
mod tests;
mod when_all;
mod when_all_of;
mod when_any;

pub use self::backoff::Backoff;
pub use self::bulk::{bulk, bulk_chunked, try_bulk, try_bulk_chunked};
pub use self::future_tuple::FutureTuple;
pub use self::join_all::{JoinAll, join_all};
pub use self::repeat_until::repeat_until;
pub use self::retry_when::{RetryPolicy, retry_when};
pub use self::when_all::{WhenAll, when_all};
pub use self::when_all_of::{WhenAllOf, when_all_of};
pub use self::when_any::{WhenAny, when_any};
