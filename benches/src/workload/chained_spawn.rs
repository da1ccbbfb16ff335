//! Tasks that each spawn the next.

use futures_channel::oneshot;

use crate::clock::{Sample, Window};
use crate::peer::Rt;

/// One op is one link of the chain: a spawn from a task, and the run of what was spawned.
pub(crate) fn chained_spawn<R: Rt>(runtime: &R, window: Window) -> Sample {
    window.repeat(|| {
        runtime.block_on(async {
            R::spawn(async {
                for _ in 0..CHAINS_PER_BATCH {
                    let (sender, end) = oneshot::channel();
                    R::spawn_detached(link::<R>(DEPTH - 1, sender));
                    end.await.expect("the last link sends");
                }
            })
            .await;
        });
        u64::from(DEPTH * CHAINS_PER_BATCH)
    })
}

#[expect(
    clippy::manual_async_fn,
    reason = "it spawns itself, so that it is `Send` must be said, not inferred"
)]
fn link<R: Rt>(depth: u32, end: oneshot::Sender<()>) -> impl Future<Output = ()> + Send {
    async move {
        if depth == 0 {
            end.send(()).expect("the chain's start waits");
        } else {
            R::spawn_detached(link::<R>(depth - 1, end));
        }
    }
}

const DEPTH: u32 = 1000;
const CHAINS_PER_BATCH: u32 = 100;
