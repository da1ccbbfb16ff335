//! Loom models of lanes: posts × pumps that begin, give way and end, and × the end of the pool.
//!
//! The ground is a queue whose runnables a model's threads run when they please. All queues are *bare* (see
//! [`deque`](crate::primitive::deque)): a lock would order what the gate has to order. Only one thread at a time pushes to one, since a
//! stand-in may give out what another pusher has not published yet: posters have lanes of their own. Each model has been seen to fail on a broken
//! variant; those are kept as `lanes-*.patch` in `ci/mutants`.
#![expect(unsafe_code, reason = "hand-made runnables")]

use std::ptr::{self, NonNull};
use std::time::Duration;

use loom::sync::Notify;
use loom::thread;

use super::shared::{Ground, Place, Shared};
use crate::context;
use crate::executor::{Header, Runnable, RunnableVtable, Transfer};
use crate::primitive::cell::UnsafeCell;
use crate::primitive::deque::stand_in::bare;
use crate::primitive::deque::{Injector, Steal};
use crate::primitive::explore::explore;
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};

/// For the model's own books, which loom need not explore.
#[expect(clippy::disallowed_types, reason = "unseen by loom on purpose")]
type Count = std::sync::atomic::AtomicUsize;

/// A pool of which nothing is left but its queue.
struct Yard {
    queue: Injector<Runnable>,
    posted: Notify,
    closed: AtomicBool,
    most: Count,
}

impl Yard {
    fn lanes(lanes: usize, pumps: usize, batch: u32) -> Arc<Shared<Self>> {
        bare(|| {
            let (queue, posted) = (Injector::new(), Notify::new());
            let yard = Self { queue, posted, closed: AtomicBool::new(false), most: Count::new(0) };
            Shared::new(yard, lanes, pumps, batch)
        })
    }

    fn next(&self) -> Option<Runnable> {
        match self.queue.steal() {
            Steal::Success(pump) => Some(pump),
            Steal::Empty | Steal::Retry => None,
        }
    }

    /// Runs what is queued by now, and what that queues.
    fn run(&self) {
        while let Some(pump) = self.next() {
            drop(pump.execute());
        }
    }

    /// Runs one pump, when there is one.
    fn run_one(&self) {
        loop {
            if let Some(pump) = self.next() {
                drop(pump.execute());
                return;
            }
            self.posted.wait();
        }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.drain();
    }

    fn drain(&self) {
        context::drain_unless_draining(NonNull::from(self).cast(), || {
            while let Some(pump) = self.next() {
                drop(pump);
            }
        });
    }
}

