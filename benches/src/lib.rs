//! The comparison of tress with its peers.
//!
//! One binary, `peers`, plays every part. As the *orchestrator* it starts one child process per sample, in an interleaved order, and
//! reports medians and ratios ([`main`]). As a *sample* child it runs one workload on one peer and prints one line. For servers the
//! sample child is the load generator, and starts a *server* child that does its own CPU accounting.
//!
//! A workload is written once, against the `Rt` and `Net` traits; a peer is one file that implements them.

pub mod allocator;
mod catalog;
mod cli;
mod clock;
mod load;
mod orchestrator;
mod peer;
mod report;
mod sample;
mod serial;
mod server;
mod workload;

use std::process::ExitCode;

use crate::cli::Command;

/// Runs the `peers` program with the arguments of this process.
///
/// The exit code is 0 when everything asked for ran and every gate holds, 1 when a sample failed or a gate does not hold, and 2 when the
/// arguments are wrong.
#[must_use]
pub fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("peers: {error}");
            return ExitCode::from(2);
        }
    };
    match command {
        Command::Help => {
            report::show(|out| write!(out, "{}", cli::HELP));
            ExitCode::SUCCESS
        }
        Command::List => {
            report::show(report::print_list);
            ExitCode::SUCCESS
        }
        Command::Compare(options) => orchestrator::run(&options),
        Command::Sample(request) => sample::run(&request),
        Command::Serve(request) => server::run(&request),
    }
}
