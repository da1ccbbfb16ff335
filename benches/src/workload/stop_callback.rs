//! Callbacks of a stop that is not requested, as each operation that waits registers one. On tress alone.

use std::pin::pin;

use tress::stop::{StopCallback, StopSource};

use crate::clock::{Sample, Window};

/// One op is one callback registered and dropped, while `others` are registered.
pub(crate) fn stop_callback(others: usize, window: Window) -> Sample {
    let source = StopSource::new();
    let token = source.token();
    let others: Vec<_> = (0..others)
        .map(|_| {
            let mut other = Box::pin(StopCallback::new(|| ()));
            other.as_mut().register(&token);
            other
        })
        .collect();
    let sample = window.repeat(|| {
        for _ in 0..CALLBACKS_PER_BATCH {
            let callback = pin!(StopCallback::new(|| ()));
            callback.register(&token);
        }
        CALLBACKS_PER_BATCH as u64
    });
    drop(others);
    sample
}

const CALLBACKS_PER_BATCH: usize = 10_000;