impl Ground for Yard {
    fn post(&self, pump: Runnable, _place: Place) {
        self.queue.push(pump);
        self.most.fetch_max(self.queue.len(), Ordering::Relaxed);
        self.posted.notify();
        fence(Ordering::SeqCst);
        if self.is_closed() {
            self.drain();
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn is_worth_help(&self, _backlog: Duration) -> bool {
        false
    }

    fn runs_here(&self) -> bool {
        true
    }

    fn is_suspended(&self) -> bool {
        false
    }
}

/// What an item does when it is run, or dropped.
enum Does {
    Nothing,
    /// Is run once more, after its turn.
    Yields,
    /// Defers these.
    Defers(Vec<Runnable>),
    /// Waits until somebody says so.
    Waits(Arc<Notify>),
    /// Says so.
    Notifies(Arc<Notify>),
    /// Dropped or run, posts this one.
    Posts(Runnable),
}

/// What has become of a model's items.
struct Books {
    ran: Count,
    cancelled: Count,
}

/// What stands behind a model's items.
#[repr(C)]
struct Item {
    header: Header,
    books: Arc<Books>,
    lanes: Arc<Shared<Yard>>,
    /// Its own, and that of what it posts.
    lane: usize,
    does: Does,
    /// Written by who makes the item and by who ends it.
    content: UnsafeCell<u32>,
}

static ITEM: RunnableVtable = RunnableVtable { run: run_item, cancel: cancel_item };

impl Books {
    fn new() -> Arc<Self> {
        Arc::new(Self { ran: Count::new(0), cancelled: Count::new(0) })
    }
}

/// # Safety
///
/// The caller uses up the item's runnable.
unsafe fn end_item(header: NonNull<Header>) -> Item {
    // SAFETY: runnables of models are made of boxes, and used up once.
    let item = *unsafe { Box::from_raw(header.cast::<Item>().as_ptr()) };
    // SAFETY: loom checks that nobody else is at it.
    let content = item.content.with_mut(|content| unsafe { std::mem::replace(&mut *content, 0) });
    assert_eq!(content, 1, "an item is ended once");
    item
}

unsafe fn run_item(header: NonNull<Header>) -> Option<Transfer> {
    // SAFETY: the runnable is used up.
    let Item { books, lanes, lane, does, .. } = unsafe { end_item(header) };
    assert!(lanes.is_current(lane));
    match does {
        Does::Nothing => {}
        Does::Yields => Shared::defer(&lanes, lane, item(&books, &lanes, lane, Does::Nothing)),
        Does::Defers(items) => items.into_iter().for_each(|item| Shared::defer(&lanes, lane, item)),
        Does::Waits(until) => until.wait(),
        Does::Notifies(who) => who.notify(),
        Does::Posts(next) => Shared::post(&lanes, lane, next),
    }
    books.ran.fetch_add(1, Ordering::Relaxed);
    None
}

unsafe fn cancel_item(header: NonNull<Header>) {
    // SAFETY: the runnable is used up.
    let Item { books, lanes, lane, does, .. } = unsafe { end_item(header) };
    books.cancelled.fetch_add(1, Ordering::Relaxed);
    match does {
        Does::Posts(next) => Shared::post(&lanes, lane, next),
        Does::Defers(items) => drop(items),
        Does::Nothing | Does::Yields | Does::Waits(_) | Does::Notifies(_) => {}
    }
}

/// Makes a runnable that is entered in the books when it has been run or cancelled.
fn item(books: &Arc<Books>, lanes: &Arc<Shared<Yard>>, lane: usize, does: Does) -> Runnable {
    let vtable = NonNull::from(&ITEM);
    let header = Header { state: AtomicUsize::new(0), link: AtomicPtr::new(ptr::null_mut()), vtable };
    let (books, lanes) = (books.clone(), lanes.clone());
    let item = Item { header, books, lanes, lane, does, content: UnsafeCell::new(0) };
    // SAFETY: loom checks that nobody else is at it.
    item.content.with_mut(|content| unsafe { *content = 1 });
    // SAFETY: the box is valid until the runnable is used up, and this is the only one.
    unsafe { Runnable::from_raw(NonNull::from(Box::leak(Box::new(item))).cast()) }
}

/// Posts an item.
fn post(lanes: &Arc<Shared<Yard>>, lane: usize, books: &Arc<Books>, does: Does) {
    Shared::post(lanes, lane, item(books, lanes, lane, does));
}

/// A thread with the lanes and the books.
fn start(
    lanes: &Arc<Shared<Yard>>,
    books: &Arc<Books>,
    f: impl FnOnce(&Arc<Shared<Yard>>, &Arc<Books>) + 'static,
) -> thread::JoinHandle<()> {
    let (lanes, books) = (lanes.clone(), books.clone());
    thread::spawn(move || f(&lanes, &books))
}

/// When all threads have ended: runs what is left, and sees that so many items have been run, and nothing stays behind.
fn end(lanes: &Arc<Shared<Yard>>, books: &Arc<Books>, ran: usize) {
    lanes.ground.run();
    assert_eq!((books.ran.load(Ordering::Relaxed), books.cancelled.load(Ordering::Relaxed)), (ran, 0));
    assert!(lanes.ground.most.load(Ordering::Relaxed) <= 1, "two pumps wait");
    at_rest(lanes);
}

fn at_rest(lanes: &Arc<Shared<Yard>>) {
    assert!(lanes.is_at_rest(), "{lanes:?}");
    assert_eq!(Arc::strong_count(lanes), 1, "a pump that is free holds its lanes");
}

/// What is posted while a pump begins or ends is run by it or by another one.
#[test]
fn a_post_while_a_pump_ends_is_run() {
    explore(3, || {
        let (lanes, books) = (Yard::lanes(2, 2, 4), Books::new());
        post(&lanes, 0, &books, Does::Nothing);
        let runner = start(&lanes, &books, |lanes, _| lanes.ground.run());
        let poster = start(&lanes, &books, |lanes, books| post(lanes, 1, books, Does::Nothing));
        post(&lanes, 0, &books, Does::Nothing);
        runner.join().unwrap();
        poster.join().unwrap();
        end(&lanes, &books, 3);
    });
}

/// The same where a pump gives way after each item, and leaves it one that no other pump waits for.
#[test]
fn a_post_while_a_pump_gives_way_is_run() {
    explore(3, || {
        let (lanes, books) = (Yard::lanes(2, 2, 1), Books::new());
        post(&lanes, 0, &books, Does::Nothing);
        let runner = start(&lanes, &books, |lanes, _| lanes.ground.run());
        let poster = start(&lanes, &books, |lanes, books| post(lanes, 1, books, Does::Yields));
        post(&lanes, 0, &books, Does::Nothing);
        runner.join().unwrap();
        poster.join().unwrap();
        end(&lanes, &books, 4);
    });
}

/// Two threads run pumps, of two lanes, and their items yield.
#[test]
fn two_pumps_run_each_item_once() {
    explore(2, || {
        let (lanes, books) = (Yard::lanes(2, 2, 2), Books::new());
        post(&lanes, 0, &books, Does::Yields);
        post(&lanes, 1, &books, Does::Yields);
        let runner = start(&lanes, &books, |lanes, _| lanes.ground.run());
        lanes.ground.run();
        runner.join().unwrap();
        end(&lanes, &books, 4);
    });
}

/// An item that waits for the next one does not keep it from a thread that has time.
#[test]
fn a_stuck_item_holds_up_no_other() {
    explore(2, || {
        let (lanes, books) = (Yard::lanes(1, 3, 4), Books::new());
        let notify = Arc::new(Notify::new());
        post(&lanes, 0, &books, Does::Waits(notify.clone()));
        let runners = [(); 2].map(|()| start(&lanes, &books, |lanes, _| lanes.ground.run_one()));
        post(&lanes, 0, &books, Does::Notifies(notify));
        for runner in runners {
            runner.join().unwrap();
        }
        end(&lanes, &books, 2);
    });
}

/// Nor do two that an item has deferred wait for each other's pump.
#[test]
fn one_item_is_deferred_for_a_running_pump() {
    explore(3, || {
        let (lanes, books) = (Yard::lanes(1, 3, 4), Books::new());
        let notify = Arc::new(Notify::new());
        let waits = item(&books, &lanes, 0, Does::Waits(notify.clone()));
        let notifies = item(&books, &lanes, 0, Does::Notifies(notify));
        post(&lanes, 0, &books, Does::Defers(vec![waits, notifies]));
        let runner = start(&lanes, &books, |lanes, _| lanes.ground.run_one());
        lanes.ground.run_one();
        runner.join().unwrap();
        end(&lanes, &books, 3);
    });
}

/// What is posted while the pool is closed is run or dropped, and so is what its drop posts.
#[test]
fn a_post_to_a_pool_that_closes_is_not_left_behind() {
    explore(2, || {
        let (lanes, books) = (Yard::lanes(2, 2, 2), Books::new());
        post(&lanes, 0, &books, Does::Yields);
        let poster = start(&lanes, &books, |lanes, books| {
            let next = item(books, lanes, 1, Does::Nothing);
            post(lanes, 1, books, Does::Posts(next));
        });
        let closer = start(&lanes, &books, |lanes, _| lanes.ground.close());
        if let Some(pump) = lanes.ground.next() {
            drop(pump.execute());
        }
        poster.join().unwrap();
        closer.join().unwrap();
        let (ran, cancelled) = (books.ran.load(Ordering::Relaxed), books.cancelled.load(Ordering::Relaxed));
        assert!((3..=4).contains(&(ran + cancelled)), "{ran} ran, {cancelled} cancelled");
        at_rest(&lanes);
    });
}
