//! A client that closes its sending side after its request gets the answer, also when the service takes its time.

mod raw_http;
mod watchdog;

use std::convert::Infallible;
use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use raw_http::{connect, read_to_close, status};
use tress::http::body::{BodyExt, Bytes, Full, Incoming};
use tress::http::{self, Request, Response, Server, service_fn};
use tress::net::TcpListener;
use tress::task::spawn_blocking;
use tress::time::sleep;
use tress::{Builder, Runtime};
use watchdog::watchdog;

/// `/slow` takes a while on the timer, anything else a hop to another thread; both give the request's body back.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/slow" {
        sleep(Duration::from_millis(100)).await;
    } else {
        spawn_blocking(|| std::thread::sleep(Duration::from_millis(1))).await.expect("it does not panic");
    }
    let body = request.into_body().collect().await.map(|body| body.to_bytes());
    Ok(Response::new(Full::new(body.unwrap_or_else(|_| Bytes::from_static(b"cut off")))))
}

fn listen() -> (Runtime, TcpListener, SocketAddr) {
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    (runtime, listener, address)
}

fn send_and_close(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    read_to_close(&mut stream)
}

#[test]
fn every_one_of_them() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let (runtime, listener, address) = listen();
    let server = http::serve(listener, service_fn(answer));
    let connections = server.connection_count();
    drop(runtime.spawn(async { server.await }));
    for _ in 0..100 {
        let answer = send_and_close(address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(status(&answer), "200", "{answer}");
    }
    for path in ["/slow", "/"] {
        let request = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello");
        let answer = send_and_close(address, &request);
        assert!(status(&answer) == "200" && answer.ends_with("hello"), "{answer}");
    }
    // Those that are in line are answered before the connection is closed.
    let pipelined = "GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(3);
    let answer = send_and_close(address, &pipelined);
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 3, "{answer}");
    // Half a head is no request, half a body no body.
    assert!(matches!(status(&send_and_close(address, "GET / HTTP/1.1\r\nhost: a\r\n")), "400" | "none"));
    let half = send_and_close(address, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello");
    assert!(half.is_empty() || half.ends_with("cut off"), "{half}");
    while connections.now() > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A client asks for something that never comes and goes away; gives the number of services that were dropped.
fn abandon(configure: fn(Server<Abandoned>) -> Server<Abandoned>, limit: Duration) -> usize {
    let (runtime, listener, address) = listen();
    let dropped = Arc::new(AtomicUsize::new(0));
    let server = configure(http::serve(listener, Abandoned(Arc::clone(&dropped))));
    drop(runtime.spawn(async { server.await }));
    let mut stream = connect(address);
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
    stream.shutdown(Shutdown::Write).unwrap();
    let begun = Instant::now();
    while dropped.load(Ordering::Relaxed) == 0 && begun.elapsed() < limit {
        std::thread::sleep(Duration::from_millis(1));
    }
    dropped.load(Ordering::Relaxed)
}

#[derive(Clone)]
struct Abandoned(Arc<AtomicUsize>);

impl http::Service<Request<Incoming>> for Abandoned {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, _: Request<Incoming>) -> Self::Future {
        struct Noted(Arc<AtomicUsize>);
        impl Drop for Noted {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let noted = Noted(Arc::clone(&self.0));
        Box::pin(async move {
            let _noted = noted;
            std::future::pending().await
        })
    }
}

#[test]
fn unless_the_server_is_told_otherwise() {
    let _watchdog = watchdog(Duration::from_secs(60));
    assert_eq!(abandon(|server| server.half_close(false), Duration::from_secs(20)), 1);
    assert_eq!(abandon(|server| server, Duration::from_millis(300)), 0);
}
