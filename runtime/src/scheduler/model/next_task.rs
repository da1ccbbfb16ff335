//! The owner of a next-task slot × a thief.

use loom::thread;

use super::super::next_task::NextTask;
use super::Books;
use crate::primitive::explore::explore;
use crate::primitive::sync::Arc;

/// The owner puts, puts again and takes while a thief takes: each runnable is had by one of them, whole.
///
/// There is no put after the owner's own take: in loom, unlike in the language, a store may come between the two halves of
/// a swap that finds the slot empty.
#[test]
fn a_runnable_is_taken_once() {
    explore(6, || {
        let slot = Arc::new(NextTask::new());
        let books = Books::new();
        let thief = thread::spawn({
            let slot = slot.clone();
            move || slot.take().is_some_and(|runnable| runnable.execute().is_none())
        });
        for _ in 0..2 {
            // What does not fit is dropped.
            let _ = slot.put(Books::item(&books));
        }
        drop(slot.take());
        let stolen = usize::from(thief.join().unwrap());
        assert!(slot.take().is_none(), "the owner had taken what there was");
        assert_eq!((books.ran(), books.ran() + books.cancelled()), (stolen, 2));
    });
}

/// The owner and two thieves take: one of them has it.
#[test]
fn two_thieves_do_not_share() {
    explore(6, || {
        let slot = Arc::new(NextTask::new());
        let books = Books::new();
        let thieves = [(); 2].map(|()| {
            let slot = slot.clone();
            thread::spawn(move || slot.take().is_some_and(|runnable| runnable.execute().is_none()))
        });
        assert!(slot.put(Books::item(&books)).is_ok());
        drop(slot.take());
        let stolen: usize = thieves.into_iter().map(|thief| usize::from(thief.join().unwrap())).sum();
        assert_eq!((books.ran(), books.cancelled()), (stolen, 1 - stolen));
    });
}

/// A slot that goes away drops what a thief has left.
#[test]
fn a_slot_drops_what_is_left() {
    explore(6, || {
        let slot = Arc::new(NextTask::new());
        let books = Books::new();
        let thief = thread::spawn({
            let slot = slot.clone();
            move || slot.take().is_some_and(|runnable| runnable.execute().is_none())
        });
        assert!(slot.put(Books::item(&books)).is_ok());
        let stolen = thief.join().unwrap();
        drop(slot);
        assert_eq!((books.ran(), books.cancelled()), (usize::from(stolen), usize::from(!stolen)));
    });
}
