//! Join × completion.

use std::task::Poll;

use loom::thread;

use super::{Joiner, Queue, idle_task};
use crate::primitive::explore::explore;

/// The joiner is woken by the completion, or finds it, and gets the output.
#[test]
fn a_joiner_gets_the_output() {
    explore(5, || {
        let queue = Queue::new();
        let (books, mut handle) = idle_task(&queue, 1, 1);
        let waker = books.waker();
        books.raise(|| waker.wake());
        let joiner = thread::spawn(move || {
            let output =
                Joiner::new().join(&mut handle).unwrap_or_else(|_| unreachable!("it was not aborted"));
            assert_eq!(output.0.outputs_dropped(), 0);
        });
        queue.run_all();
        joiner.join().unwrap();
        assert_eq!((books.futures_dropped(), books.outputs_dropped()), (1, 1));
    });
}

/// A handle that goes from one joiner to another: the last one to poll is woken.
#[test]
fn the_last_joiner_is_woken() {
    explore(5, || {
        let queue = Queue::new();
        let (books, mut handle) = idle_task(&queue, 1, 1);
        let waker = books.waker();
        books.raise(|| waker.wake());
        let joiner = thread::spawn(move || {
            if Joiner::new().poll(&mut handle).is_pending() {
                let second = Joiner::new();
                drop(second.join(&mut handle));
            }
        });
        queue.run_all();
        joiner.join().unwrap();
        assert_eq!((books.futures_dropped(), books.outputs_dropped()), (1, 1));
    });
}

/// A handle is dropped, having been polled or not, while the task completes: the output and the join waker are dropped
/// once, by one of the two.
#[test]
fn a_handle_is_dropped_while_the_task_completes() {
    for polled in [false, true] {
        explore(5, move || {
            let queue = Queue::new();
            let (books, mut handle) = idle_task(&queue, 1, 1);
            let (waker, joiner) = (books.waker(), Joiner::new());
            books.raise(|| waker.wake());
            if polled {
                assert!(joiner.poll(&mut handle).is_pending());
            }
            let dropping = thread::spawn(move || drop(handle));
            queue.run_all();
            dropping.join().unwrap();
            assert_eq!((books.futures_dropped(), books.outputs_dropped()), (1, 1));
            assert_eq!(crate::primitive::sync::PlainArc::strong_count(&joiner), 1, "no waker is kept");
        });
    }
}

/// The same, with the poll and the drop both racing.
#[test]
fn a_handle_is_polled_and_dropped_while_the_task_completes() {
    explore(5, || {
        let queue = Queue::new();
        let (books, mut handle) = idle_task(&queue, 1, 1);
        let waker = books.waker();
        books.raise(|| waker.wake());
        let joiner = Joiner::new();
        let joining = thread::spawn({
            let joiner = joiner.clone();
            move || match joiner.poll(&mut handle) {
                Poll::Ready(output) => drop(output),
                Poll::Pending => drop(handle),
            }
        });
        queue.run_all();
        joining.join().unwrap();
        assert_eq!((books.futures_dropped(), books.outputs_dropped()), (1, 1));
        assert_eq!(crate::primitive::sync::PlainArc::strong_count(&joiner), 1, "no waker is kept");
    });
}
