//! Loom models: run with `--cfg tress_loom`.
//!
//! A source is an integer, the bytes that have arrived; whoever raises it delivers an event afterwards, as the kernel
//! does. A task is a loom `Notify` that its waker notifies, so a lost wake is a deadlock, which loom reports.

use std::task::{Wake, Waker};
use std::time::Instant;

use loom::sync::Notify;
use loom::thread;

use super::readiness::Armed;
use super::ready::Direction::{self, Read, Write};
use super::slab::{Key, Slab};
use super::snapshot::Flags;
use super::{Events, Reactor};
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};

#[expect(clippy::disallowed_types, reason = "`Waker` is made from std's")]
type StdArc<T> = std::sync::Arc<T>;

/// For the model's own books, which loom need not explore.
#[expect(clippy::disallowed_types, reason = "unseen by loom on purpose")]
type Count = std::sync::atomic::AtomicUsize;

/// Explores `model` with at most this many preemptions: those with three threads would otherwise take an hour.
fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    let asked = builder.preemption_bound.unwrap_or(preemptions);
    builder.preemption_bound = Some(asked.min(preemptions));
    builder.check(model);
}

/// A task; counts its wakes.
struct Task {
    notify: Notify,
    wakes: Count,
}

impl Task {
    fn new() -> StdArc<Self> {
        StdArc::new(Self { notify: Notify::new(), wakes: Count::new(0) })
    }

    fn wakes(&self) -> usize {
        self.wakes.load(Ordering::SeqCst)
    }
}

impl Wake for Task {
    fn wake(self: StdArc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &StdArc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        self.notify.notify();
    }
}

/// Waits until `bytes` have arrived, as `Registration::poll_io` does.
fn receive(
    slab: &Slab,
    key: Key,
    direction: Direction,
    arrived: &AtomicUsize,
    bytes: usize,
    task: &StdArc<Task>,
) {
    let waker = Waker::from(task.clone());
    let slot = slab.slot(key);
    loop {
        let seen = slot.load();
        let mut blocked = None;
        if seen.is_ready(direction) {
            if arrived.load(Ordering::Relaxed) >= bytes {
                return;
            }
            blocked = Some(seen);
        }
        if slot.arm(direction, blocked, &waker) == Armed::Waiting {
            task.notify.wait();
        }
    }
}

fn arrive(slab: &Slab, key: Key, arrived: &AtomicUsize, flags: Flags) -> bool {
    arrived.fetch_add(1, Ordering::Relaxed);
    slab.deliver(key.to_bits(), flags)
}

/// Event × register × register again, once with the waker that is in the cell and once with another.
#[test]
fn no_event_is_lost() {
    explore(3, || {
        let slab = Arc::new(Slab::new());
        let arrived = Arc::new(AtomicUsize::new(0));
        let key = slab.allocate(Flags::READABLE).unwrap();
        let kernel = thread::spawn({
            let (slab, arrived) = (slab.clone(), arrived.clone());
            move || {
                for _ in 0..3 {
                    assert!(arrive(&slab, key, &arrived, Flags::READABLE));
                }
            }
        });
        let tasks = [Task::new(), Task::new()];
        receive(&slab, key, Read, &arrived, 1, &tasks[0]);
        receive(&slab, key, Read, &arrived, 2, &tasks[0]);
        receive(&slab, key, Read, &arrived, 3, &tasks[1]);
        kernel.join().unwrap();
        slab.release(key);
        assert!(tasks.iter().all(|task| StdArc::strong_count(task) == 1), "no waker is kept");
    });
}

/// A short read forgets the readiness while an event comes.
#[test]
fn clearing_after_a_short_read_loses_no_event() {
    explore(3, || {
        let slab = Arc::new(Slab::new());
        let arrived = Arc::new(AtomicUsize::new(0));
        let key = slab.allocate(Flags::NONE).unwrap();
        let kernel = thread::spawn({
            let (slab, arrived) = (slab.clone(), arrived.clone());
            move || (0..2).for_each(|_| assert!(arrive(&slab, key, &arrived, Flags::READABLE)))
        });
        let task = Task::new();
        receive(&slab, key, Read, &arrived, 1, &task);
        let seen = slab.slot(key).load();
        if arrived.load(Ordering::Relaxed) < 2 {
            slab.slot(key).clear(Read, seen);
        }
        receive(&slab, key, Read, &arrived, 2, &task);
        kernel.join().unwrap();
    });
}

