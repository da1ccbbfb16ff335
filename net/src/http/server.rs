//! What a server is configured with.

use std::error::Error;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use tress_runtime::task::{Lazy, lazy, try_lazy};

use super::host::HostChecked;
use super::live::Connections;
use super::serving::{AcceptLoop, Serving};
use crate::socket::TcpListener;

/// Serves HTTP/1.1 on the connections of a listener.
///
/// The service is cloned for each connection. Awaiting the returned [`Server`] serves until the future of
/// [`with_graceful_shutdown`](Server::with_graceful_shutdown) is done, or for good.
///
/// | by default | | change it with |
/// |---|---|---|
/// | time for a request's head, and how long a connection may stay idle | 10 s | [`header_read_timeout`](Server::header_read_timeout) |
/// | how long a client may take no bytes of its response | 30 s | [`write_timeout`](Server::write_timeout) |
/// | size of a request's head | 64 KiB | [`max_header_bytes`](Server::max_header_bytes) |
/// | number of a request's header fields | 100 | [`max_headers`](Server::max_headers) |
/// | connections | no limit | [`max_connections`](Server::max_connections) |
/// | several requests on a connection | yes | [`keep_alive`](Server::keep_alive) |
/// | an answer to clients that have closed their sending side | yes | [`half_close`](Server::half_close) |
/// | small writes are sent at once (`TCP_NODELAY`) | yes | [`nodelay`](Server::nodelay) |
/// | responses to pipelined requests are written together | no | [`pipeline_flush`](Server::pipeline_flush) |
/// | time for a graceful shutdown | no limit | [`shutdown_timeout`](Server::shutdown_timeout) |
///
/// What is not limited is the request's body, and the service: wrap the body in [`Limited`](super::body::Limited) to bound
/// its size, and its reads, or the service's other waits, in [`tress::time::timeout`](tress_runtime::time::timeout) to bound
/// their time.
///
/// Requests that are not HTTP get status 400, as do those of HTTP/1.1 that have no field `host` and any that have two, or one
/// that names no host; heads that are too large, by a long target too, get 431. The service does not see them, and the
/// connection is closed. If the service gives an error or panics, its connection is closed; others are not affected.
///
/// # Examples
///
/// ```
/// use std::convert::Infallible;
/// use tress::http::{self, Request, Response, body::{Full, Incoming}, service_fn};
/// use tress::net::{TcpListener, TcpStream};
///
/// async fn hello(_: Request<Incoming>) -> Result<Response<Full<&'static [u8]>>, Infallible> {
///     Ok(Response::new(Full::new(b"hello")))
/// }
///
/// # #[tress::main(worker_threads = 2)]
/// # async fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let server = http::serve(listener, service_fn(hello)).with_graceful_shutdown(async move {
///     let client = TcpStream::connect(address).await.unwrap();
///     client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
///     let mut status = [0; 15];
///     client.read_exact(&mut status).await.unwrap();
///     assert_eq!(&status, b"HTTP/1.1 200 OK");
/// });
/// server.await
/// # }
/// ```
pub fn serve<S>(listener: TcpListener, service: S) -> Server<S> {
    Server {
        listener,
        service,
        http: http1::Builder::new(),
        half_close: true,
        connections: Connections::new(),
        header_read_timeout: Some(HEADER_READ_TIMEOUT),
        write_timeout: Some(WRITE_TIMEOUT),
        max_header_bytes: MAX_HEADER_BYTES,
        max_connections: usize::MAX,
        nodelay: true,
        shutdown: None,
        shutdown_timeout: None,
    }
}

/// A server before it runs: see [`serve`]. Await it to run it.
///
/// # Examples
///
/// ```no_run
/// # use tress::http::{self, Request, Response, body::{Empty, Incoming}, service_fn};
/// # #[tress::main]
/// # async fn main() -> std::io::Result<()> {
/// # async fn answer(_: Request<Incoming>) -> Result<Response<Empty<&'static [u8]>>, std::io::Error> {
/// #     Ok(Response::new(Empty::new()))
/// # }
/// use std::time::Duration;
///
/// let listener = tress::net::TcpListener::bind("127.0.0.1:8080").await?;
/// http::serve(listener, service_fn(answer))
///     .header_read_timeout(Duration::from_secs(5))
///     .max_header_bytes(16 * 1024)
///     .max_connections(10_000)
///     .await
/// # }
/// ```
#[must_use = "a server does nothing unless awaited"]
pub struct Server<S> {
    listener: TcpListener,
    service: S,
    http: http1::Builder,
    half_close: bool,
    connections: Arc<Connections>,
    header_read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    max_header_bytes: usize,
    max_connections: usize,
    nodelay: bool,
    shutdown: Option<Lazy<'static, ()>>,
    shutdown_timeout: Option<Duration>,
}

