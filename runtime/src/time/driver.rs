#![doc = include_str!("README.md")]

use std::pin::Pin;
use std::task::Waker;
use std::time::Instant;

use super::clock::{self, Clock};
use super::wheel::{Batch, Entry, Progress, Wheel};
use crate::primitive::sync::atomic::{AtomicU64, Ordering};
use crate::primitive::sync::{Arc, Mutex};

/// The timers of one worker: a wheel behind a lock, and the tick at which it next wants attention.
pub(crate) struct TimeDriver {
    clock: Clock,
    /// The published deadline: [`NOTHING`], or a tick before which nothing is due. Written under the lock of `wheel`,
    /// read without; it orders nothing, since whoever reads it and sleeps is woken through `unpark`.
    next_tick: AtomicU64,
    shared: Mutex<Shared>,
    unpark: Box<dyn Fn() + Send + Sync>,
}

struct Shared {
    wheel: Wheel,
    closed: bool,
}

/// Published when there are no timers.
const NOTHING: u64 = u64::MAX;

impl TimeDriver {
    /// Makes a driver without timers.
    ///
    /// `unpark` makes whoever sleeps until [`next_deadline`](Self::next_deadline) look at it again. It is called after
    /// the earlier deadline was published, without the lock, and from any thread. If it first asks whether anyone
    /// sleeps, a `SeqCst` fence belongs before that question, and one between the sleeper's announcement and its look
    /// at the deadline.
    pub(crate) fn new(unpark: Box<dyn Fn() + Send + Sync>) -> Arc<Self> {
        Self::starting_at(clock::now(), unpark)
    }

    /// Makes a driver whose tick zero is at `start`.
    pub(super) fn starting_at(start: Instant, unpark: Box<dyn Fn() + Send + Sync>) -> Arc<Self> {
        Arc::new(Self {
            clock: Clock::new(start),
            next_tick: AtomicU64::new(NOTHING),
            shared: Mutex::new(Shared { wheel: Wheel::new(), closed: false }),
            unpark,
        })
    }

    /// The earliest instant at which [`process`](Self::process) may have something to do.
    ///
    /// Never too late; too early where timers were cancelled.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let next_tick = self.next_tick.load(Ordering::Relaxed);
        (next_tick != NOTHING).then(|| self.clock.instant_of(next_tick))
    }

    /// Fires what is due and returns how many timers that were.
    ///
    /// Any thread may call it. It costs one load and a comparison when nothing is due.
    #[inline]
    pub(crate) fn process(&self, now: Instant) -> usize {
        let next_tick = self.next_tick.load(Ordering::Relaxed);
        if next_tick == NOTHING {
            return 0;
        }
        let now_tick = self.clock.tick_at(now);
        if now_tick < next_tick { 0 } else { self.expire(now_tick) }
    }

    /// Ends the service: timers are woken without having fired, and look for another driver when they are polled.
    pub(crate) fn close(&self) {
        self.drain(|shared, batch| {
            shared.closed = true;
            shared.wheel.close(batch)
        });
    }

    /// Adds an entry that is in no wheel, or returns its waker if the driver is closed.
    ///
    /// `now` is the present or shortly before.
    pub(super) fn insert(
        &self,
        entry: Pin<&mut Entry>,
        deadline: Instant,
        now: Instant,
        waker: Waker,
    ) -> Result<(), Waker> {
        let due_tick = self.clock.tick_of(deadline);
        let now_tick = self.clock.tick_at(now);
        let mut shared = self.shared.lock();
        if shared.closed {
            return Err(waker);
        }
        shared.wheel.insert(entry, due_tick, now_tick, waker);
        let is_earlier = self.publish_earlier(due_tick);
        drop(shared);
        if is_earlier {
            (self.unpark)();
        }
        Ok(())
    }

    /// Moves an entry of this wheel to another deadline; false if it fired (or the driver closed) before.
    pub(super) fn reset(&self, mut entry: Pin<&mut Entry>, deadline: Instant) -> bool {
        let due_tick = self.clock.tick_of(deadline);
        let mut shared = self.shared.lock();
        let Some(waker) = shared.wheel.remove(entry.as_mut()) else { return false };
        // The present is not known here; the wheel only files the entry higher than it could.
        shared.wheel.insert(entry, due_tick, 0, waker);
        let is_earlier = self.publish_earlier(due_tick);
        drop(shared);
        if is_earlier {
            (self.unpark)();
        }
        true
    }

    /// Exchanges the waker of an entry of this wheel; false if it fired (or the driver closed) before.
    pub(super) fn set_waker(&self, entry: Pin<&mut Entry>, waker: Waker) -> bool {
        // The guard is gone at the end of this line, and the waker that is not needed any more dies after it.
        let exchanged = self.shared.lock().wheel.set_waker(entry, waker);
        exchanged.is_ok()
    }

    /// Takes an entry out of this wheel, unless it fired (or the driver closed) before.
    ///
    /// The published deadline stays: at worst one early look at the wheel, and a timer that is made and cancelled over
    /// and over again does not make its worker recompute its sleep each time.
    pub(super) fn cancel(&self, entry: Pin<&mut Entry>) {
        let waker = self.shared.lock().wheel.remove(entry);
        drop(waker);
    }

    #[cold]
    fn expire(&self, now_tick: u64) -> usize {
        self.drain(|shared, batch| shared.wheel.expire(now_tick, batch))
    }

    /// Takes wakers out under the lock and wakes them without it, until `take` has no more.
    fn drain(&self, mut take: impl FnMut(&mut Shared, &mut Batch) -> Progress) -> usize {
        let mut batch = Batch::new();
        let mut count = 0;
        loop {
            let mut shared = self.shared.lock();
            let progress = take(&mut shared, &mut batch);
            self.next_tick.store(shared.wheel.next_tick().unwrap_or(NOTHING), Ordering::Relaxed);
            drop(shared);
            count += batch.wake_all();
            if progress == Progress::Done {
                return count;
            }
        }
    }

    /// Publishes a deadline if it is earlier than the published one, under the lock.
    fn publish_earlier(&self, due_tick: u64) -> bool {
        let is_earlier = due_tick < self.next_tick.load(Ordering::Relaxed);
        if is_earlier {
            self.next_tick.store(due_tick, Ordering::Relaxed);
        }
        is_earlier
    }
}

impl std::fmt::Debug for TimeDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimeDriver").field("next_deadline", &self.next_deadline()).finish_non_exhaustive()
    }
}
