//! What hyper asks of a runtime, without `http::serve`: streams, timers, executor.

mod raw_http;
mod watchdog;

use std::convert::Infallible;
use std::time::{Duration, Instant};

use hyper::rt::{Executor, Timer};
use hyper::server::conn::http1;
use raw_http::status;
use tress::http::body::{Bytes, Full, Incoming};
use tress::http::io::HyperIo;
use tress::http::{Request, Response, TressExecutor, TressTimer, service_fn};
use tress::net::{TcpListener, TcpStream};
use watchdog::watchdog;

async fn large(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from(vec![b'x'; 300_000]))))
}

#[tress::test]
async fn any_futures_io_stream_serves() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for is_vectored in [false, true] {
        let client = tress::task::spawn_blocking(move || {
            raw_http::exchange(address, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        });
        let (stream, _) = listener.accept().await.unwrap();
        let stream = if is_vectored { HyperIo::vectored(stream) } else { HyperIo::new(stream) };
        let connection = http1::Builder::new()
            .timer(TressTimer::new())
            .header_read_timeout(Duration::from_secs(5))
            .serve_connection(stream, service_fn(large));
        connection.await.unwrap();
        let answer = client.await.unwrap();
        assert_eq!(status(&answer), "200");
        assert!(answer.len() > 300_000);
    }
}

#[tress::test]
async fn timeouts_of_hyper_fire() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _silent = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let begun = Instant::now();
    // The stream as it is: no wrapper.
    let connection = http1::Builder::new()
        .timer(TressTimer::new())
        .header_read_timeout(Duration::from_millis(100))
        .serve_connection(stream, service_fn(large));
    assert!(connection.await.unwrap_err().is_timeout());
    assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
}

#[tress::test]
async fn timers_can_be_reset_before_and_after_they_fire() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let timer = TressTimer::new();
    let begun = Instant::now();
    let mut sleep = timer.sleep(Duration::from_secs(60));
    for step in 1..=2 {
        let deadline = begun + Duration::from_millis(50 * step);
        timer.reset(&mut sleep, deadline);
        sleep.as_mut().await;
        assert!(Instant::now() >= deadline);
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tress::test]
async fn the_executor_spawns() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let (send, receive) = std::sync::mpsc::channel();
    TressExecutor::new().execute(async move { send.send(7).unwrap() });
    assert_eq!(tress::task::spawn_blocking(move || receive.recv()).await.unwrap(), Ok(7));
}
