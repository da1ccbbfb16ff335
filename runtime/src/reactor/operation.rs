//! How operations on a registered source wait for it.

use std::future::{Future, poll_fn};
use std::io;
use std::task::{Context, Poll};

use super::readiness::Armed;
use super::ready::{Direction, Ready};
use super::registration::{Registration, shut_down};
use super::snapshot::Snapshot;
use crate::leaf::Wait;

impl Registration {
    /// Waits until an operation in this direction is worth an attempt.
    ///
    /// Ready does not mean that the operation succeeds: if it would block, call [`clear_ready`](Self::clear_ready) and
    /// ask again. Those operations that can be written as a closure have it easier with [`poll_io`](Self::poll_io).
    ///
    /// # Errors
    ///
    /// If the runtime was shut down.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::{io, task::{Context, Poll, ready}};
    /// # use tress::runtime::reactor::{Direction, Registration};
    /// fn poll_step(registration: &Registration, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    /// #   fn step() -> io::Result<()> { Ok(()) }
    ///     loop {
    ///         let seen = ready!(registration.poll_ready(cx, Direction::Read))?;
    ///         match step() {
    ///             Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
    ///                 registration.clear_ready(seen, Direction::Read);
    ///             }
    ///             result => return Poll::Ready(result),
    ///         }
    ///     }
    /// }
    /// ```
    pub fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<io::Result<Ready>> {
        let slot = self.slot();
        loop {
            let seen = live(slot.load())?;
            if seen.is_ready(direction) {
                return Poll::Ready(Ok(seen.ready()));
            }
            if slot.arm(direction, None, cx.waker()) == Armed::Waiting {
                return Poll::Pending;
            }
        }
    }

    /// Forgets that the source is ready in this direction, unless an event has come since `ready` was seen.
    ///
    /// That one side has closed, or that the runtime is gone, is never forgotten. `ready` must come from this
    /// registration; another's may make operations wait for an event that has already come.
    ///
    /// # Examples
    ///
    /// See [`poll_ready`](Self::poll_ready).
    pub fn clear_ready(&self, ready: Ready, direction: Direction) {
        self.slot().clear(direction, ready.snapshot());
    }

