//! Tasks that end before those that they have left behind.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use loom::thread;

use super::{Books, Joiner, Output, Queue, Until};
use crate::primitive::explore::explore;
use crate::primitive::sync::{Arc, PlainArc};
use crate::task::JoinHandle;
use crate::task::group::{Group, Member};
use crate::tree;

/// Is ready when `inner` is, which it is at once, having left a group behind.
struct Leaves {
    inner: Until,
    groups: Vec<Arc<Group>>,
}

impl Future for Leaves {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        for group in std::mem::take(&mut self.groups) {
            group.close();
            tree::outlive(&group);
        }
        Pin::new(&mut self.inner).poll(cx)
    }
}

/// A task that is queued and will be ready at once, and a member of each group that it leaves behind.
fn leaving_task(queue: &Queue, groups: usize) -> (Arc<Books>, JoinHandle<Output>, Vec<Member>) {
    let books = Books::new();
    let groups: Vec<_> = (0..groups).map(|_| Group::new()).collect();
    let members = groups.iter().map(|group| Group::join(group).expect("it is open")).collect();
    let inner = Until { books: books.clone(), until: 0, wakers: 0 };
    (books, queue.spawn(Leaves { inner, groups }), members)
}

/// What a member does, which is seen by whoever joins.
fn go(books: &Arc<Books>, member: Member) {
    books.raise(|| drop(member));
}

/// The joiner gets the output when both members are gone, and sees what they did.
#[test]
fn a_joiner_finds_nobody_at_work() {
    explore(2, || {
        let queue = Queue::new();
        let (books, mut handle, members) = leaving_task(&queue, 2);
        let threads: Vec<_> = members
            .into_iter()
            .map(|member| {
                let books = books.clone();
                thread::spawn(move || go(&books, member))
            })
            .collect();
        queue.run_all();
        let output = Joiner::new().join(&mut handle).unwrap_or_else(|_| unreachable!("it was not aborted"));
        assert_eq!(books.signal(), 2, "both are gone");
        drop(output);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((books.futures_dropped(), books.outputs_dropped()), (1, 1));
    });
}

/// The handle is dropped, having been polled or not, while the task ends and its member goes: output and waker are dropped once.
#[test]
fn a_handle_is_dropped_while_the_task_ends() {
    for polled in [false, true] {
        explore(4, move || {
            let queue = Queue::new();
            let (books, mut handle, mut members) = leaving_task(&queue, 1);
            let joiner = Joiner::new();
            if polled {
                assert!(joiner.poll(&mut handle).is_pending());
            }
            let going = thread::spawn({
                let (books, member) = (books.clone(), members.pop().expect("one"));
                move || go(&books, member)
            });
            let dropping = thread::spawn(move || drop(handle));
            queue.run_all();
            dropping.join().unwrap();
            assert_eq!(books.outputs_dropped(), 1, "not by whoever completes the task");
            going.join().unwrap();
            assert_eq!((books.futures_dropped(), books.outputs_dropped()), (1, 1));
            assert_eq!(PlainArc::strong_count(&joiner), 1, "no waker is kept");
        });
    }
}

/// Nobody but the one who ends the task touches an output that is not wanted, whoever completes it.
#[test]
fn an_output_that_nobody_wants_is_dropped_where_the_task_ends() {
    explore(4, || {
        let queue = Queue::new();
        let (books, handle, mut members) = leaving_task(&queue, 1);
        drop(handle);
        let going = thread::spawn({
            let (books, member) = (books.clone(), members.pop().expect("one"));
            move || go(&books, member)
        });
        queue.run_all();
        assert_eq!((books.futures_dropped(), books.outputs_dropped()), (1, 1), "by now");
        going.join().unwrap();
    });
}

/// A task that is ending is wanted by everybody at once: it is woken, aborted and looked at.
#[test]
fn wakes_and_aborts_find_it_busy() {
    explore(3, || {
        let queue = Queue::new();
        let (books, mut handle, mut members) = leaving_task(&queue, 1);
        let abort = handle.abort_handle();
        queue.run_all();
        let going = thread::spawn({
            let (books, member) = (books.clone(), members.pop().expect("one"));
            move || go(&books, member)
        });
        abort.abort();
        assert!(queue.pop().is_none());
        let output = Joiner::new().join(&mut handle);
        assert!(output.is_ok(), "it had ended");
        drop(output);
        going.join().unwrap();
        assert_eq!((books.futures_dropped(), books.outputs_dropped()), (1, 1));
    });
}
