//! tokio, on its multi-threaded and its single-threaded scheduler.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::{Net, Rt, WORKERS};
use crate::server::plaintext_service;

/// A tokio runtime.
#[derive(Debug, Clone)]
pub(crate) struct Tokio {
    runtime: Arc<Runtime>,
    is_current_thread: bool,
}

impl Tokio {
    pub(crate) fn multi_thread() -> Self {
        Self::with_workers(WORKERS)
    }

    pub(crate) fn with_workers(workers: usize) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build();
        Self { runtime: Arc::new(runtime.expect("the runtime starts")), is_current_thread: false }
    }

    pub(crate) fn current_thread() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        Self { runtime: Arc::new(runtime.expect("the runtime starts")), is_current_thread: true }
    }
}

impl Rt for Tokio {
    type Task<T: Send + 'static> = Task<T>;
    type ErasedFrame<T: Send + 'static> = Pin<Box<dyn Future<Output = T> + Send>>;

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn run_in_background(&self) {
        if self.is_current_thread {
            let runtime = Arc::clone(&self.runtime);
            std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        }
    }

    fn spawn_remote<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        drop(self.runtime.spawn(future));
    }

    fn spawn<F>(future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Task(tokio::spawn(future))
    }

    fn spawn_detached<F: Future<Output = ()> + Send + 'static>(future: F) {
        drop(tokio::spawn(future));
    }

    type Place = Handle;

    fn place(&self, is_other: bool) -> Handle {
        if !is_other {
            return self.runtime.handle().clone();
        }
        let other = Self::multi_thread();
        let place = other.runtime.handle().clone();
        // Like the first one, it lasts as long as the process.
        std::mem::forget(other);
        place
    }

    fn away<F>(place: &Handle, future: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Task(place.spawn(future))
    }

    #[inline]
    fn frame<F>(future: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Box::pin(future)
    }

    #[inline]
    fn erased_frame<F>(future: F) -> Self::ErasedFrame<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Box::pin(future)
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        tokio::task::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }
}

impl Net for Tokio {
    type Listener = TcpListener;
    type Stream = TcpStream;

    async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(address).await
    }

    fn local_address(listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        let (stream, _from) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.read(buffer).await
    }

    async fn write_all(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
        stream.write_all(bytes).await
    }

    async fn serve_http(listener: TcpListener) -> io::Result<()> {
        loop {
            let stream = Self::accept(&listener).await?;
            Self::spawn_detached(async move {
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), plaintext_service());
                // A client that goes away in the middle is not the server's failure.
                let _closed = connection.await;
            });
        }
    }
}

/// A `JoinHandle` whose task does not panic.
#[derive(Debug)]
pub(crate) struct Task<T>(JoinHandle<T>);

impl<T> Future for Task<T> {
    type Output = T;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|result| result.expect("no task of a workload panics or is aborted"))
    }
}
