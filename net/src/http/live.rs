//! The connections of one server: how many there are, and the phase that they are told of.
//!
//! One lock guards the table. It is taken when a connection begins and ends and when the phase changes, never for a
//! request. Invariant: a connection that has stored its waker learns of every later phase change; nothing is woken or
//! dropped under the lock.

use std::mem;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What the connections of a server are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Serve.
    Serving,
    /// Finish the request that is in flight, if there is one, then close.
    Draining,
    /// Close at once.
    Closing,
}

/// The table of a server's live connections.
#[derive(Debug)]
pub(crate) struct Connections {
    /// A [`Phase`]; written under the lock only. A reader that stored its waker before gets a wake for what it missed.
    phase: AtomicU8,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    slots: Vec<Slot>,
    /// The head of the list of free slots.
    free: Option<usize>,
    live: usize,
    /// The accept loop, while it waits for connections to end.
    waiting: Option<Waker>,
}

#[derive(Debug)]
enum Slot {
    Free { next: Option<usize> },
    Live(Option<Waker>),
}

impl Connections {
    pub(crate) fn new() -> Arc<Self> {
        let table = Table { slots: Vec::new(), free: None, live: 0, waiting: None };
        Arc::new(Self { phase: AtomicU8::new(Phase::Serving as u8), table: Mutex::new(table) })
    }

    /// Enters a connection, until the returned value is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Live {
        let mut table = self.lock();
        table.live += 1;
        let slot = match table.free {
            Some(slot) => {
                let Slot::Free { next } = mem::replace(&mut table.slots[slot], Slot::Live(None)) else {
                    unreachable!("the list of free slots holds free slots");
                };
                table.free = next;
                slot
            }
            None => {
                table.slots.push(Slot::Live(None));
                table.slots.len() - 1
            }
        };
        drop(table);
        Live { connections: Arc::clone(self), slot }
    }

    pub(crate) fn live(&self) -> usize {
        self.lock().live
    }

    /// Moves on to a later phase and wakes every connection; going back is ignored.
    pub(crate) fn advance(&self, phase: Phase) {
        let mut table = self.lock();
        if self.phase() >= phase {
            return;
        }
        // Release pairs with the Acquire in `phase`.
        self.phase.store(phase as u8, Ordering::Release);
        let wakers: Vec<Waker> = table
            .slots
            .iter_mut()
            .filter_map(|slot| match slot {
                Slot::Live(waker) => waker.clone(),
                Slot::Free { .. } => None,
            })
            .collect();
        drop(table);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn phase(&self) -> Phase {
        // Acquire pairs with the Release in `advance`.
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            _ => Phase::Closing,
        }
    }

    /// Waits until fewer than `limit` connections are live. Only one task waits.
    pub(crate) fn poll_below(&self, cx: &mut Context<'_>, limit: usize) -> Poll<()> {
        let mut table = self.lock();
        if table.live < limit {
            return Poll::Ready(());
        }
        let former = table.waiting.replace(cx.waker().clone());
        drop(table);
        drop(former);
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of one live connection.
#[derive(Debug)]
pub(crate) struct Live {
    connections: Arc<Connections>,
    slot: usize,
}

impl Live {
    /// Stores the task that is to hear of later phases.
    pub(crate) fn store_waker(&self, waker: &Waker) {
        let mut table = self.connections.lock();
        let former = mem::replace(&mut table.slots[self.slot], Slot::Live(Some(waker.clone())));
        drop(table);
        drop(former);
    }

    pub(crate) fn phase(&self) -> Phase {
        self.connections.phase()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let mut table = self.connections.lock();
        let next = table.free.replace(self.slot);
        let former = mem::replace(&mut table.slots[self.slot], Slot::Free { next });
        table.live -= 1;
        let waiting = table.waiting.take();
        drop(table);
        drop(former);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}
