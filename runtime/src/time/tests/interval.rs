use std::time::{Duration, Instant};

use super::*;
use crate::time::tests::{block_on, watched};

const PERIOD: Duration = Duration::from_millis(50);

/// The schedule in the documentation of [`MissedTickBehavior`], in milliseconds after the start.
#[test]
fn policies_are_as_documented() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let next = |behavior: MissedTickBehavior, tick, now| {
        (behavior.next_tick(at(tick), at(now), PERIOD) - start).as_millis()
    };
    // The tick due at 50 is noticed at 120.
    assert_eq!(next(MissedTickBehavior::Burst, 50, 120), 100);
    assert_eq!(next(MissedTickBehavior::Burst, 100, 120), 150);
    assert_eq!(next(MissedTickBehavior::Delay, 50, 120), 170);
    assert_eq!(next(MissedTickBehavior::Skip, 50, 120), 150);
    // Exactly on a tick of the schedule, that one is taken for the tick that was noticed.
    assert_eq!(next(MissedTickBehavior::Skip, 50, 150), 200);
    assert_eq!(next(MissedTickBehavior::Skip, 50, 149), 150);
}

#[test]
fn huge_periods_do_not_overflow() {
    let start = Instant::now();
    for behavior in [MissedTickBehavior::Burst, MissedTickBehavior::Delay, MissedTickBehavior::Skip] {
        assert!(behavior.next_tick(start, start + PERIOD, Duration::MAX) > start);
    }
    let mut interval = interval(Duration::MAX);
    block_on(interval.tick());
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(interval.poll_tick(&mut cx).is_pending());
    assert_eq!(interval.period(), Duration::MAX);
    interval.reset_after(Duration::MAX);
    interval.reset();
    assert!(interval.poll_tick(&mut cx).is_pending());
}

#[test]
fn ticks_keep_the_period_whatever_happens_between_them() {
    watched(|| {
        let period = Duration::from_millis(8);
        let mut interval = interval(period);
        let first = block_on(interval.tick());
        for i in 1..5 {
            std::thread::sleep(Duration::from_millis(1));
            assert_eq!(block_on(interval.tick()), first + period * i);
            assert!(Instant::now() >= first + period * i);
        }
    });
}

#[test]
fn missed_ticks_follow_the_policy() {
    watched(|| {
        let start = Instant::now();
        let period = Duration::from_millis(20);
        let missed = |behavior| {
            let mut interval = interval_at(start, period);
            interval.set_missed_tick_behavior(behavior);
            let now = Instant::now();
            (block_on(interval.tick()), block_on(interval.tick()), now)
        };
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(missed(MissedTickBehavior::Burst).1, start + period);
        let (first, second, now) = missed(MissedTickBehavior::Delay);
        assert_eq!(first, start);
        assert!(second >= now + period);
        let (_, second, now) = missed(MissedTickBehavior::Skip);
        assert!(second > now);
        assert_eq!((second - start).as_nanos() % period.as_nanos(), 0);
    });
}

#[test]
#[should_panic(expected = "`period` must be non-zero")]
fn a_zero_period_is_refused() {
    let _ = interval(Duration::ZERO);
}

#[test]
#[should_panic(expected = "`period` must be non-zero")]
fn a_zero_period_is_refused_with_a_start() {
    let _ = interval_at(Instant::now(), Duration::ZERO);
}

#[test]
fn resets_move_the_next_tick_only() {
    watched(|| {
        let period = Duration::from_millis(10);
        let mut interval = interval(period);
        block_on(interval.tick());
        let deadline = Instant::now() + Duration::from_millis(3);
        interval.reset_at(deadline);
        assert_eq!(block_on(interval.tick()), deadline);
        assert_eq!(block_on(interval.tick()), deadline + period);
        let before = Instant::now();
        interval.reset_immediately();
        let tick = block_on(interval.tick());
        assert!(tick >= before && tick <= Instant::now());
    });
}

#[test]
fn a_dropped_tick_is_not_lost() {
    watched(|| {
        let mut interval = interval(Duration::from_millis(3));
        let first = block_on(interval.tick());
        for _ in 0..3 {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let tick = std::pin::pin!(interval.tick());
            let _ = tick.poll(&mut cx).is_pending();
        }
        assert!(block_on(interval.tick()) > first);
    });
}
