//! What the tests of lazies share: leaves that are held up until somebody opens them, and futures that count polls.
#![allow(dead_code, reason = "each test uses the part that it needs")]

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// What leaves wait for. Closed until it is opened, once and for ever; all who wait for it then go on.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Mutex<GateState>>);

#[derive(Default)]
struct GateState {
    is_open: bool,
    polls: usize,
    /// Of those who wait, and of those who have waited: out of date, and allowed to be.
    wakers: Vec<Waker>,
}

impl Gate {
    pub(crate) fn open(&self) {
        self.0.lock().unwrap().is_open = true;
        self.wake();
    }

    /// Wakes whoever waits, for nothing unless the gate is open.
    pub(crate) fn wake(&self) {
        // Wakers may poll whatever they like, this gate too.
        for waker in self.wakers() {
            waker.wake();
        }
    }

    /// Clones of all wakers that have been left here.
    pub(crate) fn wakers(&self) -> Vec<Waker> {
        self.0.lock().unwrap().wakers.clone()
    }

    /// How often those who wait have looked at the gate.
    pub(crate) fn polls(&self) -> usize {
        self.0.lock().unwrap().polls
    }

    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap();
        state.polls += 1;
        if state.is_open {
            return Poll::Ready(());
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    pub(crate) fn passed(&self) -> impl Future<Output = ()> + Send + use<> {
        let gate = self.clone();
        poll_fn(move |cx| gate.poll(cx))
    }
}

/// Opens a gate at the end of a block, also when that is left by a panic.
pub(crate) struct OpenOnDrop<'a>(pub(crate) &'a Gate);

impl Drop for OpenOnDrop<'_> {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// A number of polls, or of other events.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<AtomicUsize>);

impl Tally {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// The same future, each poll of which is counted. It stays in place: what it holds is not boxed.
    pub(crate) async fn polls<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.add();
            future.as_mut().poll(cx)
        })
        .await
    }
}

/// Polls once with the waker at hand, and says what came of it.
pub(crate) async fn poll_once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// A waker that remembers being woken, and passes it on to another one if it has one.
#[derive(Default)]
pub(crate) struct Flag {
    wakes: AtomicUsize,
    next: Mutex<Option<Waker>>,
}

impl Flag {
    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// Whom to wake in turn.
    pub(crate) fn pass_to(&self, waker: &Waker) {
        *self.next.lock().unwrap() = Some(waker.clone());
    }

    pub(crate) fn wakes(&self) -> usize {
        self.wakes.load(Ordering::SeqCst)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        let next = self.next.lock().unwrap().clone();
        if let Some(next) = next {
            next.wake();
        }
    }
}

/// What is neither ready nor woken before it is dropped.
pub(crate) fn never() -> std::future::Pending<()> {
    std::future::pending()
}
