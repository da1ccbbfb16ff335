//! The command line.

use std::ffi::OsString;

use crate::catalog::{WORKLOADS, Workload};
use crate::peer::Peer;

/// What the process was asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    List,
    Compare(Options),
    /// Hidden: run one sample and print it.
    Sample(SampleRequest),
    /// Hidden: be the server of a sample.
    Serve(ServeRequest),
}

/// The options of a comparison.
#[derive(Debug)]
pub(crate) struct Options {
    /// What to measure, in catalog order.
    pub(crate) selection: Vec<Selected>,
    pub(crate) peers: Option<Vec<Peer>>,
    pub(crate) runs: usize,
    pub(crate) is_quick: bool,
    pub(crate) format: Format,
    pub(crate) gate: Option<Gate>,
}

/// One variant of a workload that is to be measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Selected {
    pub(crate) workload: &'static Workload,
    pub(crate) variant: &'static str,
}

/// How the figures are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Table,
    Json,
    Markdown,
}

/// What must hold for the exit code to be 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate {
    pub(crate) against: Peer,
    pub(crate) metric: Metric,
    pub(crate) max_cost_ratio: Option<f64>,
    pub(crate) min_speed_ratio: Option<f64>,
}

/// The figure that a [`Gate`] compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    Value,
    Cpu,
}

/// Arguments of the hidden `__sample`.
#[derive(Debug)]
pub(crate) struct SampleRequest {
    pub(crate) workload: String,
    pub(crate) variant: String,
    pub(crate) peer: Peer,
    pub(crate) is_quick: bool,
}

/// Arguments of the hidden `__serve`.
#[derive(Debug)]
pub(crate) struct ServeRequest {
    pub(crate) service: String,
    pub(crate) peer: Peer,
}

/// What is wrong with the arguments, in one line.
pub(crate) type UsageError = String;

/// Parses the arguments after the program's name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some((first, rest)) = arguments.split_first() {
        if first == SAMPLE {
            return parse_sample(rest);
        }
        if first == SERVE {
            return parse_serve(rest);
        }
    }
    let mut raw = Raw::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        use lexopt::prelude::{Long, Short};
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help),
            Long("list") => raw.list = true,
            Long("quick") => raw.quick = true,
            Long("json") => raw.json = true,
            Long("markdown") => raw.markdown = true,
            Long("only") => raw.only = Some(text(&mut parser, "--only")?),
            Long("peers") => raw.peers = Some(text(&mut parser, "--peers")?),
            Long("runs") => raw.runs = Some(text(&mut parser, "--runs")?),
            Long("against") => raw.against = Some(text(&mut parser, "--against")?),
            Long("metric") => raw.metric = Some(text(&mut parser, "--metric")?),
            Long("max-ratio") => raw.max_ratio = Some(text(&mut parser, "--max-ratio")?),
            Long("min-ratio") => raw.min_ratio = Some(text(&mut parser, "--min-ratio")?),
            other => return Err(format!("{} (see --help)", other.unexpected())),
        }
    }
    raw.check()
}

#[derive(Debug, Default)]
struct Raw {
    list: bool,
    quick: bool,
    json: bool,
    markdown: bool,
    only: Option<String>,
    peers: Option<String>,
    runs: Option<String>,
    against: Option<String>,
    metric: Option<String>,
    max_ratio: Option<String>,
    min_ratio: Option<String>,
}

impl Raw {
    fn check(self) -> Result<Command, UsageError> {
        let gate = self.gate()?;
        let format = match (self.json, self.markdown) {
            (true, true) => return Err("--json and --markdown exclude each other".into()),
            (true, false) => Format::Json,
            (false, true) => Format::Markdown,
            (false, false) => Format::Table,
        };
        let runs = match self.runs.as_deref() {
            None => DEFAULT_RUNS,
            Some(text) => match text.parse() {
                Ok(runs) if (1..=MAX_RUNS).contains(&runs) => runs,
                _ => return Err(format!("--runs: `{text}` is not a number from 1 to {MAX_RUNS}")),
            },
        };
        let selection = select(self.only.as_deref())?;
        let peers = self.peers.as_deref().map(peers).transpose()?;
        check_gate(gate, peers.as_deref(), &selection)?;
        if self.list {
            return Ok(Command::List);
        }
        Ok(Command::Compare(Options { selection, peers, runs, is_quick: self.quick, format, gate }))
    }

    fn gate(&self) -> Result<Option<Gate>, UsageError> {
        let max_cost_ratio = ratio(self.max_ratio.as_deref(), "--max-ratio")?;
        let min_speed_ratio = ratio(self.min_ratio.as_deref(), "--min-ratio")?;
        let metric = match self.metric.as_deref() {
            None | Some("value") => Metric::Value,
            Some("cpu") => Metric::Cpu,
            Some(other) => return Err(format!("--metric: `{other}` is neither `value` nor `cpu`")),
        };
        let Some(against) = self.against.as_deref() else {
            for (option, is_given) in [
                ("--max-ratio", max_cost_ratio.is_some()),
                ("--min-ratio", min_speed_ratio.is_some()),
                ("--metric", self.metric.is_some()),
            ] {
                if is_given {
                    return Err(format!("{option} needs --against PEER"));
                }
            }
            return Ok(None);
        };
        let against = peer(against, "--against")?;
        if !against.is_ours() && max_cost_ratio.is_none() && min_speed_ratio.is_none() {
            return Err("--against needs --max-ratio or --min-ratio".into());
        }
        if against.is_ours() {
            return Err("--against: tress cannot be compared with itself".into());
        }
        Ok(Some(Gate { against, metric, max_cost_ratio, min_speed_ratio }))
    }
}

