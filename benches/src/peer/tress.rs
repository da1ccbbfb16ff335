//! tress, as its documentation advises.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tress_runtime::task::JoinHandle;
use tress_runtime::{Builder, Runtime};

use super::{Rt, WORKERS};

/// A tress runtime.
#[derive(Debug, Clone)]
pub(crate) struct Tress(Arc<Runtime>);

impl Tress {
    pub(crate) fn start() -> io::Result<Self> {
        Builder::new().worker_threads(WORKERS).build().map(|runtime| Self(Arc::new(runtime)))
    }
}

impl Rt for Tress {
    type Task<T: Send + 'static> = Task<T>;

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
        Task(tress_runtime::spawn(future))
    }

    fn spawn_detached<F: Future<Output = ()> + Send + 'static>(future: F) {
        drop(tress_runtime::spawn(future));
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        tress_runtime::task::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        tress_runtime::time::sleep(duration)
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
