//! Halves of a stream that borrow it.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::TcpStream;

/// The reading half of a borrowed [`TcpStream`]: see [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a>(&'a TcpStream);

impl ReadHalf<'_> {
    /// As [`TcpStream::read`].
    ///
    /// # Errors
    ///
    /// Those of recv(2).
    ///
    /// # Cancel safety
    ///
    /// Dropping it while it is pending reads nothing.
    #[track_caller]
    pub fn read<'a>(&'a self, buf: &'a mut [u8]) -> impl Future<Output = io::Result<usize>> + 'a {
        self.0.read(buf)
    }

    /// As [`TcpStream::read_vectored`].
    ///
    /// # Errors
    ///
    /// Those of readv(2).
    ///
    /// # Cancel safety
    ///
    /// Dropping it while it is pending reads nothing.
    #[track_caller]
    pub fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> impl Future<Output = io::Result<usize>> {
        self.0.read_vectored(bufs)
    }

    /// As [`TcpStream::read_exact`].
    ///
    /// # Errors
    ///
    /// Those of recv(2), and `UnexpectedEof`.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses what it has read so far.
    #[track_caller]
    pub fn read_exact<'a>(&'a self, buf: &'a mut [u8]) -> impl Future<Output = io::Result<()>> + 'a {
        self.0.read_exact(buf)
    }

    /// As [`TcpStream::peek`].
    ///
    /// # Errors
    ///
    /// Those of recv(2).
    ///
    /// # Cancel safety
    ///
    /// Nothing is consumed in any case.
    #[track_caller]
    pub fn peek<'a>(&'a self, buf: &'a mut [u8]) -> impl Future<Output = io::Result<usize>> + 'a {
        self.0.peek(buf)
    }

    /// As [`TcpStream::readable`].
    ///
    /// # Errors
    ///
    /// If the runtime that the stream belongs to is gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping it consumes no readiness.
    #[track_caller]
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> {
        self.0.readable()
    }

    /// As [`TcpStream::try_read`].
    ///
    /// # Errors
    ///
    /// Those of recv(2); `WouldBlock` if there is nothing to read.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buf)
    }
}

/// The writing half of a borrowed [`TcpStream`]: see [`TcpStream::split`].
#[derive(Debug)]
pub struct WriteHalf<'a>(&'a TcpStream);

impl WriteHalf<'_> {
    /// As [`TcpStream::write`].
    ///
    /// # Errors
    ///
    /// Those of send(2).
    ///
    /// # Cancel safety
    ///
    /// Dropping it while it is pending writes nothing.
    #[track_caller]
    pub fn write<'a>(&'a self, buf: &'a [u8]) -> impl Future<Output = io::Result<usize>> + 'a {
        self.0.write(buf)
    }

    /// As [`TcpStream::write_vectored`].
    ///
    /// # Errors
    ///
    /// Those of writev(2).
    ///
    /// # Cancel safety
    ///
    /// Dropping it while it is pending writes nothing.
    #[track_caller]
    pub fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> impl Future<Output = io::Result<usize>> {
        self.0.write_vectored(bufs)
    }

    /// As [`TcpStream::write_all`].
    ///
    /// # Errors
    ///
    /// Those of send(2).
    ///
    /// # Cancel safety
    ///
    /// Dropping it may leave a part written, and does not say which.
    #[track_caller]
    pub fn write_all<'a>(&'a self, buf: &'a [u8]) -> impl Future<Output = io::Result<()>> + 'a {
        self.0.write_all(buf)
    }

    /// As [`TcpStream::writable`].
    ///
    /// # Errors
    ///
    /// If the runtime that the stream belongs to is gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping it consumes no readiness.
    #[track_caller]
    pub fn writable(&self) -> impl Future<Output = io::Result<()>> {
        self.0.writable()
    }

    /// As [`TcpStream::try_write`].
    ///
    /// # Errors
    ///
    /// Those of send(2); `WouldBlock` if nothing fits.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(buf)
    }

    /// Tells the peer that no more will be sent.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2).
    pub fn shutdown(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}

impl AsyncRead for ReadHalf<'_> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.0).poll_read(cx, buf)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.0).poll_read_vectored(cx, bufs)
    }
}

/// Closing shuts the sending direction down.
impl AsyncWrite for WriteHalf<'_> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.0).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self.0).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self.0).poll_close(cx)
    }
}

impl AsRef<TcpStream> for ReadHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.0
    }
}

impl AsRef<TcpStream> for WriteHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.0
    }
}

pub(super) fn split(stream: &mut TcpStream) -> (ReadHalf<'_>, WriteHalf<'_>) {
    let stream = &*stream;
    (ReadHalf(stream), WriteHalf(stream))
}
