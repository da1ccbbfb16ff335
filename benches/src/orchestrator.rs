//! The orchestrator: a child process for every sample, one run of every peer before the next run of any.

use std::process::{Command, ExitCode, Stdio};

use crate::cli::{Format, Options, SAMPLE, Selected};
use crate::clock::Sample;
use crate::peer::Peer;
use crate::report::{self, Outcome, Row};
use crate::sample;
use crate::serial::{self, Rounds};

/// Measures, reports, and says whether everything ran and held.
pub(crate) fn run(options: &Options) -> ExitCode {
    let mut outcomes = Vec::with_capacity(options.selection.len());
    for &selected in &options.selection {
        let outcome = measure(selected, options);
        match options.format {
            Format::Table => report::show(|out| report::print_table(out, &outcome)),
            Format::Json => report::show(|out| report::print_json(out, &outcome)),
            Format::Markdown => {}
        }
        outcomes.push(outcome);
    }
    if options.format == Format::Markdown {
        report::show(|out| report::print_markdown(out, &outcomes));
    }
    let ran = outcomes.iter().all(|outcome| outcome.failed.is_empty());
    let held = options.gate.is_none_or(|gate| report::check(gate, &outcomes));
    if ran && held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs all samples of one workload, A B C A B C. A peer that fails is left out from then on.
fn measure(selected: Selected, options: &Options) -> Outcome {
    let label = selected.workload.label(selected.variant);
    let mut rows: Vec<Row> = Vec::new();
    for &peer in selected.workload.peers {
        if options.peers.as_ref().is_some_and(|peers| !peers.contains(&peer)) {
            continue;
        }
        match peer.missing() {
            Some(reason) => eprintln!("{label}: {} is left out: {reason}", peer.name()),
            None => rows.push(Row { peer, samples: Vec::with_capacity(options.runs) }),
        }
    }
    let mut failed = Vec::new();
    for _ in 0..options.runs {
        rows.retain_mut(|row| match sample(selected, row.peer, options.is_quick) {
            Ok(sample) => {
                row.samples.push(sample);
                true
            }
            Err(error) => {
                eprintln!("{label}: {} failed: {error}", row.peer.name());
                failed.push(row.peer);
                false
            }
        });
    }
    Outcome { selected, rows, failed }
}

fn sample(selected: Selected, peer: Peer, is_quick: bool) -> Result<Sample, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let pace = if is_quick { "quick" } else { "full" };
    let mut command = Command::new(program);
    command
        .args([SAMPLE, selected.workload.name, selected.variant, peer.name(), pace])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    peer.prepare(&mut command);
    if serial::is_serial_workload(selected.workload.name) {
        command.env(Rounds::VARIABLE, Rounds::here().to_string());
    }
    let output = command.output().map_err(|error| format!("cannot start the sample: {error}"))?;
    if !output.status.success() {
        return Err(format!("the sample ended with {}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    sample::parse(&text).ok_or_else(|| format!("the sample printed no figures: {text}"))
}
