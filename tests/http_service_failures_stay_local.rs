//! A service that panics or gives an error loses its own connection and no other.

mod raw_http;
mod watchdog;

use std::io::Write;
use std::thread::sleep;
use std::time::{Duration, Instant};

use raw_http::{connect, exchange, read_response, status};
use tress::Builder;
use tress::http::body::{Bytes, Full, Incoming};
use tress::http::{self, Request, Response, service_fn};
use tress::net::TcpListener;
use watchdog::watchdog;

async fn fail(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
    match request.uri().path() {
        "/panic" => panic!("the test wants this panic"),
        "/error" => Err(std::io::Error::other("the test wants this error")),
        _ => Ok(Response::new(Full::new(Bytes::from_static(b"fine")))),
    }
}

#[test]
fn only_the_failing_connection_closes() {
    let _watchdog = watchdog(Duration::from_secs(30));
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let server = http::serve(listener, service_fn(fail));
    let connections = server.connection_count();
    drop(runtime.spawn(async { server.await }));

    let mut bystander = connect(address);
    for path in ["/panic", "/error"] {
        let answer = exchange(address, format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes());
        assert_eq!(answer, "", "{path}");
        bystander.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        assert_eq!(status(&read_response(&mut bystander)), "200");
    }
    drop(bystander);
    let begun = Instant::now();
    while connections.now() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "{} connections are left", connections.now());
        sleep(Duration::from_millis(5));
    }
}
