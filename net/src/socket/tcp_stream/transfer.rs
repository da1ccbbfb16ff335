//! Moving bytes.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::ops::{Deref, Range};
use std::panic::Location;
use std::task::{Context, Poll};

use socket2::SockRef;
use tress_runtime::leaf::Wait;
use tress_runtime::reactor::Direction;
use tress_runtime::stop::{self, Outcome, StoppedAfter};

use super::TcpStream;

/// Reading and writing.
impl TcpStream {
    /// Reads what is there, at most `buf.len()` bytes; zero means that the peer will send no more.
    ///
    /// # Errors
    ///
    /// Those of recv(2).
    ///
    /// # Cancel safety
    ///
    /// Dropping it while it is pending reads nothing.
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
    /// peer.write_all(b"hello").await?;
    /// let mut buf = [0; 64];
    /// let read = stream.read(&mut buf).await?;
    /// assert!((1..=5).contains(&read));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn read<'a>(&'a self, buf: &'a mut [u8]) -> impl Future<Output = io::Result<usize>> + 'a {
        self.read_at(Location::caller(), buf)
    }

    /// Reads into several buffers, one after the other.
    ///
    /// # Errors
    ///
    /// Those of readv(2).
    ///
    /// # Cancel safety
    ///
    /// Dropping it while it is pending reads nothing.
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
    /// use std::io::IoSliceMut;
    ///
    /// peer.write_all(b"headbody").await?;
    /// let (mut head, mut body) = ([0; 4], [0; 64]);
    /// let mut bufs = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut body)];
    /// assert_eq!(stream.read_vectored(&mut bufs).await?, 8);
    /// assert_eq!(&head, b"head");
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> impl Future<Output = io::Result<usize>> {
        let mut wait = Wait::new("tcp read");
        poll_fn(move |cx| self.poll_read_vectored_with(cx, &mut wait, bufs))
    }

    /// Fills the buffer.
    ///
    /// # Errors
    ///
    /// Those of recv(2), `UnexpectedEof` if the peer sends no more before the buffer is full, and one that holds a
    /// [`StoppedAfter`] if it is stopped when the buffer is filled in part.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses what it has read so far.
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
    /// peer.write_all(b"hello").await?;
    /// let mut word = [0; 5];
    /// stream.read_exact(&mut word).await?;
    /// assert_eq!(&word, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn read_exact<'a>(&'a self, buf: &'a mut [u8]) -> impl Future<Output = io::Result<()>> + 'a {
        let caller = Location::caller();
        async move {
            let mut filled = 0;
            while filled < buf.len() {
                let read = self.read_at(caller, &mut buf[filled..]);
                match or_stopped_after(filled, read).await {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(read) => filled += read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        }
    }

    /// Reads what is there and leaves it there for the next read.
    ///
    /// # Errors
    ///
    /// Those of recv(2).
    ///
    /// # Cancel safety
    ///
    /// Nothing is consumed in any case.
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
    /// peer.write_all(b"hello").await?;
    /// let mut first = [0];
    /// stream.peek(&mut first).await?;
    /// assert_eq!(&first, b"h");
    /// let mut word = [0; 5];
    /// stream.read_exact(&mut word).await?;
    /// assert_eq!(&word, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn peek<'a>(&'a self, buf: &'a mut [u8]) -> impl Future<Output = io::Result<usize>> + 'a {
        let mut wait = Wait::new("tcp peek");
        poll_fn(move |cx| {
            if buf.is_empty() {
                return Poll::Ready(Ok(0));
            }
            self.io.registration().poll_io(cx, Direction::Read, &mut wait, || self.io.source().peek(buf))
        })
    }

    /// Writes what fits into the kernel's buffer, and says how much that was.
    ///
    /// # Errors
    ///
    /// Those of send(2).
    ///
    /// # Cancel safety
    ///
    /// Dropping it while it is pending writes nothing.
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
    /// let written = stream.write(b"hello").await?;
    /// assert!(written <= 5);
    /// # drop(peer);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn write<'a>(&'a self, buf: &'a [u8]) -> impl Future<Output = io::Result<usize>> + 'a {
        self.write_at(Location::caller(), buf)
    }

    /// Writes from several buffers, one after the other.
    ///
    /// # Errors
    ///
    /// Those of writev(2).
    ///
    /// # Cancel safety
    ///
    /// Dropping it while it is pending writes nothing.
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
    /// use std::io::IoSlice;
    ///
    /// let written = stream.write_vectored(&[IoSlice::new(b"head"), IoSlice::new(b"body")]).await?;
    /// assert!(written <= 8);
    /// # drop(peer);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> impl Future<Output = io::Result<usize>> {
        let mut wait = Wait::new("tcp write");
        poll_fn(move |cx| self.poll_write_vectored_with(cx, &mut wait, bufs))
    }

    /// Writes the whole buffer.
    ///
    /// # Errors
    ///
    /// Those of send(2), and one that holds a [`StoppedAfter`] if it is stopped when a part has been written.
    ///
    /// # Cancel safety
    ///
    /// Dropping it may leave a part written, and does not say which.
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
    /// stream.write_all(&vec![0; 10_000]).await?;
    /// # drop(peer);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn write_all<'a>(&'a self, buf: &'a [u8]) -> impl Future<Output = io::Result<()>> + 'a {
        let caller = Location::caller();
        async move {
            let mut written = 0;
            while written < buf.len() {
                let write = self.write_at(caller, &buf[written..]);
                match or_stopped_after(written, write).await {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => written += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        }
    }
}

