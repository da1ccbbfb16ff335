//! Workers in their real loop × pushes from elsewhere.

use loom::thread;

use super::super::pool::PoolRef;
use super::{Books, pool, start};
use crate::primitive::deque::stand_in::bare;
use crate::primitive::explore::explore;

/// Ends the workers, and checks that nobody is counted who is not there.
fn end(pool: &PoolRef, workers: Vec<thread::JoinHandle<bool>>) {
    pool.close();
    let searching: usize = workers.into_iter().map(|worker| usize::from(worker.join().unwrap())).sum();
    assert_eq!(pool.idle.searchers(), searching);
}

/// How often a sleeper was claimed.
fn claims(pool: &PoolRef) -> u64 {
    pool.remotes.iter().map(|remote| remote.counters.unparks.read()).sum()
}

/// A worker on its way to sleep, or asleep, and one push.
#[test]
fn a_push_wakes_the_only_worker() {
    explore(5, || {
        let (pool, locals) = bare(|| pool(1));
        let books = Books::new();
        let workers = locals.into_iter().map(start).collect();
        pool.push_remote(Books::item(&books));
        books.wait_until_ran(1);
        assert!(claims(&pool) <= 1);
        end(&pool, workers);
        assert_eq!((books.ran(), books.cancelled()), (1, 0));
    });
}

/// The same with two that push: the second may rely on the search that the first has caused.
#[test]
fn two_pushes_wake_the_only_worker() {
    explore(3, || {
        let (pool, locals) = pool(1);
        let books = Books::new();
        let workers = locals.into_iter().map(start).collect();
        let pusher = thread::spawn({
            let (pool, item) = (pool.clone(), Books::item(&books));
            move || pool.push_remote(item)
        });
        pool.push_remote(Books::item(&books));
        books.wait_until_ran(2);
        pusher.join().unwrap();
        end(&pool, workers);
        assert_eq!((books.ran(), books.cancelled()), (2, 0));
    });
}

/// One push and two workers: one of them comes, and no more are woken than one for the task and one for the watch.
#[test]
fn a_push_wakes_one_of_two_workers() {
    explore(2, || {
        let (pool, locals) = pool(2);
        let books = Books::new();
        let workers = locals.into_iter().map(start).collect();
        pool.push_remote(Books::item(&books));
        books.wait_until_ran(1);
        end(&pool, workers);
        assert!(claims(&pool) <= 2, "a herd");
        assert_eq!((books.ran(), books.cancelled()), (1, 0));
    });
}
