//! Whether tress holds a ratio against a peer.

use super::{Outcome, Summary};
use crate::catalog::Better;
use crate::cli::{Gate, Metric};

/// Prints a line for every outcome, to standard error, and returns whether all of them hold. Missing figures do not hold.
pub(crate) fn check(gate: Gate, outcomes: &[Outcome]) -> bool {
    let mut all_hold = true;
    for outcome in outcomes {
        all_hold &= check_one(gate, outcome);
    }
    all_hold
}

fn check_one(gate: Gate, outcome: &Outcome) -> bool {
    let label = outcome.label();
    let against = gate.against.name();
    let (Some(ours), Some(theirs)) = (outcome.ours(), outcome.row(gate.against)) else {
        eprintln!("{label}: does not hold: no figures of tress and {against} to compare");
        return false;
    };
    let cost_ratio =
        cost_ratio(gate.metric, outcome.selected.workload.better, ours.summary(), theirs.summary());
    let metric = match gate.metric {
        Metric::Value => outcome.selected.workload.unit,
        Metric::Cpu => "cpu per op",
    };
    let mut holds = true;
    if let Some(max) = gate.max_cost_ratio {
        let this_holds = cost_ratio <= max;
        eprintln!(
            "{label}: {}: cost ratio to {against} {cost_ratio:.3}, at most {max} ({metric})",
            verdict(this_holds)
        );
        holds &= this_holds;
    }
    if let Some(min) = gate.min_speed_ratio {
        let speed_ratio = cost_ratio.recip();
        let this_holds = speed_ratio >= min;
        eprintln!(
            "{label}: {}: speed ratio to {against} {speed_ratio:.3}, at least {min} ({metric})",
            verdict(this_holds)
        );
        holds &= this_holds;
    }
    holds
}

/// What tress costs in units of what the peer costs: below 1 tress is better, whichever way the workload's value is better.
fn cost_ratio(metric: Metric, better: Better, ours: Summary, theirs: Summary) -> f64 {
    match (metric, better) {
        (Metric::Cpu, _) => ours.cpu_per_op_ns / theirs.cpu_per_op_ns,
        (Metric::Value, Better::Lower) => ours.median / theirs.median,
        (Metric::Value, Better::Higher) => theirs.median / ours.median,
    }
}

fn verdict(holds: bool) -> &'static str {
    if holds { "holds" } else { "does not hold" }
}
