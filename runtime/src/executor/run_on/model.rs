//! Real tasks that move between two executors of the model's, each of which has a thread.
//!
//! Each model has been seen to fail on a broken variant; those are kept as `run_on-*.patch` in `ci/mutants`.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::pin;
use std::ptr::NonNull;
use std::task::{Poll, Waker};

use loom::sync::Notify;
use loom::thread;

use super::{hop, hop_to, run_on};
use crate::env;
use crate::executor::{AnyExecutor, Executor, Runnable, spawn_placed_on};
use crate::primitive::explore::{as_worker, explore, is_worker};
use crate::primitive::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::primitive::sync::{Arc, Mutex, PlainArc};
use crate::task::yield_now;

/// An executor with a queue, and a bell for whoever runs it.
#[derive(Clone)]
struct Place(PlainArc<PlaceState>);

struct PlaceState {
    queue: Mutex<VecDeque<Runnable>>,
    bell: Notify,
}

impl Place {
    fn new() -> Self {
        Self(PlainArc::new(PlaceState { queue: Mutex::new(VecDeque::new()), bell: Notify::new() }))
    }

    /// Runs what is queued until that is over; a lost wake is a deadlock, which loom reports.
    fn work(&self, is_over: &AtomicBool) {
        let address = NonNull::from(&*self.0).cast();
        as_worker(address, || {
            loop {
                let next = self.0.queue.lock().pop_front();
                match next {
                    Some(runnable) => runnable.run(),
                    None if is_over.load(Ordering::Acquire) => return,
                    None => self.0.bell.wait(),
                }
            }
        });
    }
}

impl Executor for Place {
    fn post(&self, runnable: Runnable) {
        self.0.queue.lock().push_back(runnable);
        self.0.bell.notify();
    }

    fn is_current(&self) -> bool {
        is_worker(NonNull::from(&*self.0).cast())
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        PlainArc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Place {}

/// What a future of the model waits for, and wakers raise.
struct Signal {
    raised: AtomicUsize,
    /// Left by the first poll; the thread that raises it waits for that.
    waker: Mutex<Option<Waker>>,
    has_waker: Notify,
}

impl Signal {
    fn new() -> PlainArc<Self> {
        PlainArc::new(Self { raised: AtomicUsize::new(0), waker: Mutex::new(None), has_waker: Notify::new() })
    }

    /// Waits for the waker, and wakes. Seen by polls only through what the wake publishes.
    fn raise(&self) {
        loop {
            let waker = self.waker.lock().take();
            if let Some(waker) = waker {
                self.raised.fetch_add(1, Ordering::Relaxed);
                return waker.wake();
            }
            self.has_waker.wait();
        }
    }

    /// Is ready when that has been raised; polled on `place` only, if there is one.
    fn wait(self: PlainArc<Self>, place: Option<Place>) -> impl Future<Output = ()> + Send {
        let mut has_left = false;
        poll_fn(move |cx| {
            assert!(place.as_ref().is_none_or(Executor::is_current), "polled elsewhere");
            if !std::mem::replace(&mut has_left, true) {
                *self.waker.lock() = Some(cx.waker().clone());
                self.has_waker.notify();
            }
            if self.raised.load(Ordering::Relaxed) == 0 { Poll::Pending } else { Poll::Ready(()) }
        })
    }
}

/// Runs a task on `home`, of which this is the thread; `there` has another one, and each signal one that raises it.
fn play<F>(signals: Vec<PlainArc<Signal>>, task: impl FnOnce(Place, Place) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (home, there) = (Place::new(), Place::new());
    let is_over = Arc::new(AtomicBool::new(false));
    let future = task(home.clone(), there.clone());
    let (own, other, over) = (home.clone(), there.clone(), is_over.clone());
    let future = async move {
        future.await;
        assert!(own.is_current(), "it has not come back");
        over.store(true, Ordering::Release);
        own.0.bell.notify();
        other.0.bell.notify();
    };
    let executor = AnyExecutor::new(home.clone());
    let future = env::scope().executor(Some(executor.clone())).run(future);
    let handle = spawn_placed_on(executor, future, None, Location::caller());
    let mut threads: Vec<_> =
        signals.into_iter().map(|signal| thread::spawn(move || signal.raise())).collect();
    let over = is_over.clone();
    threads.push(thread::spawn(move || there.work(&over)));
    home.work(&is_over);
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(handle.is_finished(), "it has panicked, or waits for ever");
}

/// Wake × the end of the poll that it is for, on the way there and back.
#[test]
fn a_wake_meets_a_hop() {
    explore(2, || {
        let signal = Signal::new();
        play(vec![signal.clone()], |_home, there| async move {
            run_on(there.clone(), signal.wait(Some(there))).await;
        });
    });
}

/// A wake of the inner one of two hops, and what is beside it asks for another turn.
#[test]
fn a_wake_meets_nested_hops() {
    explore(1, || {
        let signal = Signal::new();
        play(vec![signal.clone()], |home, there| async move {
            let hop = run_on(home.clone(), signal.wait(Some(home)));
            run_on(there, both(hop, yield_now())).await;
        });
    });
}

/// Two side by side, of which one is woken where it is polled.
#[test]
fn a_wake_meets_hops_side_by_side() {
    explore(1, || {
        let signal = Signal::new();
        play(vec![signal.clone()], |home, there| async move {
            let first = run_on(there.clone(), signal.wait(Some(there)));
            both(first, run_on(home.clone(), yield_now())).await;
        });
    });
}

/// A waker that was made before the move is used after it.
#[test]
fn a_wake_meets_a_move() {
    explore(1, || {
        let signal = Signal::new();
        play(vec![signal.clone()], |home, there| async move {
            run_on(there, async move {
                let mut wait = pin!(signal.wait(None));
                let is_ready = poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx).is_ready())).await;
                hop_to(home.clone()).await.expect("there is a `run_on`");
                assert!(home.is_current());
                if !is_ready {
                    wait.await;
                }
                assert!(home.is_current());
            })
            .await;
        });
    });
}

