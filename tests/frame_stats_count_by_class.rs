//! `frame::stats` says of each size class how many slots are in use and how many are free, and of all together how many are on
//! their way home from a thread that has freed them: exactly, where nobody else uses frames meanwhile.

// Where each frame is an allocation of its own, there are no classes.
#![cfg(not(tress_sanitize))]

use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use tress::frame::{self, ClassStats, Stats};

type Boxes<const BYTES: usize> = Vec<frame::Box<[u8; BYTES]>>;

/// The numbers are the process's: one test at a time uses frames, and leaves none for the end of its thread to give back.
struct Alone(#[expect(dead_code, reason = "is held")] MutexGuard<'static, ()>);

fn alone() -> Alone {
    static ALONE: Mutex<()> = Mutex::new(());
    Alone(ALONE.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Drop for Alone {
    fn drop(&mut self) {
        frame::trim();
    }
}

fn boxes<const BYTES: usize>(count: usize) -> Boxes<BYTES> {
    (0..count).map(|_| frame::Box::new([0; BYTES])).collect()
}

/// The smallest class that such a box fits, and the others.
fn class_of<const BYTES: usize>(stats: &Stats) -> (ClassStats, Vec<ClassStats>) {
    let mut classes = stats.classes().to_vec();
    let index = classes.iter().position(|class| class.slot_bytes >= BYTES).expect("there is such a class");
    (classes.remove(index), classes)
}

/// Checks that the class of such a box now has so many slots in use and free, that the others are as they were, and that so
/// many slots are on their way home.
#[track_caller]
fn assert_counts<const BYTES: usize>(before: &Stats, live: usize, cached: usize, remote: usize) {
    let after = frame::stats();
    let (old, old_others) = class_of::<BYTES>(before);
    let (new, others) = class_of::<BYTES>(&after);
    assert_eq!(others, old_others, "another class than that of {BYTES} bytes");
    // What is on its way home counts as live in its class, but not in the sum.
    assert_eq!((new.live, new.cached), (old.live + live + remote, old.cached + cached), "of {BYTES} bytes");
    assert_eq!(after.remote, before.remote + remote);
    assert_eq!((after.live, after.cached), (before.live + live, before.cached + cached));
    assert_eq!(after.big, before.big);
}

/// Few enough to be kept when they are free, also in the class with the fewest slots a page.
const FEW: usize = 10;

fn moves_exactly_its_class<const BYTES: usize>() {
    let before = frame::stats();
    assert_eq!(class_of::<BYTES>(&before).0.cached, 0, "the boxes would not be of new slots");
    let first = boxes::<BYTES>(FEW);
    assert_counts::<BYTES>(&before, FEW, 0, 0);
    drop(first);
    assert_counts::<BYTES>(&before, 0, FEW, 0);
    // Out of what is free, and then beyond.
    let mut again = boxes::<BYTES>(FEW - 3);
    assert_counts::<BYTES>(&before, FEW - 3, 3, 0);
    again.extend(boxes::<BYTES>(5));
    assert_counts::<BYTES>(&before, FEW + 2, 0, 0);
    drop(again);
    assert_counts::<BYTES>(&before, 0, FEW + 2, 0);
    frame::trim();
    assert_counts::<BYTES>(&before, 0, 0, 0);
}

#[test]
fn of_each_size() {
    let _alone = alone();
    moves_exactly_its_class::<1>();
    moves_exactly_its_class::<32>();
    moves_exactly_its_class::<33>();
    moves_exactly_its_class::<256>();
    moves_exactly_its_class::<257>();
    moves_exactly_its_class::<1000>();
    moves_exactly_its_class::<2048>();
    moves_exactly_its_class::<2049>();
    moves_exactly_its_class::<4096>();
}

#[test]
fn of_frames_that_are_freed_elsewhere() {
    const BYTES: usize = 500;
    let _alone = alone();
    let before = frame::stats();
    let boxed = boxes::<BYTES>(FEW);
    let (freed, wait) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let elsewhere = thread::spawn(move || {
        drop(boxed);
        freed.send(()).expect("the test waits");
        ended.recv().expect_err("the test only hangs up");
    });
    wait.recv().expect("the thread sends");
    // They wait in that thread's batch, which nobody else sees: as good as in use.
    assert_counts::<BYTES>(&before, FEW, 0, 0);
    drop(end);
    elsewhere.join().expect("boxes are dropped anywhere");
    // Its end has pushed the batch.
    assert_counts::<BYTES>(&before, 0, 0, FEW);
    // They are home as soon as their owner looks, which it does when it has no other.
    let one = boxes::<BYTES>(1);
    assert_counts::<BYTES>(&before, 1, FEW - 1, 0);
    drop(one);
    assert_counts::<BYTES>(&before, 0, FEW, 0);
}

/// Slots that come home do so a bounded number at a time: until then they are on their way.
#[test]
fn of_many_frames_that_are_freed_elsewhere() {
    const BYTES: usize = 40;
    const MANY: usize = 1000;
    let _alone = alone();
    let before = frame::stats();
    let boxed = boxes::<BYTES>(MANY);
    thread::spawn(move || drop(boxed)).join().expect("boxes are dropped anywhere");
    assert_counts::<BYTES>(&before, 0, 0, MANY);
    let mut again = boxes::<BYTES>(1);
    let remote = frame::stats().remote - before.remote;
    assert!((1..MANY - 1).contains(&remote), "{remote} of {MANY} are still on their way");
    assert_counts::<BYTES>(&before, 1, MANY - 1 - remote, remote);
    while again.len() < MANY {
        again.extend(boxes::<BYTES>(1));
        let remote = frame::stats().remote - before.remote;
        assert_counts::<BYTES>(&before, again.len(), MANY - again.len() - remote, remote);
    }
    assert_counts::<BYTES>(&before, MANY, 0, 0);
    drop(again);
    frame::trim();
    assert_counts::<BYTES>(&before, 0, 0, 0);
}

#[test]
fn of_frames_that_fit_no_class() {
    let _alone = alone();
    let before = frame::stats();
    let boxed = boxes::<4097>(FEW);
    let after = frame::stats();
    assert_eq!(after.classes(), before.classes());
    assert_eq!((after.big, after.live), (before.big + FEW, before.live + FEW));
    drop(boxed);
    assert_eq!(frame::stats().big, before.big);
    assert_eq!(frame::stats().live, before.live);
}
