//! The runtime as hyper's executor.

use std::future::Future;

use hyper::rt::Executor;
use tress_runtime::spawn;

/// Spawns hyper's futures as `tress::spawn` does: on the executor of the task that asks for it. A connection that is served on a strand keeps its
/// requests there.
///
/// # Panics
///
/// [`execute`](Executor::execute) panics outside a runtime, as `tress::spawn` does.
///
/// # Examples
///
/// ```
/// use hyper::rt::Executor;
///
/// # #[tress::main(worker_threads = 1)]
/// # async fn main() {
/// tress::http::TressExecutor::new().execute(async {});
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TressExecutor(());

impl TressExecutor {
    /// Makes an executor; it has no state.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl<F> Executor<F> for TressExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        // A dropped handle detaches its task.
        drop(spawn(future));
    }
}
