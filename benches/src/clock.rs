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
    /// Of the workloads that look at single operations.
    pub(crate) tail: Option<Tail>,
}

/// How long the slowest operations took, each of them as its caller saw it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tail {
    /// One in a hundred took longer.
    pub(crate) p99_ns: f64,
    /// One in a thousand took longer.
    pub(crate) p999_ns: f64,
}

impl Tail {
    /// Of the latencies of some operations; `None` if there are none.
    pub(crate) fn of(mut latencies_ns: Vec<u32>) -> Option<Self> {
        let last = latencies_ns.len().checked_sub(1)?;
        latencies_ns.sort_unstable();
        let at =
            |per_mille: usize| f64::from(latencies_ns[(latencies_ns.len() * per_mille / 1000).min(last)]);
        Some(Self { p99_ns: at(990), p999_ns: at(999) })
    }
}

impl Sample {
    /// Nanoseconds of wall time for each operation.
    pub(crate) fn per_op(spent: Spent, ops: u64) -> Self {
        let ops = ops.max(1) as f64;
        Self {
            value: spent.wall.as_nanos() as f64 / ops,
            cpu_per_op_ns: spent.cpu.as_nanos() as f64 / ops,
            tail: None,
        }
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
        self.repeat_warm(batch)
    }

    /// As [`repeat`](Self::repeat), where the caller has seen to the warm-up.
    pub(crate) fn repeat_warm(self, mut batch: impl FnMut() -> u64) -> Sample {
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
