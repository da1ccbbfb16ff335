//! Where a request's body ends is never in doubt: what could be read in two ways is refused, or ends the connection, and
//! nothing in a body is taken for a request.

mod raw_http;
mod watchdog;

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use raw_http::{connect, exchange, read_response, read_to_close, status};
use tress::http::body::{BodyExt, Bytes, Full, Incoming};
use tress::http::{self, Method, Request, Response, StatusCode, service_fn};
use tress::net::TcpListener;
use tress::{Builder, Runtime};
use watchdog::{Watchdog, watchdog};

struct Server {
    address: SocketAddr,
    _runtime: Runtime,
    _watchdog: Watchdog,
}

/// POST echoes; a body that breaks off is a bad request. GET says where it was asked.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() != Method::POST {
        return Ok(Response::new(Full::new(Bytes::from(request.uri().path().to_owned()))));
    }
    Ok(match request.into_body().collect().await {
        Ok(body) => Response::new(Full::new(body.to_bytes())),
        Err(_) => {
            let mut response = Response::new(Full::new(Bytes::new()));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
    })
}

fn server() -> Server {
    let watchdog = watchdog(Duration::from_secs(60));
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let server = http::serve(listener, service_fn(answer)).header_read_timeout(Duration::from_millis(500));
    drop(runtime.spawn(async { server.await }));
    Server { address, _runtime: runtime, _watchdog: watchdog }
}

fn responses(answer: &str) -> usize {
    answer.matches("HTTP/1.").count()
}

/// A POST with these fields and this body.
fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n{body}").into_bytes()
}

#[test]
fn contradictory_lengths_are_refused() {
    let server = server();
    for fields in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 6",
        "content-length: +5",
        "content-length: -5",
        "content-length: 0x5",
        "content-length: 99999999999999999999999",
        "transfer-encoding: identity",
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked, gzip",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding : chunked",
        "content-length : 5",
    ] {
        let answer = exchange(server.address, &post(fields, "hello"));
        assert_eq!((status(&answer), responses(&answer)), ("400", 1), "{fields:?}: {answer}");
    }
}

#[test]
fn a_length_beside_chunks_smuggles_no_request() {
    let server = server();
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    for fields in [
        "content-length: 6\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 6",
        "content-length: 44\r\ntransfer-encoding: chunked",
    ] {
        // The chunks win, and the connection ends with the answer.
        let answer = exchange(server.address, &post(fields, smuggled));
        assert!(responses(&answer) == 1 && !answer.contains("/smuggled"), "{fields:?}: {answer}");
    }
}

#[test]
fn bad_chunks_end_their_connection() {
    let server = server();
    let long_extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(100_000));
    let many_trailers = format!("5\r\nhello\r\n0\r\n{}\r\n", "a: b\r\n".repeat(50_000));
    for chunks in [
        "zz\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhelloXX0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        &long_extension,
        &many_trailers,
    ] {
        let request = post("transfer-encoding: chunked", chunks);
        let next = b"GET /next HTTP/1.1\r\nhost: a\r\n\r\n";
        let answer = exchange(server.address, &[&request[..], next].concat());
        let start = &chunks[..chunks.len().min(40)];
        assert!(matches!(status(&answer), "400" | "none"), "{start:?}: {answer}");
        assert!(!answer.contains("/next"), "{start:?}: {answer}");
    }
}

#[test]
fn chunks_arrive_whole_however_they_are_cut() {
    let server = server();
    let request = post(
        "transfer-encoding: chunked",
        "3\r\nfoo\r\n4;name=value\r\nbarb\r\n2\r\naz\r\n0\r\nt: x\r\n\r\n",
    );
    let mut stream = connect(server.address);
    stream.set_nodelay(true).unwrap();
    for piece in [1, 3, request.len()] {
        for bytes in request.chunks(piece) {
            stream.write_all(bytes).unwrap();
        }
        assert!(read_response(&mut stream).ends_with("foobarbaz"));
    }
}

#[test]
fn bodies_that_nobody_reads_are_not_requests() {
    let server = server();
    let mut stream = connect(server.address);
    let hidden = "GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n";
    let visible = "GET /visible HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let length = hidden.len();
    let request =
        format!("GET /first HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{hidden}{visible}");
    stream.write_all(request.as_bytes()).unwrap();
    let answer = read_to_close(&mut stream);
    assert!(answer.contains("/first") && answer.contains("/visible"), "{answer}");
    assert!(!answer.contains("/hidden"), "{answer}");
}

#[test]
fn a_head_has_no_body() {
    let server = server();
    let mut stream = connect(server.address);
    stream.write_all(b"HEAD /name HTTP/1.1\r\nhost: a\r\n\r\nGET /next HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let answer = read_to_close(&mut stream);
    let (head, next) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-length: 5"), "{head}");
    assert!(next.starts_with("HTTP/1.1 200") && next.ends_with("/next"), "{next}");
}

#[test]
fn who_asks_first_is_told_to_continue() {
    let server = server();
    let mut stream = connect(server.address);
    stream.write_all(&post("content-length: 5\r\nexpect: 100-continue", "")).unwrap();
    let expected = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut interim = vec![0; expected.len()];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(interim, expected);
    stream.write_all(b"hello").unwrap();
    assert!(read_response(&mut stream).ends_with("hello"));

    // Whoever is answered without being told so must not send the body; the connection ends.
    let mut stream = connect(server.address);
    stream
        .write_all(b"GET /no HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n")
        .unwrap();
    let answer = read_to_close(&mut stream);
    assert!(status(&answer) == "200" && answer.ends_with("/no"), "{answer}");
}
