//! smol: async-executor on two threads that also drive async-io, as smol's own documentation advises.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Duration;

use hyper::server::conn::http1;
use smol::Executor;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};
use smol_hyper::rt::{FuturesIo, SmolTimer};

use super::{Net, Rt, WORKERS};
use crate::server::plaintext_service;

/// The process's one smol executor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Smol;

impl Smol {
    /// Starts the executor's threads.
    pub(crate) fn start() -> Self {
        for number in 0..WORKERS {
            std::thread::Builder::new()
                .name(format!("smol-{number}"))
                .spawn(|| smol::block_on(EXECUTOR.run(std::future::pending::<()>())))
                .expect("a thread starts");
        }
        Self
    }
}

impl Rt for Smol {
    type Task<T: Send + 'static> = smol::Task<T>;
    type ErasedFrame<T: Send + 'static> = Pin<Box<dyn Future<Output = T> + Send>>;

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        smol::block_on(future)
    }

    fn spawn_remote<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        EXECUTOR.spawn(future).detach();
    }

    fn spawn<F>(future: F) -> smol::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        EXECUTOR.spawn(future)
    }

    fn spawn_detached<F: Future<Output = ()> + Send + 'static>(future: F) {
        EXECUTOR.spawn(future).detach();
    }

    type Place = ();

    fn place(&self, _is_other: bool) {}

    fn away<F>((): &(), future: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        EXECUTOR.spawn(future)
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
        smol::future::yield_now()
    }

    async fn sleep(duration: Duration) {
        smol::Timer::after(duration).await;
    }
}

impl Net for Smol {
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
                    .timer(SmolTimer::new())
                    .serve_connection(FuturesIo::new(stream), plaintext_service());
                // A client that goes away in the middle is not the server's failure.
                let _closed = connection.await;
            });
        }
    }
}

static EXECUTOR: LazyLock<Executor<'static>> = LazyLock::new(Executor::new);
