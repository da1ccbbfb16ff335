//! How much arithmetic is so and so many nanoseconds, on this machine.

use std::fmt;
use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::table::{Table, first_number, spin};

/// Rounds of arithmetic for each of the times that the workloads name.
///
/// They are found once for a comparison, by the orchestrator, so that every peer does the same work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rounds {
    /// For an update of a [`Table`] that takes 10, 50 and 1000 ns.
    pub(crate) update_10ns: u32,
    pub(crate) update_50ns: u32,
    pub(crate) update_1us: u32,
    /// For work outside of it that takes 50, 500 and 1000 ns.
    pub(crate) spin_50ns: u32,
    pub(crate) spin_500ns: u32,
    pub(crate) spin_1us: u32,
}

impl Rounds {
    /// The environment variable in which the orchestrator passes them on to a sample.
    pub(crate) const VARIABLE: &str = "TRESS_BENCH_ROUNDS";

    /// Those that the orchestrator has found; found now, if this is the orchestrator, or a sample that was started by hand.
    pub(crate) fn here() -> Self {
        static ROUNDS: OnceLock<Rounds> = OnceLock::new();
        *ROUNDS.get_or_init(|| {
            let passed_on = std::env::var(Self::VARIABLE).ok();
            passed_on.and_then(|text| Self::parse(&text)).unwrap_or_else(Self::find)
        })
    }

    fn find() -> Self {
        let mut table = Table::new();
        let mut update = |number, rounds| table.update(number, rounds);
        Self {
            update_10ns: rounds_for(10.0, &mut update),
            update_50ns: rounds_for(50.0, &mut update),
            update_1us: rounds_for(1000.0, &mut update),
            spin_50ns: rounds_for(50.0, &mut spin),
            spin_500ns: rounds_for(500.0, &mut spin),
            spin_1us: rounds_for(1000.0, &mut spin),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let rounds: Vec<u32> = text.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let [update_10ns, update_50ns, update_1us, spin_50ns, spin_500ns, spin_1us] = rounds[..] else {
            return None;
        };
        Some(Self { update_10ns, update_50ns, update_1us, spin_50ns, spin_500ns, spin_1us })
    }
}

impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { update_10ns, update_50ns, update_1us, spin_50ns, spin_500ns, spin_1us } = self;
        write!(f, "{update_10ns},{update_50ns},{update_1us},{spin_50ns},{spin_500ns},{spin_1us}")
    }
}

/// The number of rounds with which a call takes nearest to `target_ns`.
fn rounds_for(target_ns: f64, call: &mut impl FnMut(u64, u32) -> u64) -> u32 {
    let (few, many) = (64, 1064);
    let few_ns = call_ns(few, call);
    let round_ns = (call_ns(many, call) - few_ns) / f64::from(many - few);
    let mut rounds = f64::from(few) + (target_ns - few_ns) / round_ns;
    // A loop that is short costs less to leave than one whose end the core does not foresee.
    for _ in 0..2 {
        let whole = rounds.max(1.0).round();
        rounds = whole + (target_ns - call_ns(whole as u32, call)) / round_ns;
    }
    rounds.max(1.0).round() as u32
}

/// What a call takes when nothing comes in between: the least that was seen.
fn call_ns(rounds: u32, call: &mut impl FnMut(u64, u32) -> u64) -> f64 {
    let mut least = Duration::MAX;
    let mut number = first_number(0);
    for _ in 0..BATCHES {
        let start = Instant::now();
        for _ in 0..CALLS_PER_BATCH {
            number = call(number, black_box(rounds));
        }
        least = least.min(start.elapsed());
    }
    black_box(number);
    least.as_nanos() as f64 / f64::from(CALLS_PER_BATCH)
}

const BATCHES: u32 = 25;
const CALLS_PER_BATCH: u32 = 2000;

#[cfg(test)]
mod tests;
