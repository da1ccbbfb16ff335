//! Whatever a client sends, it gets the right status or a closed connection; the server goes on and nothing leaks.

mod raw_http;
mod watchdog;

use std::convert::Infallible;
use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use raw_http::{connect, exchange, read_response, read_to_close, status};
use socket2::SockRef;
use tress::http::body::{BodyExt, Bytes, Full, Incoming};
use tress::http::{self, ConnectionCount, Method, Request, Response, service_fn};
use tress::net::TcpListener;
use tress::{Builder, Runtime};
use watchdog::{Watchdog, watchdog};

struct Server {
    address: SocketAddr,
    connections: ConnectionCount,
    _runtime: Runtime,
    _watchdog: Watchdog,
}

/// POST echoes, anything else leaves the body unread.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = if request.method() == Method::POST {
        request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default()
    } else {
        Bytes::from_static(b"unread")
    };
    Ok(Response::new(Full::new(body)))
}

fn server() -> Server {
    let watchdog = watchdog(Duration::from_secs(60));
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let server = http::serve(listener, service_fn(answer)).header_read_timeout(Duration::from_millis(500));
    let connections = server.connection_count();
    drop(runtime.spawn(async { server.await }));
    Server { address, connections, _runtime: runtime, _watchdog: watchdog }
}

impl Server {
    /// The server still answers, and has no connection left.
    fn is_well(&self) {
        let answer = exchange(
            self.address,
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
        );
        assert_eq!(status(&answer), "200");
        assert!(answer.ends_with("ok"), "{answer}");
        let begun = Instant::now();
        while self.connections.now() > 0 {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "{} connections are left",
                self.connections.now()
            );
            sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn malformed_requests_get_400() {
    let server = server();
    for request in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nbad\x00name: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello \r\n\r\n",
    ] {
        let answer = exchange(server.address, request);
        assert_eq!(status(&answer), "400", "{:?}: {answer}", String::from_utf8_lossy(request));
    }
    server.is_well();
}

#[test]
fn oversized_heads_are_refused() {
    let server = server();
    let long_field = format!("GET / HTTP/1.1\r\nhost: a\r\nlong: {}\r\n\r\n", "x".repeat(100_000));
    assert_eq!(status(&exchange(server.address, long_field.as_bytes())), "431");
    let many_fields = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "a: b\r\n".repeat(200));
    assert_eq!(status(&exchange(server.address, many_fields.as_bytes())), "431");
    let long_target = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(100_000));
    let answer = exchange(server.address, long_target.as_bytes());
    assert_eq!(status(&answer), "431", "{answer}");
    let endless = "x".repeat(4_000_000);
    let answer = exchange(server.address, endless.as_bytes());
    assert!(matches!(status(&answer), "400" | "414" | "431" | "none"), "{answer}");
    server.is_well();
}

#[test]
fn heads_that_never_end_are_closed() {
    let server = server();
    for request in [&b""[..], b"G", b"GET / HTTP/1.1\r\nhost: a\r\n"] {
        let begun = Instant::now();
        let answer = exchange(server.address, request);
        assert!(matches!(status(&answer), "408" | "none"), "{answer}");
        assert!(begun.elapsed() >= Duration::from_millis(400), "closed too early: {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(5), "closed too late: {:?}", begun.elapsed());
    }
    server.is_well();
}

#[test]
fn a_byte_now_and_then_does_not_keep_a_head_open() {
    let server = server();
    let mut stream = connect(server.address);
    let begun = Instant::now();
    let mut sent = 0;
    // The close shows as an error of a later write.
    while stream.write_all(b"a").is_ok() {
        sent += 1;
        assert!(begun.elapsed() < Duration::from_secs(5), "still open after {sent} bytes");
        sleep(Duration::from_millis(20));
    }
    server.is_well();
}

#[test]
fn idle_connections_are_closed_in_the_end() {
    let server = server();
    let mut stream = connect(server.address);
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        assert_eq!(status(&read_response(&mut stream)), "200");
        // Less than the timeout each, more in all: each head has its own.
        sleep(Duration::from_millis(300));
    }
    assert_eq!(read_to_close(&mut stream), "");
    server.is_well();
}

#[test]
fn a_body_that_is_cut_off_ends_its_connection() {
    let server = server();
    let mut stream = connect(server.address);
    stream.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nonly this").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    read_to_close(&mut stream);
    server.is_well();
}

#[test]
fn a_reset_ends_its_connection() {
    let server = server();
    for request in [&b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nonly this"[..], b"GET", b""] {
        let mut stream = connect(server.address);
        stream.write_all(request).unwrap();
        sleep(Duration::from_millis(20));
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
    }
    server.is_well();
}

#[test]
fn a_body_that_nobody_reads_does_no_harm() {
    let server = server();
    // Small: the connection goes on. Large: it may be closed, after the answer.
    let mut stream = connect(server.address);
    stream.write_all(b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello").unwrap();
    assert!(read_response(&mut stream).ends_with("unread"));
    drop(stream);
    let mut large = b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 10000000\r\n\r\n".to_vec();
    large.resize(1_000_000, b'x');
    let mut stream = connect(server.address);
    let _ = stream.write_all(&large);
    let _ = stream.shutdown(Shutdown::Write);
    read_to_close(&mut stream);
    server.is_well();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = server();
    let mut requests = String::new();
    for body in ["one", "two", "three"] {
        requests += &format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    }
    let mut stream = connect(server.address);
    stream.write_all(requests.as_bytes()).unwrap();
    for body in ["one", "two", "three"] {
        assert!(read_response(&mut stream).ends_with(body));
    }
    drop(stream);
    server.is_well();
}
