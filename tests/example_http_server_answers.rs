//! `examples/http_server` answers its routes, and ctrl-c ends it when what is in flight is done.
#![cfg(unix)]

mod example_process;
mod raw_http;
mod watchdog;

use std::io::{Read, Write};
use std::thread::sleep;
use std::time::Duration;

use example_process::HttpServer;
use raw_http::{connect, exchange, read_to_close, status};
use watchdog::watchdog;

#[test]
fn routes_answer() {
    let _watchdog = watchdog(Duration::from_secs(30));
    let server = HttpServer::start(&["--workers", "2"]);
    let get = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        exchange(server.address, request.as_bytes())
    };
    assert!(get("/plaintext").ends_with("\r\n\r\nHello, World!"));
    assert!(get("/json").ends_with(r#"{"message":"Hello, World!"}"#));
    let page = get("/");
    assert!(page.contains("text/html") && page.contains("</html>"), "{page}");
    let stats = get("/stats.json");
    assert_eq!(status(&stats), "200");
    for field in ["workers", "live_tasks", "polls", "steals", "parks", "uptime_seconds", "requests"] {
        assert!(stats.contains(&format!("\"{field}\":")), "{stats}");
    }
    for path in ["/missing", "/plaintext/", "/files/a", "//"] {
        assert_eq!(status(&get(path)), "404", "{path}");
    }
}

#[test]
fn echo_streams() {
    let _watchdog = watchdog(Duration::from_secs(30));
    let server = HttpServer::start(&["--workers", "2"]);
    let mut stream = connect(server.address);
    stream
        .write_all(b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nping\r\n")
        .unwrap();
    let mut seen = String::new();
    // The first piece comes back before the last is sent.
    while !seen.ends_with("ping\r\n") {
        let mut buf = [0; 512];
        let read = stream.read(&mut buf).unwrap();
        assert!(read > 0, "closed after {seen}");
        seen.push_str(std::str::from_utf8(&buf[..read]).unwrap());
    }
    stream.write_all(b"4\r\npong\r\n0\r\n\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(read_to_close(&mut stream).contains("pong"));
}

#[test]
fn ctrl_c_finishes_what_is_in_flight() {
    let _watchdog = watchdog(Duration::from_secs(30));
    let mut server = HttpServer::start(&["--workers", "2"]);
    let idle = connect(server.address);
    let mut busy = connect(server.address);
    busy.write_all(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nhalf").unwrap();
    sleep(Duration::from_millis(200));
    server.signal("INT");
    sleep(Duration::from_millis(200));
    busy.write_all(b"half").unwrap();
    let answer = read_to_close(&mut busy);
    assert_eq!(answer.matches("half\r\n").count(), 2, "{answer}");
    assert!(answer.ends_with("0\r\n\r\n"), "the body has no end: {answer}");
    let (code, rest) = server.wait();
    assert_eq!(code, Some(0), "{rest}");
    assert!(rest.contains("ctrl-c") && rest.contains("stopped after 1 request"), "{rest}");
    drop(idle);
}
