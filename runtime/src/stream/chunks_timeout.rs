//! Chunks of a stream's items.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::stream::{FusedStream, Stream};
use pin_project_lite::pin_project;

use crate::coop;
use crate::leaf::Wait;
use crate::time::{self, Sleep};

/// Gathers the items of a stream into chunks of at most `max_len`, none of which waits for longer than `max_wait` after its first item.
///
/// A chunk is given when it is full, when `max_wait` has passed since its first item came, or when the stream ends. None is empty, and while
/// there are no items, no timer runs. `StreamExt::chunks` is the same without the time, `ready_chunks` without a wait.
///
/// # Panics
///
/// If `max_len` is zero.
///
/// # Cancel safety
///
/// Dropping a pending `next()` loses nothing: items that have been gathered stay in the stream. Dropping the stream drops them.
///
/// # Source
///
/// `chunks_timeout` of tokio-stream; buffering by time and count of Rx.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tress::stream::{StreamExt, chunks_timeout, generator};
/// use tress::time::sleep;
///
/// # let runtime = tress::Runtime::new()?;
/// # runtime.block_on(async {
/// let numbers = generator(|mut yielder| async move {
///     for n in 1..=4 {
///         yielder.emit(n).await;
///     }
///     sleep(Duration::from_millis(50)).await;
///     yielder.emit(5).await;
/// });
/// let chunks: Vec<Vec<i32>> = chunks_timeout(numbers, 3, Duration::from_millis(1)).collect().await;
/// assert_eq!(chunks, [vec![1, 2, 3], vec![4], vec![5]]);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn chunks_timeout<S: Stream>(stream: S, max_len: usize, max_wait: Duration) -> ChunksTimeout<S> {
    assert!(max_len > 0, "a chunk has room for one item at least");
    let deadline = time::sleep_as(max_wait, Wait::new("chunk"));
    ChunksTimeout { stream, has_ended: false, chunk: Vec::new(), max_len, max_wait, deadline }
}

pin_project! {
    /// The stream of [`chunks_timeout`].
    #[must_use = "streams do nothing unless polled"]
    pub struct ChunksTimeout<S: Stream> {
        #[pin]
        stream: S,
        has_ended: bool,
        chunk: Vec<S::Item>,
        max_len: usize,
        max_wait: Duration,
        // Of the chunk, if that is not empty.
        #[pin]
        deadline: Sleep,
    }
}

impl<S: Stream> Stream for ChunksTimeout<S> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<S::Item>>> {
        let mut me = self.project();
        if *me.has_ended {
            return Poll::Ready(None);
        }
        let had_budget = coop::has_budget_remaining();
        loop {
            if !coop::has_budget_remaining() {
                cx.waker().wake_by_ref();
                break;
            }
            match me.stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    coop::spend();
                    if me.chunk.is_empty() {
                        me.deadline.as_mut().restart(*me.max_wait);
                    }
                    me.chunk.push(item);
                    if me.chunk.len() == *me.max_len {
                        return Poll::Ready(Some(std::mem::take(me.chunk)));
                    }
                }
                Poll::Ready(None) => {
                    *me.has_ended = true;
                    let rest = std::mem::take(me.chunk);
                    return Poll::Ready((!rest.is_empty()).then_some(rest));
                }
                Poll::Pending => break,
            }
        }
        if me.chunk.is_empty() {
            return Poll::Pending;
        }
        // A stream that uses up the budget in every poll must not keep the deadline from being seen.
        let _unconstrained = (had_budget && !coop::has_budget_remaining()).then(|| coop::enter(None));
        ready!(me.deadline.poll(cx));
        Poll::Ready(Some(std::mem::take(me.chunk)))
    }
}

impl<S: Stream> FusedStream for ChunksTimeout<S> {
    fn is_terminated(&self) -> bool {
        self.has_ended
    }
}

impl<S: Stream> fmt::Debug for ChunksTimeout<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunksTimeout")
            .field("max_len", &self.max_len)
            .field("max_wait", &self.max_wait)
            .field("len", &self.chunk.len())
            .finish_non_exhaustive()
    }
}
