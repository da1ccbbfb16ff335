//! A function called for ten million numbers, on all workers: on tress, and on rayon, which is made for it.

use std::hint::black_box;

use rayon::ThreadPoolBuilder;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::clock::{Sample, Window};
use crate::peer::{Rt, WORKERS};

/// One op is one call, within a task.
pub(crate) fn bulk<R: Rt>(runtime: &R, window: Window) -> Sample {
    window.repeat(|| {
        runtime.block_on(async { R::spawn(tress::algorithm::bulk(ITEMS, item)).await });
        ITEMS as u64
    })
}

/// The same in a pool of rayon's with as many threads.
pub(crate) fn rayon_bulk(window: Window) -> Result<Sample, String> {
    let pool = ThreadPoolBuilder::new().num_threads(WORKERS).build().map_err(|error| error.to_string())?;
    Ok(window.repeat(|| {
        pool.install(|| (0..ITEMS).into_par_iter().for_each(item));
        ITEMS as u64
    }))
}

/// About two nanoseconds, in registers alone. In a loop that is much shorter, where it lies in the code counts for as much as what it does.
#[inline]
fn item(number: usize) {
    let mut z = number as u64;
    for _ in 0..4 {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    // Of none of them; no optimiser knows.
    if z == 0x5eed_5eed_5eed_5eed {
        black_box(number);
    }
}

const ITEMS: usize = 10_000_000;
