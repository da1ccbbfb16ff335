//! A task that goes elsewhere and comes back.

use crate::clock::{Sample, Window};
use crate::peer::Rt;

/// One op is one round trip: tress moves the task there and back, others spawn one there and join it.
pub(crate) fn run_on<R: Rt>(runtime: &R, window: Window, is_other: bool) -> Sample {
    let place = runtime.place(is_other);
    window.repeat(|| {
        let place = place.clone();
        runtime.block_on(async {
            R::spawn(async move {
                for _ in 0..TRIPS {
                    R::away(&place, async {}).await;
                }
            })
            .await;
        });
        TRIPS
    })
}

const TRIPS: u64 = 1_000;
