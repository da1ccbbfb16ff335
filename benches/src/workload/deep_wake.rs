//! Wakes of the leaf of a deep chain of awaits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::slot::Slot;
use crate::clock::{Sample, Window};
use crate::peer::Rt;

/// A task awaits `levels` frames, each inside the one before; the innermost answers another task over a [`Slot`] each way. One op is one
/// wake of that leaf, with its answer.
pub(crate) fn deep_wake<R: Rt>(runtime: &R, window: Window, levels: u32) -> Sample {
    let line = Line::default();
    #[expect(clippy::async_yields_async, reason = "it is awaited after the measurement")]
    let task = runtime.block_on(async { R::spawn(chain::<R>(levels, line.clone())) });
    // The leaf is there before the clock starts.
    runtime.block_on(wake_leaf(line.clone(), 1));
    let sample = window.repeat(|| {
        runtime.block_on(async { R::spawn(wake_leaf(line.clone(), WAKES_PER_BATCH)).await });
        WAKES_PER_BATCH
    });
    line.hang_up();
    assert_eq!(runtime.block_on(task), levels, "every level adds one");
    sample
}

fn chain<R: Rt>(levels: u32, line: Line) -> R::ErasedFrame<u32> {
    R::erased_frame(async move {
        if levels == 1 {
            line.answer().await;
            1
        } else {
            chain::<R>(levels - 1, line).await + 1
        }
    })
}

async fn wake_leaf(line: Line, times: u64) {
    for _ in 0..times {
        line.0.to_leaf.send();
        line.0.from_leaf.receive().await;
    }
}

/// What the leaf and the task that wakes it share.
#[derive(Debug, Clone, Default)]
struct Line(Arc<Ends>);

#[derive(Debug, Default)]
struct Ends {
    to_leaf: Slot,
    from_leaf: Slot,
    /// Set before the last signal to the leaf, which publishes it.
    is_over: AtomicBool,
}

impl Line {
    async fn answer(&self) {
        loop {
            self.0.to_leaf.receive().await;
            if self.0.is_over.load(Ordering::Relaxed) {
                return;
            }
            self.0.from_leaf.send();
        }
    }

    fn hang_up(&self) {
        self.0.is_over.store(true, Ordering::Relaxed);
        self.0.to_leaf.send();
    }
}

const WAKES_PER_BATCH: u64 = 10_000;
