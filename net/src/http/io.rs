//! Streams as hyper wants them.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Write};
use pin_project_lite::pin_project;
use tress_runtime::leaf::Wait;

use crate::socket::TcpStream;
use crate::sys;

pin_project! {
    /// Any stream of the `futures-io` traits, as hyper wants it.
    ///
    /// A [`TcpStream`] needs no wrapper: it implements hyper's traits itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use hyper::rt::{Read, Write};
    /// use tress::http::io::HyperIo;
    ///
    /// fn for_hyper(stream: impl futures_util::AsyncRead + futures_util::AsyncWrite) -> impl Read + Write {
    ///     HyperIo::new(stream)
    /// }
    /// ```
    #[derive(Debug)]
    pub struct HyperIo<S> {
        #[pin]
        stream: S,
        vectored: bool,
    }
}

impl<S> HyperIo<S> {
    /// Wraps a stream.
    pub const fn new(stream: S) -> Self {
        Self { stream, vectored: false }
    }

    /// Wraps a stream whose `poll_write_vectored` writes more than the first buffer.
    pub const fn vectored(stream: S) -> Self {
        Self { stream, vectored: true }
    }

    /// The stream inside.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// The stream inside.
    pub const fn inner(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead> Read for HyperIo<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // The stream only takes initialised memory. A buffer on the stack bounds what is cleared for each read.
        let mut buf = [0; COPY_BYTES];
        let len = buf.len().min(cursor.remaining());
        let read = ready!(self.project().stream.poll_read(cx, &mut buf[..len]))?;
        cursor.put_slice(&buf[..read]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite> Write for HyperIo<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_close(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(cx, bufs)
    }
}

impl Read for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        sys::poll_read_cursor(&self, cx, &mut Wait::new("tcp read"), &mut cursor)
    }
}

impl Write for TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, &mut Wait::new("tcp write"), buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown(Shutdown::Write))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored_with(cx, &mut Wait::new("tcp write"), bufs)
    }
}

const COPY_BYTES: usize = 8 * 1024;
