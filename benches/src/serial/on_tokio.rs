//! The ways of tokio's users: its own mutex, a task with a channel, and mutexes that block the thread.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::post::Poster;
use super::sharing::Sharing;
use super::table::Table;
use crate::peer::Tokio;

/// tokio's own mutex, which is fair.
#[derive(Debug, Clone)]
pub(crate) struct AsyncMutex(Arc<tokio::sync::Mutex<Table>>);

impl Sharing for AsyncMutex {
    type Runtime = Tokio;

    fn share(table: Table) -> Self {
        Self(Arc::new(tokio::sync::Mutex::new(table)))
    }

    async fn update(&self, number: u64, rounds: u32) -> u64 {
        self.0.lock().await.update(number, rounds)
    }

    async fn end(self) -> Table {
        self.0.lock().await.clone()
    }
}

/// The mutex of the standard library. It is locked and released within one poll.
#[derive(Debug, Clone)]
pub(crate) struct StdMutex(Arc<Mutex<Table>>);

impl Sharing for StdMutex {
    type Runtime = Tokio;

    fn share(table: Table) -> Self {
        Self(Arc::new(Mutex::new(table)))
    }

    async fn update(&self, number: u64, rounds: u32) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).update(number, rounds)
    }

    async fn end(self) -> Table {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// That of `parking_lot`, in the same way.
#[derive(Debug, Clone)]
pub(crate) struct ParkingLot(Arc<parking_lot::Mutex<Table>>);

impl Sharing for ParkingLot {
    type Runtime = Tokio;

    fn share(table: Table) -> Self {
        Self(Arc::new(parking_lot::Mutex::new(table)))
    }

    async fn update(&self, number: u64, rounds: u32) -> u64 {
        self.0.lock().update(number, rounds)
    }

    async fn end(self) -> Table {
        self.0.lock().clone()
    }
}

/// A task that owns the table. Whoever calls sends it a message with the sender of a `oneshot` for the reply, and awaits that.
#[derive(Debug, Clone)]
pub(crate) struct ActorTask {
    mailbox: mpsc::Sender<Message>,
    task: Arc<JoinHandle<Table>>,
}

#[derive(Debug)]
struct Message {
    number: u64,
    rounds: u32,
    reply: oneshot::Sender<u64>,
}

impl Sharing for ActorTask {
    type Runtime = Tokio;

    fn share(mut table: Table) -> Self {
        let (mailbox, mut messages) = mpsc::channel(MAILBOX_CAPACITY);
        let task = tokio::spawn(async move {
            while let Some(Message { number, rounds, reply }) = messages.recv().await {
                reply.send(table.update(number, rounds)).expect("the caller waits");
            }
            table
        });
        Self { mailbox, task: Arc::new(task) }
    }

    async fn update(&self, number: u64, rounds: u32) -> u64 {
        let (reply, replied) = oneshot::channel();
        self.mailbox.send(Message { number, rounds, reply }).await.expect("the task runs");
        replied.await.expect("the task replies")
    }

    async fn end(self) -> Table {
        drop(self.mailbox);
        let task = Arc::try_unwrap(self.task).expect("all who called have ended");
        task.await.expect("the task does not panic")
    }
}

/// A task that calls what is sent to it, through a channel without a bound, as a strand's queue has none.
#[derive(Debug, Clone)]
pub(crate) struct PostTask(mpsc::UnboundedSender<Item>);

type Item = Box<dyn FnOnce() + Send>;

impl Poster for PostTask {
    type Runtime = Tokio;

    fn make() -> Self {
        let (items, mut queue) = mpsc::unbounded_channel::<Item>();
        tokio::spawn(async move {
            while let Some(item) = queue.recv().await {
                item();
            }
        });
        Self(items)
    }

    fn post(&self, item: impl FnOnce() + Send + 'static) {
        self.0.send(Box::new(item)).expect("the task runs");
    }
}

/// More than there are tasks: nobody waits for room.
const MAILBOX_CAPACITY: usize = 1024;
