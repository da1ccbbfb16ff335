//! One task at a time, spawned and joined from `block_on`.

use crate::clock::{Sample, Window};
use crate::peer::Rt;

/// One op is one task spawned and joined.
pub(crate) fn block_on_spawn<R: Rt>(runtime: &R, window: Window) -> Sample {
    window.repeat(|| {
        runtime.block_on(async {
            for _ in 0..TASKS_PER_BATCH {
                R::spawn(async {}).await;
            }
        });
        TASKS_PER_BATCH
    })
}

const TASKS_PER_BATCH: u64 = 1000;
