//! What was measured, and the ways to print and judge it.

mod gate;
mod json;
mod list;
mod markdown;
mod number;
mod table;

use std::io::{self, Write};

pub(crate) use self::gate::check;
pub(crate) use self::json::print_json;
pub(crate) use self::list::print_list;
pub(crate) use self::markdown::print_markdown;
pub(crate) use self::table::print_table;
use crate::catalog::Better;
use crate::cli::Selected;
use crate::clock::{Sample, Tail};
use crate::peer::Peer;

/// Prints to stdout. That nobody reads it any more, as below `head`, is no failure.
pub(crate) fn show(print: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    match print(&mut io::stdout().lock()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => eprintln!("peers: cannot print: {error}"),
        _ => {}
    }
}

/// The samples of one variant of a workload.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) selected: Selected,
    /// The peers all of whose samples succeeded, in catalog order.
    pub(crate) rows: Vec<Row>,
    pub(crate) failed: Vec<Peer>,
}

impl Outcome {
    fn label(&self) -> String {
        self.selected.workload.label(self.selected.variant)
    }

    fn row(&self, peer: Peer) -> Option<&Row> {
        self.rows.iter().find(|row| row.peer == peer)
    }

    fn ours(&self) -> Option<&Row> {
        self.row(Peer::Tress)
    }

    /// The peer that is neither tress nor a reference and has the best median.
    fn best_peer(&self) -> Option<&Row> {
        let others = self.rows.iter().filter(|row| !row.peer.is_ours() && !row.peer.is_reference());
        others.min_by(|a, b| {
            let (a, b) = (a.summary().median, b.summary().median);
            match self.selected.workload.better {
                Better::Lower => a.total_cmp(&b),
                Better::Higher => b.total_cmp(&a),
            }
        })
    }
}

/// The samples of one peer.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) peer: Peer,
    pub(crate) samples: Vec<Sample>,
}

impl Row {
    fn summary(&self) -> Summary {
        let values = sorted(self.samples.iter().map(|sample| sample.value));
        let cpus = sorted(self.samples.iter().map(|sample| sample.cpu_per_op_ns));
        let tails = || self.samples.iter().filter_map(|sample| sample.tail);
        let p99s_ns = sorted(tails().map(|tail| tail.p99_ns));
        let p999s_ns = sorted(tails().map(|tail| tail.p999_ns));
        Summary {
            median: median(&values),
            min: values.first().copied().unwrap_or(f64::NAN),
            max: values.last().copied().unwrap_or(f64::NAN),
            cpu_per_op_ns: median(&cpus),
            tail: (!p99s_ns.is_empty())
                .then(|| Tail { p99_ns: median(&p99s_ns), p999_ns: median(&p999s_ns) }),
        }
    }
}

/// The figures of one peer. Times of CPU and tails are medians too.
#[derive(Debug, Clone, Copy)]
struct Summary {
    median: f64,
    min: f64,
    max: f64,
    cpu_per_op_ns: f64,
    tail: Option<Tail>,
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle one, or the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests;
