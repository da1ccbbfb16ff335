//! A client that takes none of its response loses its connection; one that is only slow does not.

mod raw_http;
mod watchdog;

use std::convert::Infallible;
use std::io::{Read, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use raw_http::connect;
use tress::Builder;
use tress::http::body::{Bytes, Full, Incoming};
use tress::http::{self, Request, Response, service_fn};
use tress::net::TcpListener;
use watchdog::watchdog;

const BODY_BYTES: usize = 16 << 20;
const WRITE_TIMEOUT: Duration = Duration::from_millis(800);

async fn large(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from(vec![b'x'; BODY_BYTES]))))
}

#[test]
fn none_is_too_little_and_some_is_enough() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let server = http::serve(listener, service_fn(large)).write_timeout(WRITE_TIMEOUT);
    let connections = server.connection_count();
    drop(runtime.spawn(async { server.await }));

    let mut idle = connect(address);
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let begun = Instant::now();
    sleep(WRITE_TIMEOUT / 2);
    assert_eq!(connections.now(), 1, "closed too early");
    while connections.now() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "still open");
        sleep(Duration::from_millis(10));
    }

    let mut slow = connect(address);
    slow.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut piece = vec![0; 1 << 20];
    let mut received = 0;
    loop {
        match slow.read(&mut piece).unwrap() {
            0 => break,
            read => received += read,
        }
        sleep(Duration::from_millis(20));
    }
    assert!(received > BODY_BYTES, "only {received} bytes came");
}
