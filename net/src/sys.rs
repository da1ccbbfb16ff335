//! The unsafe code of this crate.
#![expect(
    unsafe_code,
    reason = "hyper lends memory that is not initialised, and takes our word for what was filled"
)]

use std::io;
use std::task::{Context, Poll, ready};

use hyper::rt::ReadBufCursor;
use tress_runtime::leaf::Wait;

use crate::socket::TcpStream;

/// Reads from the stream into hyper's buffer, without initialising it first.
pub(crate) fn poll_read_cursor(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    wait: &mut Wait,
    cursor: &mut ReadBufCursor<'_>,
) -> Poll<io::Result<()>> {
    // SAFETY: `poll_recv_uninit` only hands the slice to recv(2), which writes initialised bytes or nothing.
    let buf = unsafe { cursor.as_mut() };
    let read = ready!(stream.poll_recv_uninit(cx, wait, buf))?;
    // SAFETY: recv(2) has initialised the first `read` bytes of the buffer, and `read` is at most its length.
    unsafe { cursor.advance(read) };
    Poll::Ready(Ok(()))
}

/// As [`poll_read_cursor`], at once, whatever the reactor has heard of the stream so far.
pub(crate) fn read_cursor_now(stream: &TcpStream, cursor: &mut ReadBufCursor<'_>) -> io::Result<()> {
    // SAFETY: `recv_uninit_now` only hands the slice to recv(2), which writes initialised bytes or nothing.
    let buf = unsafe { cursor.as_mut() };
    let read = stream.recv_uninit_now(buf)?;
    // SAFETY: recv(2) has initialised the first `read` bytes of the buffer, and `read` is at most its length.
    unsafe { cursor.advance(read) };
    Ok(())
}
