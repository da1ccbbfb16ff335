//! Calls of one function for many numbers, on all workers.

use std::convert::Infallible;
use std::future::Future;
use std::ops::Range;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::job::{Failure, Job};
use super::pace::Pace;
use crate::env;
use crate::handle::Handle;
use crate::leaf::Wait;
use crate::primitive::sync::Arc;
use crate::stop::StopScope;
use crate::stop::{self, Stopped};
use crate::task::yield_now;

/// Calls `f` with each number below `n`, in no particular order, on all workers of the current runtime at once.
///
/// For work that computes. It is cut into chunks of some 50 µs, by the clock, and each participant takes one after the other; between two of
/// them other tasks have their turn. The caller takes part, in its own polls; outside a runtime it is the only one. Nothing starts
/// before the first poll. If the token of its [environment](crate::env) asks it to stop, no further chunk begins, and once those that are
/// running have ended, whoever awaits it is [stopped](crate::stop::stopped); unless all have been run. On other workers, `f` has the values of
/// that environment, and no stop token.
///
/// # Panics
///
/// If `f` does, no further chunk begins; once those that are running have ended, the first panic goes on here. Polling it again after it
/// has completed panics.
///
/// # Cancel safety
///
/// When it is dropped, no further chunk begins. Those that others run at that moment end on their own, which is why `f` is `'static`.
///
/// # Source
///
/// D2583 §10.3; P3481 (`bulk`, and `bulk_chunked`).
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use tress::algorithm::bulk;
///
/// let runtime = tress::Runtime::new()?;
/// let squares: Arc<Vec<AtomicUsize>> = Arc::new((0..1000).map(|_| AtomicUsize::new(0)).collect());
/// let shared = Arc::clone(&squares);
/// runtime.block_on(bulk(1000, move |n| shared[n].store(n * n, Ordering::Relaxed)));
/// assert_eq!(squares[31].load(Ordering::Relaxed), 961);
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn bulk<F>(n: usize, f: F) -> impl Future<Output = ()> + Send + Unpin
where
    F: Fn(usize) + Send + Sync + 'static,
{
    bulk_chunked(n, move |chunk| chunk.for_each(&f))
}

/// Calls `f` with chunks of the numbers below `n`, which are disjoint and cover all, on all workers of the current runtime at once.
///
/// As [`bulk`], for when a chunk is cheaper than its items, one by one.
///
/// # Panics
///
/// As [`bulk`].
///
/// # Cancel safety
///
/// As [`bulk`].
///
/// # Source
///
/// D2583 §10.3; P3481 (`bulk_chunked`).
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use tress::algorithm::bulk_chunked;
///
/// let runtime = tress::Runtime::new()?;
/// let numbers: Vec<u64> = (1..=100_000).collect();
/// let sum = Arc::new(AtomicU64::new(0));
/// let shared = Arc::clone(&sum);
/// runtime.block_on(bulk_chunked(numbers.len(), move |chunk| {
///     // One addition to what is shared for each chunk.
///     shared.fetch_add(numbers[chunk].iter().sum(), Ordering::Relaxed);
/// }));
/// assert_eq!(sum.load(Ordering::Relaxed), 5_000_050_000);
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn bulk_chunked<F>(n: usize, f: F) -> impl Future<Output = ()> + Send + Unpin
where
    F: Fn(Range<usize>) + Send + Sync + 'static,
{
    let run = move |chunk| {
        f(chunk);
        Ok::<(), Infallible>(())
    };
    Always(Bulk::new(n, run, Wait::new("bulk")))
}

/// Calls `f` with each number below `n`, as [`bulk`] does, until one of the calls fails.
///
/// # Errors
///
/// The first error that is found. What runs elsewhere at that moment ends first, up to the end of its chunk.
///
/// # Panics
///
/// As [`bulk`].
///
/// # Cancel safety
///
/// As [`bulk`].
///
/// # Source
///
/// D2583 §10.3.
///
/// # Examples
///
/// ```
/// use tress::algorithm::try_bulk;
///
/// let runtime = tress::Runtime::new()?;
/// let check = |n| if n == 777 { Err(n) } else { Ok(()) };
/// assert_eq!(runtime.block_on(try_bulk(1000, check)), Err(777));
/// assert_eq!(runtime.block_on(try_bulk(777, check)), Ok(()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn try_bulk<F, E>(n: usize, f: F) -> impl Future<Output = Result<(), E>> + Send + Unpin
where
    F: Fn(usize) -> Result<(), E> + Send + Sync + 'static,
    E: Send + 'static,
{
    try_bulk_chunked(n, move |mut chunk| chunk.try_for_each(&f))
}

