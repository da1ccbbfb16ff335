//! Streams that are written as a function.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_core::stream::{FusedStream, Stream};
use pin_project_lite::pin_project;

use crate::containment::contain_panic;
use crate::coop;
use crate::primitive::sync::{Arc, Mutex};

/// Makes a stream of what an async function emits.
///
/// `body` gets a [`Yielder`] and returns the future that runs whenever an item is asked for, up to its next [`emit`](Yielder::emit).
/// The stream ends with it. There is one allocation for a generator, and none for an item.
///
/// The body may be any future: what it awaits between two items holds up the stream, and where a part of it has a
/// [frame of its own](crate::task::lazy), that part may emit as well. Items that are `Result`s make a stream that can fail.
///
/// # Panics
///
/// A panic of the body goes on in the poll of the stream.
///
/// # Cancel safety
///
/// Dropping a pending `next()` of the stream loses nothing. Dropping the stream drops the body at its current await.
///
/// # Source
///
/// `async_generator` of cppcoro; async generators of Python (PEP 525). D2583 has no streams.
///
/// # Examples
///
/// ```
/// use tress::stream::{StreamExt, generator};
///
/// # let runtime = tress::Runtime::new()?;
/// # runtime.block_on(async {
/// let fibonacci = generator(|mut yielder| async move {
///     let (mut a, mut b) = (0_u64, 1);
///     loop {
///         yielder.emit(a).await;
///         (a, b) = (b, a + b);
///     }
/// });
/// let even: Vec<u64> = fibonacci.filter(|n| std::future::ready(n % 2 == 0)).take(5).collect().await;
/// assert_eq!(even, [0, 2, 8, 34, 144]);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn generator<T, B, F>(body: B) -> Generator<T, F>
where
    B: FnOnce(Yielder<T>) -> F,
    F: Future<Output = ()>,
{
    let place = Arc::new(Mutex::new(Place::new()));
    let body = body(Yielder { place: Arc::clone(&place) });
    Generator { body: Some(body), shared: Shared { place } }
}

pin_project! {
    /// The stream of [`generator`].
    #[must_use = "streams do nothing unless polled"]
    pub struct Generator<T, F> {
        // `None` once it has ended.
        #[pin]
        body: Option<F>,
        shared: Shared<T>,
    }
}

/// The stream's hold on the place; closes it when dropped.
struct Shared<T> {
    place: Arc<Mutex<Place<T>>>,
}

/// Where an item goes from the body to the stream.
struct Place<T> {
    item: Option<T>,
    /// Whether somebody has asked for an item since the last one was taken.
    is_wanted: bool,
    /// Whether the stream polls the body, and looks into the place when that is done.
    is_polled: bool,
    /// Whether nobody will take an item any more.
    is_closed: bool,
    /// Of the task that waits for an item.
    consumer: Option<Waker>,
    /// Of the future that has put the last item here, or waits to do so.
    producer: Option<Waker>,
}

/// Emits the items of a [`Generator`].
///
/// # Examples
///
/// See [`generator`].
pub struct Yielder<T> {
    place: Arc<Mutex<Place<T>>>,
}

/// The future of [`Yielder::emit`].
#[must_use = "nothing is emitted unless it is awaited"]
pub struct Emit<'a, T> {
    place: &'a Mutex<Place<T>>,
    /// `None` once it is in its place.
    item: Option<T>,
}

impl<T> Yielder<T> {
    /// Gives an item to the stream, and waits until another one is asked for.
    ///
    /// After the stream has ended, or was dropped, the item is dropped, and there is nothing to wait for.
    ///
    /// # Cancel safety
    ///
    /// From its first poll on, the item is the stream's.
    ///
    /// # Examples
    ///
    /// See [`generator`].
    pub fn emit(&mut self, item: T) -> Emit<'_, T> {
        Emit { place: &self.place, item: Some(item) }
    }
}

// The item is moved, and never pinned.
impl<T> Unpin for Emit<'_, T> {}