fn check_gate(gate: Option<Gate>, peers: Option<&[Peer]>, selection: &[Selected]) -> Result<(), UsageError> {
    let Some(gate) = gate else { return Ok(()) };
    if let Some(peers) = peers {
        if !peers.contains(&gate.against) {
            return Err(format!("--against: `{}` is not among --peers", gate.against.name()));
        }
        if !peers.contains(&Peer::Tress) {
            return Err("--peers: a gate needs `tress` among them".into());
        }
    }
    for selected in selection {
        if !selected.workload.peers.contains(&gate.against) {
            let (peer, workload) = (gate.against.name(), selected.workload.label(selected.variant));
            return Err(format!(
                "--against: `{peer}` does not take part in `{workload}` (name others with --only)"
            ));
        }
    }
    Ok(())
}

fn select(only: Option<&str>) -> Result<Vec<Selected>, UsageError> {
    let everything = || {
        WORKLOADS
            .iter()
            .flat_map(|workload| workload.variants.iter().map(move |variant| Selected { workload, variant }))
    };
    let Some(only) = only else { return Ok(everything().collect()) };
    let names: Vec<&str> = only.split(',').map(str::trim).collect();
    let names_it =
        |name: &str, item: &Selected| item.workload.name == name || item.workload.label(item.variant) == name;
    for name in &names {
        if !everything().any(|item| names_it(name, &item)) {
            return Err(format!("--only: no workload `{name}` (see --list)"));
        }
    }
    Ok(everything().filter(|item| names.iter().any(|name| names_it(name, item))).collect())
}

fn peers(list: &str) -> Result<Vec<Peer>, UsageError> {
    list.split(',').map(|name| peer(name.trim(), "--peers")).collect()
}

fn peer(name: &str, option: &str) -> Result<Peer, UsageError> {
    Peer::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = Peer::ALL.iter().map(|peer| peer.name()).collect();
        format!("{option}: no peer `{name}` (known: {})", known.join(", "))
    })
}

fn ratio(text: Option<&str>, option: &str) -> Result<Option<f64>, UsageError> {
    let Some(text) = text else { return Ok(None) };
    match text.parse::<f64>() {
        Ok(ratio) if ratio.is_finite() && ratio > 0.0 => Ok(Some(ratio)),
        _ => Err(format!("{option}: `{text}` is not a positive number")),
    }
}

fn text(parser: &mut lexopt::Parser, option: &str) -> Result<String, UsageError> {
    let value = parser.value().map_err(|_missing| format!("{option} needs a value"))?;
    value.into_string().map_err(|value| format!("{option}: {value:?} is not UTF-8"))
}

fn parse_sample(arguments: &[OsString]) -> Result<Command, UsageError> {
    let [workload, variant, peer_name, pace] = strings(arguments)?;
    let peer = peer(&peer_name, SAMPLE)?;
    Ok(Command::Sample(SampleRequest { workload, variant, peer, is_quick: pace == "quick" }))
}

fn parse_serve(arguments: &[OsString]) -> Result<Command, UsageError> {
    let [service, peer_name] = strings(arguments)?;
    Ok(Command::Serve(ServeRequest { service, peer: peer(&peer_name, SERVE)? }))
}

fn strings<const N: usize>(arguments: &[OsString]) -> Result<[String; N], UsageError> {
    let strings: Option<Vec<String>> =
        arguments.iter().map(|text| text.to_str().map(str::to_owned)).collect();
    strings
        .and_then(|strings| <[String; N]>::try_from(strings).ok())
        .ok_or_else(|| format!("an internal command takes {N} arguments"))
}

/// The hidden command of a sample child.
pub(crate) const SAMPLE: &str = "__sample";

/// The hidden command of a server child.
pub(crate) const SERVE: &str = "__serve";

const DEFAULT_RUNS: usize = 5;
const MAX_RUNS: usize = 1000;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Compares tress with its peers: each sample in a process of its own, interleaved.

usage: peers [OPTIONS]

  --list              list the workloads and who takes part in them, then exit
  --only A,B          measure these only: a workload, or workload/variant
  --peers A,B         measure these peers only
  --runs N            samples for each workload and peer (default 5)
  --quick             short samples: each variant of a workload takes less than 20 s
  --json              print one JSON object a line
  --markdown          print markdown tables
  --against PEER      with a ratio below: exit with 1 if a measured workload does not hold
  --max-ratio X       tress may cost at most X times what PEER costs
                      (tress/PEER where lower is better, PEER/tress where higher is better)
  --min-ratio X       tress must be at least X times as good as PEER
                      (tress/PEER where higher is better, PEER/tress where lower is better)
  --metric M          what the ratios compare: `value` (default) or `cpu` (CPU time per operation)
  -h, --help          print this

exit code: 0 all is well; 1 a sample failed or a ratio does not hold; 2 bad arguments
";

#[cfg(test)]
mod tests;
