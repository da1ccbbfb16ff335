use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::{CountWakes, block_on, watched};
use crate::time::{Sleep, TICK, sleep, sleep_until};

const MILLISECOND: Duration = Duration::from_millis(1);

fn poll_once(sleep: Pin<&mut Sleep>, waker: &Waker) -> Poll<()> {
    sleep.poll(&mut Context::from_waker(waker))
}

#[test]
fn a_past_deadline_is_ready_at_the_first_poll() {
    let now = Instant::now();
    assert!(poll_once(pin!(sleep(Duration::ZERO)), Waker::noop()).is_ready());
    assert!(poll_once(pin!(sleep_until(now)), Waker::noop()).is_ready());
    if let Some(past) = now.checked_sub(Duration::from_secs(1)) {
        assert!(poll_once(pin!(sleep_until(past)), Waker::noop()).is_ready());
    }
}

#[test]
fn never_early() {
    watched(|| {
        for micros in [1, 50, 66, 100, 500, 1_000, 3_000, 20_000] {
            let start = Instant::now();
            let duration = Duration::from_micros(micros);
            block_on(sleep(duration));
            assert!(start.elapsed() >= duration);
        }
    });
}

/// Lateness has a heavy tail where others use the machine; the median shows what the wheel adds.
#[test]
fn late_by_about_a_tick() {
    watched(|| {
        let mut lateness: Vec<Duration> = (0..101)
            .map(|_| {
                let deadline = Instant::now() + 2 * MILLISECOND;
                block_on(sleep_until(deadline));
                deadline.elapsed()
            })
            .collect();
        lateness.sort();
        assert!(lateness[50] < TICK + 2 * MILLISECOND, "late by {:?}", lateness[50]);
    });
}

#[test]
fn stays_ready_until_it_is_reset() {
    watched(|| {
        let mut sleep = pin!(sleep(MILLISECOND));
        block_on(sleep.as_mut());
        assert!(sleep.is_elapsed());
        assert!(poll_once(sleep.as_mut(), Waker::noop()).is_ready());
        let deadline = Instant::now() + 2 * MILLISECOND;
        sleep.as_mut().reset(deadline);
        assert_eq!(sleep.deadline(), deadline);
        block_on(sleep.as_mut());
        assert!(Instant::now() >= deadline);
    });
}

#[test]
fn a_reset_moves_a_registered_deadline_both_ways() {
    watched(|| {
        let (wakes, waker) = CountWakes::new();
        let mut earlier = pin!(sleep(Duration::from_secs(600)));
        assert!(poll_once(earlier.as_mut(), &waker).is_pending());
        earlier.as_mut().reset(Instant::now() + MILLISECOND);
        // Not polled again: the registration itself moved.
        while wakes.count() == 0 {
            std::thread::sleep(MILLISECOND);
        }
        assert!(poll_once(earlier.as_mut(), &waker).is_ready());

        let (wakes, waker) = CountWakes::new();
        let mut later = pin!(sleep(20 * MILLISECOND));
        assert!(poll_once(later.as_mut(), &waker).is_pending());
        later.as_mut().reset(Instant::now() + Duration::from_secs(600));
        std::thread::sleep(40 * MILLISECOND);
        assert_eq!(wakes.count(), 0);
        assert!(!later.is_elapsed());
    });
}

#[test]
fn a_reset_into_the_past_wakes_at_once() {
    watched(|| {
        let (wakes, waker) = CountWakes::new();
        let mut sleep = pin!(sleep(Duration::from_secs(600)));
        assert!(poll_once(sleep.as_mut(), &waker).is_pending());
        sleep.as_mut().reset(Instant::now());
        while wakes.count() == 0 {
            std::thread::sleep(MILLISECOND);
        }
        assert!(poll_once(sleep.as_mut(), &waker).is_ready());
    });
}

#[test]
fn the_last_waker_is_the_one_that_is_woken() {
    watched(|| {
        let (first, first_waker) = CountWakes::new();
        let (second, second_waker) = CountWakes::new();
        let mut sleep = pin!(sleep(10 * MILLISECOND));
        assert!(poll_once(sleep.as_mut(), &first_waker).is_pending());
        assert!(poll_once(sleep.as_mut(), &second_waker).is_pending());
        drop(first_waker);
        assert_eq!(crate::primitive::sync::Arc::strong_count(&first), 1, "the former waker is dropped");
        while second.count() == 0 {
            std::thread::sleep(MILLISECOND);
        }
        assert_eq!(first.count(), 0);
    });
}

#[test]
fn the_far_future_is_no_panic() {
    let mut never = pin!(sleep(Duration::MAX));
    assert!(never.deadline() > Instant::now() + Duration::from_secs(20 * 365 * 24 * 3600));
    assert!(poll_once(never.as_mut(), Waker::noop()).is_pending());
    let mut centuries = pin!(sleep(Duration::from_secs(3000 * 365 * 24 * 3600)));
    assert!(poll_once(centuries.as_mut(), Waker::noop()).is_pending());
    assert!(!centuries.is_elapsed());
}

#[test]
fn a_future_moves_between_threads_between_polls() {
    watched(|| {
        let mut sleep = Box::pin(sleep(5 * MILLISECOND));
        assert!(poll_once(sleep.as_mut(), Waker::noop()).is_pending());
        std::thread::spawn(move || block_on(sleep)).join().expect("it ends there");
    });
}

#[test]
fn sleeps_are_send_and_sync_and_small() {
    fn check<T: Send + Sync>(_: &T) {}
    let sleep = sleep(Duration::ZERO);
    check(&sleep);
    check(&crate::time::interval(MILLISECOND));
    check(&crate::time::timeout(MILLISECOND, std::future::pending::<()>()));
    assert!(size_of_val(&sleep) <= 128, "{}", size_of_val(&sleep));
    assert!(format!("{sleep:?}").contains("is_elapsed: true"));
}

#[test]
fn many_sleeps_at_once_end_in_order() {
    watched(|| {
        let start = Instant::now() + 5 * MILLISECOND;
        let mut sleeps: Vec<_> =
            (0..200_u32).map(|i| (i, Box::pin(sleep_until(start + TICK * 2 * (i % 50))))).collect();
        let mut last = None;
        block_on(poll_fn(|cx| {
            sleeps.retain_mut(|(i, sleep)| {
                let ready = sleep.as_mut().poll(cx).is_ready();
                if ready {
                    assert!(Instant::now() >= sleep.deadline());
                    last = Some(*i);
                }
                !ready
            });
            if sleeps.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        }));
        assert_eq!(last.map(|i| i % 50), Some(49));
    });
}
