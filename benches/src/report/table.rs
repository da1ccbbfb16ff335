//! A table for a terminal.

use std::io::{self, Write};

use super::number::{figure, ratio};
use super::{Outcome, Row};

/// Prints one outcome: a line for every peer, with the ratios of tress's figures to its.
pub(crate) fn print_table(out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    let workload = outcome.selected.workload;
    writeln!(out, "{}  ({}, {} is better)", outcome.label(), workload.unit, workload.better.as_str())?;
    let has_tails = outcome.rows.iter().any(|row| row.summary().tail.is_some());
    write!(
        out,
        "  {:<16}{:>12}{:>12}{:>12}{:>14}{:>12}{:>12}",
        "peer", "median", "min", "max", "cpu ns/op", "tress/peer", "cpu ratio"
    )?;
    if has_tails {
        write!(out, "{:>12}{:>12}", "p99 us", "p99.9 us")?;
    }
    writeln!(out)?;
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
        write!(
            out,
            "  {:<16}{:>12}{:>12}{:>12}{:>14}{:>12}{:>12}",
            row.peer.name(),
            figure(summary.median),
            figure(summary.min),
            figure(summary.max),
            figure(summary.cpu_per_op_ns),
            value_ratio,
            cpu_ratio,
        )?;
        if let Some(tail) = summary.tail {
            write!(out, "{:>12}{:>12}", figure(tail.p99_ns / 1e3), figure(tail.p999_ns / 1e3))?;
        }
        writeln!(out)?;
    }
    for peer in &outcome.failed {
        writeln!(out, "  {:<16}failed", peer.name())?;
    }
    if let (Some(ours), Some(best)) = (ours, outcome.best_peer()) {
        writeln!(
            out,
            "  best peer: {}, tress/best {}",
            best.peer.name(),
            ratio(Some(ours.median), best.summary().median)
        )?;
    }
    writeln!(out)?;
    Ok(())
}
