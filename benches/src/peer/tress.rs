//! tress, as its documentation advises.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tress::algorithm::when_all;
use tress::executor::{AnyExecutor, Prioritized, run_on};
use tress::net::{TcpListener, TcpStream};
use tress::task::{JoinHandle, Lazy, lazy};
use tress::{Builder, Runtime};

use super::{Net, Rt, WORKERS};
use crate::server::plaintext_service;

/// A tress runtime.
#[derive(Debug, Clone)]
pub(crate) struct Tress(Arc<Runtime>);

impl Tress {
    pub(crate) fn start() -> io::Result<Self> {
        Self::with_workers(WORKERS)
    }

    pub(crate) fn with_workers(workers: usize) -> io::Result<Self> {
        Builder::new().worker_threads(workers).build().map(|runtime| Self(Arc::new(runtime)))
    }

    /// A runtime whose workers have stacks of this size.
    pub(crate) fn start_with_stack(len_bytes: usize) -> io::Result<Self> {
        let builder = Builder::new().worker_threads(WORKERS).thread_stack_size(len_bytes);
        builder.build().map(|runtime| Self(Arc::new(runtime)))
    }
}

impl Rt for Tress {
    type Task<T: Send + 'static> = Task<T>;
    type ErasedFrame<T: Send + 'static> = Lazy<'static, T>;

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn spawn_remote<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        drop(self.0.handle().spawn(future));
    }

    fn spawn<F>(future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Task(tress::spawn(future))
    }

    fn spawn_detached<F: Future<Output = ()> + Send + 'static>(future: F) {
        drop(tress::spawn(future));
    }

    type Place = AnyExecutor;

    fn place(&self, is_other: bool) -> AnyExecutor {
        if is_other {
            let other = Self::start().expect("a second runtime starts as the first one did");
            let place = AnyExecutor::new(other.0.handle().clone());
            // Like the first one, it lasts as long as the process.
            std::mem::forget(other);
            return place;
        }
        AnyExecutor::new(Prioritized::new(self.0.handle().clone()).high())
    }

    fn away<F>(place: &AnyExecutor, future: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        run_on(place.clone(), future)
    }

    #[inline]
    fn frame<F>(future: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        lazy(future)
    }

    #[inline]
    fn erased_frame<F>(future: F) -> Lazy<'static, F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        lazy(future)
    }

    fn add_all<F>(futures: impl Iterator<Item = F> + Send) -> impl Future<Output = u64> + Send
    where
        F: Future<Output = Result<u64, Infallible>> + Send,
    {
        let all = when_all(futures);
        async {
            let Ok(numbers) = all.await;
            numbers.into_iter().sum()
        }
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        tress::task::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        tress::time::sleep(duration)
    }
}

impl Net for Tress {
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
        tress::http::serve(listener, plaintext_service()).await
    }
}

/// A `JoinHandle` whose task does not panic.
#[derive(Debug)]
pub(crate) struct Task<T>(JoinHandle<T>);

impl<T> From<JoinHandle<T>> for Task<T> {
    fn from(handle: JoinHandle<T>) -> Self {
        Self(handle)
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|result| result.expect("no task of a workload panics or is aborted"))
    }
}
