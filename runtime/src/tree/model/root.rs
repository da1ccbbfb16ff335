//! Wakes of the root × wakes of a frame.

use loom::thread;

use super::Idle;
use crate::primitive::explore::explore;
use crate::task::model::Queue;

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
