//! A server that runs: the accept loop, and the future that owns it.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use tress_runtime::frame::AllocError;
use tress_runtime::task::{JoinHandle, Lazy};
use tress_runtime::time::timeout;
use tress_runtime::{Handle, spawn};

use super::connection::Connection;
use super::deadlines::Deadlines;
use super::live::{Connections, Phase};
use crate::socket::{TcpListener, TcpStream};

/// The future of a running server: what awaiting a [`Server`](super::Server) does.
///
/// The loop that accepts is a task of its own, spawned by the first poll: it runs beside a worker's reactor wherever
/// this future is awaited. Dropping this stops accepting and closes every connection, with whatever is in flight.
///
/// # Errors
///
/// If it is first polled outside a runtime, if an allocator of frames refuses one, if the listener fails for good, or if the runtime shuts down. Of kind `TimedOut` if
/// connections were still busy at the [`shutdown_timeout`](super::Server::shutdown_timeout), and so were closed.
#[must_use = "a server does nothing unless awaited"]
pub struct Serving {
    connections: Arc<Connections>,
    state: State,
}

enum State {
    Starting(Option<Result<Lazy<'static, io::Result<()>>, AllocError>>),
    Running(JoinHandle<io::Result<()>>),
}

impl Serving {
    pub(crate) fn new(
        connections: Arc<Connections>,
        accept_loop: Result<Lazy<'static, io::Result<()>>, AllocError>,
    ) -> Self {
        Self { connections, state: State::Starting(Some(accept_loop)) }
    }
}

impl Future for Serving {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let State::Starting(accept_loop) = &mut self.state {
            let accept_loop = accept_loop.take().expect("a finished future is not polled again");
            let accept_loop =
                accept_loop.map_err(|refused| io::Error::new(io::ErrorKind::OutOfMemory, refused))?;
            let runtime = Handle::try_current()?;
            self.state = State::Running(runtime.spawn(accept_loop));
        }
        let State::Running(task) = &mut self.state else { unreachable!("it was started above") };
        let joined = ready!(Pin::new(task).poll(cx));
        Poll::Ready(joined?)
    }
}

// The accept loop is moved into its task before it is polled.
impl Unpin for Serving {}

impl Drop for Serving {
    fn drop(&mut self) {
        if let State::Running(task) = &self.state {
            task.abort();
        }
        self.connections.advance(Phase::Closing);
    }
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving").field("connections", &self.connections.live()).finish_non_exhaustive()
    }
}

/// What the accept loop works with.
pub(crate) struct AcceptLoop<S> {
    pub(crate) listener: TcpListener,
    pub(crate) service: S,
    pub(crate) http: http1::Builder,
    pub(crate) connections: Arc<Connections>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) max_connections: usize,
    pub(crate) nodelay: bool,
}

impl<S, B> AcceptLoop<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Accepts until the signal comes, then waits for the connections to end.
    pub(crate) async fn run(
        mut self,
        signal: Option<Lazy<'static, ()>>,
        shutdown_timeout: Option<Duration>,
    ) -> io::Result<()> {
        let mut signal = pin!(signal);
        while let Some((stream, _)) = self.accept_unless(signal.as_mut()).await? {
            self.start(stream);
        }
        self.connections.advance(Phase::Draining);
        self.accept_arrived();
        // New clients are refused from here on.
        let Self { listener, connections, .. } = self;
        drop(listener);

        let drained = poll_fn(|cx| connections.poll_below(cx, 1));
        match shutdown_timeout {
            None => drained.await,
            Some(limit) => {
                if timeout(limit, drained).await.is_err() {
                    let busy = connections.live();
                    connections.advance(Phase::Closing);
                    poll_fn(|cx| connections.poll_below(cx, 1)).await;
                    if busy > 0 {
                        return Err(cut_off(busy));
                    }
                }
            }
        }
        Ok(())
    }

    /// Accepts a connection, or gives `None` when the signal comes.
    async fn accept_unless(
        &mut self,
        mut signal: Pin<&mut Option<Lazy<'static, ()>>>,
    ) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        // Not `self`: a shared borrow of it is `Send` only for services that are `Sync`.
        let (listener, connections, limit) = (&self.listener, &self.connections, self.max_connections);
        let mut accept = pin!(async {
            poll_fn(|cx| connections.poll_below(cx, limit)).await;
            listener.accept().await
        });
        poll_fn(|cx| {
            if let Some(signal) = signal.as_mut().as_pin_mut()
                && signal.poll(cx).is_ready()
            {
                return Poll::Ready(Ok(None));
            }
            accept.as_mut().poll(cx).map_ok(Some)
        })
        .await
    }

    /// Takes in the clients that the kernel has already connected: they may have sent a request.
    fn accept_arrived(&self) {
        for _ in 0..ARRIVED_LIMIT {
            if self.connections.live() >= self.max_connections {
                return;
            }
            match self.listener.accept_now() {
                Ok((stream, _)) => self.start(stream),
                Err(_) => return,
            }
        }
    }

    fn start(&self, stream: TcpStream) {
        if self.nodelay {
            // It fails if the client has already gone; the connection finds that out by itself.
            let _ = stream.set_nodelay(true);
        }
        let deadlines = Deadlines::new(self.write_timeout);
        let live = self.connections.enter();
        let connection = Connection::new(&self.http, deadlines, stream, self.service.clone(), live);
        // A dropped handle detaches its task; a panic in the service ends that task alone.
        drop(spawn(connection));
    }
}

fn cut_off(busy: usize) -> io::Error {
    let connections = if busy == 1 { "connection was" } else { "connections were" };
    io::Error::new(io::ErrorKind::TimedOut, format!("{busy} {connections} closed while still busy"))
}

/// How many clients are taken in at the last moment, lest a flood of them keep the server from stopping.
const ARRIVED_LIMIT: usize = 1024;
