//! A TCP connection.

mod readiness;
mod traits;
mod transfer;

use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::panic::Location;
use std::time::Duration;

use socket2::SockRef;
use tress_runtime::leaf::Wait;
use tress_runtime::reactor::{Direction, Interest};

use super::addrs::resolve;
use super::registered::Registered;
use super::split::{self, ReadHalf, WriteHalf};
use super::split_owned::{self, OwnedReadHalf, OwnedWriteHalf};
use super::{TcpSocket, ToSocketAddrs};

/// A TCP connection between this socket and a peer.
///
/// All methods take `&self`: one task may read while another writes. It also implements the `futures-io` traits
/// `AsyncRead` and `AsyncWrite` (so does `&TcpStream`), and those of `hyper::rt`.
///
/// Dropping it closes the connection; a peer that has sent data which was never read sees a reset.
///
/// # Examples
///
/// ```
/// use tress::net::{Shutdown, TcpListener, TcpStream};
///
/// # #[tress::main(worker_threads = 2)]
/// # async fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let server = tress::spawn(async move {
///     let (stream, _) = listener.accept().await?;
///     let mut word = [0; 5];
///     stream.read_exact(&mut word).await?;
///     stream.write_all(&word).await
/// });
///
/// let stream = TcpStream::connect(address).await?;
/// stream.write_all(b"hello").await?;
/// stream.shutdown(Shutdown::Write)?;
/// let mut word = [0; 5];
/// stream.read_exact(&mut word).await?;
/// assert_eq!(&word, b"hello");
/// server.await.expect("the server does not panic")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpStream {
    io: Registered<mio::net::TcpStream>,
}

impl TcpStream {
    /// Connects to the first of the addresses that answers, trying one after the other.
    ///
    /// # Errors
    ///
    /// If no address can be found or connected to (the last address's error), or if there is no current runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the socket that was being connected.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn connect() -> std::io::Result<()> {
    /// let stream = tress::net::TcpStream::connect("localhost:8080").await?;
    /// println!("connected to {}", stream.peer_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn connect<A: ToSocketAddrs>(address: A) -> impl Future<Output = io::Result<Self>> {
        let caller = Location::caller();
        async move {
            let addresses = resolve("tcp connect", caller, address).await?;
            let mut last_error = None;
            for &address in addresses.as_slice() {
                match Self::connect_one(address, caller).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last_error = Some(error),
                }
            }
            Err(last_error.expect("resolving gives at least one address"))
        }
    }

    async fn connect_one(address: SocketAddr, caller: &'static Location<'static>) -> io::Result<Self> {
        TcpSocket::new_for(address)?.connect_at(address, caller).await
    }

    /// Waits until a connect that was begun is done.
    pub(crate) async fn connecting(
        stream: mio::net::TcpStream,
        caller: &'static Location<'static>,
    ) -> io::Result<Self> {
        let io = Registered::new_idle(stream, Interest::READABLE | Interest::WRITABLE)?;
        let stream = io.source();
        let check = || {
            if let Some(error) = stream.take_error()? {
                return Err(error);
            }
            // A socket can be reported writable before it is connected; then it has no peer yet.
            match stream.peer_addr() {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    Err(io::ErrorKind::WouldBlock.into())
                }
                result => result.map(drop),
            }
        };
        let mut wait = Wait::at("tcp connect", caller);
        poll_fn(|cx| io.registration().poll_io(cx, Direction::Write, &mut wait, check)).await?;
        Ok(Self { io })
    }

    /// Takes over a connected stream of the standard library, which becomes non-blocking.
    ///
    /// # Errors
    ///
    /// If the stream cannot be registered, or if there is no current runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tress::net::{TcpListener, TcpStream};
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (peer, _) = listener.accept().await?;
    /// # let stream = stream.into_std()?;
    /// let stream = TcpStream::from_std(stream)?;
    /// # drop((stream, peer));
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let stream = mio::net::TcpStream::from_std(stream);
        Ok(Self { io: Registered::new(stream, Interest::READABLE | Interest::WRITABLE)? })
    }

    /// One that a listener has accepted.
    pub(crate) fn accepted(
        stream: mio::net::TcpStream,
        listener: &Registered<mio::net::TcpListener>,
    ) -> io::Result<Self> {
        Ok(Self { io: listener.register_given(stream, Interest::READABLE | Interest::WRITABLE)? })
    }

    /// Gives the stream to the standard library; it stays non-blocking.
    ///
    /// # Errors
    ///
    /// If the stream cannot be deregistered.
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        Ok(self.io.into_source()?.into())
    }

    /// Splits into halves that borrow the stream, without cost.
    ///
    /// Where `AsyncReadExt` is in scope, `stream.split()` is that trait's method, which takes the stream and a lock:
    /// write `TcpStream::split(&mut stream)` there.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tress::net::{TcpListener, TcpStream};
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (peer, _) = listener.accept().await?;
    /// # peer.write_all(b"!").await?;
    /// let (read_half, write_half) = stream.split();
    /// let mut byte = [0];
    /// let (read, written) = tress::join!(read_half.read(&mut byte), write_half.write(b"?"));
    /// assert_eq!((read?, written?), (1, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Splits into halves that can go to different tasks.
    ///
    /// Dropping the write half shuts the sending direction down. See
    /// [`OwnedReadHalf::reunite`] for the way back.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tress::net::{TcpListener, TcpStream};
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (peer, _) = listener.accept().await?;
    /// let (read_half, write_half) = stream.into_split();
    /// let echo = tress::spawn(async move {
    ///     let mut word = [0; 5];
    ///     read_half.read_exact(&mut word).await?;
    ///     write_half.write_all(&word).await
    /// });
    /// peer.write_all(b"hello").await?;
    /// let mut word = [0; 5];
    /// peer.read_exact(&mut word).await?;
    /// echo.await??;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split_owned::split(self)
    }

    /// Shuts down one or both directions.
    ///
    /// A connection that the peer has already closed is no error.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2).
    ///
    /// # Examples
    ///
    /// ```
    /// # use tress::net::{TcpListener, TcpStream};
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (peer, _) = listener.accept().await?;
    /// use tress::net::Shutdown;
    ///
    /// stream.shutdown(Shutdown::Write)?;
    /// assert_eq!(peer.read(&mut [0; 8]).await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self.io.source().shutdown(how) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.source().local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2), for instance after a reset.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.source().peer_addr()
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

/// Options; the errors are those of getsockopt(2) and setsockopt(2).
impl TcpStream {
    /// Whether small writes are sent at once (`TCP_NODELAY`).
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io.source().nodelay()
    }

    /// Sets `TCP_NODELAY`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io.source().set_nodelay(nodelay)
    }

    /// How long closing waits for unsent data (`SO_LINGER`).
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.io.source()).linger()
    }

    /// Sets `SO_LINGER`. With zero, closing drops unsent data and resets the connection; with more, closing blocks the
    /// thread that drops the stream.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(self.io.source()).set_linger(linger)
    }

    /// The hop limit of IPv4 packets.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.source().ttl()
    }

    /// Sets the hop limit of IPv4 packets.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.source().set_ttl(ttl)
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for TcpStream {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.io.source().as_fd()
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.io.source().as_raw_fd()
    }
}
