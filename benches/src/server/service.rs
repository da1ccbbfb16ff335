//! The services, written once for every runtime.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::mpsc;

use super::hostage;
use crate::peer::Net;

/// What a server does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Sends back what it reads.
    Echo,
    /// Sends back what it reads first, and closes.
    Connections,
    /// HTTP/1.1 through hyper.
    Http,
    /// [`Echo`](Self::Echo), with timers beside it, and a request that burns CPU.
    Hostage,
}

impl Service {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Connections => "connections",
            Self::Http => "http_plaintext",
            Self::Hostage => "hostage",
        }
    }

    /// The service of the workload with this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Echo, Self::Connections, Self::Http, Self::Hostage]
            .into_iter()
            .find(|service| service.name() == name)
    }
}

/// Binds, sends the address, and serves for ever. The accept loop is a spawned task, so that it runs on a worker.
pub(super) fn serve<N: Net>(
    runtime: &N,
    service: Service,
    address: &mpsc::Sender<SocketAddr>,
) -> io::Result<()> {
    runtime.block_on(async {
        let listener = N::bind(LOOPBACK).await?;
        // The receiver waits for it; if it is gone the process is ending.
        let _ending = address.send(N::local_address(&listener)?);
        match service {
            Service::Echo => N::spawn(accept_all::<N, _>(listener, echo::<N>)).await,
            Service::Connections => N::spawn(accept_all::<N, _>(listener, answer_once::<N>)).await,
            Service::Http => N::spawn(N::serve_http(listener)).await,
            Service::Hostage => {
                hostage::start_timers::<N>();
                N::spawn(accept_all::<N, _>(listener, hostage::echo_or_burn::<N>)).await
            }
        }
    })
}

async fn accept_all<N: Net, F>(listener: N::Listener, handler: fn(N::Stream) -> F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let stream = N::accept(&listener).await?;
        N::spawn_detached(handler(stream));
    }
}

async fn echo<N: Net>(mut stream: N::Stream) {
    let mut buffer = [0; BUFFER_LEN_BYTES];
    loop {
        match N::read(&mut stream, &mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(len) => {
                if N::write_all(&mut stream, &buffer[..len]).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn answer_once<N: Net>(mut stream: N::Stream) {
    let mut buffer = [0; 16];
    if let Ok(len) = N::read(&mut stream, &mut buffer).await {
        // The client counts what it gets; one that went away is not the server's failure.
        let _gone = N::write_all(&mut stream, &buffer[..len]).await;
    }
}

/// Any free port of 127.0.0.1.
pub(super) const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(super) const BUFFER_LEN_BYTES: usize = 1024;
