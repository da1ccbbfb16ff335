//! Loom models of a stop scope: an operation that is polled and waits × the stop × the end of the scope.

#![expect(clippy::disallowed_types, reason = "`Wake` wants std's Arc; the flag inside is loom's")]

use std::task::{Wake, Waker};

use loom::thread;

use super::StopScope;
use crate::primitive::explore::explore;
use crate::primitive::sync::PlainArc;
use crate::primitive::sync::atomic::{AtomicBool, Ordering};
use crate::stop::StopSource;

/// Says that it was woken since it was last asked.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Flag {
    fn new() -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self(AtomicBool::new(false)))
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

/// One poll of an operation that stays pending. True if the stop has ended it.
fn poll(scope: &StopScope, waker: &Waker) -> bool {
    if scope.is_stop_requested() {
        return true;
    }
    scope.note(waker);
    false
}

/// A scope, and a thread that requests the stop.
fn stopping(source: StopSource) -> (PlainArc<StopScope>, thread::JoinHandle<()>) {
    let scope = StopScope::new(source.token());
    let stopper = thread::spawn(move || {
        source.request_stop();
    });
    (scope, stopper)
}

#[test]
fn who_waits_sees_the_stop_or_is_woken() {
    explore(4, || {
        let (scope, stopper) = stopping(StopSource::new());
        let flag = Flag::new();
        let waker = Waker::from(flag.clone());
        // Twice, since the second time the waker may be there already.
        let mut is_stopped = false;
        for _ in 0..2 {
            flag.take();
            is_stopped = is_stopped || poll(&scope, &waker);
        }
        stopper.join().unwrap();
        assert!(is_stopped || flag.take(), "it waits for ever");
        drop(scope);
        drop(waker);
        assert_eq!(std::sync::Arc::strong_count(&flag), 1, "a waker is left");
    });
}

#[test]
fn two_who_wait_are_both_woken() {
    explore(3, || {
        let (scope, stopper) = stopping(StopSource::new());
        let flags = [Flag::new(), Flag::new()];
        let mut stopped = [false; 2];
        for (flag, stopped) in flags.iter().zip(&mut stopped) {
            *stopped = poll(&scope, &Waker::from(flag.clone()));
        }
        stopper.join().unwrap();
        for (flag, stopped) in flags.iter().zip(stopped) {
            assert!(stopped || flag.take(), "one of them waits for ever");
        }
        drop(scope);
        assert!(flags.iter().all(|flag| std::sync::Arc::strong_count(flag) == 1), "a waker is left");
    });
}

#[test]
fn a_scope_may_end_while_it_is_stopped() {
    explore(4, || {
        let (scope, stopper) = stopping(StopSource::new());
        let flag = Flag::new();
        let is_stopped = poll(&scope, &Waker::from(flag.clone()));
        let token = scope.token().clone();
        drop(scope);
        stopper.join().unwrap();
        assert!(is_stopped || token.is_stop_requested());
        assert_eq!(std::sync::Arc::strong_count(&flag), 1, "a waker is left");
    });
}
