//! Announce × claim × leave, in the order in which `Local` does it, but without everything else that a worker does: so
//! that more preemptions can be explored than with whole workers.

use std::collections::VecDeque;

use loom::sync::Notify;
use loom::thread;

use super::super::idle::{Idle, Left};
use super::super::parker::Parker;
use super::Count;
use crate::primitive::explore::explore;
use crate::primitive::sync::atomic::{AtomicBool, Ordering, fence};
use crate::primitive::sync::{Arc, Mutex};

/// What a pool needs in order to sleep and to be woken.
struct Sleepy {
    idle: Idle,
    beds: Vec<(Parker, Notify)>,
    injector: Mutex<VecDeque<u32>>,
    /// Set by whoever takes the last item.
    closed: AtomicBool,
    left: Count,
    claims: Count,
}

impl Sleepy {
    fn new(workers: usize, items: usize) -> Arc<Self> {
        Arc::new(Self {
            idle: Idle::new(workers),
            beds: (0..workers).map(|_| (Parker::new(), Notify::new())).collect(),
            injector: Mutex::new(VecDeque::new()),
            closed: AtomicBool::new(false),
            left: Count::new(items),
            claims: Count::new(0),
        })
    }

    fn unpark(&self, worker: usize) {
        let (parker, bed) = &self.beds[worker];
        if parker.notify() {
            bed.notify();
        }
    }

    fn notify_one(&self) {
        if let Some(worker) = self.idle.claim_one() {
            self.claims.fetch_add(1, Ordering::Relaxed);
            self.unpark(worker);
        }
    }

    fn push(&self, item: u32) {
        self.injector.lock().push_back(item);
        self.notify_one();
    }

    fn pop(&self) -> Option<u32> {
        self.injector.lock().pop_front()
    }

    fn is_empty(&self) -> bool {
        self.injector.lock().is_empty()
    }

    /// Takes note of an item; the last one is the end.
    fn end_item(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.closed.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            (0..self.beds.len()).for_each(|worker| self.unpark(worker));
        }
    }

    /// A worker's life. Says whether it counted as a searcher at the end.
    fn work(&self, worker: usize) -> bool {
        let mut searching = false;
        while !self.closed.load(Ordering::Relaxed) {
            let mut item = self.pop();
            if item.is_none() {
                searching = searching || self.idle.start_searching();
                item = searching.then(|| self.pop()).flatten();
            }
            if item.is_some() {
                if std::mem::take(&mut searching) && self.idle.stop_searching() && !self.is_empty() {
                    self.notify_one();
                }
                self.end_item();
            } else {
                searching = self.park(worker, searching);
            }
        }
        searching
    }

    /// Sleeps. Says whether the worker counts as a searcher afterwards.
    fn park(&self, worker: usize, searching: bool) -> bool {
        self.idle.announce(worker, searching);
        if !self.is_empty() || self.closed.load(Ordering::Relaxed) {
            if self.idle.leave(worker) == Left::Alone {
                self.idle.keep_searching();
            }
            return true;
        }
        let (parker, bed) = &self.beds[worker];
        if parker.prepare() {
            // May return for no reason, as a reactor does for an event: the worker then leaves by itself.
            bed.wait();
            parker.finish();
        }
        self.idle.leave(worker) == Left::Claimed
    }

    fn start(sleepy: &Arc<Self>) -> Vec<thread::JoinHandle<bool>> {
        let start = |worker| {
            let sleepy = sleepy.clone();
            thread::spawn(move || sleepy.work(worker))
        };
        (0..sleepy.beds.len()).map(start).collect()
    }

    fn end(&self, workers: Vec<thread::JoinHandle<bool>>) {
        let searching: usize = workers.into_iter().map(|worker| usize::from(worker.join().unwrap())).sum();
        assert_eq!(self.idle.searchers(), searching, "somebody is counted who is not there");
        assert_eq!(self.left.load(Ordering::Relaxed), 0);
    }
}

/// Of a herd of notifiers, one wakes one worker: it is searching from the moment when it is claimed.
#[test]
fn one_of_a_herd_of_notifiers_wakes_somebody() {
    explore(6, || {
        let idle = Arc::new(Idle::new(3));
        (0..3).for_each(|worker| idle.announce(worker, false));
        let notifiers = [(); 2].map(|()| {
            let idle = idle.clone();
            thread::spawn(move || usize::from(idle.claim_one().is_some()))
        });
        let mine = usize::from(idle.claim_one().is_some());
        let others: usize = notifiers.into_iter().map(|notifier| notifier.join().unwrap()).sum();
        assert_eq!(mine + others, 1);
        assert_eq!(idle.searchers(), 1);
    });
}

#[test]
fn one_worker_and_two_pushers() {
    explore(4, || {
        let sleepy = Sleepy::new(1, 2);
        let workers = Sleepy::start(&sleepy);
        let pusher = thread::spawn({
            let sleepy = sleepy.clone();
            move || sleepy.push(1)
        });
        sleepy.push(2);
        pusher.join().unwrap();
        sleepy.end(workers);
    });
}

#[test]
fn two_workers_and_one_push() {
    explore(3, || {
        let sleepy = Sleepy::new(2, 1);
        let workers = Sleepy::start(&sleepy);
        sleepy.push(1);
        sleepy.end(workers);
        assert!(sleepy.claims.load(Ordering::Relaxed) <= 1, "a herd");
    });
}

#[test]
fn two_workers_and_two_pushes() {
    explore(3, || {
        let sleepy = Sleepy::new(2, 2);
        let workers = Sleepy::start(&sleepy);
        sleepy.push(1);
        sleepy.push(2);
        sleepy.end(workers);
    });
}
