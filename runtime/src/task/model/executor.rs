//! Wake × the end of the executor, to which a task's pointer is not counted.

use loom::thread;

use super::{Queue, idle_task};
use crate::primitive::epoch::{self, stand_in::explored};
use crate::primitive::explore::explore;
use crate::primitive::sync::Arc;
use crate::primitive::thread::yield_now;

/// An executor that is freed when it is dropped.
struct Remains(Arc<Queue>);

// SAFETY: the queue may be used from any thread.
unsafe impl Send for Remains {}

impl Drop for Remains {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A foreign thread wakes, or aborts, a task whose executor shuts it down and goes: the executor stays until the task has
/// been handed over.
fn foreign_thread_outlives_executor(waking: bool) {
    explore(4, move || {
        explored(|| {
            let queue = Queue::new();
            let (books, handle) = idle_task(&queue, 1, 1);
            let (waker, abort) = (books.waker(), handle.abort_handle());
            let foreign = thread::spawn(move || {
                if waking {
                    waker.wake();
                } else {
                    handle.abort();
                }
            });
            loop {
                let _ = super::abort::shut_down(&abort);
                queue.drop_all();
                if abort.is_finished() {
                    break;
                }
                // Not before the look: loom lets the other thread run to its end first, and the executor would never go
                // while it is still at it.
                yield_now();
            }
            epoch::retire(Remains(queue.clone()));
            foreign.join().unwrap();
            assert_eq!(books.futures_dropped(), 1);
        });
    });
}

#[test]
fn an_executor_stays_for_a_wake() {
    foreign_thread_outlives_executor(true);
}

#[test]
fn an_executor_stays_for_an_abort() {
    foreign_thread_outlives_executor(false);
}
