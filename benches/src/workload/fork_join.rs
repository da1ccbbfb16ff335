//! Naive Fibonacci with a task for every call.

use crate::clock::{Sample, Window};
use crate::peer::Rt;

/// One op is the whole tree; its time is in milliseconds.
pub(crate) fn fork_join<R: Rt>(runtime: &R, window: Window) -> Sample {
    let sample = window.repeat(|| {
        let result = runtime.block_on(async { R::spawn(fib::<R>(NUMBER)).await });
        assert_eq!(result, EXPECTED, "fib {NUMBER}");
        1
    });
    Sample { value: sample.value / 1e6, ..sample }
}

#[expect(
    clippy::manual_async_fn,
    reason = "it spawns itself, so that it is `Send` must be said, not inferred"
)]
fn fib<R: Rt>(number: u32) -> impl Future<Output = u64> + Send {
    async move {
        if number < 2 {
            return u64::from(number);
        }
        let left = R::spawn(fib::<R>(number - 1));
        let right = R::spawn(fib::<R>(number - 2));
        left.await + right.await
    }
}

const NUMBER: u32 = 24;
const EXPECTED: u64 = 46_368;
