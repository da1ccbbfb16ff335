//! Locks and channels between tasks: the primitives of tokio, whose waits are those of tress.
//!
//! What stands behind all of them is the crate [`tokio`](https://docs.rs/tokio/1/tokio/sync/) with nothing but its feature
//! `sync`, which needs no runtime of tokio: they work in tasks of tress, on any other executor, and between the two. Names and
//! meanings are tokio's; its pages say more about each.
//!
//! What is added is the way in which they wait. Each operation here that waits is a [leaf](crate::leaf): it is ended
//! by the [stop token](crate::env) that its environment has, it spends the task's [budget](crate::task::coop), and a
//! [dump](crate::trace) says what it waits for, since when, and at which line. To be stopped is for it as to be dropped: see *Cancel safety*.
//! It does nothing before it is first polled, so that one that is not let go ahead has taken nothing.
//!
//! | here | what it is for | what stands behind it | what differs |
//! |---|---|---|---|
//! | [`Mutex`] | one at a time | [`tokio::sync::Mutex`] | |
//! | [`RwLock`] | one writer or many readers | [`tokio::sync::RwLock`] | |
//! | [`Semaphore`] | so many at a time | [`tokio::sync::Semaphore`] | [`OwnedSemaphorePermit`] is of this crate |
//! | [`Notify`] | waking, without a value | [`tokio::sync::Notify`] | [`Notified`] is of this crate; no `notified_owned` |
//! | [`Barrier`] | meeting | [`tokio::sync::Barrier`] | |
//! | [`OnceCell`] | a value that the first who needs it makes | [`tokio::sync::OnceCell`] | |
//! | [`oneshot`] | one value, once | [`tokio::sync::oneshot`] | |
//! | [`mpsc`] | many values, from many to one | [`tokio::sync::mpsc`] | receivers are streams; no `send_timeout` |
//! | [`broadcast`] | many values, each to all | [`tokio::sync::broadcast`] | |
//! | [`watch`] | the latest value | [`tokio::sync::watch`] | |
//!
//! Guards, permits that borrow, and errors are tokio's own types, re-exported; where one of them leads back to what it belongs to, as
//! [`MutexGuard::mutex`] does, that is tokio's type as well. A guard borrows its lock, so a task that is to lock by itself has the lock's
//! `Arc` moved into it; one that is handed a guard gets one that keeps the `Arc`, such as that of [`lock_owned`](Mutex::lock_owned):
//!
//! ```
//! use std::sync::Arc;
//! use tress::sync::Mutex;
//!
//! # #[tress::main(worker_threads = 1)]
//! # async fn main() {
//! let log = Arc::new(Mutex::new(Vec::new()));
//! let task = tress::spawn({
//!     let log = Arc::clone(&log);
//!     async move { log.lock().await.push("from the task") }
//! });
//! task.await.unwrap();
//! let mut guard = Arc::clone(&log).lock_owned().await;
//! tress::spawn(async move { guard.push("from another") }).await.unwrap();
//! assert_eq!(*log.lock().await, ["from the task", "from another"]);
//! # }
//! ```
//!
//! # Blocking
//!
//! Functions whose names begin with `blocking_` block the thread until they are done. In a task, that would hold up every other one of its
//! worker: they panic there, as [`block_on`](crate::Handle::block_on) does, unless the call is wrapped in
//! [`block_in_place`](crate::task::block_in_place) or made by [`spawn_blocking`](crate::task::spawn_blocking). They also panic inside a
//! runtime of tokio.
//!
//! # Which one
//!
//! A lock that is never held across an `.await` may be [`std::sync::Mutex`], which is cheaper. A value that only one task changes is better
//! given to that task, and asked for through a channel.

mod barrier;
pub mod broadcast;
mod inner_arc;
pub mod mpsc;
mod mutex;
mod notify;
mod once_cell;
pub mod oneshot;
mod rwlock;
mod semaphore;
mod wait;
pub mod watch;

pub use self::barrier::Barrier;
pub use self::mutex::Mutex;
pub use self::notify::{Notified, Notify};
pub use self::once_cell::OnceCell;
pub use self::rwlock::RwLock;
pub use self::semaphore::{OwnedSemaphorePermit, Semaphore};
pub use tokio::sync::{
    AcquireError, BarrierWaitResult, MappedMutexGuard, MutexGuard, OwnedMappedMutexGuard, OwnedMutexGuard,
    OwnedRwLockMappedWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLockMappedWriteGuard,
    RwLockReadGuard, RwLockWriteGuard, SemaphorePermit, SetError, TryAcquireError, TryLockError,
};
