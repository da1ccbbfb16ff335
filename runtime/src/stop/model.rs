//! Loom models of a stop: register × stop × drop of a callback × drop of the stop, and links.
//!
//! That a state is freed, and only once, is checked by loom's `Arc` in it; that nobody touches a callback or a list without the right to
//! do so, by loom's cells; what a stop publishes, by data that only `Relaxed` accesses touch. Each model has been seen to fail on a broken
//! variant; those are kept as `stop-*.patch` in `ci/mutants`.

#![expect(unsafe_code, reason = "shares a cell whose uses loom checks")]
#![expect(clippy::disallowed_types, reason = "`Wake` wants std's Arc; the count inside is loom's")]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Wake, Waker};

use loom::thread;

use super::{StopCallback, StopSource, StopToken};
use crate::primitive::cell::UnsafeCell;
use crate::primitive::explore::explore;
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};

type Callback = Pin<Box<StopCallback<Box<dyn FnOnce() + Send>>>>;

/// A callback that is registered, unless the stop has been requested already.
fn callback(token: &StopToken, f: impl FnOnce() + Send + 'static) -> Callback {
    let mut callback: Callback = Box::pin(StopCallback::new(Box::new(f)));
    callback.as_mut().register(token);
    callback
}

/// A count of calls, and a function that adds one.
fn count() -> (Arc<AtomicUsize>, impl FnOnce() + Send + Clone + 'static) {
    let count = Arc::new(AtomicUsize::new(0));
    let add = {
        let count = count.clone();
        move || {
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    (count, add)
}

#[test]
fn a_callback_is_called_once_by_whoever_is_later() {
    explore(3, || {
        let source = StopSource::new();
        let token = source.token();
        let (calls, call) = count();
        let stopper = thread::spawn(move || assert!(source.request_stop()));
        let callback = callback(&token, call);
        stopper.join().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        drop(callback);
        assert!(token.is_stop_requested());
    });
}

#[test]
fn a_dropped_callback_is_not_being_called() {
    explore(3, || {
        let source = StopSource::new();
        let token = source.token();
        // What the callback writes, and whoever has dropped it may write too.
        let cell = Arc::new(Watched(UnsafeCell::new(())));
        let callback = callback(&token, {
            let cell = cell.clone();
            move || cell.write()
        });
        drop(token);
        let stopper = thread::spawn(move || source.request_stop());
        drop(callback);
        cell.write();
        stopper.join().unwrap();
    });
}

/// A place of which loom sees to it that nobody writes to it while somebody else does.
struct Watched(UnsafeCell<()>);

// SAFETY: there is nothing to read or write; whether that would be sound is what loom tells.
unsafe impl Sync for Watched {}

impl Watched {
    fn write(&self) {
        self.0.with_mut(|_| ());
    }
}

#[test]
fn neighbours_leave_the_list_while_it_is_run() {
    explore(2, || {
        let source = StopSource::new();
        let token = source.token();
        let (calls, call) = count();
        let first = callback(&token, call.clone());
        let second = callback(&token, call.clone());
        let third = callback(&token, call);
        let stopper = {
            let source = source.clone();
            thread::spawn(move || source.request_stop())
        };
        drop(second);
        stopper.join().unwrap();
        let calls = calls.load(Ordering::Relaxed);
        assert!((2..=3).contains(&calls), "{calls} calls");
        drop((first, third));
    });
}

#[test]
fn two_stops_are_one() {
    explore(3, || {
        let source = StopSource::new();
        let (calls, call) = count();
        let callback = callback(&source.token(), call);
        let other = source.clone();
        let stopper = thread::spawn(move || other.request_stop());
        let is_first = source.request_stop();
        assert_ne!(is_first, stopper.join().unwrap());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        drop(callback);
    });
}

#[test]
fn a_callback_drops_itself() {
    explore(2, || {
        let source = StopSource::new();
        let token = source.token();
        let own = Arc::new(loom::sync::Mutex::new(None::<Callback>));
        let place = own.clone();
        let callback = callback(&token, move || drop(place.lock().unwrap().take()));
        *own.lock().unwrap() = Some(callback);
        let stopper = thread::spawn(move || source.request_stop());
        drop(token);
        stopper.join().unwrap();
        assert!(own.lock().unwrap().is_none());
    });
}

#[test]
fn a_stop_publishes_what_came_before() {
    explore(3, || {
        let source = StopSource::new();
        let token = source.token();
        let data = Arc::new(AtomicUsize::new(0));
        let stopper = {
            let data = data.clone();
            thread::spawn(move || {
                data.store(1, Ordering::Relaxed);
                source.request_stop();
            })
        };
        let reader = thread::spawn(move || {
            if token.is_stop_requested() {
                assert_eq!(data.load(Ordering::Relaxed), 1);
            }
        });
        stopper.join().unwrap();
        reader.join().unwrap();
    });
}

/// The state goes with the last source, token or callback, whichever that is.
#[test]
fn the_last_one_frees_the_state() {
    explore(3, || {
        let source = StopSource::new();
        let token = source.token();
        let callback = callback(&token, || ());
        let other = thread::spawn(move || drop(token));
        let another = thread::spawn(move || drop(callback));
        drop(source);
        other.join().unwrap();
        another.join().unwrap();
    });
}

/// A parent that only its child keeps goes with it; and a source may be dropped on the way.
#[test]
fn the_last_child_frees_its_parent() {
    explore(3, || {
        let parent = StopSource::new();
        let child = StopSource::linked_to(&parent.token());
        let grandchild = StopSource::linked_to(&child.token());
        let other = thread::spawn(move || drop(child));
        let another = thread::spawn(move || drop(grandchild));
        drop(parent);
        other.join().unwrap();
        another.join().unwrap();
    });
}

/// Whoever has looked at a state by a reference has done so before the state is freed.
#[test]
fn a_reference_is_used_before_the_state_is_freed() {
    explore(3, || {
        let source = StopSource::new();
        let token = source.token();
        let another = token.clone();
        let threads = [token, another].map(|token| thread::spawn(move || drop(token)));
        drop(source);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Who waits for the end of a call may be woken by others meanwhile, and goes on waiting.
#[test]
fn a_drop_waits_though_others_wake_its_thread() {
    explore(2, || {
        let source = StopSource::new();
        let cell = Arc::new(Watched(UnsafeCell::new(())));
        let callback = callback(&source.token(), {
            let cell = cell.clone();
            move || cell.write()
        });
        let stopper = thread::spawn(move || source.request_stop());
        thread::current().unpark();
        drop(callback);
        cell.write();
        stopper.join().unwrap();
    });
}

/// A parent's stop reaches a child that only a callback keeps, or that is on its way out.
#[test]
fn a_parents_stop_meets_the_end_of_a_child() {
    explore(2, || {
        let parent = StopSource::new();
        let child = StopSource::linked_to(&parent.token());
        let (calls, call) = count();
        let callback = callback(&child.token(), call);
        let ends = thread::spawn(move || {
            drop(child);
            drop(callback);
        });
        parent.request_stop();
        ends.join().unwrap();
        assert!(calls.load(Ordering::Relaxed) <= 1);
    });
}

#[test]
fn a_parents_stop_meets_the_making_of_a_child() {
    explore(2, || {
        let parent = StopSource::new();
        let token = parent.token();
        let stopper = thread::spawn(move || parent.request_stop());
        let child = StopSource::linked_to(&token);
        let (calls, call) = count();
        let callback = callback(&child.token(), call);
        stopper.join().unwrap();
        assert!(child.is_stop_requested());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        drop(callback);
    });
}

/// Counts wakes.
struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Polled with one waker and then with another, while the stop is requested: the last waker is woken, or the future is ready.
#[test]
fn who_waits_is_woken() {
    explore(3, || {
        let source = StopSource::new();
        let mut waits = Box::pin(source.token().stop_requested());
        let stopper = thread::spawn(move || source.request_stop());
        let mut last = None;
        for _ in 0..2 {
            let wakes = std::sync::Arc::new(CountWakes(AtomicUsize::new(0)));
            let waker = Waker::from(wakes.clone());
            if waits.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                last = None;
                break;
            }
            last = Some(wakes);
        }
        stopper.join().unwrap();
        if let Some(wakes) = last {
            assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
            let waker = Waker::noop();
            assert!(waits.as_mut().poll(&mut Context::from_waker(waker)).is_ready());
        }
    });
}

#[test]
fn who_waits_may_leave() {
    explore(3, || {
        let source = StopSource::new();
        let mut waits = Box::pin(source.token().stop_requested());
        let wakes = std::sync::Arc::new(CountWakes(AtomicUsize::new(0)));
        let waker = Waker::from(wakes.clone());
        let _ = waits.as_mut().poll(&mut Context::from_waker(&waker));
        let stopper = thread::spawn(move || source.request_stop());
        drop(waits);
        stopper.join().unwrap();
        assert!(wakes.0.load(Ordering::Relaxed) <= 1);
    });
}
