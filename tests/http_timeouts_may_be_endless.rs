//! The longest timeouts that can be written down are as good as none, and no connection fails over them.

mod raw_http;
mod watchdog;

use std::convert::Infallible;
use std::time::Duration;

use raw_http::{exchange, status};
use tress::Builder;
use tress::http::body::{Bytes, Full, Incoming};
use tress::http::{self, Request, Response, service_fn};
use tress::net::TcpListener;
use watchdog::watchdog;

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"ok"))))
}

#[test]
fn all_of_them() {
    let _watchdog = watchdog(Duration::from_secs(60));
    for endless in [Duration::MAX, Duration::from_secs(u64::MAX / 4)] {
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let server = http::serve(listener, service_fn(answer))
            .header_read_timeout(endless)
            .write_timeout(endless)
            .shutdown_timeout(endless);
        drop(runtime.spawn(async { server.await }));
        let answer = exchange(address, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        assert_eq!(status(&answer), "200", "{endless:?}: {answer}");
    }
}
