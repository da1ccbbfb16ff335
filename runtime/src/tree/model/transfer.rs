//! A task that ends hands over to its joiner × whatever else happens to the joiner.

use std::future::poll_fn;
use std::task::Poll;

use loom::thread;

use super::{RootBooks, await_frame};
use crate::primitive::explore::explore;
use crate::primitive::sync::{Arc, PlainArc};
use crate::task::JoinHandle;
use crate::task::model::{Books, Queue, Until, shut_down};
use crate::tree::lazy;

/// A task that is about to end, and one that waits for it: in its own future, or in a frame below.
struct Pair {
    target: Arc<Books>,
    /// What the joiner's future that waits has left.
    joiner: PlainArc<RootBooks>,
    /// Keeps the joiner, unless the model has dropped it.
    handle: Option<JoinHandle<()>>,
}

const BY_TASK_AND_FRAME: [bool; 2] = [false, true];

/// Leaves a waker, and waits for a task.
async fn join<T>(books: PlainArc<RootBooks>, target: JoinHandle<T>) {
    poll_fn(|cx| {
        books.keep(cx.waker().clone());
        Poll::Ready(())
    })
    .await;
    assert!(target.await.is_ok(), "the task ends by itself");
}

impl Pair {
    fn new(queue: &Queue, in_frame: bool) -> Self {
        let (target, joiner) = (Books::new(), RootBooks::new());
        let ending = queue.spawn(Until { books: target.clone(), until: 1, wakers: 1 });
        let waiting = join(joiner.clone(), ending);
        let handle = if in_frame {
            queue.spawn(await_frame(RootBooks::new(), 0, lazy(waiting)))
        } else {
            queue.spawn(waiting)
        };
        queue.run_all();
        let waker = target.waker();
        target.raise(|| waker.wake());
        Self { target, joiner, handle: Some(handle) }
    }

    fn assert_ended(&self) {
        assert!(self.handle.as_ref().is_none_or(JoinHandle::is_finished), "the joiner was forgotten");
        assert_eq!((self.target.futures_dropped(), self.target.outputs_dropped()), (1, 1));
    }
}

/// Who ends on a thread of the executor hands the joiner over, instead of queueing it.
#[test]
fn the_joiner_is_handed_over() {
    for in_frame in BY_TASK_AND_FRAME {
        explore(1, move || {
            let queue = Queue::new();
            let pair = Pair::new(&queue, in_frame);
            let target = queue.pop().expect("it was woken");
            let transfer = queue.as_worker(|| target.execute()).expect("the joiner waits");
            assert!(queue.pop().is_none(), "the joiner was queued as well");
            assert!(queue.as_worker(|| transfer.into_runnable().execute()).is_none());
            pair.assert_ended();
            drop(pair.joiner.waker());
        });
    }
}

/// The joiner is aborted, woken or shut down meanwhile: it is run once at a time, and ends.
fn another_comes_to_the_joiner(
    preemptions: usize,
    other: impl Fn(&mut Pair) -> Box<dyn FnOnce()> + Send + Sync + 'static + Copy,
) {
    for in_frame in BY_TASK_AND_FRAME {
        for transfer_is_dropped in [false, true] {
            explore(preemptions, move || {
                let queue = Queue::new();
                let mut pair = Pair::new(&queue, in_frame);
                let meanwhile = thread::spawn(other(&mut pair));
                let working = thread::spawn({
                    let queue = queue.clone();
                    move || queue.work()
                });
                if let Some(runnable) = queue.pop() {
                    let transfer = queue.as_worker(|| runnable.execute());
                    if transfer_is_dropped {
                        drop(transfer);
                    } else if let Some(transfer) = transfer {
                        assert!(queue.as_worker(|| transfer.into_runnable().execute()).is_none());
                    }
                }
                meanwhile.join().unwrap();
                working.join().unwrap();
                queue.work();
                pair.assert_ended();
            });
        }
    }
}

#[test]
fn a_hand_over_races_with_an_abort() {
    another_comes_to_the_joiner(3, |pair| {
        drop(pair.joiner.waker());
        let handle = pair.handle.as_ref().expect("it has not been dropped");
        let abort = handle.abort_handle();
        Box::new(move || abort.abort())
    });
}

#[test]
fn a_hand_over_races_with_a_wake() {
    another_comes_to_the_joiner(2, |pair| {
        let waker = pair.joiner.waker();
        Box::new(move || waker.wake())
    });
}

#[test]
fn a_hand_over_races_with_a_shutdown() {
    another_comes_to_the_joiner(3, |pair| {
        drop(pair.joiner.waker());
        // Nobody else keeps the joiner.
        let handle = pair.handle.take().expect("it has not been dropped");
        let abort = handle.abort_handle();
        drop(handle);
        Box::new(move || {
            let _ = shut_down(&abort);
        })
    });
}
