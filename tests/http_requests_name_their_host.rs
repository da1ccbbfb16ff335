//! RFC 9112, section 3.2: a request of HTTP/1.1 without the field `host`, and any with two or an invalid one, gets status 400.

mod raw_http;
mod watchdog;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use raw_http::{exchange, status};
use tress::http::body::{Bytes, Full};
use tress::http::{self, Response, service_fn};
use tress::net::TcpListener;
use watchdog::watchdog;

#[test]
fn or_are_refused() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let runtime = tress::Builder::new().worker_threads(1).build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let service = {
        let asked = Arc::clone(&asked);
        service_fn(move |_| {
            asked.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"here")))) }
        })
    };
    drop(runtime.spawn(async move { http::serve(listener, service).await }));

    let refused = [
        "GET / HTTP/1.1\r\n\r\n",
        "HEAD / HTTP/1.1\r\naccept: */*\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nhOST: a\r\n\r\n",
        "GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: user@a\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello",
    ];
    for request in refused {
        let answer = exchange(address, request.as_bytes());
        assert_eq!(status(&answer), "400", "{request:?}: {answer}");
        assert_eq!(answer.matches(" 400 Bad Request").count(), 1, "{request:?} is not the last: {answer}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0, "the service has seen one of them");

    let answered = [
        "GET / HTTP/1.1\r\nconnection: close\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nconnection: close\r\nhost:\r\n\r\n",
        "GET / HTTP/1.1\r\nconnection: close\r\nhost: 127.0.0.1:8080\r\n\r\n",
        "GET / HTTP/1.1\r\nconnection: close\r\nhost: [::1]:8080\r\n\r\n",
        "GET / HTTP/1.1\r\nconnection: close\r\nhost: xn--a_b.example.\r\n\r\n",
        "GET http://other/ HTTP/1.1\r\nconnection: close\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ];
    for request in answered {
        let answer = exchange(address, request.as_bytes());
        assert_eq!(status(&answer), "200", "{request:?}: {answer}");
        assert!(answer.ends_with("here"), "{request:?}: {answer}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), answered.len());
}