impl<T> Future for Emit<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Wakers are foreign: cloned and dropped outside the lock.
        let mut waker = None;
        let mut place = loop {
            let place = this.place.lock();
            if place.is_closed {
                drop(place);
                drop(this.item.take());
                return Poll::Ready(());
            }
            if place.is_free() && this.item.is_none() {
                // It was taken, and another one is asked for.
                return Poll::Ready(());
            }
            if waker.is_some()
                || place.producer.as_ref().is_some_and(|producer| producer.will_wake(cx.waker()))
            {
                break place;
            }
            drop(place);
            waker = Some(cx.waker().clone());
        };
        let former = waker.and_then(|waker| place.producer.replace(waker));
        let mut consumer = None;
        if place.is_free() {
            place.item = this.item.take();
            if !place.is_polled {
                consumer = place.consumer.take();
            }
        }
        drop(place);
        contain_panic(|| drop(former));
        if let Some(consumer) = consumer {
            consumer.wake();
        }
        Poll::Pending
    }
}

impl<T, F: Future<Output = ()>> Stream for Generator<T, F> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut me = self.project();
        if !coop::has_budget_remaining() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let item = me.shared.take().or_else(|| {
            let ended = me.body.as_mut().as_pin_mut().map(|body| {
                me.shared.begin(cx.waker());
                body.poll(cx).is_ready()
            });
            if ended == Some(true) {
                me.body.set(None);
            }
            me.shared.end(cx.waker(), me.body.is_none())
        });
        match item {
            Some(item) => {
                coop::spend();
                Poll::Ready(Some(item))
            }
            None if me.body.is_none() => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl<T, F: Future<Output = ()>> FusedStream for Generator<T, F> {
    fn is_terminated(&self) -> bool {
        self.body.is_none() && self.shared.place.lock().item.is_none()
    }
}

impl<T> Place<T> {
    const fn new() -> Self {
        Self {
            item: None,
            is_wanted: false,
            is_polled: false,
            is_closed: false,
            consumer: None,
            producer: None,
        }
    }

    /// Whether an item may be put here. If not, one before it has not been taken, whose `emit` was dropped.
    const fn is_free(&self) -> bool {
        self.is_wanted && self.item.is_none()
    }

    fn take(&mut self) -> Option<T> {
        let item = self.item.take();
        if item.is_some() {
            self.is_wanted = false;
        }
        item
    }
}

impl<T> Shared<T> {
    /// Takes what was emitted while nobody polled the stream.
    fn take(&self) -> Option<T> {
        self.place.lock().take()
    }

    /// The body is polled from now on, for an item.
    fn begin(&self, waker: &Waker) {
        let mut place = self.place.lock();
        place.is_wanted = true;
        place.is_polled = true;
        // Whoever has emitted the last one goes on by this very poll; unless it lies in a frame, or another future, that is polled only
        // when it was woken itself.
        let producer = place.producer.take_if(|producer| !producer.will_wake(waker));
        drop(place);
        if let Some(producer) = producer {
            producer.wake();
        }
    }

    /// The poll has ended: takes what was emitted, or has `waker` woken when something is.
    fn end(&self, waker: &Waker, has_ended: bool) -> Option<T> {
        let mut consumer = None;
        let (item, former, producer) = loop {
            let mut place = self.place.lock();
            place.is_polled = false;
            let item = place.take();
            if has_ended {
                place.is_closed = true;
                // Not the body's own, which has ended: another task's, to which the yielder went.
                let producer = place.producer.take_if(|producer| !producer.will_wake(waker));
                break (item, consumer, producer);
            }
            if item.is_some() || place.consumer.as_ref().is_some_and(|consumer| consumer.will_wake(waker)) {
                break (item, consumer, None);
            }
            if consumer.is_some() {
                break (None, std::mem::replace(&mut place.consumer, consumer), None);
            }
            drop(place);
            consumer = Some(waker.clone());
        };
        contain_panic(|| drop(former));
        if let Some(producer) = producer {
            contain_panic(|| producer.wake());
        }
        item
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let mut place = self.place.lock();
        place.is_closed = true;
        let (item, consumer, producer) = (place.item.take(), place.consumer.take(), place.producer.take());
        drop(place);
        if let Some(producer) = producer {
            contain_panic(|| producer.wake());
        }
        contain_panic(|| drop(consumer));
        drop(item);
    }
}

impl<T, F> fmt::Debug for Generator<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator").field("has_ended", &self.body.is_none()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Yielder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yielder").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Emit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emit").field("has_emitted", &self.item.is_none()).finish_non_exhaustive()
    }
}
