//! Loom models of futures side by side, in real tasks: the ends of two children × the poll, the failure and the end of their parent.
//!
//! The executor is the queue of the [task's models](crate::task::model). Each model has been seen to fail on a broken variant; those are
//! kept as `algorithm-*.patch` in `ci/mutants`.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Wake, Waker};

use futures_util::future::select;
use loom::thread;

use super::{join_all, when_all};
use crate::env::{self, Env};
use crate::primitive::explore::explore;
use crate::primitive::sync::{Arc, PlainArc};
use crate::task::model::{Books, Queue, Until};

/// Raises the signal of one child on another thread.
fn raise(books: &Arc<Books>) -> thread::JoinHandle<()> {
    let (books, waker) = (books.clone(), books.waker());
    thread::spawn(move || books.raise(|| waker.wake()))
}

/// A child that waits for one signal, and has left so many wakers.
fn child(books: &Arc<Books>, wakers: usize) -> Until {
    Until { books: books.clone(), until: 1, wakers }
}

#[test]
fn two_children_end_at_once() {
    explore(2, || {
        let queue = Queue::new();
        let children = [Books::new(), Books::new()];
        let handle = queue.spawn(join_all(children.each_ref().map(|books| child(books, 1))));
        queue.run_all();
        let threads = children.each_ref().map(raise);
        queue.run_all();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        queue.run_all();
        assert!(handle.is_finished(), "a wake was lost");
        for books in &children {
            assert_eq!((books.polls(), books.futures_dropped()), (2, 1), "polled for nothing");
        }
        drop(handle);
        assert!(children.iter().all(|books| books.outputs_dropped() == 1));
    });
}

/// One fails, and by that stops the other, which may be ending by itself: the parent is polled for both.
#[test]
fn one_fails_while_the_other_ends() {
    for ends_by_itself in [false, true] {
        explore(2, move || {
            let queue = Queue::new();
            let [fails, ends] = [Books::new(), Books::new()];
            let children = [&fails, &ends].map(|books| (child(books, 1), Arc::ptr_eq(books, &fails)));
            let handle = queue.spawn(when_all(children.map(|(own, fails)| async move {
                if fails {
                    return Err(own.await);
                }
                let stop = pin!(env::with(Env::stop_token).stop_requested());
                select(stop, own).await;
                Ok(())
            })));
            queue.run_all();
            let raised = [Some(&fails), ends_by_itself.then_some(&ends)];
            let threads = raised.map(|books| books.map(raise));
            queue.run_all();
            threads.into_iter().flatten().for_each(|thread| thread.join().unwrap());
            queue.run_all();
            assert!(handle.is_finished(), "a wake was lost");
            drop(handle);
            ends.forget_wakers();
            for books in [&fails, &ends] {
                assert_eq!(books.futures_dropped(), 1);
            }
            assert_eq!(fails.outputs_dropped(), 1);
        });
    }
}

/// The waker of a parent, of which is counted who has it.
struct Quiet;

impl Wake for Quiet {
    fn wake(self: PlainArc<Self>) {}
}

/// The parent is dropped while a child's waker rings, or goes: whoever keeps another one does not keep the parent with it.
#[test]
fn a_childs_waker_does_not_keep_the_parent() {
    for rings in [false, true] {
        explore(4, move || {
            let books = Books::new();
            let parent = PlainArc::new(Quiet);
            let waker = Waker::from(parent.clone());
            let mut all = Box::pin(join_all([child(&books, 2)]));
            assert!(all.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            drop(waker);
            let of_child = books.waker();
            let other = thread::spawn(move || if rings { of_child.wake() } else { drop(of_child) });
            drop(all);
            other.join().unwrap();
            assert_eq!(PlainArc::strong_count(&parent), 1, "the parent is kept");
            assert_eq!(books.futures_dropped(), 1);
            books.forget_wakers();
        });
    }
}