/// Event × deregister × reuse of the slot: an event on its way, with a wake in progress, touches its own registration
/// only, and the next one's events arrive.
#[test]
fn an_event_on_its_way_spares_the_next_registration() {
    explore(3, || {
        let slab = Arc::new(Slab::new());
        let arrived = Arc::new(AtomicUsize::new(0));
        let old = slab.allocate(Flags::NONE).unwrap();
        let (former, task) = (Task::new(), Task::new());
        assert_eq!(slab.slot(old).arm(Read, None, &Waker::from(former.clone())), Armed::Waiting);
        let kernel = thread::spawn({
            let slab = slab.clone();
            move || slab.deliver(old.to_bits(), Flags::READABLE)
        });
        slab.release(old);
        let new = slab.allocate(Flags::NONE).unwrap();
        assert_eq!(slab.slot(new).arm(Read, None, &Waker::from(task.clone())), Armed::Waiting);
        let delivered = kernel.join().unwrap();
        assert_eq!(former.wakes(), usize::from(delivered));
        assert_eq!(task.wakes(), 0, "the wake was for the former registration");
        assert!(!slab.slot(new).load().is_ready(Read), "and so was the event");
        assert!(arrive(&slab, new, &arrived, Flags::READABLE));
        receive(&slab, new, Read, &arrived, 1, &task);
        assert_eq!(task.wakes(), 1);
        slab.release(new);
        assert_eq!(slab.live(), 0);
        assert_eq!(StdArc::strong_count(&former), 1, "no waker is kept");
        assert_eq!(StdArc::strong_count(&task), 1, "no waker is kept");
    });
}

/// Two deliverers, one in each direction, and a registration that ends under them: one of the three cleans up.
#[test]
fn a_slot_is_reclaimed_once() {
    explore(3, || {
        let slab = Arc::new(Slab::new());
        let old = slab.allocate(Flags::NONE).unwrap();
        let tasks = [Task::new(), Task::new()];
        for (direction, task) in [Read, Write].into_iter().zip(&tasks) {
            assert_eq!(slab.slot(old).arm(direction, None, &Waker::from(task.clone())), Armed::Waiting);
        }
        let kernels = [Flags::READABLE, Flags::WRITABLE].map(|flags| {
            let slab = slab.clone();
            thread::spawn(move || slab.deliver(old.to_bits(), flags))
        });
        let owner = thread::spawn({
            let slab = slab.clone();
            move || slab.release(old)
        });
        for (kernel, task) in kernels.into_iter().zip(&tasks) {
            let delivered = kernel.join().unwrap();
            assert_eq!(task.wakes(), usize::from(delivered));
        }
        owner.join().unwrap();
        assert_eq!(slab.live(), 0);
        assert!(tasks.iter().all(|task| StdArc::strong_count(task) == 1), "no waker is kept");
        let (one, other) = (slab.allocate(Flags::NONE).unwrap(), slab.allocate(Flags::NONE).unwrap());
        assert_ne!(one.to_bits(), other.to_bits(), "the slot was free once");
        assert!(!std::ptr::eq(slab.slot(one), slab.slot(other)), "the slot was free once");
    });
}

/// Two tasks wait in one direction: an event wakes both, and neither wakes the other.
#[test]
fn two_waiters_in_one_direction_are_both_woken() {
    explore(2, || {
        let slab = Arc::new(Slab::new());
        let arrived = Arc::new(AtomicUsize::new(0));
        let key = slab.allocate(Flags::NONE).unwrap();
        let spawn = |task: &StdArc<Task>| {
            let (slab, arrived, task) = (slab.clone(), arrived.clone(), task.clone());
            thread::spawn(move || receive(&slab, key, Read, &arrived, 1, &task))
        };
        let tasks = [Task::new(), Task::new()];
        let waiters = [spawn(&tasks[0]), spawn(&tasks[1])];
        assert!(arrive(&slab, key, &arrived, Flags::READABLE));
        for waiter in waiters {
            waiter.join().unwrap();
        }
        // Two, not one: `Notify` wakes up by itself at times, and who polls again may then stand in the list and the
        // cell.
        assert!(tasks.iter().all(|task| task.wakes() <= 2), "a waiter wakes nobody");
        slab.release(key);
        assert!(tasks.iter().all(|task| StdArc::strong_count(task) == 1), "no waker is kept");
    });
}

