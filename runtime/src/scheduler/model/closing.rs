//! The end of a pool × a push from elsewhere.

use loom::thread;

use super::super::clear;
use super::{Books, pool, start};
use crate::primitive::deque::stand_in::bare;
use crate::primitive::explore::explore;

/// The closing thread finds the task, or its pusher takes it back.
#[test]
fn a_late_push_is_dropped_by_one_side() {
    explore(6, || {
        let (pool, locals) = bare(|| pool(1));
        drop(locals);
        let books = Books::new();
        let pusher = thread::spawn({
            let (pool, books) = (pool.clone(), books.clone());
            move || {
                pool.push_remote(Books::item(&books));
                // The pusher goes away without ever coming back to the pool.
            }
        });
        pool.close();
        assert!(clear(&pool, None).is_empty());
        pusher.join().unwrap();
        assert_eq!((books.ran(), books.cancelled()), (0, 1), "the task is left behind");
    });
}

/// The same with a worker that ends: it runs the task or drops it, if the others do not.
#[test]
fn a_worker_ends_while_a_task_is_pushed() {
    explore(4, || {
        let (pool, locals) = bare(|| pool(1));
        let books = Books::new();
        let workers: Vec<_> = locals.into_iter().map(start).collect();
        let pusher = thread::spawn({
            let (pool, books) = (pool.clone(), books.clone());
            move || pool.push_remote(Books::item(&books))
        });
        pool.close();
        for worker in workers {
            worker.join().unwrap();
        }
        assert!(clear(&pool, None).is_empty());
        pusher.join().unwrap();
        assert_eq!(books.ran() + books.cancelled(), 1, "the task is left behind");
    });
}