impl<S> Server<S> {
    /// Limits the time that a client may take to send a request's head, from the end of the request before it: it also
    /// closes idle connections. `None` for no limit.
    pub fn header_read_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        // hyper adds it to an instant, and panics if that is more than an instant can tell.
        self.header_read_timeout = timeout.into().filter(|timeout| *timeout <= LONGEST_TIMEOUT);
        self
    }

    /// Limits how long a client may take none of the bytes that are ready for it; then its connection is closed. `None`
    /// for no limit.
    pub fn write_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.write_timeout = timeout.into();
        self
    }

    /// Limits the size of a request's head (and of chunked trailers) in bytes; larger ones get status 431.
    pub fn max_header_bytes(mut self, bytes: usize) -> Self {
        self.max_header_bytes = bytes;
        self
    }

    /// Limits the number of a request's header fields; more get status 431. Another number than hyper's default costs
    /// an allocation for each request.
    pub fn max_headers(mut self, fields: usize) -> Self {
        self.http.max_headers(fields);
        self
    }

    /// Says whether a connection may carry more than one request.
    pub fn keep_alive(mut self, enabled: bool) -> Self {
        self.http.keep_alive(enabled);
        self
    }

    /// Says whether a client that closes its sending side after a request, as by `shutdown(SHUT_WR)`, gets an answer.
    ///
    /// On, which is the default, a client that has gone while the service works is noticed only when the response is
    /// written: a closed sending side looks the same. So bound the time of a service that waits for long before it
    /// answers, or for each piece of a body that it streams. Off, the service's future, or the response's body, is
    /// dropped as soon as the client closes, whichever it meant.
    pub fn half_close(mut self, enabled: bool) -> Self {
        self.half_close = enabled;
        self
    }

    /// Limits the number of connections. At the limit the server accepts no more until one ends; clients wait in the
    /// listener's backlog.
    ///
    /// # Panics
    ///
    /// If the limit is zero.
    pub fn max_connections(mut self, limit: usize) -> Self {
        assert!(limit > 0, "a server needs at least one connection");
        self.max_connections = limit;
        self
    }

    /// Says whether small writes are sent at once.
    pub fn nodelay(mut self, enabled: bool) -> Self {
        self.nodelay = enabled;
        self
    }

    /// Says whether the responses to pipelined requests are written together.
    pub fn pipeline_flush(mut self, enabled: bool) -> Self {
        self.http.pipeline_flush(enabled);
        self
    }

    /// Stops serving when `signal` is done: the server accepts no more connections, answers the requests that have
    /// arrived, closes each connection when it has nothing in flight, and returns when all are closed.
    ///
    /// # Panics
    ///
    /// As [`lazy`]: if the allocator whose window is open refuses a frame.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use tress::{http, net::TcpListener};
    /// # async fn serve<S, B>(listener: TcpListener, service: S) -> std::io::Result<()>
    /// # where
    /// #     S: hyper::service::Service<http::Request<http::body::Incoming>, Response = http::Response<B>>,
    /// #     S: Clone + Send + 'static,
    /// #     S::Future: Send,
    /// #     S::Error: std::error::Error + Send + Sync,
    /// #     B: http::body::Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + 'static,
    /// # {
    /// let ctrl_c = async {
    ///     // Without a handler for the signal, it ends the process by itself.
    ///     let _ = tress::signal::ctrl_c().await;
    /// };
    /// http::serve(listener, service).with_graceful_shutdown(ctrl_c).await
    /// # }
    /// ```
    pub fn with_graceful_shutdown(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown = Some(lazy(signal));
        self
    }

    /// Limits how long a graceful shutdown waits: connections that are still busy then are closed, and the server
    /// returns an error of kind `TimedOut`. Without this it waits for as long as it takes.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = Some(timeout);
        self
    }

    /// A view of how many connections are open, for metrics.
    pub fn connection_count(&self) -> ConnectionCount {
        ConnectionCount(Arc::clone(&self.connections))
    }
}

impl<S, B> IntoFuture for Server<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = std::io::Result<()>;
    type IntoFuture = Serving;

    fn into_future(mut self) -> Serving {
        self.http.header_read_timeout(self.header_read_timeout).max_header_size(self.max_header_bytes);
        self.http.writev(true).half_close(self.half_close);
        let connections = Arc::clone(&self.connections);
        let accept_loop = AcceptLoop {
            listener: self.listener,
            service: HostChecked(self.service),
            http: self.http,
            connections: self.connections,
            write_timeout: self.write_timeout,
            max_connections: self.max_connections,
            nodelay: self.nodelay,
        };
        Serving::new(connections, try_lazy(accept_loop.run(self.shutdown, self.shutdown_timeout)))
    }
}

impl<S> fmt::Debug for Server<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listener", &self.listener)
            .field("http", &self.http)
            .field("header_read_timeout", &self.header_read_timeout)
            .field("write_timeout", &self.write_timeout)
            .field("max_header_bytes", &self.max_header_bytes)
            .field("max_connections", &self.max_connections)
            .field("half_close", &self.half_close)
            .field("nodelay", &self.nodelay)
            .field("shutdown_timeout", &self.shutdown_timeout)
            .finish_non_exhaustive()
    }
}

/// How many connections a server has open: see [`Server::connection_count`].
#[derive(Debug, Clone)]
pub struct ConnectionCount(Arc<Connections>);

impl ConnectionCount {
    /// The number of open connections.
    #[must_use]
    pub fn now(&self) -> usize {
        self.0.live()
    }
}

const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// A century: what is longer is for ever.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
