//! Waiting for the ends of tasks that are counted, or that say that they end × the last of them.

#![expect(clippy::disallowed_types, reason = "`Wake` wants std's Arc; the flag inside is loom's")]

use std::task::{Context, Wake, Waker};

use loom::sync::Notify;
use loom::thread;

use super::super::group::{End, Group};
use super::super::join_set::{Ended, SaysSo};
use crate::primitive::explore::explore;
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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

/// Sleeps until it is woken: a lost wake is a deadlock, which loom reports.
struct Sleeper(Notify);

impl Wake for Sleeper {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.notify();
    }
}

#[test]
fn who_waits_for_a_group_is_woken_by_its_last_member() {
    explore(4, || {
        let group = Group::new();
        let members: Vec<_> = (0..2).map(|_| Group::join(&group).unwrap()).collect();
        let threads: Vec<_> = members.into_iter().map(|member| thread::spawn(move || drop(member))).collect();
        let ((flag, waker), mut end) = (flag(), End::of(group.clone()));
        let is_over = end.poll(&Context::from_waker(&waker)).is_ready();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(is_over || flag.0.load(Ordering::Acquire), "it waits for ever");
        assert!(end.poll(&Context::from_waker(&waker)).is_ready());
        assert!(Group::join(&group).is_none(), "it has ended");
    });
}

#[test]
fn a_group_that_has_ended_lets_nobody_in() {
    explore(4, || {
        let group = Group::new();
        let other = group.clone();
        let late = thread::spawn(move || Group::join(&other));
        let ((flag, waker), mut end) = (flag(), End::of(group.clone()));
        let is_over = end.poll(&Context::from_waker(&waker)).is_ready();
        let late = late.join().unwrap();
        assert_eq!(is_over, late.is_none(), "it is over, and somebody is in it");
        drop(late);
        assert!(is_over || flag.0.load(Ordering::Acquire), "it waits for ever");
    });
}

/// One leaves, another comes, and the group is closed: whoever got in before that is waited for, and what it did is seen.
#[test]
fn who_gets_in_before_the_close_is_waited_for() {
    explore(3, || {
        let group = Group::new();
        let member = Group::join(&group).expect("it is open");
        let work = Arc::new(AtomicUsize::new(0));
        let leaves = thread::spawn(move || drop(member));
        let comes = thread::spawn({
            let (group, work) = (group.clone(), work.clone());
            move || {
                let member = Group::join(&group)?;
                work.store(1, Ordering::Relaxed);
                drop(member);
                Some(())
            }
        });
        group.close();
        assert!(Group::join(&group).is_none(), "it is closed");
        let sleeper = std::sync::Arc::new(Sleeper(Notify::new()));
        let (waker, mut end) = (Waker::from(sleeper.clone()), End::of(group.clone()));
        while end.poll(&Context::from_waker(&waker)).is_pending() {
            sleeper.0.wait();
        }
        let seen = work.load(Ordering::Relaxed);
        let has_come = comes.join().unwrap().is_some();
        assert_eq!(seen, usize::from(has_come), "it is over, and somebody is at work");
        leaves.join().unwrap();
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
