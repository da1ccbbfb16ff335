//! One JSON object a line.

use std::io::{self, Write};

use super::Outcome;

/// Prints a line for every peer. `cpu_per_op` is in nanoseconds whatever the unit of the value is; `runs` is how many samples there are.
pub(crate) fn print_json(out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    let workload = outcome.selected.workload;
    for row in &outcome.rows {
        let summary = row.summary();
        // Names and units are plain ASCII without quotes, and every figure is finite, so nothing needs escaping.
        writeln!(
            out,
            r#"{{"workload":"{}","variant":"{}","peer":"{}","unit":"{}","better":"{}","median":{},"min":{},"max":{},"cpu_per_op":{},"runs":{}}}"#,
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
    }
    Ok(())
}
