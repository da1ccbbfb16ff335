//! Wake × poll × the end of the task.

use loom::thread;

use super::{Queue, idle_task};
use crate::primitive::explore::explore;

/// Two wakers of both kinds, while the task is polled: whatever was done before a wake is seen by a later poll.
#[test]
fn a_wake_leads_to_a_poll_that_sees_what_came_before() {
    explore(5, || {
        let queue = Queue::new();
        let (books, handle) = idle_task(&queue, 2, 2);
        let by_ref = thread::spawn({
            let (books, waker) = (books.clone(), books.waker());
            move || {
                books.raise(|| waker.wake_by_ref());
            }
        });
        let by_value = thread::spawn({
            let (books, waker) = (books.clone(), books.waker());
            move || books.raise(|| waker.wake())
        });
        queue.run_all();
        by_ref.join().unwrap();
        by_value.join().unwrap();
        queue.run_all();
        assert!(handle.is_finished(), "a wake was lost");
        assert!(books.polls() <= 3, "a poll that nobody asked for");
        assert_eq!((books.futures_dropped(), books.outputs_dropped()), (1, 0));
        drop(handle);
        assert_eq!((books.futures_dropped(), books.outputs_dropped()), (1, 1));
    });
}

/// A wake publishes to the coming poll also when the task is queued already.
#[test]
fn a_wake_that_finds_the_task_queued_publishes_too() {
    explore(5, || {
        let queue = Queue::new();
        let (books, handle) = idle_task(&queue, 2, 2);
        let (first, second) = (books.waker(), books.waker());
        books.raise(|| first.wake());
        let other = thread::spawn({
            let books = books.clone();
            move || books.raise(|| second.wake_by_ref())
        });
        queue.run_all();
        other.join().unwrap();
        queue.run_all();
        assert!(handle.is_finished(), "a wake was lost");
    });
}

/// A waker is cloned, woken and dropped while the task ends and its handle goes: the last one frees the frame, once.
#[test]
fn wakers_may_outlive_the_task() {
    explore(5, || {
        let queue = Queue::new();
        let (books, handle) = idle_task(&queue, 1, 3);
        let (first, second, third) = (books.waker(), books.waker(), books.waker());
        books.raise(|| first.wake());
        let waking = thread::spawn(move || second.wake());
        let dropping = thread::spawn(move || drop(third.clone()));
        queue.run_all();
        drop(handle);
        waking.join().unwrap();
        dropping.join().unwrap();
        queue.run_all();
        assert_eq!((books.futures_dropped(), books.outputs_dropped()), (1, 1));
    });
}
