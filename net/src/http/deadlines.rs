//! The times that a client may take: one timer for each connection, not one for each request.
//!
//! Two deadlines: for the head of the next request, and for taking bytes of a response that fill the kernel's buffer.
//! hyper asks for a fresh timer before each head and drops it after. Those that it gets here only note the deadline,
//! as the connection's stream does while a write is pending. The connection's task has the one real timer, and moves it
//! only when it has fired or was never set: a connection that serves requests touches the timer wheel once in each
//! timeout.
//!
//! Everything here is used by the connection's task alone, one poll after the other. The fields are atomic because hyper
//! wants its timers to be `Sync`; they order nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use pin_project_lite::pin_project;
use tress_runtime::time;

/// What a connection waits for, and until when.
#[derive(Debug)]
pub(crate) struct Deadlines {
    origin: Instant,
    /// When the head of the next request must be there, in nanoseconds after `origin`; [`NONE`] between requests.
    head_nanos: AtomicU64,
    /// When the client must have taken some bytes; [`NONE`] while no write is pending.
    write_nanos: AtomicU64,
    /// The last time that was looked at, in nanoseconds after `origin`: spares a look at the clock.
    seen_nanos: AtomicU64,
    /// How long a write may be pending; [`NONE`] is for ever.
    write_timeout_nanos: u64,
}

impl Deadlines {
    /// No deadlines yet; a pending write is to get this long.
    pub(crate) fn new(write_timeout: Option<Duration>) -> Arc<Self> {
        Arc::new(Self {
            origin: Instant::now(),
            head_nanos: AtomicU64::new(NONE),
            write_nanos: AtomicU64::new(NONE),
            seen_nanos: AtomicU64::new(0),
            write_timeout_nanos: write_timeout.map_or(NONE, nanos),
        })
    }

    /// Notes how a write went, and gives it back.
    #[inline]
    pub(crate) fn note_write<T>(&self, written: Poll<T>) -> Poll<T> {
        if written.is_pending() {
            self.write_is_pending();
        } else if self.write_nanos.load(Ordering::Relaxed) != NONE {
            self.write_nanos.store(NONE, Ordering::Relaxed);
        }
        written
    }

    #[cold]
    fn write_is_pending(&self) {
        if self.write_timeout_nanos == NONE {
            return;
        }
        let now = self.look();
        if self.write_nanos.load(Ordering::Relaxed) == NONE {
            self.write_nanos.store(now.saturating_add(self.write_timeout_nanos), Ordering::Relaxed);
        }
    }

    /// The earlier deadline; one for a head wins over none.
    fn next(&self) -> Option<u64> {
        let next = self.head_nanos.load(Ordering::Relaxed).min(self.write_nanos.load(Ordering::Relaxed));
        (next != NONE).then_some(next)
    }

    fn look(&self) -> u64 {
        self.see(Instant::now())
    }

    fn see(&self, now: Instant) -> u64 {
        let nanos = self.nanos_at(now);
        self.seen_nanos.store(nanos, Ordering::Relaxed);
        nanos
    }

    fn nanos_at(&self, instant: Instant) -> u64 {
        nanos(instant.saturating_duration_since(self.origin))
    }
}

pin_project! {
    /// The real timer of a connection.
    #[derive(Debug)]
    pub(crate) struct DeadlineTimer {
        deadlines: Arc<Deadlines>,
        // When the sleep fires, if it is set.
        armed_nanos: Option<u64>,
        #[pin]
        sleep: Option<time::Sleep>,
    }
}

impl DeadlineTimer {
    pub(crate) fn new(deadlines: Arc<Deadlines>) -> Self {
        Self { deadlines, armed_nanos: None, sleep: None }
    }

    /// Whether the client has not taken any bytes for too long. A head that is late is for hyper to notice.
    pub(crate) fn is_write_late(&self) -> bool {
        let write_nanos = self.deadlines.write_nanos.load(Ordering::Relaxed);
        write_nanos != NONE && self.deadlines.seen_nanos.load(Ordering::Relaxed) >= write_nanos
    }

    /// Sees to it that the task is woken at the next deadline, if there is one. Called after each poll of the
    /// connection, which has looked at the clock if it waits for anything that has a deadline.
    pub(crate) fn arm(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let mut this = self.project();
        let Some(next) = this.deadlines.next() else { return };
        if let Some(armed) = *this.armed_nanos {
            // The usual case: it fires before the deadline, and is set anew then.
            if armed <= next && this.deadlines.seen_nanos.load(Ordering::Relaxed) < armed {
                return;
            }
        }
        *this.armed_nanos = Some(next);
        let deadline = this.deadlines.origin + Duration::from_nanos(next);
        match this.sleep.as_mut().as_pin_mut() {
            Some(sleep) => sleep.reset(deadline),
            None => this.sleep.set(Some(time::sleep_until(deadline))),
        }
        if let Some(sleep) = this.sleep.as_pin_mut()
            && sleep.poll(cx).is_ready()
        {
            // Past already: the next poll sees that.
            *this.armed_nanos = None;
            cx.waker().wake_by_ref();
        }
    }
}

/// The timers that hyper gets; it only ever wants those for heads.
#[derive(Debug)]
pub(crate) struct HeadTimer(pub(crate) Arc<Deadlines>);

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        let deadline_nanos = self.0.nanos_at(deadline);
        Box::pin(NotedSleep { deadlines: Arc::clone(&self.0), deadline_nanos, is_new: true })
    }

    fn now(&self) -> Instant {
        let now = Instant::now();
        self.0.see(now);
        now
    }
}

/// A timer that only notes its deadline.
#[derive(Debug)]
struct NotedSleep {
    deadlines: Arc<Deadlines>,
    deadline_nanos: u64,
    is_new: bool,
}

impl Future for NotedSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        // hyper has asked for the time just before it asked for this.
        let now = match self.is_new {
            true => self.deadlines.seen_nanos.load(Ordering::Relaxed),
            false => self.deadlines.look(),
        };
        self.is_new = false;
        if now >= self.deadline_nanos {
            return Poll::Ready(());
        }
        self.deadlines.head_nanos.store(self.deadline_nanos, Ordering::Relaxed);
        Poll::Pending
    }
}

impl Drop for NotedSleep {
    fn drop(&mut self) {
        self.deadlines.head_nanos.store(NONE, Ordering::Relaxed);
    }
}

impl Sleep for NotedSleep {}

fn nanos(duration: Duration) -> u64 {
    // Five centuries will do.
    u64::try_from(duration.as_nanos()).unwrap_or(NONE)
}

const NONE: u64 = u64::MAX;
