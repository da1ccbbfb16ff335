//! Waiting without transferring, and transferring without waiting.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::task::{Context, Poll};

use tress_runtime::leaf::Wait;
use tress_runtime::reactor::{Direction, Interest, Ready};

use super::TcpStream;
use super::transfer::one_call;

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
    #[track_caller]
    pub fn ready(&self, interest: Interest) -> impl Future<Output = io::Result<Ready>> {
        let mut wait = Wait::new("tcp readiness");
        let wanted = [(interest.is_readable(), Direction::Read), (interest.is_writable(), Direction::Write)];
        poll_fn(move |cx| {
            wait.poll(cx, |cx| {
                for (_, direction) in wanted.iter().filter(|(is_wanted, _)| *is_wanted) {
                    if let Poll::Ready(ready) = self.io.registration().poll_ready(cx, *direction) {
                        return Poll::Ready(ready);
                    }
                }
                Poll::Pending
            })
        })
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
    /// loop {
    ///     stream.readable().await?;
    ///     match stream.try_read(&mut buf) {
    ///         Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
    ///         result => break assert!(result? > 0),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> {
        let mut wait = Wait::new("tcp readable");
        poll_fn(move |cx| self.poll_direction(cx, &mut wait, Direction::Read))
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
    /// stream.writable().await?;
    /// assert_eq!(stream.try_write(b"hello")?, 5);
    /// # drop(peer);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn writable(&self) -> impl Future<Output = io::Result<()>> {
        let mut wait = Wait::new("tcp writable");
        poll_fn(move |cx| self.poll_direction(cx, &mut wait, Direction::Write))
    }

    fn poll_direction(
        &self,
        cx: &mut Context<'_>,
        wait: &mut Wait,
        direction: Direction,
    ) -> Poll<io::Result<()>> {
        wait.poll(cx, |cx| self.io.registration().poll_ready(cx, direction)).map_ok(drop)
    }

    /// Reads what is there, without waiting.
    ///
    /// # Errors
    ///
    /// Those of recv(2); `WouldBlock` if there is nothing to read.
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
    /// let error = stream.try_read(&mut [0; 64]).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    /// # drop(peer);
    /// # Ok(())
    /// # }
    /// ```
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
        let (range, len) = one_call(bufs);
        if len == 0 {
            return Ok(0);
        }
        let bufs = &mut bufs[range];
        self.io.registration().try_io(Direction::Read, || self.io.source().read_vectored(bufs))
    }

    /// Writes what fits, without waiting.
    ///
    /// # Errors
    ///
    /// Those of send(2); `WouldBlock` if nothing fits.
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
    /// assert_eq!(stream.try_write(b"hello")?, 5);
    /// # drop(peer);
    /// # Ok(())
    /// # }
    /// ```
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
        let (range, len) = one_call(bufs);
        if len == 0 {
            return Ok(0);
        }
        let bufs = &bufs[range];
        self.io.registration().try_io(Direction::Write, || self.io.source().write_vectored(bufs))
    }
}
