//! The server child: serves on a port of 127.0.0.1 and accounts for its own CPU time.
//!
//! Its parent, the load generator, talks to it over its standard streams, a line each way: it prints `ready ADDRESS`, then answers `cpu`
//! with `cpu NANOSECONDS`, `reset` with `reset`, and `timers` with `timers MICROSECONDS…`, how late each timer of the hostage service
//! was since the reset. It ends when its input ends, so it cannot outlive its parent.

mod hostage;
mod plaintext;
mod service;

use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub(crate) use self::hostage::BURN;
pub(crate) use self::plaintext::{PLAINTEXT, plaintext_service};
pub(crate) use self::service::Service;
use crate::cli::ServeRequest;
use crate::clock::process_cpu;
use crate::peer::{EpollServer, Nginx, Peer, Smol, Tokio, Tress};
use crate::sample::watchdog;

/// Serves until the parent closes this process's input.
pub(crate) fn run(request: &ServeRequest) -> ExitCode {
    watchdog(SERVER_LIMIT);
    match serve(request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: server {} of {}: {error}", request.service, request.peer.name());
            ExitCode::FAILURE
        }
    }
}

fn serve(request: &ServeRequest) -> io::Result<()> {
    let service = Service::from_name(&request.service)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no such service"))?;
    if request.peer == Peer::Nginx {
        let nginx = Nginx::start()?;
        return control(nginx.address(), || nginx.cpu());
    }
    let (sender, receiver) = mpsc::channel();
    let peer = request.peer;
    thread::Builder::new().name("server".into()).spawn(move || {
        if let Err(error) = start(peer, service, &sender) {
            eprintln!("peers: server {} of {}: {error}", service.name(), peer.name());
            std::process::exit(1);
        }
    })?;
    let address = receiver.recv().map_err(|_gone| io::Error::other("the server did not start"))?;
    control(address, || Ok(process_cpu()))?;
    // Without the destructors of the server's thread, which never ends by itself.
    std::process::exit(0)
}

/// Binds, sends the address, and serves for ever.
fn start(peer: Peer, service: Service, address: &mpsc::Sender<SocketAddr>) -> io::Result<()> {
    match peer {
        Peer::Tress => service::serve(&Tress::start()?, service, address),
        Peer::Tokio | Peer::TokioMimalloc => service::serve(&Tokio::multi_thread(), service, address),
        Peer::TokioCurrentThread => service::serve(&Tokio::current_thread(), service, address),
        Peer::Smol => service::serve(&Smol::start(), service, address),
        Peer::Epoll => {
            let server = EpollServer::bind(service, service::LOOPBACK)?;
            // The receiver waits for it; if it is gone the process is ending.
            let _ending = address.send(server.local_address()?);
            server.run()
        }
        _ => Err(io::Error::other("does not serve this")),
    }
}

/// Answers the parent until it closes the pipe.
fn control(address: SocketAddr, cpu: impl Fn() -> io::Result<Duration>) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "ready {address}")?;
    output.flush()?;
    for line in io::stdin().lock().lines() {
        match line?.as_str() {
            "cpu" => writeln!(output, "cpu {}", cpu()?.as_nanos())?,
            "reset" => {
                hostage::reset_timers();
                writeln!(output, "reset")?;
            }
            "timers" => {
                write!(output, "timers")?;
                for late_us in hostage::late_timers_us() {
                    write!(output, " {late_us}")?;
                }
                writeln!(output)?;
            }
            other => return Err(io::Error::other(format!("unknown command `{other}`"))),
        }
        output.flush()?;
    }
    Ok(())
}

const SERVER_LIMIT: Duration = Duration::from_secs(90);
