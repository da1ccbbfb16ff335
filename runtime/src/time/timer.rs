//! An entry together with the driver that it is registered with: the part of a sleep that waits.

use std::pin::Pin;
use std::task::{Poll, Waker};
use std::time::Instant;

use pin_project_lite::pin_project;

use super::driver::TimeDriver;
use super::wheel::{Entry, State};
use crate::primitive::sync::Arc;

pin_project! {
    /// A timer that registers when it is first polled and cancels itself when dropped.
    pub(crate) struct Timer {
        #[pin]
        entry: Entry,
        // Where the entry is, or was last, registered.
        driver: Option<Arc<TimeDriver>>,
    }

    impl PinnedDrop for Timer {
        fn drop(this: Pin<&mut Self>) {
            this.cancel();
        }
    }
}

/// What a timer needs to know of the world, so that a model can be one.
pub(crate) trait Surroundings {
    /// The present.
    fn now(&self) -> Instant;
    /// The driver to register with; the next one if this one turns out to be closed.
    fn drivers(&self) -> impl Iterator<Item = Arc<TimeDriver>>;
}

impl Timer {
    pub(crate) fn new() -> Self {
        Self { entry: Entry::new(), driver: None }
    }

    /// Whether the timer has fired, as far as its wheel knows.
    pub(crate) fn has_fired(&self) -> bool {
        self.entry.state() == State::Fired
    }

    /// Is ready at `deadline` and, until [`reset`](Self::reset), ever after; else has `waker` registered.
    pub(crate) fn poll(
        self: Pin<&mut Self>,
        deadline: Instant,
        waker: &Waker,
        surroundings: &impl Surroundings,
    ) -> Poll<()> {
        let mut me = self.project();
        loop {
            match me.entry.state() {
                State::Fired => return Poll::Ready(()),
                State::Linked => {
                    if me.entry.as_mut().will_wake(waker) {
                        // Either it is still linked, or it was fired since, and that woke this very waker.
                        return Poll::Pending;
                    }
                    let driver = me.driver.as_ref().expect("a linked entry has a driver");
                    if driver.set_waker(me.entry.as_mut(), waker.clone()) {
                        return Poll::Pending;
                    }
                }
                State::Idle | State::Closed => break,
            }
        }
        let now = surroundings.now();
        if now >= deadline {
            me.entry.settle(State::Fired);
            return Poll::Ready(());
        }
        let mut waker = waker.clone();
        for driver in surroundings.drivers() {
            match driver.insert(me.entry.as_mut(), deadline, now, waker) {
                Ok(()) => {
                    *me.driver = Some(driver);
                    return Poll::Pending;
                }
                Err(refused) => waker = refused,
            }
        }
        // No driver serves (the thread that would could not be started): the task polls until one does.
        waker.wake();
        Poll::Pending
    }

    /// Changes the deadline: of what is registered at once, otherwise with the next poll.
    pub(crate) fn reset(self: Pin<&mut Self>, deadline: Instant) {
        let mut me = self.project();
        if me.entry.state() == State::Linked {
            let driver = me.driver.as_ref().expect("a linked entry has a driver");
            if driver.reset(me.entry.as_mut(), deadline) {
                return;
            }
        }
        me.entry.settle(State::Idle);
    }

    fn cancel(self: Pin<&mut Self>) {
        let me = self.project();
        if me.entry.state() == State::Linked {
            let driver = me.driver.as_ref().expect("a linked entry has a driver");
            driver.cancel(me.entry);
        }
    }
}
