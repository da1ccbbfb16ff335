//! One connection of a server: hyper's state machine, told of the server's phases.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use pin_project_lite::pin_project;

use super::header_timeout::HeaderTimeout;
use super::live::{Live, Phase};
use crate::socket::TcpStream;

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
        http: http1::Connection<TcpStream, S>,
        #[pin]
        header_timeout: Option<HeaderTimeout>,
        told_to_drain: bool,
        waker_stored: bool,
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
        header_timeout: Option<HeaderTimeout>,
        stream: TcpStream,
        service: S,
        live: Live,
    ) -> Self {
        let http = match &header_timeout {
            Some(timeout) => http.clone().timer(timeout.timer()).serve_connection(stream, service),
            None => http.serve_connection(stream, service),
        };
        Self { http, header_timeout, told_to_drain: false, waker_stored: false, live }
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
        if !*this.waker_stored {
            *this.waker_stored = true;
            this.live.store_waker(cx.waker());
        }
        if this.live.phase() == Phase::Closing {
            return Poll::Ready(());
        }
        // Before hyper is told to drain it reads once more: a request that has already arrived is answered.
        if this.http.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if this.live.phase() == Phase::Draining && !*this.told_to_drain {
            *this.told_to_drain = true;
            this.http.as_mut().graceful_shutdown();
            if this.http.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        if let Some(timeout) = this.header_timeout.as_pin_mut() {
            timeout.arm(cx);
        }
        Poll::Pending
    }
}
