//! The numbers in the documentation of `http::serve` are those that a server begins with.

mod raw_http;
mod watchdog;

use std::convert::Infallible;
use std::time::Duration;

use raw_http::{exchange, status};
use tress::http::body::{Bytes, Empty};
use tress::http::{self, Response, service_fn};
use tress::net::TcpListener;
use watchdog::watchdog;

#[test]
fn all_of_them() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let runtime = tress::Builder::new().worker_threads(1).build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let service = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) });
    let server = http::serve(listener, service);
    let shown = format!("{server:?}");
    for field in [
        "header_read_timeout: Some(10s)",
        "write_timeout: Some(30s)",
        &format!("max_header_bytes: {}", 64 * 1024),
        &format!("max_connections: {}", usize::MAX),
        "half_close: true",
        "nodelay: true",
        "shutdown_timeout: None",
        "h1_keep_alive: true",
        "pipeline_flush: false",
    ] {
        assert!(shown.contains(field), "{field} is not in {shown}");
    }

    drop(runtime.spawn(async move { server.await }));
    // With the two that it has anyway.
    let request = |fields: usize| {
        let more = "a: b\r\n".repeat(fields - 2);
        format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{more}\r\n")
    };
    assert_eq!(status(&exchange(address, request(100).as_bytes())), "200");
    assert_eq!(status(&exchange(address, request(101).as_bytes())), "431");
}
