//! The reactor under loom: the same slab, and a queue of made-up events in place of a selector.

use std::io;
use std::time::{Duration, Instant};

use super::slab::{Key, Slab};
use super::snapshot::Flags;
use crate::primitive::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Stands for the reactor of a worker.
#[derive(Debug)]
pub(crate) struct Reactor {
    poll: Mutex<()>,
    pending: Mutex<Pending>,
    arrived: Condvar,
    slab: Slab,
}

/// The exclusive right to poll a reactor.
#[derive(Debug)]
pub(crate) struct Driver<'a> {
    reactor: &'a Reactor,
    _poll: MutexGuard<'a, ()>,
}

/// Events taken from a reactor and not yet dispatched.
#[derive(Debug)]
pub(crate) struct Events(Pending);

#[derive(Debug, Default)]
struct Pending {
    unparked: bool,
    events: Vec<(usize, Flags)>,
}

impl Reactor {
    pub(crate) fn new(_index: usize) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            poll: Mutex::new(()),
            pending: Mutex::new(Pending::default()),
            arrived: Condvar::default(),
            slab: Slab::new(),
        }))
    }

    pub(crate) fn try_lock(&self) -> Option<Driver<'_>> {
        Some(Driver { _poll: self.poll.try_lock()?, reactor: self })
    }

    pub(crate) fn unpark(&self) {
        self.pending.lock().unparked = true;
        self.arrived.notify_one();
    }

    pub(crate) fn registered(&self) -> usize {
        self.slab.live()
    }

    pub(crate) fn dispatch(&self, events: &mut Events) -> usize {
        let events = std::mem::take(&mut events.0).events;
        events.into_iter().filter(|&(token, flags)| self.slab.deliver(token, flags)).count()
    }

    pub(crate) fn close(&self) {
        self.slab.shut_down();
        self.unpark();
    }

    /// What the kernel does when a source becomes ready.
    pub(super) fn raise(&self, key: Key, flags: Flags) {
        self.pending.lock().events.push((key.to_bits(), flags));
        self.arrived.notify_one();
    }

    pub(super) fn slab(&self) -> &Slab {
        &self.slab
    }
}

impl Driver<'_> {
    /// Waits for an event or an unpark. There is no time in a model: with a deadline it only looks, and a nap, whose end
    /// must not be what saves a wake, never ends.
    pub(crate) fn wait(
        &mut self,
        events: &mut Events,
        deadline: Option<Instant>,
        _nap: Option<Duration>,
    ) -> io::Result<()> {
        self.take(events, deadline.is_some());
        Ok(())
    }

    /// Takes what is there.
    pub(crate) fn look(&mut self, events: &mut Events) -> io::Result<()> {
        self.take(events, true);
        Ok(())
    }

    fn take(&self, events: &mut Events, looks: bool) {
        let mut pending = self.reactor.pending.lock();
        while !looks && pending.events.is_empty() && !pending.unparked {
            pending = self.reactor.arrived.wait(&self.reactor.pending, pending);
        }
        events.0 = std::mem::take(&mut pending);
        // As with a selector: who only looks leaves the unpark to who waits.
        pending.unparked = events.0.unparked && looks;
    }
}

impl Events {
    pub(crate) fn new() -> Self {
        Self(Pending::default())
    }
}
