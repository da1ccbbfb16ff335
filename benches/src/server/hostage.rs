//! The service with a task that hogs its worker: an echo whose requests may burn CPU, and timers that say how late they were.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::service::BUFFER_LEN_BYTES;
use crate::peer::Net;

/// The first byte of a request that burns CPU before it is echoed; the next four are the milliseconds, big-endian.
pub(crate) const BURN: u8 = b'B';

/// Echoes; a [`BURN`] request holds the worker that read it, and with it whatever else lives on that worker.
pub(super) async fn echo_or_burn<N: Net>(mut stream: N::Stream) {
    let mut buffer = [0; BUFFER_LEN_BYTES];
    loop {
        let Ok(len @ 1..) = N::read(&mut stream, &mut buffer).await else { return };
        if let [BURN, a, b, c, d, ..] = buffer[..len] {
            burn(Duration::from_millis(u32::from_be_bytes([a, b, c, d]).into()));
        }
        if N::write_all(&mut stream, &buffer[..len]).await.is_err() {
            return;
        }
    }
}

fn burn(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}

/// Starts the timers, each in a task of its own.
pub(super) fn start_timers<N: Net>() {
    for _ in 0..TIMERS {
        N::spawn_detached(async {
            loop {
                let start = Instant::now();
                N::sleep(PERIOD).await;
                record(start.elapsed().saturating_sub(PERIOD));
            }
        });
    }
}

/// A timer that is held up for many periods counts once for each period that it should have fired in, or a stall would be one sample
/// among thousands.
fn record(late: Duration) {
    let mut late_us = LATE_US.lock().unwrap_or_else(PoisonError::into_inner);
    let mut left = late;
    loop {
        late_us.push(left.as_micros() as u64);
        if left < PERIOD {
            return;
        }
        left -= PERIOD;
    }
}

/// Forgets what the timers have recorded.
pub(super) fn reset_timers() {
    LATE_US.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// Microseconds by which each timer was late since the reset.
pub(super) fn late_timers_us() -> Vec<u64> {
    std::mem::take(&mut *LATE_US.lock().unwrap_or_else(PoisonError::into_inner))
}

static LATE_US: Mutex<Vec<u64>> = Mutex::new(Vec::new());

const TIMERS: usize = 16;
const PERIOD: Duration = Duration::from_millis(10);
