//! A TCP socket before it is connected or listens.

use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

use super::{TcpListener, TcpStream, begin};

/// A TCP socket that is not connected yet: the place to set options that matter before that.
///
/// # Examples
///
/// ```
/// use tress::net::TcpSocket;
///
/// # #[tress::main(worker_threads = 1)]
/// # async fn main() -> std::io::Result<()> {
/// let socket = TcpSocket::new_v4()?;
/// socket.set_reuseaddr(true)?;
/// socket.set_recv_buffer_size(64 * 1024)?;
/// socket.bind("127.0.0.1:0".parse().unwrap())?;
/// let listener = socket.listen(1024)?;
///
/// let socket = TcpSocket::new_v4()?;
/// socket.set_nodelay(true)?;
/// let stream = socket.connect(listener.local_addr()?).await?;
/// assert!(stream.nodelay()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpSocket {
    socket: Socket,
}

impl TcpSocket {
    /// Makes an IPv4 socket.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    pub fn new_v4() -> io::Result<Self> {
        Self::new(Domain::IPV4)
    }

    /// Makes an IPv6 socket.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    pub fn new_v6() -> io::Result<Self> {
        Self::new(Domain::IPV6)
    }

    /// Makes a socket of the address's family.
    pub(crate) fn new_for(address: SocketAddr) -> io::Result<Self> {
        Self::new(Domain::for_address(address))
    }

    fn new(domain: Domain) -> io::Result<Self> {
        // socket2 sets close-on-exec by itself; non-blocking is for us to ask for.
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
        let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        #[cfg(not(any(
            target_os = "linux",
            target_os = "android",
            target_os = "freebsd",
            target_os = "netbsd"
        )))]
        let socket = {
            let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_nonblocking(true)?;
            socket
        };
        Ok(Self { socket })
    }

    /// Gives the socket a local address.
    ///
    /// # Errors
    ///
    /// Those of bind(2), for instance if the port is in use.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.socket.bind(&address.into())
    }

    /// Connects to a server.
    ///
    /// # Errors
    ///
    /// Those of connect(2), or if there is no current runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the socket.
    #[track_caller]
    pub fn connect(self, address: SocketAddr) -> impl Future<Output = io::Result<TcpStream>> {
        self.connect_at(address, Location::caller())
    }

    /// Connects on behalf of the line at `caller`.
    pub(super) async fn connect_at(
        self,
        address: SocketAddr,
        caller: &'static Location<'static>,
    ) -> io::Result<TcpStream> {
        begin("tcp connect", caller).await;
        match self.socket.connect(&SockAddr::from(address)) {
            Err(error) if !is_in_progress(&error) => return Err(error),
            _ => {}
        }
        TcpStream::connecting(mio::net::TcpStream::from_std(self.socket.into()), caller).await
    }

    /// Listens for connections, of which the kernel keeps up to `backlog` until they are accepted.
    ///
    /// # Errors
    ///
    /// Those of listen(2), or if there is no current runtime.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        TcpListener::from_std(self.socket.into())
    }

    /// The local address.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket
            .local_addr()?
            .as_socket()
            .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "the socket has no internet address"))
    }

    /// Takes the pending error of the socket.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }
}

/// Options; the errors are those of getsockopt(2) and setsockopt(2).
impl TcpSocket {
    /// Whether an address may be bound that connections in TIME-WAIT still use (`SO_REUSEADDR`).
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.socket.reuse_address()
    }

    /// Sets `SO_REUSEADDR`.
    pub fn set_reuseaddr(&self, reuse: bool) -> io::Result<()> {
        self.socket.set_reuse_address(reuse)
    }

    /// Whether several sockets may listen on the address, each with a share of the connections (`SO_REUSEPORT`).
    #[cfg(unix)]
    pub fn reuseport(&self) -> io::Result<bool> {
        self.socket.reuse_port()
    }

    /// Sets `SO_REUSEPORT`.
    #[cfg(unix)]
    pub fn set_reuseport(&self, reuse: bool) -> io::Result<()> {
        self.socket.set_reuse_port(reuse)
    }

    /// The size of the kernel's send buffer in bytes.
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        self.socket.send_buffer_size()
    }

    /// Asks for a send buffer of this many bytes; Linux doubles the number.
    pub fn set_send_buffer_size(&self, bytes: usize) -> io::Result<()> {
        self.socket.set_send_buffer_size(bytes)
    }

    /// The size of the kernel's receive buffer in bytes.
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        self.socket.recv_buffer_size()
    }

    /// Asks for a receive buffer of this many bytes; Linux doubles the number. Accepted streams inherit it.
    pub fn set_recv_buffer_size(&self, bytes: usize) -> io::Result<()> {
        self.socket.set_recv_buffer_size(bytes)
    }

    /// Whether idle connections are probed (`SO_KEEPALIVE`).
    pub fn keepalive(&self) -> io::Result<bool> {
        self.socket.keepalive()
    }

    /// Probes an idle connection after `idle`, then every `interval`; `None` for no probes.
    ///
    /// The units are whole seconds.
    pub fn set_keepalive(&self, probes: Option<(Duration, Duration)>) -> io::Result<()> {
        match probes {
            Some((idle, interval)) => {
                self.socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(interval))
            }
            None => self.socket.set_keepalive(false),
        }
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.tcp_nodelay()
    }

    /// Sets `TCP_NODELAY`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.set_tcp_nodelay(nodelay)
    }

    /// How long closing waits for unsent data (`SO_LINGER`).
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.socket.linger()
    }

    /// Sets `SO_LINGER`. With zero, closing drops unsent data and resets the connection; with more, closing blocks the
    /// thread that drops the stream.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.socket.set_linger(linger)
    }

    /// Whether an IPv6 socket refuses IPv4 (`IPV6_V6ONLY`).
    pub fn only_v6(&self) -> io::Result<bool> {
        self.socket.only_v6()
    }

    /// Sets `IPV6_V6ONLY`; it takes effect with [`bind`](Self::bind).
    pub fn set_only_v6(&self, only: bool) -> io::Result<()> {
        self.socket.set_only_v6(only)
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for TcpSocket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn is_in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    let in_progress = error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error());
    #[cfg(not(unix))]
    let in_progress = false;
    in_progress || error.kind() == io::ErrorKind::WouldBlock
}
