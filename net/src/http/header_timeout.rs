//! The time that a client may take for a request's head: one timer for each connection, not one for each request.
//!
//! hyper asks for a fresh timer before each head and drops it after. Those that it gets here only note the deadline;
//! the connection's task has the one real timer, and moves it only when it has fired or was never set. A connection
//! that serves requests therefore touches the timer wheel once in each timeout.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use pin_project_lite::pin_project;
use tress_runtime::time;

/// The deadline of the head that a connection waits for.
///
/// It is only used by the connection's task, one poll after the other; it is atomic because hyper wants its timers to
/// be `Sync`.
#[derive(Debug)]
struct Deadline {
    origin: Instant,
    /// Nanoseconds after `origin`; zero for none.
    nanos: AtomicU64,
    /// When hyper last looked at its timer, in nanoseconds after `origin`: spares a second look at the clock.
    looked_nanos: AtomicU64,
}

impl Deadline {
    fn set(&self, deadline: Instant, now: Instant) {
        self.nanos.store(self.nanos_at(deadline).max(1), Ordering::Relaxed);
        self.looked_nanos.store(self.nanos_at(now), Ordering::Relaxed);
    }

    fn nanos_at(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    fn clear(&self) {
        self.nanos.store(0, Ordering::Relaxed);
    }

    fn load(&self) -> Option<Instant> {
        match self.nanos.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(self.origin + Duration::from_nanos(nanos)),
        }
    }

    fn looked(&self) -> Instant {
        self.origin + Duration::from_nanos(self.looked_nanos.load(Ordering::Relaxed))
    }
}

pin_project! {
    /// The real timer of a connection.
    #[derive(Debug)]
    pub(crate) struct HeaderTimeout {
        deadline: Arc<Deadline>,
        // When the sleep fires, if it is set.
        armed_until: Option<Instant>,
        #[pin]
        sleep: Option<time::Sleep>,
    }
}

impl HeaderTimeout {
    pub(crate) fn new() -> Self {
        let deadline =
            Deadline { origin: Instant::now(), nanos: AtomicU64::new(0), looked_nanos: AtomicU64::new(0) };
        Self { deadline: Arc::new(deadline), armed_until: None, sleep: None }
    }

    /// What hyper gets.
    pub(crate) fn timer(&self) -> impl Timer + Send + Sync + 'static {
        HeaderTimer { deadline: Arc::clone(&self.deadline) }
    }

    /// Sees to it that the task is woken at the deadline, if there is one. Called after each poll of the connection.
    pub(crate) fn arm(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let Some(deadline) = self.deadline.load() else { return };
        let mut this = self.project();
        if let Some(armed_until) = *this.armed_until {
            // The usual case: it fires before the deadline, and is set anew then.
            if armed_until <= deadline && this.deadline.looked() < armed_until {
                return;
            }
        }
        *this.armed_until = Some(deadline);
        match this.sleep.as_mut().as_pin_mut() {
            Some(sleep) => sleep.reset(deadline),
            None => this.sleep.set(Some(time::sleep_until(deadline))),
        }
        if let Some(sleep) = this.sleep.as_pin_mut()
            && sleep.poll(cx).is_ready()
        {
            // Past already: hyper sees that in the next poll.
            *this.armed_until = None;
            cx.waker().wake_by_ref();
        }
    }
}

#[derive(Debug)]
struct HeaderTimer {
    deadline: Arc<Deadline>,
}

impl Timer for HeaderTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(NotedSleep { noted: Arc::clone(&self.deadline), deadline })
    }
}

/// A timer that only notes its deadline.
#[derive(Debug)]
struct NotedSleep {
    noted: Arc<Deadline>,
    deadline: Instant,
}

impl Future for NotedSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        if now >= self.deadline {
            return Poll::Ready(());
        }
        self.noted.set(self.deadline, now);
        Poll::Pending
    }
}

impl Drop for NotedSleep {
    fn drop(&mut self) {
        self.noted.clear();
    }
}

impl Sleep for NotedSleep {}
