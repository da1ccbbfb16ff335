//! A markdown table for a README.

use std::io::{self, Write};

use super::number::{figure, ratio};
use super::{Outcome, Row};
use crate::catalog::Better;
use crate::clock::Tail;
use crate::peer::Peer;

/// Prints one table: a row for every outcome, medians of every peer, and the ratios that matter.
pub(crate) fn print_markdown(out: &mut dyn Write, outcomes: &[Outcome]) -> io::Result<()> {
    let peers: Vec<Peer> = Peer::ALL
        .into_iter()
        .filter(|&peer| outcomes.iter().any(|outcome| outcome.row(peer).is_some()))
        .collect();
    write!(out, "| workload | unit |")?;
    for peer in &peers {
        write!(out, " {} |", peer.name())?;
    }
    writeln!(out, " tress/tokio | its CPU ratio | tress/tokio+mimalloc | tress/best |")?;
    writeln!(out, "|---|---|{}", "--:|".repeat(peers.len() + 4))?;
    for outcome in outcomes {
        print_row(out, outcome, &peers)?;
        if outcome.rows.iter().any(|row| row.summary().tail.is_some()) {
            print_tail(out, outcome, &peers, "p99", |tail| tail.p99_ns)?;
            print_tail(out, outcome, &peers, "p99.9", |tail| tail.p999_ns)?;
        }
    }
    Ok(())
}

fn print_row(out: &mut dyn Write, outcome: &Outcome, peers: &[Peer]) -> io::Result<()> {
    let workload = outcome.selected.workload;
    let direction = match workload.better {
        Better::Lower => "",
        Better::Higher => " (higher is better)",
    };
    write!(out, "| `{}` | {}{direction} |", outcome.label(), workload.unit)?;
    for &peer in peers {
        write!(out, " {} |", outcome.row(peer).map_or_else(String::new, |row| figure(row.summary().median)))?;
    }
    let ours = outcome.ours().map(Row::summary);
    let value_ratio = |theirs: Option<&Row>| {
        theirs.map_or_else(String::new, |row| ratio(ours.map(|ours| ours.median), row.summary().median))
    };
    let cpu_ratio = outcome.row(Peer::Tokio).map_or_else(String::new, |row| {
        ratio(ours.map(|ours| ours.cpu_per_op_ns), row.summary().cpu_per_op_ns)
    });
    let best = outcome
        .best_peer()
        .map_or_else(String::new, |best| format!("{} ({})", value_ratio(Some(best)), best.peer.name()));
    writeln!(
        out,
        " {} | {cpu_ratio} | {} | {best} |",
        value_ratio(outcome.row(Peer::Tokio)),
        value_ratio(outcome.row(Peer::TokioMimalloc)),
    )?;
    Ok(())
}

/// Prints a percentile of every peer as a row of its own, below that of the workload.
fn print_tail(
    out: &mut dyn Write,
    outcome: &Outcome,
    peers: &[Peer],
    name: &str,
    percentile: impl Fn(Tail) -> f64,
) -> io::Result<()> {
    write!(out, "| `{}`, {name} | us |", outcome.label())?;
    for &peer in peers {
        let tail = outcome.row(peer).and_then(|row| row.summary().tail);
        write!(out, " {} |", tail.map_or_else(String::new, |tail| figure(percentile(tail) / 1e3)))?;
    }
    writeln!(out, " | | | |")
}
