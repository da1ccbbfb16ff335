//! Halves of a stream that own it together.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::TcpStream;

/// The reading half of a [`TcpStream`]: see [`TcpStream::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf(Arc<TcpStream>);

impl OwnedReadHalf {
    /// Puts the halves together again.
    ///
    /// # Errors
    ///
    /// If they are not of the same stream; the error holds both.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tress::net::{TcpListener, TcpStream};
    /// # #[tress::main(worker_threads = 1)]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// let (read_half, write_half) = stream.into_split();
    /// let stream = read_half.reunite(write_half).expect("they belong together");
    /// # stream.nodelay()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reunite(self, write_half: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !Arc::ptr_eq(&self.0, &write_half.stream) {
            return Err(ReuniteError(self, write_half));
        }
        write_half.forget();
        Ok(Arc::into_inner(self.0).expect("a stream has two halves, and one was dropped just now"))
    }

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

/// The writing half of a [`TcpStream`]: see [`TcpStream::into_split`].
///
/// Dropping it shuts the sending direction down; [`forget`](Self::forget) does not.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    stream: Arc<TcpStream>,
    shutdown_on_drop: bool,
}

impl OwnedWriteHalf {
    /// Drops this half and leaves the sending direction open.
    pub fn forget(mut self) {
        self.shutdown_on_drop = false;
    }

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
        self.stream.write(buf)
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
        self.stream.write_vectored(bufs)
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
        self.stream.write_all(buf)
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
        self.stream.writable()
    }

    /// As [`TcpStream::try_write`].
    ///
    /// # Errors
    ///
    /// Those of send(2); `WouldBlock` if nothing fits.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.stream.try_write(buf)
    }

    /// Tells the peer that no more will be sent.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2).
    pub fn shutdown(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.shutdown_on_drop {
            // Nobody is left who could be told about an error.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }
}

impl AsyncRead for OwnedReadHalf {
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
impl AsyncWrite for OwnedWriteHalf {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.stream).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self.stream).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self.stream).poll_close(cx)
    }
}

impl AsRef<TcpStream> for OwnedReadHalf {
    fn as_ref(&self) -> &TcpStream {
        &self.0
    }
}

impl AsRef<TcpStream> for OwnedWriteHalf {
    fn as_ref(&self) -> &TcpStream {
        &self.stream
    }
}

/// Two halves that are not of the same stream; they are given back.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are not of the same stream")
    }
}

impl Error for ReuniteError {}

pub(super) fn split(stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let stream = Arc::new(stream);
    (OwnedReadHalf(Arc::clone(&stream)), OwnedWriteHalf { stream, shutdown_on_drop: true })
}
