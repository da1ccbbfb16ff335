//! Loom models of the bell: children that ring × the poll of their parent × the end of a child.
//!
//! What a ring publishes is checked by data that only `Relaxed` accesses touch; that every waker is freed, and once, by loom's `Arc` in it.
//! Each model has been seen to fail on a broken variant; those are kept as `algorithm-*.patch` in `ci/mutants`.

#![expect(clippy::disallowed_types, reason = "`Wake` wants std's Arc; what is inside is loom's")]

use std::task::{Wake, Waker};

use loom::sync::Notify;
use loom::thread;

use super::{Bell, ChildWaker, renew};
use crate::primitive::explore::explore;
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};
use crate::task::model::Count;

/// A parent that sleeps until it is woken: a lost wake is a deadlock, which loom reports.
struct Parent {
    wakes: AtomicUsize,
    bell: Notify,
}

impl Parent {
    fn new() -> (std::sync::Arc<Self>, Waker) {
        let parent = std::sync::Arc::new(Self { wakes: AtomicUsize::new(0), bell: Notify::new() });
        (parent.clone(), Waker::from(parent))
    }
}

impl Wake for Parent {
    fn wake(self: std::sync::Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.bell.notify();
    }
}

/// One poll of the parent, as a fan's: calls `poll` for each child that is queued.
fn pass(bell: &Bell, waker: &Waker, mut poll: impl FnMut(usize)) {
    let (woken, former) = bell.attend();
    for _ in 0..woken {
        poll(bell.next().expect("nobody else takes children"));
    }
    if bell.leave(renew(former, waker)) {
        waker.wake_by_ref();
    }
}

/// Whatever is queued, without a word to anybody.
fn queued(bell: &Bell) -> Vec<usize> {
    std::iter::from_fn(|| bell.next()).collect()
}

/// Two children ring, each once: the parent sees each, once, and what was done before.
#[test]
fn each_ring_is_seen_or_wakes_the_parent() {
    explore(3, || {
        let bell = Arc::new(Bell::new(2));
        let data = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let children = [0, 1].map(|child| ChildWaker::new(child, &bell));
        let threads = [0, 1].map(|child| {
            let (waker, data) = (children[child].waker().clone(), data.clone());
            thread::spawn(move || {
                data[child].store(1, Ordering::Relaxed);
                waker.wake();
            })
        });
        let (parent, waker) = Parent::new();
        let mut seen = [0; 2];
        loop {
            pass(&bell, &waker, |child| {
                seen[child] += 1;
                assert_eq!(data[child].load(Ordering::Relaxed), 1, "a poll that nobody asked for");
            });
            if seen == [1, 1] {
                break;
            }
            parent.bell.wait();
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(queued(&bell).is_empty());
    });
}

/// Two wakers of one child ring: it is polled after the last of them, and sees what came before.
#[test]
fn a_child_that_is_taken_may_ring_again() {
    explore(3, || {
        let bell = Arc::new(Bell::new(1));
        let data = Arc::new(AtomicUsize::new(0));
        let child = ChildWaker::new(0, &bell);
        let threads = [(); 2].map(|()| {
            let (waker, data) = (child.waker().clone(), data.clone());
            thread::spawn(move || {
                data.fetch_add(1, Ordering::Relaxed);
                waker.wake();
            })
        });
        let (parent, waker) = Parent::new();
        let (mut signal, mut polls) = (0, 0);
        loop {
            pass(&bell, &waker, |_| {
                polls += 1;
                signal = data.load(Ordering::Relaxed);
            });
            if signal == 2 {
                break;
            }
            parent.bell.wait();
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(polls <= 2, "a poll that nobody asked for");
    });
}

/// A child that has ended rings: if it is not queued by then, it wakes nobody; if it is, the parent comes back for it, and that is all.
#[test]
fn a_late_ring_wakes_nobody() {
    explore(4, || {
        let bell = Arc::new(Bell::new(1));
        let child = ChildWaker::new(0, &bell);
        child.waker().wake_by_ref();
        let late = thread::spawn({
            let waker = child.waker().clone();
            move || waker.wake()
        });
        let (parent, waker) = Parent::new();
        let (woken, former) = bell.attend();
        assert!(woken == 1 && former.is_none());
        assert_eq!(bell.next(), Some(0));
        bell.retire(0);
        drop(child);
        let is_due = bell.leave(waker.clone());
        late.join().unwrap();
        assert_eq!(parent.wakes.load(Ordering::Relaxed), 0, "a poll for nothing");
        // It came between the two: the next poll finds it, and finds it gone.
        assert_eq!(queued(&bell).len(), usize::from(is_due));
    });
}

/// A waker goes on to the next child only when nobody has it any more: no ring of the former child is taken for one of the next.
///
/// The other thread is the one that passes on: loom does not see that the count matters to a drop that comes after.
#[test]
fn a_waker_that_is_passed_on_is_nobodys() {
    static PASSED_ON: Count = Count::new(0);
    static KEPT: Count = Count::new(0);
    explore(4, || {
        let bell = Arc::new(Bell::new(2));
        let child = ChildWaker::new(0, &bell);
        let waker = child.waker().clone();
        let passing = thread::spawn(move || child.pass_on(1));
        waker.wake();
        let next = passing.join().unwrap();
        assert_eq!(queued(&bell), [0], "the child that was woken is another");
        let outcome = if next.is_some() { &PASSED_ON } else { &KEPT };
        outcome.fetch_add(1, Ordering::Relaxed);
        if let Some(next) = next {
            next.waker().wake_by_ref();
            assert_eq!(queued(&bell), [1]);
        }
    });
    assert!([&PASSED_ON, &KEPT].iter().all(|count| count.load(Ordering::Relaxed) > 0), "one is never tried");
}
