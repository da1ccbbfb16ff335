//! Moving bytes.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::task::{Context, Poll};

use socket2::SockRef;
use tress_runtime::leaf::Wait;
use tress_runtime::reactor::{Direction, Interest, Ready};

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
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut wait = Wait::new("tcp read");
        poll_fn(|cx| self.poll_read_with(cx, &mut wait, buf)).await
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
    pub async fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut wait = Wait::new("tcp read");
        poll_fn(|cx| self.poll_read_vectored_with(cx, &mut wait, bufs)).await
    }

    /// Fills the buffer.
    ///
    /// # Errors
    ///
    /// Those of recv(2), and `UnexpectedEof` if the peer sends no more before the buffer is full.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses what it has read so far.
    pub async fn read_exact(&self, buf: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.read(&mut buf[filled..]).await {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
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
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let source = self.io.source();
        self.io.registration().io(Direction::Read, "tcp peek", || source.peek(buf)).await
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
    pub async fn write(&self, buf: &[u8]) -> io::Result<usize> {
        let mut wait = Wait::new("tcp write");
        poll_fn(|cx| self.poll_write_with(cx, &mut wait, buf)).await
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
    pub async fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut wait = Wait::new("tcp write");
        poll_fn(|cx| self.poll_write_vectored_with(cx, &mut wait, bufs)).await
    }

    /// Writes the whole buffer.
    ///
    /// # Errors
    ///
    /// Those of send(2).
    ///
    /// # Cancel safety
    ///
    /// Dropping it may leave a part written, and does not say which.
    pub async fn write_all(&self, buf: &[u8]) -> io::Result<()> {
        let mut written = 0;
        while written < buf.len() {
            match self.write(&buf[written..]).await {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Readiness, for those who make the attempt themselves.
impl TcpStream {
    /// Waits until one of the interests may be ready. Readiness can be false: be prepared for `WouldBlock`.
    ///
    /// # Errors
    ///
    /// If the runtime that the stream belongs to is gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping it consumes no readiness.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::net::{Interest, TcpListener, TcpStream};
    ///
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// let ready = stream.ready(Interest::READABLE | Interest::WRITABLE).await?;
    /// if ready.is_writable() {
    ///     assert_eq!(stream.try_write(b"hi")?, 2);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let mut wait = Wait::new("tcp readiness");
        let wanted = [(interest.is_readable(), Direction::Read), (interest.is_writable(), Direction::Write)];
        poll_fn(|cx| {
            wait.poll(cx, |cx| {
                for (_, direction) in wanted.iter().filter(|(is_wanted, _)| *is_wanted) {
                    if let Poll::Ready(ready) = self.io.registration().poll_ready(cx, *direction) {
                        return Poll::Ready(ready);
                    }
                }
                Poll::Pending
            })
        })
        .await
    }

    /// Waits until a read may give something.
    ///
    /// # Errors
    ///
    /// If the runtime that the stream belongs to is gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping it consumes no readiness.
    pub async fn readable(&self) -> io::Result<()> {
        self.io.registration().ready(Direction::Read, "tcp readable").await.map(drop)
    }

    /// Waits until a write may take something.
    ///
    /// # Errors
    ///
    /// If the runtime that the stream belongs to is gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping it consumes no readiness.
    pub async fn writable(&self) -> io::Result<()> {
        self.io.registration().ready(Direction::Write, "tcp writable").await.map(drop)
    }

    /// Reads what is there, without waiting.
    ///
    /// # Errors
    ///
    /// Those of recv(2); `WouldBlock` if there is nothing to read.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.io.registration().try_io(Direction::Read, || self.io.source().read(buf))
    }

    /// Reads into several buffers, without waiting.
    ///
    /// # Errors
    ///
    /// Those of readv(2); `WouldBlock` if there is nothing to read.
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        self.io.registration().try_io(Direction::Read, || self.io.source().read_vectored(bufs))
    }

    /// Writes what fits, without waiting.
    ///
    /// # Errors
    ///
    /// Those of send(2); `WouldBlock` if nothing fits.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.io.registration().try_io(Direction::Write, || self.io.source().write(buf))
    }

    /// Writes from several buffers, without waiting.
    ///
    /// # Errors
    ///
    /// Those of writev(2); `WouldBlock` if nothing fits.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        self.io.registration().try_io(Direction::Write, || self.io.source().write_vectored(bufs))
    }
}

/// What the methods above and the traits share.
impl TcpStream {
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
        buf: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let len = buf.len();
        let socket = SockRef::from(self.io.source());
        let mut wait = Wait::new("tcp read");
        self.io.registration().poll_transfer(cx, Direction::Read, &mut wait, len, || socket.recv(buf))
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
        let len = bufs.iter().map(|buf| buf.len()).sum();
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
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
        let len = bufs.iter().map(|buf| buf.len()).sum();
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        let mut source = self.io.source();
        self.io.registration().poll_transfer(cx, Direction::Write, wait, len, || source.write_vectored(bufs))
    }
}
