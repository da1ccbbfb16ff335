//! Empty tasks, spawned in batches and joined, by a task.

use crate::clock::{Sample, Window};
use crate::peer::Rt;

/// One op is one task spawned and joined.
pub(crate) fn spawn_join<R: Rt>(runtime: &R, window: Window) -> Sample {
    window.repeat(|| {
        runtime.block_on(async {
            R::spawn(async {
                let mut tasks = Vec::with_capacity(TASKS_PER_BATCH);
                for _ in 0..TASKS / TASKS_PER_BATCH {
                    tasks.extend((0..TASKS_PER_BATCH).map(|_| R::spawn(async {})));
                    for task in tasks.drain(..) {
                        task.await;
                    }
                }
            })
            .await;
        });
        TASKS as u64
    })
}

const TASKS: usize = 200_000;
const TASKS_PER_BATCH: usize = 1000;
