//! A look into a task, as dumps take it, × everything else.

use loom::thread;

use super::abort::shut_down;
use super::{Arc, Books, Joiner, Output, Queue, Until, idle_task};
use crate::primitive::explore::explore;
use crate::task::{AbortHandle, JoinHandle, RawTask, lazy, yield_now};

/// What a dump does to a task that it found by the scan. True if the task was idle.
fn look(task: &AbortHandle) -> bool {
    let task: RawTask = task.raw();
    assert!(task.state().try_ref(), "the handle holds a reference");
    let runnable = task.claim();
    let was_idle = runnable.is_ok();
    if let Ok(runnable) = runnable {
        drop(runnable.execute());
    }
    task.release();
    was_idle
}

/// A task with a frame below it that is idle after its first poll, waiting for a signal, and so many wakers of the frame.
fn idle_frame(queue: &Queue, wakers: usize) -> (Arc<Books>, JoinHandle<Output>) {
    let books = Books::new();
    let until = Until { books: books.clone(), until: 1, wakers };
    let handle = queue.spawn(lazy(async {
        let output = until.await;
        // As an operation does that finds the budget used up.
        yield_now().await;
        output
    }));
    queue.run_all();
    assert_eq!(books.polls(), 1);
    (books, handle)
}

/// A look changes nothing: the task is polled once, and waits as before.
#[test]
fn a_look_leaves_a_task_idle() {
    explore(5, || {
        let queue = Queue::new();
        let (books, mut handle) = idle_task(&queue, 1, 1);
        let abort = handle.abort_handle();
        assert!(look(&abort));
        assert!(queue.pop().is_none(), "nobody woke it");
        assert_eq!(books.polls(), 2);
        let waker = books.waker();
        books.raise(|| waker.wake());
        queue.run_all();
        assert!(Joiner::new().join(&mut handle).is_ok());
    });
}

/// Looks do not outlast themselves: later runs poll only what was woken.
#[test]
fn a_look_polls_everything_once() {
    explore(5, || {
        let queue = Queue::new();
        let books = [Books::new(), Books::new()];
        let [one, other] = [0, 1].map(|which: usize| {
            let books = books[which].clone();
            lazy(Until { books, until: 1, wakers: 1 })
        });
        let handle = queue.spawn(async move { futures_util::join!(one, other) });
        queue.run_all();
        assert!(look(&handle.abort_handle()));
        assert!(queue.pop().is_none(), "nobody woke it");
        let polls = || [books[0].polls(), books[1].polls()];
        assert_eq!(polls(), [2, 2]);
        let waker = books[0].waker();
        books[0].raise(|| waker.wake());
        queue.run_all();
        assert_eq!(polls(), [3, 2]);
        let waker = books[1].waker();
        books[1].raise(|| waker.wake());
        queue.run_all();
        assert_eq!(polls(), [3, 3]);
        assert!(handle.is_finished());
    });
}

/// Look × wake × a worker: the wake leads to the task's end.
#[test]
fn a_look_races_with_a_wake() {
    explore(4, || {
        let queue = Queue::new();
        let (books, mut handle) = idle_task(&queue, 1, 1);
        let (waker, abort) = (books.waker(), handle.abort_handle());
        let looking = thread::spawn(move || look(&abort));
        let waking = thread::spawn({
            let books = books.clone();
            move || books.raise(|| waker.wake())
        });
        queue.run_all();
        looking.join().unwrap();
        waking.join().unwrap();
        queue.run_all();
        assert!(handle.is_finished(), "a wake was lost");
        assert!(Joiner::new().join(&mut handle).is_ok());
        assert_eq!(books.futures_dropped(), 1);
    });
}

/// Look × wake of a frame below the task.
#[test]
fn a_look_races_with_a_wake_of_a_frame() {
    explore(3, || {
        let queue = Queue::new();
        let (books, mut handle) = idle_frame(&queue, 1);
        let (waker, abort) = (books.waker(), handle.abort_handle());
        let waking = thread::spawn({
            let books = books.clone();
            move || books.raise(|| waker.wake())
        });
        look(&abort);
        queue.run_all();
        waking.join().unwrap();
        queue.run_all();
        assert!(handle.is_finished(), "a wake was lost");
        assert!(Joiner::new().join(&mut handle).is_ok());
        assert_eq!(books.futures_dropped(), 1);
    });
}

/// Two looks × wake: one of them polls at a time.
#[test]
fn looks_race_with_each_other() {
    explore(3, || {
        let queue = Queue::new();
        let (books, handle) = idle_task(&queue, 1, 1);
        let (waker, aborts) = (books.waker(), [handle.abort_handle(), handle.abort_handle()]);
        let [one, other] = aborts;
        let looking = thread::spawn(move || look(&one));
        let waking = thread::spawn({
            let books = books.clone();
            move || books.raise(|| waker.wake())
        });
        look(&other);
        looking.join().unwrap();
        waking.join().unwrap();
        queue.run_all();
        assert!(handle.is_finished(), "a wake was lost");
        assert_eq!(books.futures_dropped(), 1);
    });
}

/// Look × abort, with a joiner that must be told.
#[test]
fn a_look_races_with_an_abort() {
    explore(4, || {
        let queue = Queue::new();
        let (books, mut handle) = idle_task(&queue, 1, 1);
        let (abort, joiner) = (handle.abort_handle(), Joiner::new());
        assert!(joiner.poll(&mut handle).is_pending());
        let looking = thread::spawn(move || look(&abort));
        handle.abort();
        queue.run_all();
        looking.join().unwrap();
        queue.run_all();
        assert!(joiner.join(&mut handle).is_err_and(|error| error.is_aborted()));
        assert_eq!(books.futures_dropped(), 1);
    });
}

/// Look × shutdown × wake: the task ends by one of them.
#[test]
fn a_look_races_with_a_shutdown() {
    explore(3, || {
        let queue = Queue::new();
        let (books, handle) = idle_task(&queue, 1, 1);
        let (waker, abort, looker) = (books.waker(), handle.abort_handle(), handle.abort_handle());
        drop(handle);
        let looking = thread::spawn(move || look(&looker));
        let waking = thread::spawn({
            let books = books.clone();
            move || books.raise(|| waker.wake())
        });
        queue.drop_all();
        let outcome = shut_down(&abort);
        looking.join().unwrap();
        waking.join().unwrap();
        queue.drop_all();
        assert!(abort.is_finished(), "the task got away: {outcome:?}");
        assert_eq!(books.futures_dropped(), 1);
    });
}

/// Look × completion × the drop of the last handle: the frame is freed once, by whoever lets go of it last.
#[test]
fn a_look_races_with_completion() {
    explore(3, || {
        let queue = Queue::new();
        let (books, handle) = idle_task(&queue, 1, 1);
        let (waker, abort) = (books.waker(), handle.abort_handle());
        books.raise(|| waker.wake());
        let looking = thread::spawn(move || look(&abort));
        let dropping = thread::spawn(move || drop(handle));
        queue.run_all();
        looking.join().unwrap();
        dropping.join().unwrap();
        queue.run_all();
        assert_eq!((books.futures_dropped(), books.outputs_dropped()), (1, 1));
    });
}
