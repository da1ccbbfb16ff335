//! A graceful shutdown answers what is in flight, closes what is idle, refuses what is new, and returns.

mod raw_http;
mod watchdog;

use std::convert::Infallible;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use raw_http::{connect, read_response, read_to_close, status};
use tress::http::body::{Bytes, Full, Incoming};
use tress::http::{self, Request, Response, service_fn};
use tress::net::TcpListener;
use tress::task::JoinHandle;
use tress::{Builder, Runtime};
use watchdog::{Watchdog, watchdog};

struct Server {
    address: SocketAddr,
    stop: mpsc::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
    runtime: Runtime,
    _watchdog: Watchdog,
}

/// `/slow` takes its time, `/never` all of it.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    match request.uri().path() {
        "/slow" => tress::time::sleep(Duration::from_millis(300)).await,
        "/never" => std::future::pending().await,
        _ => {}
    }
    Ok(Response::new(Full::new(Bytes::from_static(b"done"))))
}

fn server(shutdown_timeout: Option<Duration>) -> Server {
    let watchdog = watchdog(Duration::from_secs(30));
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = mpsc::channel();
    let signal = async move {
        let _ = tress::task::spawn_blocking(move || stopped.recv()).await;
    };
    let mut server = http::serve(listener, service_fn(answer)).with_graceful_shutdown(signal);
    if let Some(timeout) = shutdown_timeout {
        server = server.shutdown_timeout(timeout);
    }
    let task = runtime.spawn(async { server.await });
    Server { address, stop, task, runtime, _watchdog: watchdog }
}

fn ask(stream: &mut TcpStream, path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).unwrap();
}

#[test]
fn in_flight_requests_are_answered_and_idle_connections_closed() {
    let server = server(None);
    let mut idle = connect(server.address);
    ask(&mut idle, "/");
    assert_eq!(status(&read_response(&mut idle)), "200");
    let mut fresh = connect(server.address);
    let mut busy = connect(server.address);
    ask(&mut busy, "/slow");
    sleep(Duration::from_millis(100));

    server.stop.send(()).unwrap();
    assert_eq!(read_to_close(&mut idle), "");
    assert_eq!(read_to_close(&mut fresh), "");
    let answer = read_to_close(&mut busy);
    assert_eq!(status(&answer), "200");
    assert!(answer.ends_with("done"), "{answer}");

    server.runtime.block_on(server.task).unwrap().unwrap();
    assert!(TcpStream::connect(server.address).is_err(), "nobody listens any more");
}

#[test]
fn a_request_that_has_arrived_is_answered() {
    let server = server(None);
    let mut clients: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = connect(server.address);
            ask(&mut stream, "/");
            stream
        })
        .collect();
    // Perhaps not even accepted by now.
    server.stop.send(()).unwrap();
    for client in &mut clients {
        assert_eq!(status(&read_to_close(client)), "200");
    }
    server.runtime.block_on(server.task).unwrap().unwrap();
}

#[test]
fn the_timeout_closes_what_does_not_end() {
    let server = server(Some(Duration::from_millis(200)));
    let mut stuck = connect(server.address);
    ask(&mut stuck, "/never");
    sleep(Duration::from_millis(100));
    let begun = Instant::now();
    server.stop.send(()).unwrap();
    assert_eq!(read_to_close(&mut stuck), "");
    let error = server.runtime.block_on(server.task).unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "1 connection was closed while still busy");
    assert!(begun.elapsed() >= Duration::from_millis(190), "{:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn dropping_the_future_closes_everything() {
    let server = server(None);
    let mut stuck = connect(server.address);
    ask(&mut stuck, "/never");
    sleep(Duration::from_millis(100));
    server.task.abort();
    assert_eq!(read_to_close(&mut stuck), "");
    assert!(server.runtime.block_on(server.task).is_err());
    let begun = Instant::now();
    while TcpStream::connect(server.address).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(5), "the listener is still open");
        sleep(Duration::from_millis(5));
    }
}
