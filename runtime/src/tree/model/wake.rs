//! Wake × poll × the end of the frame and its task.
#![expect(unsafe_code, reason = "scoped threads")]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use loom::thread;

use super::{Idle, RootBooks, await_frame, spawn_scoped};
use crate::primitive::explore::explore;
use crate::primitive::sync::Arc;
use crate::task::model::{Books, Queue, Until};
use crate::tree::lazy;

/// Two wakers of both kinds, while the task is run: whatever was done before a wake is seen by a later poll of the frame, and
/// the root is polled for nothing but its end.
#[test]
fn a_wake_leads_to_a_poll_that_sees_what_came_before() {
    explore(3, || {
        let queue = Queue::new();
        let Idle { frame, root, handle } = Idle::new(&queue, 2, 2);
        let by_ref = thread::spawn({
            let (frame, waker) = (frame.clone(), frame.waker());
            move || frame.raise(|| waker.wake_by_ref())
        });
        let by_value = thread::spawn({
            let (frame, waker) = (frame.clone(), frame.waker());
            move || frame.raise(|| waker.wake())
        });
        queue.run_all();
        by_ref.join().unwrap();
        by_value.join().unwrap();
        queue.run_all();
        assert!(handle.is_finished(), "a wake was lost");
        assert!(frame.polls() <= 3, "a poll that nobody asked for");
        assert_eq!(root.polls(), 2, "the root is polled for the frame's end alone");
        drop(handle);
        assert_eq!((frame.futures_dropped(), frame.outputs_dropped()), (1, 1));
    });
}

/// A wake publishes to the coming poll also when the frame is queued already.
#[test]
fn a_wake_that_finds_the_frame_queued_publishes_too() {
    for by_ref in [false, true] {
        explore(4, move || {
            let queue = Queue::new();
            let Idle { frame, handle, .. } = Idle::new(&queue, 2, 2);
            let (first, second) = (frame.waker(), frame.waker());
            frame.raise(|| first.wake());
            let other = thread::spawn({
                let frame = frame.clone();
                move || {
                    frame.raise(|| if by_ref { second.wake_by_ref() } else { second.wake() });
                }
            });
            queue.run_all();
            other.join().unwrap();
            queue.run_all();
            assert!(handle.is_finished(), "a wake was lost");
        });
    }
}

/// A frame is woken while the end of its child leads to its poll: what was done before the wake is seen by that poll, or by another.
#[test]
fn a_parent_is_woken_while_its_child_ends() {
    explore(4, || {
        let queue = Queue::new();
        let (parent, child) = (Books::new(), Books::new());
        let below = lazy(Until { books: child.clone(), until: 1, wakers: 1 });
        let own = Until { books: parent.clone(), until: 1, wakers: 1 };
        let both = lazy(futures_util::future::join(own, below));
        let handle = queue.spawn(await_frame(RootBooks::new(), 0, both));
        queue.run_all();
        let (of_parent, of_child) = (parent.waker(), child.waker());
        child.raise(|| of_child.wake());
        let running = thread::spawn({
            let queue = queue.clone();
            move || queue.run_all()
        });
        parent.raise(|| of_parent.wake());
        running.join().unwrap();
        queue.run_all();
        assert!(handle.is_finished(), "a wake was lost");
    });
}

/// Wakers are cloned, woken and dropped while frame and task end and the handle goes: the last one frees the frame, once, and then
/// the task.
#[test]
fn wakers_may_outlive_the_frame_and_its_task() {
    explore(2, || {
        let queue = Queue::new();
        let Idle { frame, handle, .. } = Idle::new(&queue, 1, 3);
        let (first, second, third) = (frame.waker(), frame.waker(), frame.waker());
        frame.raise(|| first.wake());
        let waking = thread::spawn(move || second.wake());
        let dropping = thread::spawn(move || drop(third.clone()));
        queue.run_all();
        drop(handle);
        waking.join().unwrap();
        dropping.join().unwrap();
        queue.run_all();
        assert_eq!((frame.futures_dropped(), frame.outputs_dropped()), (1, 1));
    });
}

/// A waker that is used up holds its frame, and by that the root, until it has scheduled the root: meanwhile a run for the root's
/// own sake may take the frame, and end everything.
#[test]
fn a_waker_holds_its_frame_until_the_root_is_scheduled() {
    explore(5, || {
        let queue = Queue::new();
        let Idle { frame, root, handle } = Idle::with_root_wakers(&queue, 1, 1, 1);
        drop(handle);
        let waker = frame.waker();
        root.waker().wake();
        let waking = thread::spawn({
            let frame = frame.clone();
            move || frame.raise(|| waker.wake())
        });
        queue.run_all();
        waking.join().unwrap();
        queue.run_all();
        assert_eq!((frame.futures_dropped(), frame.outputs_dropped()), (1, 1));
    });
}

/// Lends its waker to two threads at once in its first poll, each of which clones it and uses the clone later.
struct LendWaker {
    books: Arc<Books>,
    lent: bool,
}

impl Future for LendWaker {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !std::mem::replace(&mut self.lent, true) {
            let books = &self.books;
            let waker = cx.waker();
            // SAFETY: both are joined before the poll ends.
            let threads = [(); 2].map(|()| unsafe {
                spawn_scoped(|| {
                    let mine = waker.clone();
                    books.keep(mine);
                })
            });
            for thread in threads {
                thread.join().unwrap();
            }
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

/// The first two wakers are cloned at once: the frame holds its root once, until the last of them is gone.
#[test]
fn two_first_clones_hold_the_root_once() {
    explore(5, || {
        let queue = Queue::new();
        let books = Books::new();
        let future = lazy(LendWaker { books: books.clone(), lent: false });
        let handle = queue.spawn(await_frame(RootBooks::new(), 0, future));
        queue.run_all();
        let (first, second) = (books.waker(), books.waker());
        first.wake();
        queue.run_all();
        assert!(handle.is_finished());
        drop(handle);
        // The task is still there for this one.
        second.wake();
    });
}
