//! At the limit of connections the next client waits in the backlog, and is served when one leaves.

mod raw_http;
mod watchdog;

use std::convert::Infallible;
use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

use raw_http::{connect, read_response, status};
use tress::Builder;
use tress::http::body::{Bytes, Full, Incoming};
use tress::http::{self, Request, Response, service_fn};
use tress::net::TcpListener;
use watchdog::watchdog;

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"done"))))
}

#[test]
fn the_third_of_two_waits() {
    let _watchdog = watchdog(Duration::from_secs(30));
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let server = http::serve(listener, service_fn(answer)).max_connections(2);
    let connections = server.connection_count();
    drop(runtime.spawn(async { server.await }));

    let mut clients: Vec<_> = (0..3).map(|_| connect(address)).collect();
    for client in &mut clients {
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    }
    for client in &mut clients[..2] {
        assert_eq!(status(&read_response(client)), "200");
    }
    sleep(Duration::from_millis(100));
    assert_eq!(connections.now(), 2);
    let mut waiting = clients.pop().unwrap();
    waiting.set_nonblocking(true).unwrap();
    assert!(std::io::Read::read(&mut waiting, &mut [0]).is_err(), "it was served above the limit");
    waiting.set_nonblocking(false).unwrap();

    clients.pop();
    assert_eq!(status(&read_response(&mut waiting)), "200");
}
