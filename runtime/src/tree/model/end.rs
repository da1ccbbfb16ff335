//! The end of a tree × wakes of its frames.

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use loom::thread;

use super::{Idle, RootBooks};
use crate::primitive::explore::explore;
use crate::primitive::sync::{Arc, PlainArc};
use crate::task::model::{Books, Queue, Until, shut_down};
use crate::tree::{Lazy, lazy};

/// Shutdown × wakes of both kinds: what is pushed too late is refused, and all is freed.
#[test]
fn a_tree_that_has_ended_refuses_frames() {
    explore(3, || {
        let queue = Queue::new();
        let Idle { frame, handle, .. } = Idle::new(&queue, 1, 2);
        let abort = handle.abort_handle();
        drop(handle);
        let by_ref = thread::spawn({
            let waker = frame.waker();
            move || waker.wake_by_ref()
        });
        let by_value = thread::spawn({
            let waker = frame.waker();
            move || waker.wake()
        });
        let _ = shut_down(&abort);
        queue.drop_all();
        by_ref.join().unwrap();
        by_value.join().unwrap();
        queue.drop_all();
        assert!(abort.is_finished(), "the task got away");
        assert_eq!((frame.polls(), frame.futures_dropped()), (1, 1));
    });
}

/// Starts a frame, and is ready when it is polled again.
async fn start_and_leave(root: PlainArc<RootBooks>, frame: Arc<Books>) {
    let mut frame = pin!(lazy(Until { books: frame, until: 1, wakers: 1 }));
    let mut started = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut started, true) {
            return Poll::Ready(());
        }
        root.keep(cx.waker().clone());
        assert!(frame.as_mut().poll(cx).is_pending());
        assert!(frame.is_rooted());
        Poll::Pending
    })
    .await;
}

/// Completion × wake: the root's own future is ready while its frame is not.
#[test]
fn a_root_ends_before_its_frame() {
    explore(5, || {
        let queue = Queue::new();
        let (root, frame) = (RootBooks::new(), Books::new());
        let handle = queue.spawn(start_and_leave(root.clone(), frame.clone()));
        queue.run_all();
        let waker = frame.waker();
        let waking = thread::spawn({
            let frame = frame.clone();
            move || frame.raise(|| waker.wake())
        });
        let abort = handle.abort_handle();
        drop(handle);
        root.waker().wake();
        queue.run_all();
        waking.join().unwrap();
        queue.run_all();
        assert!(abort.is_finished(), "the wake was lost");
        assert_eq!((frame.futures_dropped(), frame.outputs_dropped()), (1, frame.polls() - 1));
    });
}

/// Wakes itself in its first poll, and goes on waiting.
struct WakeSelf;

impl Future for WakeSelf {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        waker.wake();
        Poll::Pending
    }
}

/// Polls a lazy when it is dropped, with a waker that it has kept.
struct PollWhenDropped<'a> {
    lazy: Pin<&'a mut Lazy<'static, ()>>,
    waker: Waker,
}

impl Drop for PollWhenDropped<'_> {
    fn drop(&mut self) {
        assert!(self.lazy.as_mut().poll(&mut Context::from_waker(&self.waker)).is_pending());
    }
}

/// A future that is being dropped starts a lazy, whose wake must not be kept in a list that nobody reads any more.
#[test]
fn what_starts_while_its_task_is_dropped_does_not_stay() {
    explore(1, || {
        let queue = Queue::new();
        let handle = queue.spawn(async {
            let lazy = pin!(lazy(WakeSelf));
            let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            let _guard = PollWhenDropped { lazy, waker };
            pending::<()>().await;
        });
        queue.run_all();
        let _ = shut_down(&handle.abort_handle());
    });
}
