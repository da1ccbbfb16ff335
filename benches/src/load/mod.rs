//! The load generators. Each is one thread with an epoll loop of its own, in a process of its own, the same for every server.

mod awake;
mod closed_loop;
mod connections;
mod paced;
mod poller;
mod server_process;

use std::io;
use std::time::Duration;

use self::awake::Awake;
use self::closed_loop::ClosedLoop;
use self::connections::Connections;
use self::poller::Poller;
use self::server_process::ServerProcess;
use crate::cli::SampleRequest;
use crate::clock::{Sample, Spent, Stopwatch, Window};
use crate::server::Service;

/// Whether the workload has a server.
pub(crate) fn is_server_workload(workload: &str) -> bool {
    Service::from_name(workload).is_some()
}

/// Starts the server, loads it, and returns what the load saw and what the server spent.
pub(crate) fn sample(request: &SampleRequest) -> Result<Sample, String> {
    run(request).map_err(|error| format!("{} of {}: {error}", request.workload, request.peer.name()))
}

fn run(request: &SampleRequest) -> io::Result<Sample> {
    let service =
        Service::from_name(&request.workload).ok_or_else(|| io::Error::other("it has no server"))?;
    let mut server = ServerProcess::start(service, request.peer)?;
    let address = server.address();
    match service {
        Service::Echo => {
            let connections =
                request.variant.parse().map_err(|_bad| io::Error::other("the variant is not a number"))?;
            let _awake = if connections == 1 { Some(Awake::start()?) } else { None };
            let mut load = ClosedLoop::connect(address, connections, &ECHO_REQUEST, ECHO_REQUEST.len())?;
            let window = if request.is_quick { QUICK_ECHO } else { FULL };
            let (spent, requests) = measure(&mut server, window, |duration| load.run_for(duration))?;
            let per_op = Sample::per_op(spent, requests);
            Ok(Sample { value: 1e9 / per_op.value, ..per_op })
        }
        Service::Http => {
            let reply_len_bytes = closed_loop::http_reply_len_bytes(address, HTTP_REQUEST)?;
            let mut load = ClosedLoop::connect(address, HTTP_CONNECTIONS, HTTP_REQUEST, reply_len_bytes)?;
            let window = if request.is_quick { QUICK } else { FULL };
            let (spent, requests) = measure(&mut server, window, |duration| load.run_for(duration))?;
            Ok(Sample::per_op(spent, requests))
        }
        Service::Connections => {
            let mut load = Connections::start(address)?;
            let window = if request.is_quick { QUICK } else { FULL };
            let (spent, connections) = measure(&mut server, window, |duration| load.run_for(duration))?;
            Ok(Sample::per_op(spent, connections))
        }
        Service::Hostage => {
            let burn = if request.is_quick { Duration::from_millis(500) } else { Duration::from_secs(1) };
            paced::hostage(&mut server, burn)
        }
    }
}

/// Warms up, then measures: wall time here, CPU time in the server.
fn measure(
    server: &mut ServerProcess,
    window: Window,
    mut load: impl FnMut(Duration) -> io::Result<u64>,
) -> io::Result<(Spent, u64)> {
    load(window.warm_up)?;
    let cpu_before = server.cpu()?;
    let stopwatch = Stopwatch::start();
    let ops = load(window.measure)?;
    let wall = stopwatch.spent().wall;
    let cpu = server.cpu()?.saturating_sub(cpu_before);
    if ops == 0 {
        return Err(io::Error::other("not one operation finished"));
    }
    Ok((Spent { wall, cpu }, ops))
}

const ECHO_REQUEST: [u8; 64] = [b'e'; 64];
const HTTP_REQUEST: &[u8] = b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
const HTTP_CONNECTIONS: usize = 64;

const QUICK_ECHO: Window = Window { warm_up: Duration::from_millis(30), measure: Duration::from_millis(100) };
const QUICK: Window = Window { warm_up: Duration::from_millis(80), measure: Duration::from_millis(250) };
const FULL: Window = Window { warm_up: Duration::from_millis(300), measure: Duration::from_millis(1000) };
