//! The reactor itself: one selector, who may poll it, and how its events reach registrations.

use std::io;
use std::time::{Duration, Instant};

use mio::{Registry, Token, Waker};

use super::precise::{self, Step};
use super::slab::Slab;
use super::snapshot::Flags;
use crate::primitive::sync::{Arc, Mutex, MutexGuard};

/// A worker's source of I/O events.
///
/// Its worker polls it; while that worker is busy, anybody else may.
#[derive(Debug)]
pub(crate) struct Reactor {
    index: usize,
    selector: Mutex<Selector>,
    registry: Registry,
    waker: Waker,
    slab: Slab,
}

/// The exclusive right to poll a reactor.
#[derive(Debug)]
pub(crate) struct Driver<'a> {
    selector: MutexGuard<'a, Selector>,
}

/// What the driver lock protects.
#[derive(Debug)]
struct Selector {
    poll: mio::Poll,
    /// A look has taken an unpark that the next wait is owed: a peer that looks must not take it from the owner, who
    /// is about to wait.
    unparked: bool,
}

/// Events taken from a reactor and not yet dispatched.
///
/// They belong to the worker that took them: dispatching needs no lock.
#[derive(Debug)]
pub(crate) struct Events(mio::Events);

impl Reactor {
    /// Makes the reactor of the worker with this index.
    pub(crate) fn new(index: usize) -> io::Result<Arc<Self>> {
        let poll = mio::Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = Waker::new(&registry, UNPARK)?;
        let selector = Mutex::new(Selector { poll, unparked: false });
        Ok(Arc::new(Self { index, selector, registry, waker, slab: Slab::new() }))
    }

    /// The index of the worker that it belongs to.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Takes the right to poll, unless somebody has it.
    pub(crate) fn try_lock(&self) -> Option<Driver<'_>> {
        Some(Driver { selector: self.selector.try_lock()? })
    }

    /// Makes the current [`Driver::wait`] return, or the next one if there is none. One that only looks does not count.
    pub(crate) fn unpark(&self) {
        self.waker.wake().expect("an event counter of our own accepts a write");
    }

    /// How many registrations there are, about.
    pub(crate) fn registered(&self) -> usize {
        self.slab.live()
    }

    /// Takes events to their registrations and wakes who waits there; returns how many registrations had one.
    pub(crate) fn dispatch(&self, events: &mut Events) -> usize {
        let mut delivered = 0;
        for event in events.0.iter().filter(|event| event.token() != UNPARK) {
            delivered += usize::from(self.slab.deliver(event.token().0, flags(event)));
        }
        events.0.clear();
        delivered
    }

    /// The runtime is gone: wakes every waiter, and lets all further operations fail.
    pub(crate) fn close(&self) {
        self.slab.shut_down();
        self.unpark();
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    #[inline]
    pub(super) fn slab(&self) -> &Slab {
        &self.slab
    }
}

impl Driver<'_> {
    /// Waits until there are events, an unpark, or the deadline is reached; `None` is never, the past only looks.
    ///
    /// With a `nap` it returns after about that time anyway: about, since the selector counts in milliseconds, and
    /// being precise would cost a further system call. May return early without events. This is the one place where a
    /// deadline is waited for.
    pub(crate) fn wait(
        &mut self,
        events: &mut Events,
        deadline: Option<Instant>,
        nap: Option<Duration>,
    ) -> io::Result<()> {
        let result = match (deadline, nap) {
            (None, _) if self.selector.unparked => self.return_unparked(events),
            (None, nap) => self.poll(events, nap),
            (Some(deadline), Some(nap)) if deadline > Instant::now() + nap && !self.selector.unparked => {
                self.poll(events, Some(nap))
            }
            (Some(deadline), _) => self.wait_until(events, deadline),
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    fn wait_until(&mut self, events: &mut Events, deadline: Instant) -> io::Result<()> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self.look(events);
            }
            if self.selector.unparked {
                return self.return_unparked(events);
            }
            match Step::towards(left) {
                Step::Coarse(timeout) => self.poll(events, Some(timeout))?,
                Step::Precise(left) => {
                    if precise::wait(self.selector.poll.registry(), left)? {
                        return self.poll(events, Some(Duration::ZERO));
                    }
                    events.0.clear();
                    return Ok(());
                }
            }
            if !events.0.is_empty() {
                return Ok(());
            }
        }
    }

    /// Takes what is there, without waiting and on behalf of anybody. An unpark that it comes upon is kept for the
    /// next wait.
    pub(crate) fn look(&mut self, events: &mut Events) -> io::Result<()> {
        self.poll(events, Some(Duration::ZERO))?;
        self.selector.unparked |= events.0.iter().any(|event| event.token() == UNPARK);
        Ok(())
    }

    /// A wait that is over at once, because of an unpark that a look has taken.
    fn return_unparked(&mut self, events: &mut Events) -> io::Result<()> {
        self.selector.unparked = false;
        self.poll(events, Some(Duration::ZERO))
    }

    fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        self.selector.poll.poll(&mut events.0, timeout)
    }
}

impl Events {
    /// Room for as many events as one look can bring.
    pub(crate) fn new() -> Self {
        Self(mio::Events::with_capacity(CAPACITY))
    }

    /// Whether there is nothing to dispatch, not even an unpark.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn flags(event: &mio::event::Event) -> Flags {
    Flags::NONE
        .with(Flags::READABLE, event.is_readable())
        .with(Flags::WRITABLE, event.is_writable())
        .with(Flags::READ_CLOSED, event.is_read_closed())
        .with(Flags::WRITE_CLOSED, event.is_write_closed())
        .with(Flags::ERROR, event.is_error())
        .with(Flags::URGENT, event.is_priority())
}

/// The token of [`Reactor::unpark`]; no registration's.
const UNPARK: Token = Token(usize::MAX);

/// Events of one look. More wait in the kernel for the next.
const CAPACITY: usize = 1024;
