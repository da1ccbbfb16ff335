//! Wall and CPU time of this process, and its resident memory.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What one sample measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// In the workload's unit.
    pub(crate) value: f64,
    /// CPU nanoseconds of the process that ran the peer, for each operation.
    pub(crate) cpu_per_op_ns: f64,
}

impl Sample {
    /// Nanoseconds of wall time for each operation.
    pub(crate) fn per_op(spent: Spent, ops: u64) -> Self {
        let ops = ops.max(1) as f64;
        Self { value: spent.wall.as_nanos() as f64 / ops, cpu_per_op_ns: spent.cpu.as_nanos() as f64 / ops }
    }
}

/// How long to warm up and how long to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) warm_up: Duration,
    pub(crate) measure: Duration,
}

impl Window {
    /// Runs `batch`, which returns how many operations it did, until the window has passed, and returns what was spent on each one.
    pub(crate) fn repeat(self, mut batch: impl FnMut() -> u64) -> Sample {
        let warm_up = Stopwatch::start();
        while warm_up.spent().wall < self.warm_up {
            batch();
        }
        let stopwatch = Stopwatch::start();
        let mut ops = 0;
        loop {
            ops += batch();
            let spent = stopwatch.spent();
            if spent.wall >= self.measure {
                return Sample::per_op(spent, ops);
            }
        }
    }
}

/// Wall and CPU time since a start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { cpu: process_cpu(), wall: Instant::now() }
    }

    pub(crate) fn spent(self) -> Spent {
        Spent { wall: self.wall.elapsed(), cpu: process_cpu().saturating_sub(self.cpu) }
    }
}

/// What a [`Stopwatch`] saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

/// User and system time of all threads of this process, to the nanosecond (`getrusage` says the same in microseconds).
pub(crate) fn process_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Resident memory of this process in bytes.
pub(crate) fn resident_len_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has /proc/self/statm");
    let pages: u64 = statm
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|field| field.parse().ok())
        .expect("the second field of statm is the resident pages");
    pages * rustix::param::page_size() as u64
}
