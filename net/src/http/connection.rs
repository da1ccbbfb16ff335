//! One connection of a server: hyper's state machine, told of the server's phases and of the time.

use std::error::Error;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::HttpService;
use pin_project_lite::pin_project;
use tress_runtime::leaf::Wait;

use super::deadlines::{DeadlineTimer, Deadlines, HeadTimer};
use super::live::{Live, Phase};
use crate::socket::TcpStream;
use crate::sys;

pin_project! {
    /// The future of a connection's task.
    ///
    /// It ends when the connection does, for whatever reason: nobody is there to be told about a client's mistakes.
    /// It must stay in the task that polls it first, as that is the one woken for a change of phase.
    pub(crate) struct Connection<S>
    where
        S: HttpService<Incoming>,
    {
        #[pin]
        http: http1::Connection<Timed, S>,
        #[pin]
        timer: DeadlineTimer,
        // Tells the stream to look for bytes itself when it is read next. It is shared with the stream inside hyper, and
        // used by the connection's task alone.
        look: Arc<AtomicBool>,
        is_told_to_drain: bool,
        is_waker_stored: bool,
        // Dropped last: a connection counts until its socket is closed.
        live: Live,
    }
}

impl<S, B> Connection<S>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    pub(crate) fn new(
        http: &http1::Builder,
        deadlines: Arc<Deadlines>,
        stream: TcpStream,
        service: S,
        live: Live,
    ) -> Self {
        let look = Arc::new(AtomicBool::new(false));
        let stream = Timed {
            stream,
            deadlines: Arc::clone(&deadlines),
            look: Arc::clone(&look),
            read: Wait::new("http read"),
        };
        let http = http.clone().timer(HeadTimer(Arc::clone(&deadlines))).serve_connection(stream, service);
        let timer = DeadlineTimer::new(deadlines);
        Self { http, timer, look, is_told_to_drain: false, is_waker_stored: false, live }
    }
}

impl<S, B> Future for Connection<S>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if !*this.is_waker_stored {
            *this.is_waker_stored = true;
            this.live.store_waker(cx.waker());
        }
        if this.live.phase() == Phase::Closing {
            return Poll::Ready(());
        }
        let is_to_drain = this.live.phase() == Phase::Draining && !*this.is_told_to_drain;
        if is_to_drain {
            // A request that has arrived is answered, also if the reactor has not said yet that it is there.
            this.look.store(true, Ordering::Relaxed);
        }
        if this.http.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if is_to_drain {
            *this.is_told_to_drain = true;
            this.http.as_mut().graceful_shutdown();
            if this.http.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        if this.timer.is_write_late() {
            return Poll::Ready(());
        }
        this.timer.arm(cx);
        Poll::Pending
    }
}

/// A stream that notes how its writes go, and reads when it is told to.
#[derive(Debug)]
struct Timed {
    stream: TcpStream,
    deadlines: Arc<Deadlines>,
    look: Arc<AtomicBool>,
    /// Kept, so that dumps say since when a client has sent nothing.
    read: Wait,
}

impl Read for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.look.load(Ordering::Relaxed) {
            self.look.store(false, Ordering::Relaxed);
            match sys::read_cursor_now(&self.stream, &mut cursor) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
        let this = &mut *self;
        sys::poll_read_cursor(&this.stream, cx, &mut this.read, &mut cursor)
    }
}

impl Write for Timed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Write::poll_write(Pin::new(&mut self.stream), cx, buf);
        self.deadlines.note_write(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Write::poll_flush(Pin::new(&mut self.stream), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Write::poll_shutdown(Pin::new(&mut self.stream), cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Write::poll_write_vectored(Pin::new(&mut self.stream), cx, bufs);
        self.deadlines.note_write(written)
    }
}