/// Calls `f` with chunks of the numbers below `n`, as [`bulk_chunked`] does, until one of the calls fails.
///
/// # Errors
///
/// As [`try_bulk`].
///
/// # Panics
///
/// As [`bulk`].
///
/// # Cancel safety
///
/// As [`bulk`].
///
/// # Source
///
/// D2583 §10.3.
///
/// # Examples
///
/// ```
/// use tress::algorithm::try_bulk_chunked;
///
/// let runtime = tress::Runtime::new()?;
/// let bytes = vec![0_u8; 1 << 16];
/// let zero = try_bulk_chunked(bytes.len(), move |chunk| match bytes[chunk].iter().any(|byte| *byte != 0) {
///     true => Err("not all of them are zero"),
///     false => Ok(()),
/// });
/// assert_eq!(runtime.block_on(zero), Ok(()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn try_bulk_chunked<F, E>(n: usize, f: F) -> impl Future<Output = Result<(), E>> + Send + Unpin
where
    F: Fn(Range<usize>) -> Result<(), E> + Send + Sync + 'static,
    E: Send + 'static,
{
    Bulk::new(n, f, Wait::new("bulk"))
}

/// The caller's part in a job.
#[derive(Debug)]
struct Bulk<F, E> {
    state: State<F, E>,
    pace: Pace,
    wait: Wait,
}

#[derive(Debug)]
enum State<F, E> {
    New(usize, F),
    Running {
        job: Arc<Job<F, E>>,
        is_cut: bool,
    },
    /// Whoever awaits it is stopped, too.
    Stopped(Stopped),
    Done,
}

impl<F, E> Bulk<F, E> {
    fn new(n: usize, f: F, wait: Wait) -> Self {
        Self { state: State::New(n, f), pace: Pace::new(), wait }
    }
}

impl<F, E> Bulk<F, E>
where
    F: Fn(Range<usize>) -> Result<(), E> + Send + Sync + 'static,
    E: Send + 'static,
{
    /// Makes the job, with a helper for each other worker.
    fn start(n: usize, f: F) -> Arc<Job<F, E>> {
        let runtime = Handle::try_current().ok();
        let workers = runtime.as_ref().map_or(1, |runtime| runtime.pool.workers().len());
        let participants = workers.min(n).max(1);
        let job = Arc::new(Job::new(f, n, participants));
        if let Some(runtime) = runtime {
            for _ in 1..participants {
                drop(runtime.spawn(help(Arc::clone(&job))));
            }
        }
        job
    }
}

// A function that has not been called yet is moved like any other value.
impl<F, E> Unpin for Bulk<F, E> {}

impl<F, E> Future for Bulk<F, E>
where
    F: Fn(Range<usize>) -> Result<(), E> + Send + Sync + 'static,
    E: Send + 'static,
{
    type Output = Result<(), E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        let Self { state, pace, wait } = &mut *self;
        let is_to_stop = env::stop_scope(StopScope::is_stop_requested) == Some(true);
        let (job, mut is_cut) = match std::mem::replace(state, State::Done) {
            State::New(1.., _f) if is_to_stop => return stop_too(state, stop::stopped(), cx),
            State::New(n, f) => (Self::start(n, f), false),
            State::Running { job, is_cut } => (job, is_cut),
            State::Stopped(stopped) => return stop_too(state, stopped, cx),
            State::Done => panic!("a `bulk` was polled after it had completed"),
        };
        if is_to_stop {
            is_cut |= job.stop();
        }
        // Also once it is to stop: those who run the last chunks are waited for.
        let poll = wait.poll_shielded(cx, |cx| {
            if job.take_turn(pace) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            job.end(cx.waker()).map_or(Poll::Pending, Poll::Ready)
        });
        match poll {
            Poll::Pending => {
                *state = State::Running { job, is_cut };
                Poll::Pending
            }
            Poll::Ready(Ok(())) if is_cut => stop_too(state, stop::stopped(), cx),
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(Failure::Error(error))) => Poll::Ready(Err(error)),
            Poll::Ready(Err(Failure::Panic(payload))) => resume_unwind(payload),
        }
    }
}

impl<F, E> Drop for Bulk<F, E> {
    fn drop(&mut self) {
        if let State::Running { job, .. } = &self.state {
            job.abandon();
        }
    }
}

fn stop_too<F, E, O>(state: &mut State<F, E>, mut stopped: Stopped, cx: &mut Context<'_>) -> Poll<O> {
    let poll = Pin::new(&mut stopped).poll(cx);
    *state = State::Stopped(stopped);
    poll.map(|never| match never {})
}

/// The future of what cannot fail.
#[derive(Debug)]
struct Always<F>(F);

impl<F> Future for Always<F>
where
    F: Future<Output = Result<(), Infallible>> + Unpin,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|result| match result {
            Ok(()) => (),
            Err(never) => match never {},
        })
    }
}

/// Takes part until nothing is left to claim.
async fn help<F, E>(job: Arc<Job<F, E>>)
where
    F: Fn(Range<usize>) -> Result<(), E>,
{
    let mut pace = Pace::new();
    while job.take_turn(&mut pace) {
        yield_now().await;
    }
}
