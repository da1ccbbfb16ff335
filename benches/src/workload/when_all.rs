//! Many futures side by side in one task.

use crate::clock::{Sample, Window};
use crate::peer::Rt;

/// One op is one future, of [`FUTURES`] that are ready at once and are awaited together.
pub(crate) fn when_all<R: Rt>(runtime: &R, window: Window) -> Sample {
    window.repeat(|| {
        let sums = runtime.block_on(async {
            R::spawn(async {
                let mut sums = 0;
                for round in 0..ROUNDS_PER_BATCH {
                    sums += R::add_all((0..FUTURES).map(|number| async move { Ok(number + round) })).await;
                }
                sums
            })
            .await
        });
        assert_eq!(sums, EXPECTED, "the sums of all rounds");
        FUTURES * ROUNDS_PER_BATCH
    })
}

const FUTURES: u64 = 1000;
const ROUNDS_PER_BATCH: u64 = 1000;
const EXPECTED: u64 = ROUNDS_PER_BATCH * (FUTURES * (FUTURES - 1) / 2)
    + FUTURES * (ROUNDS_PER_BATCH * (ROUNDS_PER_BATCH - 1) / 2);
