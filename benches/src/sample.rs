//! One sample: one workload on one peer, in this process, with one line printed.

use std::process::ExitCode;
use std::time::Duration;

use crate::cli::SampleRequest;
use crate::clock::{Sample, Tail, Window};
use crate::peer::{Frames, FreeList, Malloc, Peer, Rt, SYSTEM, Smol, Tokio, Tress};
use crate::{load, serial, workload};

/// Runs the sample and prints `sample VALUE CPU_PER_OP_NS`, and `P99_NS P999_NS` behind it where there is a tail.
pub(crate) fn run(request: &SampleRequest) -> ExitCode {
    watchdog(SAMPLE_LIMIT);
    let result = match request.peer {
        Peer::Tress if request.workload == "deep_chain" => {
            workload::deep_chain(&request.variant, request.is_quick)
        }
        _ if serial::is_serial_workload(&request.workload) => serial::sample(request, window(request)),
        _ if load::is_server_workload(&request.workload) => load::sample(request),
        Peer::Tress if request.workload == "frame_alloc" => frame_alloc(tress::frame::Pool, request),
        Peer::Tress => Tress::start()
            .map_err(|error| format!("tress does not start: {error}"))
            .and_then(|runtime| local(&runtime, request)),
        Peer::Tokio | Peer::TokioMimalloc => local(&Tokio::multi_thread(), request),
        Peer::TokioCurrentThread => local(&Tokio::current_thread(), request),
        Peer::Smol => local(&Smol::start(), request),
        Peer::Glibc => frame_alloc(SYSTEM, request),
        Peer::Jemalloc => frame_alloc(Malloc(&tikv_jemallocator::Jemalloc), request),
        Peer::Mimalloc => frame_alloc(Malloc(&mimalloc::MiMalloc), request),
        Peer::Snmalloc => frame_alloc(Malloc(&snmalloc_rs::SnMalloc), request),
        Peer::FreeList => frame_alloc(FreeList, request),
        Peer::Rayon => workload::rayon_bulk(window(request)),
        Peer::Epoll
        | Peer::Nginx
        | Peer::TressStrand
        | Peer::Bare
        | Peer::TokioMutex
        | Peer::TokioActor
        | Peer::StdMutex
        | Peer::ParkingLot
        | Peer::Asio => Err(format!("{} runs no tasks", request.peer.name())),
    };
    match result {
        Ok(sample) => {
            print!("{SAMPLE_PREFIX}{} {}", sample.value, sample.cpu_per_op_ns);
            if let Some(tail) = sample.tail {
                print!(" {} {}", tail.p99_ns, tail.p999_ns);
            }
            println!();
            // Without the destructors: a million pending tasks take their time to drop.
            std::process::exit(0);
        }
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the line that [`run`] printed.
pub(crate) fn parse(output: &str) -> Option<Sample> {
    let line = output.lines().find_map(|line| line.strip_prefix(SAMPLE_PREFIX))?;
    let figures: Vec<f64> = line.split(' ').map(|figure| figure.parse().ok()).collect::<Option<_>>()?;
    match figures[..] {
        [value, cpu_per_op_ns] => Some(Sample { value, cpu_per_op_ns, tail: None }),
        [value, cpu_per_op_ns, p99_ns, p999_ns] => {
            Some(Sample { value, cpu_per_op_ns, tail: Some(Tail { p99_ns, p999_ns }) })
        }
        _ => None,
    }
}

/// Ends the process when it has run for longer than `limit`: a hang is one failed sample, not a hung comparison.
pub(crate) fn watchdog(limit: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        eprintln!("peers: gave up after {} s", limit.as_secs());
        std::process::exit(3);
    });
}

fn local<R: Rt>(runtime: &R, request: &SampleRequest) -> Result<Sample, String> {
    let window = window(request);
    match (request.workload.as_str(), request.variant.as_str()) {
        ("spawn_join", _) => Ok(workload::spawn_join(runtime, window)),
        ("spawn_remote", _) => Ok(workload::spawn_remote(runtime, window)),
        ("block_on_spawn", _) => Ok(workload::block_on_spawn(runtime, window)),
        ("yield", _) => Ok(workload::yields(runtime, window)),
        ("chained_spawn", _) => Ok(workload::chained_spawn(runtime, window)),
        ("ping_pong", "slot") => Ok(workload::ping_pong_slot(runtime, window)),
        ("ping_pong", "oneshot") => Ok(workload::ping_pong_oneshot(runtime, window)),
        ("fork_join", _) => Ok(workload::fork_join(runtime, window)),
        ("env_with", "empty") => Ok(workload::env_with_empty(window)),
        ("env_with", "value") => Ok(workload::env_with_value(window)),
        ("stop_callback", "alone") => Ok(workload::stop_callback(0, window)),
        ("stop_callback", "million") => Ok(workload::stop_callback(1_000_000, window)),
        ("run_on", variant) => Ok(workload::run_on(runtime, window, variant == "runtime")),
        ("when_all", _) => Ok(workload::when_all(runtime, window)),
        ("bulk", _) => Ok(workload::bulk(runtime, window)),
        ("idle_memory", _) => {
            Ok(workload::idle_memory(runtime, if request.is_quick { 250_000 } else { 1_000_000 }))
        }
        ("join_handover", _) => {
            Ok(workload::join_handover(runtime, window, if request.is_quick { 100_000 } else { 1_000_000 }))
        }
        ("lazy_call", "bare") => Ok(workload::lazy_call_bare(runtime, window)),
        ("lazy_call", "plain") => Ok(workload::lazy_call_plain(runtime, window)),
        ("lazy_call", "lifo") => Ok(workload::lazy_call_lifo(runtime, window)),
        ("lazy_call", "mix") => Ok(workload::lazy_call_mix(runtime, window)),
        ("deep_wake", levels) => match levels.parse() {
            Ok(levels) => Ok(workload::deep_wake(runtime, window, levels)),
            Err(_not_a_number) => Err(format!("`{levels}` is no depth")),
        },
        (workload, variant) => Err(format!("no workload `{workload}` with a variant `{variant}`")),
    }
}

fn frame_alloc<S: Frames>(source: S, request: &SampleRequest) -> Result<Sample, String> {
    let window = window(request);
    match (request.workload.as_str(), request.variant.as_str()) {
        ("frame_alloc", "lifo") => Ok(workload::frame_alloc::lifo(source, window)),
        ("frame_alloc", "mix") => Ok(workload::frame_alloc::mix(source, window)),
        ("frame_alloc", "cross") => {
            workload::frame_alloc::cross(source, if request.is_quick { 5_000_000 } else { 100_000_000 })
        }
        (workload, variant) => Err(format!("no workload `{workload}/{variant}` for an allocator")),
    }
}

fn window(request: &SampleRequest) -> Window {
    if request.is_quick { QUICK } else { FULL }
}

const QUICK: Window = Window { warm_up: Duration::from_millis(50), measure: Duration::from_millis(200) };
const FULL: Window = Window { warm_up: Duration::from_millis(300), measure: Duration::from_millis(1000) };

const SAMPLE_PREFIX: &str = "sample ";
const SAMPLE_LIMIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
