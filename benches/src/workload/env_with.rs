//! Looks at the current environment. On tress alone.

use std::hint::black_box;

use tress::env;

use crate::clock::{Sample, Window};

/// One op is one look where there is no environment.
pub(crate) fn env_with_empty(window: Window) -> Sample {
    looks(window)
}

/// One op is one look for a value, behind another one.
pub(crate) fn env_with_value(window: Window) -> Sample {
    let future = env::scope().value(7_u64).value("nearer").run(async { looks(window) });
    futures_util::FutureExt::now_or_never(future).expect("it waits for nothing")
}

fn looks(window: Window) -> Sample {
    window.repeat(|| {
        for _ in 0..LOOKS_PER_BATCH {
            black_box(env::with(|env| env.value::<u64>().copied()));
        }
        LOOKS_PER_BATCH as u64
    })
}

const LOOKS_PER_BATCH: usize = 100_000;
