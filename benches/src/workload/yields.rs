//! Many tasks that only yield.

use crate::clock::{Sample, Window};
use crate::peer::Rt;

/// One op is one yield of one task.
pub(crate) fn yields<R: Rt>(runtime: &R, window: Window) -> Sample {
    window.repeat(|| {
        runtime.block_on(async {
            R::spawn(async {
                let mut tasks = Vec::with_capacity(TASKS);
                tasks.extend((0..TASKS).map(|_| {
                    R::spawn(async {
                        for _ in 0..YIELDS_PER_TASK {
                            R::yield_now().await;
                        }
                    })
                }));
                for task in tasks {
                    task.await;
                }
            })
            .await;
        });
        (TASKS * YIELDS_PER_TASK) as u64
    })
}

const TASKS: usize = 1000;
const YIELDS_PER_TASK: usize = 1000;
