//! A dropped timer wakes nobody, and gives its waker back at once.

use std::pin::pin;
use std::task::Context;
use std::time::Duration;

use super::CountWakes;
use crate::primitive::sync::Arc;
use crate::time::sleep;

#[test]
fn a_dropped_sleep_lets_go_of_its_waker() {
    let (wakes, waker) = CountWakes::new();
    {
        let sleep = pin!(sleep(Duration::from_millis(5)));
        assert!(sleep.poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(Arc::strong_count(&wakes), 3);
    }
    assert_eq!(Arc::strong_count(&wakes), 2);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(wakes.count(), 0);
}
