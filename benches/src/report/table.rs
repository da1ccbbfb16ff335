//! A table for a terminal.

use super::number::{figure, ratio};
use super::{Outcome, Row};

/// Prints one outcome: a line for every peer, with the ratios of tress's figures to its.
pub(crate) fn print_table(outcome: &Outcome) {
    let workload = outcome.selected.workload;
    println!("{}  ({}, {} is better)", outcome.label(), workload.unit, workload.better.as_str());
    println!(
        "  {:<16}{:>12}{:>12}{:>12}{:>14}{:>12}{:>12}",
        "peer", "median", "min", "max", "cpu ns/op", "tress/peer", "cpu ratio"
    );
    let ours = outcome.ours().map(Row::summary);
    for row in &outcome.rows {
        let summary = row.summary();
        let (value_ratio, cpu_ratio) = if row.peer.is_ours() {
            (String::new(), String::new())
        } else {
            (
                ratio(ours.map(|ours| ours.median), summary.median),
                ratio(ours.map(|ours| ours.cpu_per_op_ns), summary.cpu_per_op_ns),
            )
        };
        println!(
            "  {:<16}{:>12}{:>12}{:>12}{:>14}{:>12}{:>12}",
            row.peer.name(),
            figure(summary.median),
            figure(summary.min),
            figure(summary.max),
            figure(summary.cpu_per_op_ns),
            value_ratio,
            cpu_ratio,
        );
    }
    for peer in &outcome.failed {
        println!("  {:<16}failed", peer.name());
    }
    if let (Some(ours), Some(best)) = (ours, outcome.best_peer()) {
        println!(
            "  best peer: {}, tress/best {}",
            best.peer.name(),
            ratio(Some(ours.median), best.summary().median)
        );
    }
    println!();
}
