//! Pairs of tasks that wake each other.

use futures_channel::oneshot;

use super::slot::Slot;
use crate::clock::{Sample, Window};
use crate::peer::Rt;

/// Long-lived pairs over a [`Slot`] each way. One op is one round trip: two wakes and two polls.
pub(crate) fn ping_pong_slot<R: Rt>(runtime: &R, window: Window) -> Sample {
    window.repeat(|| {
        runtime.block_on(async {
            R::spawn(async {
                let mut tasks = Vec::with_capacity(2 * PAIRS);
                for _ in 0..PAIRS {
                    let (ping, pong) = (Slot::default(), Slot::default());
                    tasks.push(R::spawn(bounce(ping.clone(), pong.clone())));
                    tasks.push(R::spawn(serve(pong, ping)));
                }
                for task in tasks {
                    task.await;
                }
            })
            .await;
        });
        (PAIRS * ROUNDS_PER_PAIR) as u64
    })
}

async fn bounce(incoming: Slot, outgoing: Slot) {
    for _ in 0..ROUNDS_PER_PAIR {
        incoming.receive().await;
        outgoing.send();
    }
}

async fn serve(incoming: Slot, outgoing: Slot) {
    for _ in 0..ROUNDS_PER_PAIR {
        outgoing.send();
        incoming.receive().await;
    }
}

/// A thousand fresh pairs at a time, each with two oneshot channels, as tokio's own `ping_pong` bench does. One op is one pair: two
/// spawns, two channels, one round trip.
pub(crate) fn ping_pong_oneshot<R: Rt>(runtime: &R, window: Window) -> Sample {
    window.repeat(|| {
        runtime.block_on(async {
            R::spawn(async {
                for _ in 0..ONESHOT_ROUNDS_PER_BATCH {
                    let mut tasks = Vec::with_capacity(PAIRS);
                    tasks.extend((0..PAIRS).map(|_| R::spawn(one_pair::<R>())));
                    for task in tasks {
                        task.await;
                    }
                }
            })
            .await;
        });
        (PAIRS * ONESHOT_ROUNDS_PER_BATCH) as u64
    })
}

async fn one_pair<R: Rt>() {
    let (ping, pinged) = oneshot::channel::<()>();
    let (pong, ponged) = oneshot::channel::<()>();
    R::spawn_detached(async move {
        pinged.await.expect("the other half sends");
        pong.send(()).expect("the other half waits");
    });
    ping.send(()).expect("the other half waits");
    ponged.await.expect("the other half sends");
}

const PAIRS: usize = 1000;
const ROUNDS_PER_PAIR: usize = 200;
const ONESHOT_ROUNDS_PER_BATCH: usize = 20;
