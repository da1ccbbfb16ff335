//! Loom models of the tree: wakes of frames against the run of their root, its end and its hand-overs, on real frames in
//! real tasks.
//!
//! The executor is the queue of the [task's models](crate::task::model). What a wake publishes is checked through data that only
//! `Relaxed` accesses touch. That nothing leaks, is dropped twice or used late is checked by loom's `Arc` in each future, by the
//! memory of [`stand_in`](crate::frame), and by the cells of each header, which a frame's end writes to.
//!
//! Each model has been seen to fail on a broken variant; those are kept as `tree-*.patch` in `ci/mutants`.
#![expect(unsafe_code, reason = "scoped threads, which loom has not, and lists of frames without their tree")]

mod end;
mod orphan;
mod ready;
mod root;
mod shared;
mod transfer;
mod wake;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::ptr::NonNull;
use std::task::Waker;

use loom::thread;

use super::{Lazy, lazy};
use crate::primitive::sync::atomic::Ordering;
use crate::primitive::sync::{Arc, PlainArc};
use crate::task::JoinHandle;
use crate::task::model::{Books, Count, Output, PlainMutex, Queue, Until};

/// What a model remembers about a root.
struct RootBooks {
    polls: Count,
    /// The root's own wakers that its first poll has left for the model.
    wakers: PlainMutex<Vec<Waker>>,
}

impl RootBooks {
    fn new() -> PlainArc<Self> {
        PlainArc::new(Self { polls: Count::new(0), wakers: PlainMutex::default() })
    }

    fn polls(&self) -> usize {
        self.polls.load(Ordering::Relaxed)
    }

    /// Leaves a waker for the model.
    fn keep(&self, waker: Waker) {
        self.wakers.lock().unwrap().push(waker);
    }

    fn waker(&self) -> Waker {
        self.wakers.lock().unwrap().pop().expect("the first poll left enough")
    }
}

/// Awaits a frame, and keeps books of its own polls; the first one leaves so many wakers.
async fn await_frame<T>(books: PlainArc<RootBooks>, mut wakers: usize, frame: Lazy<'static, T>) -> T {
    let mut frame = pin!(frame);
    poll_fn(|cx| {
        books.polls.fetch_add(1, Ordering::Relaxed);
        for _ in 0..std::mem::take(&mut wakers) {
            books.keep(cx.waker().clone());
        }
        let poll = frame.as_mut().poll(cx);
        assert!(poll.is_ready() || frame.is_rooted());
        poll
    })
    .await
}

/// A task whose root awaits one frame; both are idle.
struct Idle {
    frame: Arc<Books>,
    root: PlainArc<RootBooks>,
    handle: JoinHandle<Output>,
}

impl Idle {
    /// The frame waits for `until` signals, and has left so many wakers.
    fn new(queue: &Queue, until: usize, wakers: usize) -> Self {
        Self::with_root_wakers(queue, until, wakers, 0)
    }

    fn with_root_wakers(queue: &Queue, until: usize, wakers: usize, of_root: usize) -> Self {
        let (frame, root) = (Books::new(), RootBooks::new());
        let future = lazy(Until { books: frame.clone(), until, wakers });
        let handle = queue.spawn(await_frame(root.clone(), of_root, future));
        queue.run_all();
        assert_eq!((frame.polls(), root.polls()), (1, 1));
        Self { frame, root, handle }
    }
}

/// Runs `f` on another thread, while the caller does something else, and waits for its end: what `std::thread::scope` is.
///
/// # Safety
///
/// What `f` borrows is there, and not used otherwise, until the result has been joined.
unsafe fn spawn_scoped<'a>(f: impl FnOnce() + 'a) -> thread::JoinHandle<()> {
    let f: Box<dyn FnOnce() + 'a> = Box::new(f);
    let f = NonNull::from(Box::leak(f));
    // SAFETY: the lifetime is the only thing that changes; the caller's promise.
    let f: NonNull<dyn FnOnce()> = unsafe { std::mem::transmute(f) };
    // SAFETY: it is from the box above.
    let f = unsafe { Box::from_raw(f.as_ptr()) };
    thread::spawn(f)
}