/// Awaits a step of an operation that has moved so many bytes: if it is stopped, they are reported.
async fn or_stopped_after(moved: usize, step: impl Future<Output = io::Result<usize>>) -> io::Result<usize> {
    if moved == 0 {
        return step.await;
    }
    match stop::outcome(step).await {
        Outcome::Value(result) => result,
        Outcome::Stopped => Err(StoppedAfter::bytes(moved).into()),
    }
}

/// What the methods above and the traits share.
impl TcpStream {
    /// Reads on behalf of the line at `caller`.
    fn read_at<'a>(
        &'a self,
        caller: &'static Location<'static>,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + 'a {
        let mut wait = Wait::at("tcp read", caller);
        poll_fn(move |cx| self.poll_read_with(cx, &mut wait, buf))
    }

    /// Writes on behalf of the line at `caller`.
    fn write_at<'a>(
        &'a self,
        caller: &'static Location<'static>,
        buf: &'a [u8],
    ) -> impl Future<Output = io::Result<usize>> + 'a {
        let mut wait = Wait::at("tcp write", caller);
        poll_fn(move |cx| self.poll_write_with(cx, &mut wait, buf))
    }

    #[inline]
    pub(super) fn poll_read_with(
        &self,
        cx: &mut Context<'_>,
        wait: &mut Wait,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let len = buf.len();
        let mut source = self.io.source();
        self.io.registration().poll_transfer(cx, Direction::Read, wait, len, || source.read(buf))
    }

    /// Reads into memory that need not be initialised; the bytes that were read are.
    #[inline]
    pub(crate) fn poll_recv_uninit(
        &self,
        cx: &mut Context<'_>,
        wait: &mut Wait,
        buf: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let len = buf.len();
        let socket = SockRef::from(self.io.source());
        self.io.registration().poll_transfer(cx, Direction::Read, wait, len, || socket.recv(buf))
    }

    /// As [`poll_recv_uninit`](Self::poll_recv_uninit), at once, whatever the reactor has heard of the stream so far.
    pub(crate) fn recv_uninit_now(&self, buf: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        SockRef::from(self.io.source()).recv(buf)
    }

    pub(super) fn poll_read_vectored_with(
        &self,
        cx: &mut Context<'_>,
        wait: &mut Wait,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let (range, len) = one_call(bufs);
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        let bufs = &mut bufs[range];
        let mut source = self.io.source();
        self.io.registration().poll_transfer(cx, Direction::Read, wait, len, || source.read_vectored(bufs))
    }

    #[inline]
    pub(crate) fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        wait: &mut Wait,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut source = self.io.source();
        self.io.registration().poll_transfer(cx, Direction::Write, wait, buf.len(), || source.write(buf))
    }

    pub(crate) fn poll_write_vectored_with(
        &self,
        cx: &mut Context<'_>,
        wait: &mut Wait,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let (range, len) = one_call(bufs);
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        let bufs = &bufs[range];
        let mut source = self.io.source();
        self.io.registration().poll_transfer(cx, Direction::Write, wait, len, || source.write_vectored(bufs))
    }
}

/// The buffers that one system call takes, from the first that is not empty on, and how many bytes they hold.
///
/// More of them would make the call's count short, which is taken for a sign that the socket is full or empty.
pub(super) fn one_call(bufs: &[impl Deref<Target = [u8]>]) -> (Range<usize>, usize) {
    let start = bufs.iter().position(|buf| !buf.is_empty()).unwrap_or(bufs.len());
    let end = bufs.len().min(start + MOST_BUFFERS);
    let len = bufs[start..end].iter().map(|buf| buf.len()).sum();
    (start..end, len)
}

/// `IOV_MAX` of the systems on which a short count says something.
const MOST_BUFFERS: usize = 1024;
