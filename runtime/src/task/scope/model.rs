//! Loom models of a scope that is dropped × the spawn of a task.
//!
//! The executor is the queue of the [task's models](crate::task::model). Each model has been seen to fail on a broken variant; those are
//! kept as `task-scope-*.patch` in `ci/mutants`.

use loom::thread;

use super::{Attempt, Shared, Spawned};
use crate::primitive::explore::explore;
use crate::primitive::sync::Arc;
use crate::stop::StopSource;
use crate::task::JoinHandle;
use crate::task::model::{Books, Queue, Until};

/// Spawns a task that waits for a signal, as [`Scope::spawn`](super::Scope::spawn) does.
fn spawn(shared: &Arc<Shared<()>>, queue: &Queue, books: &Arc<Books>) -> Option<JoinHandle<()>> {
    let task = Shared::begin(shared)?;
    let number = task.number;
    let waits = Until { books: books.clone(), until: 1, wakers: 0 };
    let future = async {
        drop(waits.await);
        Ok(())
    };
    let attempt = Attempt { future: Some(future) };
    let spawned = queue.spawn(Spawned { attempt, task });
    let abort = spawned.abort_handle();
    if shared.has_begun(number, &abort) {
        abort.abort();
    }
    Some(spawned)
}

/// A task that one thread spawns is run by another, while the scope goes: it is refused, or aborted, unless it ends by itself.
#[test]
fn a_dropped_scope_leaves_no_task() {
    for ends_by_itself in [false, true] {
        explore(3, move || {
            let (queue, books) = (Queue::new(), Books::new());
            if ends_by_itself {
                books.raise(|| ());
            }
            let shared = Arc::new(Shared::new(StopSource::new()));
            let spawning = thread::spawn({
                let (shared, queue, books) = (shared.clone(), queue.clone(), books.clone());
                move || spawn(&shared, &queue, &books)
            });
            shared.abort_all();
            queue.run_all();
            let spawned = spawning.join().unwrap();
            queue.run_all();
            assert!(spawned.as_ref().is_none_or(JoinHandle::is_finished), "a task is left");
            assert_eq!(books.futures_dropped(), usize::from(spawned.is_some()));
            assert_eq!(shared.group.len(), 0);
            assert!(shared.state.lock().tasks.is_empty());
            assert!(spawn(&shared, &queue, &books).is_none(), "the scope is gone");
        });
    }
}

/// A task that another thread runs to its end at once is not kept in the scope's list.
#[test]
fn a_task_ends_while_it_is_spawned() {
    explore(4, || {
        let (queue, books) = (Queue::new(), Books::new());
        let shared = Arc::new(Shared::new(StopSource::new()));
        books.raise(|| ());
        let running = thread::spawn({
            let queue = queue.clone();
            move || queue.run_all()
        });
        let spawned = spawn(&shared, &queue, &books).expect("the scope is open");
        running.join().unwrap();
        queue.run_all();
        assert!(spawned.is_finished());
        assert_eq!(books.futures_dropped(), 1);
        assert_eq!(shared.group.len(), 0);
        assert!(shared.state.lock().tasks.is_empty(), "a task has ended, and is listed");
    });
}
