//! One task at a time, spawned and joined by a task.

use crate::clock::{Sample, Window};
use crate::peer::Rt;

/// One op is one task spawned and joined before the next, `tasks` of them one after the other.
pub(crate) fn join_handover<R: Rt>(runtime: &R, window: Window, tasks: u64) -> Sample {
    window.repeat(|| {
        runtime.block_on(async {
            R::spawn(async move {
                for _ in 0..tasks {
                    R::spawn(async {}).await;
                }
            })
            .await;
        });
        tasks
    })
}
