//! Waiting for the ends of tasks that are counted, or that say that they end × the last of them.

#![expect(clippy::disallowed_types, reason = "`Wake` wants std's Arc; the flag inside is loom's")]

use std::task::{Context, Wake, Waker};

use loom::thread;

use super::super::group::Group;
use super::super::join_set::{Ended, SaysSo};
use crate::primitive::explore::explore;
use crate::primitive::sync::atomic::{AtomicBool, Ordering};

/// Whether it was woken.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

fn flag() -> (std::sync::Arc<Flag>, Waker) {
    let flag = std::sync::Arc::new(Flag(AtomicBool::new(false)));
    (flag.clone(), Waker::from(flag))
}

#[test]
fn who_waits_for_a_group_is_woken_by_its_last_member() {
    explore(4, || {
        let group = Group::new();
        let members: Vec<_> = (0..2).map(|_| Group::join(&group).unwrap()).collect();
        let threads: Vec<_> = members.into_iter().map(|member| thread::spawn(move || drop(member))).collect();
        let (flag, waker) = flag();
        let is_over = group.poll_end(&Context::from_waker(&waker)).is_ready();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(is_over || flag.0.load(Ordering::Acquire), "it waits for ever");
        assert!(group.poll_end(&Context::from_waker(&waker)).is_ready());
        assert!(Group::join(&group).is_none(), "it has ended");
    });
}

#[test]
fn a_group_that_has_ended_lets_nobody_in() {
    explore(4, || {
        let group = Group::new();
        let other = group.clone();
        let late = thread::spawn(move || Group::join(&other));
        let (flag, waker) = flag();
        let is_over = group.poll_end(&Context::from_waker(&waker)).is_ready();
        let late = late.join().unwrap();
        assert_eq!(is_over, late.is_none(), "it is over, and somebody is in it");
        drop(late);
        assert!(is_over || flag.0.load(Ordering::Acquire), "it waits for ever");
    });
}

#[test]
fn who_waits_for_the_next_end_hears_of_each() {
    explore(4, || {
        let ended = Ended::new();
        let threads: Vec<_> = (0..2)
            .map(|place| {
                let says_so = SaysSo::new(&ended, place);
                thread::spawn(move || drop(says_so))
            })
            .collect();
        let (flag, waker) = flag();
        let mut told = usize::from(ended.poll_next(&Context::from_waker(&waker)).is_ready());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(told > 0 || flag.0.load(Ordering::Acquire), "it waits for ever");
        while ended.poll_next(&Context::from_waker(&waker)).is_ready() {
            told += 1;
        }
        assert_eq!(told, 2);
    });
}