/// Looks once, if nobody else is looking; returns how many events it took to their registrations.
fn turn(reactor: &Reactor, deadline: Option<Instant>) -> Option<usize> {
    let mut events = Events::new();
    reactor.try_lock()?.wait(&mut events, deadline, None).unwrap();
    Some(reactor.dispatch(&mut events))
}

/// The owner waits in its reactor while a peer looks as well, and both dispatch events of the same registration.
#[test]
fn a_peer_that_takes_over_loses_no_event() {
    explore(2, || {
        let reactor = Reactor::new(0).unwrap();
        let arrived = Arc::new(AtomicUsize::new(1));
        let delivered = Arc::new(Count::new(0));
        let key = reactor.slab().allocate(Flags::NONE).unwrap();
        reactor.raise(key, Flags::READABLE);
        let owner = thread::spawn({
            let (reactor, delivered) = (reactor.clone(), delivered.clone());
            move || {
                while delivered.load(Ordering::SeqCst) < 2 {
                    match turn(&reactor, None) {
                        Some(count) => drop(delivered.fetch_add(count, Ordering::SeqCst)),
                        None => thread::yield_now(),
                    }
                }
            }
        });
        let peer = thread::spawn({
            let (reactor, delivered, arrived) = (reactor.clone(), delivered.clone(), arrived.clone());
            move || {
                arrived.fetch_add(1, Ordering::Relaxed);
                reactor.raise(key, Flags::READABLE);
                if let Some(count) = turn(&reactor, Some(Instant::now())) {
                    delivered.fetch_add(count, Ordering::SeqCst);
                }
                reactor.unpark();
            }
        });
        let task = Task::new();
        receive(reactor.slab(), key, Read, &arrived, 1, &task);
        receive(reactor.slab(), key, Read, &arrived, 2, &task);
        peer.join().unwrap();
        owner.join().unwrap();
    });
}

/// A peer looks into the reactor at the moment when its owner is unparked: the owner returns all the same.
#[test]
fn a_look_leaves_the_unpark_to_the_owner() {
    explore(3, || {
        let reactor = Reactor::new(0).unwrap();
        let owner = thread::spawn({
            let reactor = reactor.clone();
            move || {
                while turn(&reactor, None).is_none() {
                    thread::yield_now();
                }
            }
        });
        let peer = thread::spawn({
            let reactor = reactor.clone();
            move || turn(&reactor, Some(Instant::now()))
        });
        reactor.unpark();
        peer.join().unwrap();
        owner.join().unwrap();
    });
}

/// Closing × a waiter in the cell, one in the overflow list, and one that comes: nobody waits afterwards, and no waker
/// is kept.
#[test]
fn closing_wakes_every_waiter() {
    explore(3, || {
        let reactor = Reactor::new(0).unwrap();
        let key = reactor.slab().allocate(Flags::NONE).unwrap();
        let tasks = [Task::new(), Task::new(), Task::new()];
        for task in &tasks[1..] {
            let armed = reactor.slab().slot(key).arm(Read, None, &Waker::from(task.clone()));
            assert_eq!(armed, Armed::Waiting);
        }
        let closer = thread::spawn({
            let reactor = reactor.clone();
            move || reactor.close()
        });
        for direction in [Write, Read] {
            let waker = Waker::from(tasks[0].clone());
            while reactor.slab().slot(key).arm(direction, None, &waker) == Armed::Waiting {
                tasks[0].notify.wait();
            }
        }
        closer.join().unwrap();
        assert!(
            tasks.iter().all(|task| task.wakes() > 0 || StdArc::ptr_eq(task, &tasks[0])),
            "all are woken"
        );
        assert!(reactor.slab().allocate(Flags::NONE).is_err());
        reactor.slab().release(key);
        assert!(tasks.iter().all(|task| StdArc::strong_count(task) == 1), "no waker is kept");
    });
}