/// A hop is dropped while it is woken: the wake leads nowhere, and the task goes on.
#[test]
fn a_wake_meets_a_drop() {
    explore(2, || {
        let signal = Signal::new();
        play(vec![signal.clone()], |_home, there| async move {
            let mut hop = Box::pin(run_on(there, signal.clone().wait(None)));
            poll_fn(|cx| {
                let poll = hop.as_mut().poll(cx);
                // Until the waker has been left.
                if poll.is_ready()
                    || signal.waker.lock().is_some()
                    || signal.raised.load(Ordering::Relaxed) > 0
                {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            drop(hop);
            yield_now().await;
        });
    });
}

/// Awaits two futures, each of which is polled whenever anything is woken.
async fn both(one: impl Future<Output = ()>, two: impl Future<Output = ()>) {
    let (mut one, mut two) = (pin!(one), pin!(two));
    let (mut is_first, mut is_second) = (false, false);
    poll_fn(|cx| {
        is_first = is_first || one.as_mut().poll(cx).is_ready();
        is_second = is_second || two.as_mut().poll(cx).is_ready();
        if is_first && is_second { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// A hop inside another one is dropped while it is woken: the other one goes on at home, and no wish is left.
#[test]
fn a_wake_meets_the_drop_of_a_nested_hop() {
    explore(2, || {
        let signal = Signal::new();
        let outer = PlainArc::new(Mutex::new(None));
        let keep = PlainArc::clone(&outer);
        play(vec![signal.clone()], |home, there| async move {
            let place = there.clone();
            run_on(there, async move {
                *keep.lock() = hop::current();
                let mut inner = Box::pin(run_on(home.clone(), signal.clone().wait(Some(home))));
                poll_fn(|cx| {
                    let poll = inner.as_mut().poll(cx);
                    let is_left = signal.waker.lock().is_some() || signal.raised.load(Ordering::Relaxed) > 0;
                    if poll.is_ready() || is_left { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                drop(inner);
                yield_now().await;
                assert!(place.is_current());
            })
            .await;
        });
        let outer = outer.lock().take().expect("it has been there");
        assert!(outer.passes().is_empty(), "a wish of nobody's is left");
    });
}
