//! A socket that accepts TCP connections.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::task::{Context, Poll};

use tress_runtime::leaf::Wait;
use tress_runtime::reactor::{Direction, Interest};
use tress_runtime::time::sleep;

use super::accept_backoff::{AcceptBackoff, AfterError};
use super::addrs::resolve;
use super::registered::Registered;
use super::{TcpSocket, TcpStream, ToSocketAddrs};

/// A TCP socket server that listens for connections.
///
/// The streams that it accepts belong to the reactor of the worker that accepted them.
///
/// # Examples
///
/// ```
/// use tress::net::{TcpListener, TcpStream};
///
/// # #[tress::main(worker_threads = 1)]
/// # async fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// let (server, peer) = listener.accept().await?;
/// assert_eq!(peer, client.local_addr()?);
/// assert_eq!(server.peer_addr()?, peer);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpListener {
    io: Registered<mio::net::TcpListener>,
}

impl TcpListener {
    /// Listens on the first of the addresses that can be bound.
    ///
    /// `SO_REUSEADDR` is set on Unix, so that a server can be restarted at once. For other options, and for the length
    /// of the backlog, see [`TcpSocket`].
    ///
    /// # Errors
    ///
    /// If no address can be found or bound (the last address's error), or if there is no current runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves no socket behind.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tress::net::TcpListener::bind("127.0.0.1:0").await?;
    /// assert_ne!(listener.local_addr()?.port(), 0);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn bind<A: ToSocketAddrs>(address: A) -> impl Future<Output = io::Result<Self>> {
        let caller = Location::caller();
        async move {
            let addresses = resolve("tcp bind", caller, address).await?;
            let mut last_error = None;
            for &address in addresses.as_slice() {
                match Self::bind_one(address) {
                    Ok(listener) => return Ok(listener),
                    Err(error) => last_error = Some(error),
                }
            }
            Err(last_error.expect("resolving gives at least one address"))
        }
    }

    fn bind_one(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_for(address)?;
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(DEFAULT_BACKLOG)
    }

    /// Takes over a listener of the standard library, which becomes non-blocking.
    ///
    /// # Errors
    ///
    /// If the listener cannot be registered, or if there is no current runtime.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let io = Registered::new(mio::net::TcpListener::from_std(listener), Interest::READABLE)?;
        Ok(Self { io })
    }

    /// Gives the listener to the standard library; it stays non-blocking.
    ///
    /// # Errors
    ///
    /// If the listener cannot be deregistered.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        Ok(self.io.into_source()?.into())
    }

    /// Accepts a connection.
    ///
    /// Errors that only concern one connection (its client went away before it was accepted) are skipped. When the
    /// process or the machine has run out of descriptors or memory, this pauses before each new attempt, for longer
    /// and longer up to a second, and goes on when some are free again; pending connections stay in the backlog.
    ///
    /// The stream belongs to the current runtime; awaited outside all of them, to that of the listener.
    ///
    /// # Errors
    ///
    /// If the socket itself can no longer accept.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses no connection.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn serve() -> std::io::Result<()> {
    /// let listener = tress::net::TcpListener::bind("127.0.0.1:8080").await?;
    /// loop {
    ///     let (stream, peer) = listener.accept().await?;
    ///     tress::spawn(async move {
    ///         println!("{peer} said hello");
    ///         drop(stream);
    ///     });
    /// }
    /// # }
    /// ```
    #[track_caller]
    pub fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> {
        let caller = Location::caller();
        async move {
            let mut backoff = AcceptBackoff::new();
            loop {
                let mut wait = Wait::at("tcp accept", caller);
                // Registering the new socket can run short of resources too; the connection is then closed.
                let error = match poll_fn(|cx| self.poll_accept_with(cx, &mut wait)).await {
                    Ok(accepted) => return Ok(accepted),
                    Err(error) => error,
                };
                match backoff.after(&error) {
                    AfterError::Retry => {}
                    AfterError::Pause(pause) => sleep(pause).await,
                    AfterError::Fail => return Err(error),
                }
            }
        }
    }

    /// Polls for a connection.
    ///
    /// Unlike [`accept`](Self::accept) this hands every error to the caller, who has to pause if resources are short.
    ///
    /// # Errors
    ///
    /// Every error of accept(2).
    #[track_caller]
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.poll_accept_with(cx, &mut Wait::new("tcp accept"))
    }

    fn poll_accept_with(
        &self,
        cx: &mut Context<'_>,
        wait: &mut Wait,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.io.registration().poll_io(cx, Direction::Read, wait, || self.io.source().accept()).map(
            |accepted| accepted.and_then(|(stream, peer)| Ok((TcpStream::accepted(stream, &self.io)?, peer))),
        )
    }

    /// Accepts a connection that has arrived, whatever the reactor has heard of it so far.
    pub(crate) fn accept_now(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.io.source().accept()?;
        Ok((TcpStream::accepted(stream, &self.io)?, peer))
    }

    /// The address that this listens on.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.source().local_addr()
    }

    /// The hop limit of IPv4 packets.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.source().ttl()
    }

    /// Sets the hop limit of IPv4 packets; accepted streams inherit it.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.source().set_ttl(ttl)
    }

    /// Takes the pending error of the socket.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.source().take_error()
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for TcpListener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.io.source().as_fd()
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.io.source().as_raw_fd()
    }
}

/// Connections that the kernel may keep until they are accepted; it caps this at its own limit (on Linux
/// `net.core.somaxconn`).
const DEFAULT_BACKLOG: u32 = 4096;
