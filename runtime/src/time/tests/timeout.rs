use std::future::{pending, poll_fn, ready};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use super::{block_on, watched};
use crate::coop;
use crate::time::{sleep, timeout, timeout_at};

const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn a_ready_future_wins_over_a_past_deadline() {
    assert_eq!(block_on(timeout(Duration::ZERO, ready(1))), Ok(1));
    assert_eq!(block_on(timeout_at(Instant::now(), ready(1))), Ok(1));
}

#[test]
fn elapses_not_before_its_time() {
    watched(|| {
        let start = Instant::now();
        let elapsed = block_on(timeout(3 * MILLISECOND, pending::<()>())).expect_err("it never ends");
        assert!(start.elapsed() >= 3 * MILLISECOND);
        assert_eq!(elapsed.to_string(), "deadline has elapsed");
        assert_eq!(io::Error::from(elapsed).kind(), io::ErrorKind::TimedOut);
    });
}

#[test]
fn the_future_is_waited_for() {
    watched(|| {
        let slow = async {
            sleep(2 * MILLISECOND).await;
            7
        };
        assert_eq!(block_on(timeout(Duration::from_secs(60), slow)), Ok(7));
        assert_eq!(block_on(timeout(Duration::MAX, sleep(MILLISECOND))), Ok(()));
    });
}

#[test]
fn a_zero_timeout_elapses_at_the_first_poll() {
    let mut timeout = pin!(timeout(Duration::ZERO, pending::<()>()));
    assert!(timeout.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

/// A future that uses up its task's budget in every poll, as a busy socket does.
#[test]
fn a_future_that_eats_the_budget_times_out() {
    watched(|| {
        let greedy = poll_fn(|cx| -> Poll<()> {
            loop {
                let unit = ready!(coop::poll_proceed(cx));
                unit.made_progress();
            }
        });
        let mut timeout = pin!(timeout(2 * MILLISECOND, greedy));
        let result = block_on(poll_fn(|cx| {
            let _budget = coop::enter(Some(coop::BUDGET_PER_POLL));
            timeout.as_mut().poll(cx)
        }));
        assert!(result.is_err());
    });
}

#[test]
fn without_budget_nothing_ends() {
    let _budget = coop::enter(Some(0));
    let mut sleep = pin!(sleep(Duration::ZERO));
    assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
}