    /// Attempts an operation, and waits where it would block.
    ///
    /// The operation is attempted only if the source may be ready. Its `Interrupted` is retried.
    ///
    /// # Errors
    ///
    /// Those of the operation, and if the runtime was shut down.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::{io, net::SocketAddr, task::{Context, Poll}};
    /// use tress::runtime::leaf::Wait;
    /// use tress::runtime::reactor::{Direction, Registration, mio::net::{TcpListener, TcpStream}};
    ///
    /// fn poll_accept(
    ///     listener: &TcpListener,
    ///     registration: &Registration,
    ///     wait: &mut Wait,
    ///     cx: &mut Context<'_>,
    /// ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
    ///     registration.poll_io(cx, Direction::Read, wait, || listener.accept())
    /// }
    /// ```
    #[inline]
    pub fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wait: &mut Wait,
        mut op: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        wait.poll(cx, |cx| self.attempt(cx, direction, |_| op()))
    }

    /// As [`poll_io`](Self::poll_io), for an operation that moves up to `full` bytes of a stream.
    ///
    /// One that moved fewer, but some, has emptied (or filled) the source's buffer: the next waits for an event
    /// without the system call that would say so.
    ///
    /// # Errors
    ///
    /// As [`poll_io`](Self::poll_io).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::{io::{self, Read}, task::{Context, Poll}};
    /// use tress::runtime::leaf::Wait;
    /// use tress::runtime::reactor::{Direction, Registration, mio::net::TcpStream};
    ///
    /// fn poll_read(
    ///     mut stream: &TcpStream,
    ///     registration: &Registration,
    ///     wait: &mut Wait,
    ///     cx: &mut Context<'_>,
    ///     buffer: &mut [u8],
    /// ) -> Poll<io::Result<usize>> {
    ///     registration.poll_transfer(cx, Direction::Read, wait, buffer.len(), || stream.read(buffer))
    /// }
    /// ```
    #[inline]
    pub fn poll_transfer(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wait: &mut Wait,
        full: usize,
        mut op: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        wait.poll(cx, |cx| {
            self.attempt(cx, direction, |seen| {
                let moved = op()?;
                if SHORT_COUNT_IS_DRY && 0 < moved && moved < full && !seen.is_urgent() {
                    self.slot().clear(direction, seen);
                }
                Ok(moved)
            })
        })
    }

    /// [`poll_io`](Self::poll_io) as a future; `what` is a short noun phrase for traces, such as `"tcp accept"`.
    ///
    /// # Errors
    ///
    /// As [`poll_io`](Self::poll_io).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has done nothing.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(listener: tress::runtime::reactor::mio::net::TcpListener,
    /// #     registration: tress::runtime::reactor::Registration) -> std::io::Result<()> {
    /// use tress::runtime::reactor::Direction;
    ///
    /// let (stream, peer) = registration.io(Direction::Read, "tcp accept", || listener.accept()).await?;
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn io<'a, R>(
        &'a self,
        direction: Direction,
        what: &'static str,
        mut op: impl FnMut() -> io::Result<R> + 'a,
    ) -> impl Future<Output = io::Result<R>> + 'a
    where
        R: 'a,
    {
        let mut wait = Wait::new(what);
        poll_fn(move |cx| self.poll_io(cx, direction, &mut wait, &mut op))
    }

    /// [`poll_transfer`](Self::poll_transfer) as a future.
    ///
    /// # Errors
    ///
    /// As [`poll_io`](Self::poll_io).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has moved nothing.
    ///
    /// # Examples
    ///
    /// See [`Registration`].
    #[track_caller]
    pub fn transfer<'a>(
        &'a self,
        direction: Direction,
        what: &'static str,
        full: usize,
        mut op: impl FnMut() -> io::Result<usize> + 'a,
    ) -> impl Future<Output = io::Result<usize>> + 'a {
        let mut wait = Wait::new(what);
        poll_fn(move |cx| self.poll_transfer(cx, direction, &mut wait, full, &mut op))
    }

    /// [`poll_ready`](Self::poll_ready) as a future.
    ///
    /// # Errors
    ///
    /// As [`poll_ready`](Self::poll_ready).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has done nothing.
    ///
    /// # Examples
    ///
    /// See [`Ready`].
    #[track_caller]
    pub fn ready(
        &self,
        direction: Direction,
        what: &'static str,
    ) -> impl Future<Output = io::Result<Ready>> + '_ {
        let mut wait = Wait::new(what);
        poll_fn(move |cx| wait.poll(cx, |cx| self.poll_ready(cx, direction)))
    }

    /// Attempts an operation once, and waits for nothing.
    ///
    /// # Errors
    ///
    /// Those of the operation, and if the runtime was shut down. `WouldBlock` without an attempt if the source is
    /// known not to be ready.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn example(listener: tress::runtime::reactor::mio::net::TcpListener,
    /// #     registration: tress::runtime::reactor::Registration) -> std::io::Result<()> {
    /// use tress::runtime::reactor::Direction;
    ///
    /// let (stream, peer) = registration.try_io(Direction::Read, || listener.accept())?;
    /// # Ok(()) }
    /// ```
    pub fn try_io<R>(&self, direction: Direction, op: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        let slot = self.slot();
        let seen = live(slot.load())?;
        if !seen.is_ready(direction) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result = op();
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            slot.clear_blocked(direction, seen);
        }
        result
    }

    #[inline]
    fn attempt<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut op: impl FnMut(Snapshot) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let slot = self.slot();
        loop {
            let seen = live(slot.load())?;
            let mut blocked = None;
            if seen.is_ready(direction) {
                match op(seen) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => blocked = Some(seen),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    result => return Poll::Ready(result),
                }
            }
            if slot.arm(direction, blocked, cx.waker()) == Armed::Waiting {
                return Poll::Pending;
            }
        }
    }
}

#[inline]
fn live(seen: Snapshot) -> io::Result<Snapshot> {
    if seen.is_shut_down() { Err(shut_down()) } else { Ok(seen) }
}

/// Whether a stream that moved fewer bytes than asked for would block next. So it is where the selector reports
/// edges by itself; elsewhere mio arms it only when an operation would block.
const SHORT_COUNT_IS_DRY: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
));
