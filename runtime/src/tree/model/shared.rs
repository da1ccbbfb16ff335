//! Clones of one lazy future, on several threads: who drives it × who waits × wakes of the future × the drop of a clone.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Notify;
use loom::thread;

use super::{Arc, Books, PlainArc, Until};
use crate::primitive::explore::explore;
use crate::tree::{SharedLazy, lazy};

/// Sleeps until it is woken: a lost wake is a deadlock, which loom reports.
struct Sleeper(Notify);

impl Wake for Sleeper {
    fn wake(self: PlainArc<Self>) {
        self.0.notify();
    }
}

type Shared = SharedLazy<'static, u32>;

fn poll(shared: &mut Shared, waker: &Waker) -> Poll<u32> {
    Pin::new(shared).poll(&mut Context::from_waker(waker))
}

fn block_on(mut shared: Shared) -> u32 {
    let sleeper = PlainArc::new(Sleeper(Notify::new()));
    let waker = Waker::from(sleeper.clone());
    loop {
        match poll(&mut shared, &waker) {
            Poll::Ready(output) => return output,
            Poll::Pending => sleeper.0.wait(),
        }
    }
}

/// A future that has been polled once, by the first of two clones, and a thread that wakes it so often. One more waker is left.
fn begun(wakes: usize) -> (Arc<Books>, [Shared; 2], thread::JoinHandle<()>) {
    let books = Books::new();
    let until = Until { books: books.clone(), until: wakes.max(1), wakers: wakes + 1 };
    let mut first = lazy(async move {
        drop(until.await);
        7
    })
    .shared();
    let second = first.clone();
    assert!(poll(&mut first, Waker::noop()).is_pending());
    let waking = thread::spawn({
        let books = books.clone();
        move || {
            for _ in 0..wakes {
                let waker = books.waker();
                books.raise(|| waker.wake());
            }
        }
    });
    (books, [first, second], waking)
}

/// Each gets the output, and the future is polled for its wakes alone.
#[test]
fn two_wait_for_a_future_that_runs_once() {
    explore(2, || {
        let (books, [first, second], waking) = begun(2);
        let other = thread::spawn(move || block_on(second));
        assert_eq!(block_on(first), 7);
        assert_eq!(other.join().unwrap(), 7);
        waking.join().unwrap();
        assert!(books.polls() <= 3, "a poll that nobody asked for");
        assert_eq!((books.futures_dropped(), books.outputs_dropped()), (1, 1));
    });
}

/// One is polled, perhaps as the one who drives, and is dropped whatever came of it: the other goes on.
#[test]
fn one_is_dropped_while_it_drives() {
    explore(3, || {
        let (books, [mut first, second], waking) = begun(1);
        let leaving = thread::spawn(move || {
            let sleeper = PlainArc::new(Sleeper(Notify::new()));
            let _ = poll(&mut first, &Waker::from(sleeper));
        });
        assert_eq!(block_on(second), 7);
        leaving.join().unwrap();
        waking.join().unwrap();
        assert_eq!(books.polls(), 2, "it is polled for its wake alone");
        assert_eq!((books.futures_dropped(), books.outputs_dropped()), (1, 1));
    });
}

/// All are dropped while the future is woken, or is not: it goes with the last of them, and whoever keeps a waker of it keeps nobody's who
/// waited.
#[test]
fn all_are_dropped_while_the_future_is_woken() {
    for wakes in [0, 1] {
        explore(3, move || {
            let (books, [first, mut second], waking) = begun(wakes);
            let sleeper = PlainArc::new(Sleeper(Notify::new()));
            let leaving = thread::spawn(move || drop(first));
            let _ = poll(&mut second, &Waker::from(sleeper.clone()));
            drop(second);
            leaving.join().unwrap();
            waking.join().unwrap();
            assert!(books.polls() <= 1 + wakes, "a poll that nobody asked for");
            assert_eq!(books.futures_dropped(), 1);
            assert_eq!(PlainArc::strong_count(&sleeper), 1, "the waker of a clone is kept");
            books.forget_wakers();
        });
    }
}
