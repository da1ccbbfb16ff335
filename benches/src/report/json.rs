//! One JSON object a line.

use std::io::{self, Write};

use super::Outcome;

/// Prints a line for every peer. `cpu_per_op` is in nanoseconds whatever the unit of the value is; `runs` is how many samples there are.
/// Where single operations were looked at, `p99_ns` and `p999_ns` follow.
pub(crate) fn print_json(out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    let workload = outcome.selected.workload;
    for row in &outcome.rows {
        let summary = row.summary();
        // Names and units are plain ASCII without quotes, and every figure is finite, so nothing needs escaping.
        write!(
            out,
            r#"{{"workload":"{}","variant":"{}","peer":"{}","unit":"{}","better":"{}","median":{},"min":{},"max":{},"cpu_per_op":{},"runs":{}"#,
            workload.name,
            outcome.selected.variant,
            row.peer.name(),
            workload.unit,
            workload.better.as_str(),
            summary.median,
            summary.min,
            summary.max,
            summary.cpu_per_op_ns,
            row.samples.len(),
        )?;
        if let Some(tail) = summary.tail {
            write!(out, r#","p99_ns":{},"p999_ns":{}"#, tail.p99_ns, tail.p999_ns)?;
        }
        writeln!(out, "}}")?;
    }
    Ok(())
}
