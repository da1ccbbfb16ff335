//! The runtime's timers as hyper wants them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use pin_project_lite::pin_project;
use tress_runtime::time;

/// Hands hyper the runtime's timers.
///
/// # Examples
///
/// ```
/// let mut builder = hyper::server::conn::http1::Builder::new();
/// builder.timer(tress::http::TressTimer::new());
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TressTimer(());

impl TressTimer {
    /// Makes a timer source; it has no state.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl Timer for TressTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(TressSleep { inner: time::sleep(duration) })
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(TressSleep { inner: time::sleep_until(deadline) })
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, new_deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<TressSleep>() {
            Some(own) => own.project().inner.reset(new_deadline),
            None => *sleep = self.sleep_until(new_deadline),
        }
    }
}

pin_project! {
    /// A timer of the runtime.
    struct TressSleep {
        #[pin]
        inner: time::Sleep,
    }
}

impl Future for TressSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().inner.poll(cx)
    }
}

impl Sleep for TressSleep {}
