//! Wakes of the root × wakes of a frame.

use loom::thread;

use super::Idle;
use crate::primitive::explore::explore;
use crate::task::model::{Books, Queue, Until};
use crate::tree::lazy;

/// Each is polled once for its one wake, and not for the other's.
#[test]
fn who_is_polled_was_woken() {
    explore(5, || {
        let queue = Queue::new();
        let Idle { frame, root, handle } = Idle::with_root_wakers(&queue, 2, 2, 1);
        let of_frame = thread::spawn({
            let (frame, waker) = (frame.clone(), frame.waker());
            move || frame.raise(|| waker.wake())
        });
        let of_root = thread::spawn({
            let waker = root.waker();
            move || waker.wake()
        });
        queue.run_all();
        of_frame.join().unwrap();
        of_root.join().unwrap();
        queue.run_all();
        assert_eq!((frame.polls(), root.polls()), (2, 2));
        let last = frame.waker();
        frame.raise(|| last.wake());
        queue.run_all();
        assert!(handle.is_finished(), "the wake was lost");
        assert_eq!((frame.polls(), root.polls()), (3, 3));
    });
}

/// A root that goes idle on one thread is run again for the frame that is woken on another: by whichever worker comes first.
#[test]
fn a_frame_is_woken_while_its_root_goes_idle() {
    explore(5, || {
        let queue = Queue::new();
        let Idle { frame, root, handle } = Idle::with_root_wakers(&queue, 1, 1, 1);
        let waker = frame.waker();
        root.waker().wake();
        let running = thread::spawn({
            let queue = queue.clone();
            move || queue.run_all()
        });
        frame.raise(|| waker.wake_by_ref());
        queue.run_all();
        running.join().unwrap();
        queue.run_all();
        assert!(handle.is_finished(), "the wake was lost");
        assert_eq!((frame.polls(), root.polls()), (2, 3));
        drop(waker);
    });
}

/// What one run does not get round to is done by the next: frames that were woken, and parents whose turn has come.
#[test]
fn what_is_put_off_is_done_by_the_next_run() {
    explore(1, || {
        let queue = Queue::new();
        let books = [(); 3].map(|()| Books::new());
        let [one, two, below] = books.clone().map(|books| lazy(Until { books, until: 1, wakers: 3 }));
        let three = lazy(below);
        let handle = queue.spawn(async move {
            drop(futures_util::future::join3(one, two, three).await);
        });
        queue.run_all();
        let [one, two, below] = books;
        let polls = || [one.polls(), two.polls(), below.polls()];
        assert_eq!(polls(), [1, 1, 1]);
        // Nobody is done: the third frame is put off.
        for frame in [&one, &two, &below] {
            frame.waker().wake();
        }
        queue.run_all();
        assert_eq!(polls(), [2, 2, 2]);
        // The parent of the second one is put off, and so is the third one.
        one.waker().wake();
        below.raise(|| below.waker().wake());
        two.raise(|| two.waker().wake());
        queue.run_all();
        assert_eq!(polls(), [3, 3, 3]);
        one.raise(|| one.waker().wake());
        queue.run_all();
        assert!(handle.is_finished(), "somebody was put off for ever");
        for books in [one, two, below] {
            assert_eq!((books.futures_dropped(), books.outputs_dropped()), (1, 1));
            books.forget_wakers();
        }
    });
}
