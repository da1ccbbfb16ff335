//! Abort and shutdown × everything else.

use loom::thread;

use super::super::state::ToShutdown;
use super::super::{AbortHandle, RawTask};
use super::{Joiner, Queue, idle_task};
use crate::primitive::explore::explore;

/// What a runtime's end does to a task that it found by the scan.
pub(crate) fn shut_down(task: &AbortHandle) -> ToShutdown {
    let task: RawTask = task.raw();
    assert!(task.state().try_ref(), "the handle holds a reference");
    let outcome = task.shut_down();
    task.release();
    outcome
}

/// Abort × wake × poll: the task ends by one of them, and the joiner is told.
#[test]
fn an_abort_races_with_a_wake() {
    explore(5, || {
        let queue = Queue::new();
        let (books, mut handle) = idle_task(&queue, 1, 1);
        let (waker, abort) = (books.waker(), handle.abort_handle());
        let aborting = thread::spawn(move || abort.abort());
        let waking = thread::spawn({
            let books = books.clone();
            move || books.raise(|| waker.wake())
        });
        queue.run_all();
        aborting.join().unwrap();
        waking.join().unwrap();
        queue.run_all();
        assert!(handle.is_finished(), "an abort or a wake was lost");
        assert_eq!(books.futures_dropped(), 1);
        let result = Joiner::new().join(&mut handle);
        assert!(result.as_ref().map_or_else(|error| error.is_aborted(), |_| true));
        assert_eq!(books.outputs_dropped(), 0);
        let given = usize::from(result.is_ok());
        drop(result);
        assert_eq!(books.outputs_dropped(), given);
    });
}

/// An abort × a poll that ends pending: nothing else is needed to end the task, and to wake its joiner.
#[test]
fn an_abort_is_enough() {
    explore(5, || {
        let queue = Queue::new();
        let (books, mut handle) = idle_task(&queue, 1, 1);
        let (waker, joiner) = (books.waker(), Joiner::new());
        assert!(joiner.poll(&mut handle).is_pending());
        let polling = thread::spawn({
            let queue = queue.clone();
            move || {
                waker.wake();
                queue.run_all();
            }
        });
        handle.abort();
        queue.run_all();
        let result = joiner.join(&mut handle);
        assert!(result.is_err_and(|error| error.is_aborted()));
        polling.join().unwrap();
        assert_eq!(books.futures_dropped(), 1);
    });
}

/// An abort wins over everything that comes later: the future is gone when the task was aborted while idle, and stays
/// unpolled.
#[test]
fn an_aborted_task_is_dropped_unpolled() {
    explore(5, || {
        let queue = Queue::new();
        let (books, handle) = idle_task(&queue, 1, 1);
        let waker = books.waker();
        handle.abort();
        let waking = thread::spawn({
            let books = books.clone();
            move || books.raise(|| waker.wake())
        });
        let running = thread::spawn({
            let queue = queue.clone();
            move || queue.run_all()
        });
        handle.abort();
        waking.join().unwrap();
        running.join().unwrap();
        assert_eq!((books.polls(), books.futures_dropped()), (1, 1));
    });
}

/// Abort × completion × the drop of the last handles.
#[test]
fn an_abort_races_with_completion() {
    explore(5, || {
        let queue = Queue::new();
        let (books, handle) = idle_task(&queue, 1, 1);
        let waker = books.waker();
        books.raise(|| waker.wake());
        let abort = handle.abort_handle();
        let aborting = thread::spawn(move || abort.abort());
        let dropping = thread::spawn(move || drop(handle));
        queue.run_all();
        aborting.join().unwrap();
        dropping.join().unwrap();
        queue.run_all();
        assert_eq!(books.futures_dropped(), 1);
        assert!(books.outputs_dropped() <= 1);
    });
}

/// Shutdown × wake × completion, with a joiner that must be told.
#[test]
fn a_shutdown_races_with_a_wake() {
    explore(2, || {
        let queue = Queue::new();
        let (books, mut handle) = idle_task(&queue, 1, 1);
        let (waker, abort) = (books.waker(), handle.abort_handle());
        let waking = thread::spawn({
            let books = books.clone();
            move || books.raise(|| waker.wake())
        });
        let joining = thread::spawn(move || Joiner::new().join(&mut handle).is_ok());
        // The queue is dropped before the scan and after it.
        queue.drop_all();
        let outcome = shut_down(&abort);
        waking.join().unwrap();
        queue.drop_all();
        assert!(abort.is_finished(), "the task got away: {outcome:?}");
        assert!(!joining.join().unwrap(), "nobody polled it");
        assert_eq!((books.polls(), books.futures_dropped(), books.outputs_dropped()), (1, 1, 0));
    });
}

/// Shutdown × a worker that is still running: the task ends by its completion or by its drop.
#[test]
fn a_shutdown_races_with_a_poll() {
    explore(5, || {
        let queue = Queue::new();
        let (books, handle) = idle_task(&queue, 1, 1);
        let (waker, abort) = (books.waker(), handle.abort_handle());
        drop(handle);
        let waking = thread::spawn({
            let (books, queue) = (books.clone(), queue.clone());
            move || {
                books.raise(|| waker.wake());
                queue.run_all();
            }
        });
        let outcome = shut_down(&abort);
        waking.join().unwrap();
        queue.drop_all();
        assert!(abort.is_finished(), "the task got away: {outcome:?}");
        assert_eq!(books.futures_dropped(), 1);
        assert_eq!(books.outputs_dropped(), books.polls() - 1);
    });
}

/// Two that shut down at once, and an abort: one of them drops the future.
#[test]
fn two_shutdowns_race_with_an_abort() {
    explore(3, || {
        let queue = Queue::new();
        let (books, handle) = idle_task(&queue, 1, 0);
        let others = [handle.abort_handle(), handle.abort_handle()];
        let [one, other] = others;
        let shutting = thread::spawn(move || {
            let _ = shut_down(&one);
        });
        let aborting = thread::spawn(move || other.abort());
        let abort = handle.abort_handle();
        drop(handle);
        let _ = shut_down(&abort);
        shutting.join().unwrap();
        aborting.join().unwrap();
        queue.drop_all();
        assert!(abort.is_finished());
        assert_eq!(books.futures_dropped(), 1);
    });
}
