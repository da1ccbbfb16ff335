//! What runs on a strand never overlaps, and in the order in which each producer has posted it.

mod support;

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use support::{runtime, watchdog, without_panic_messages};
use tress::executor::{AnyExecutor, Executor, Inline, Manual, Runnable, launch, run_on};
use tress::strand::{BorrowError, Strand, StrandCell};

/// An item that says when it is run, and can be seen to be there.
fn counting(ran: &Arc<AtomicUsize>) -> impl FnOnce() + Send + 'static {
    let ran = Arc::clone(ran);
    move || {
        ran.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs on the strand after all that has been posted before.
fn wait_for(strand: &Strand) {
    let (tx, rx) = mpsc::channel();
    strand.post(move || tx.send(()).expect("somebody waits"));
    rx.recv_timeout(Duration::from_secs(20)).expect("the strand goes on");
}

#[test]
fn posts_of_each_producer_run_in_order_and_alone() {
    let _watchdog = watchdog();
    const PRODUCERS: usize = 4;
    const POSTS: usize = 5_000;
    let runtime = runtime(2);
    let strand = Strand::new(runtime.handle().clone());
    let seen = Arc::new(StrandCell::new(&strand, HashMap::<usize, Vec<usize>>::new()));
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let (strand, seen) = (&strand, &seen);
            scope.spawn(move || {
                for number in 0..POSTS {
                    let seen = Arc::clone(seen);
                    strand.post(move || seen.borrow_mut().entry(producer).or_default().push(number));
                }
            });
        }
    });
    let (tx, rx) = mpsc::channel();
    let cell = Arc::clone(&seen);
    strand.post(move || tx.send(std::mem::take(&mut *cell.borrow_mut())).expect("somebody waits"));
    let seen = rx.recv_timeout(Duration::from_secs(20)).expect("the strand goes on");
    for producer in 0..PRODUCERS {
        assert_eq!(seen[&producer], (0..POSTS).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_posted_from_inside_runs_after_what_waits() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let strand = Strand::builder(manual.executor()).time(Duration::from_secs(60)).build();
    let (tx, rx) = mpsc::channel();
    let say = |word: &'static str| {
        let tx = tx.clone();
        move || tx.send(word).expect("somebody listens")
    };
    let (inside, from_outside, now) = (say("inside"), say("outside"), say("now"));
    let (first, own) = (say("first"), strand.clone());
    strand.post(move || {
        first();
        own.post(inside);
        own.dispatch(now);
    });
    strand.post(from_outside);
    assert_eq!(manual.run_until_idle(10), 1, "one drain runs it all");
    drop(tx);
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), ["first", "now", "outside", "inside"]);
}

#[test]
fn dispatch_is_inline_only_on_an_idle_strand_of_the_current_executor() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let strand = Strand::new(runtime.handle().clone());
    let ran_on = |strand: &Strand| {
        let (tx, rx) = mpsc::channel();
        let inner = strand.clone();
        strand.dispatch(move || {
            assert!(inner.is_current());
            tx.send(thread::current().id()).expect("somebody waits");
        });
        rx
    };
    // Not from a thread that is no worker's.
    assert_ne!(ran_on(&strand).recv().expect("it runs"), thread::current().id());
    let own = strand.clone();
    let is_inline =
        runtime.block_on(runtime.spawn(async move { ran_on(&own).try_recv() == Ok(thread::current().id()) }));
    assert!(is_inline.expect("it ends"));
    assert!(!strand.is_current());
}

#[test]
fn tasks_on_a_strand_stay_there() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let strand = Strand::new(runtime.handle().clone());
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    runtime.block_on(async {
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let (strand, own) = (strand.clone(), strand.clone());
                let (inside, most) = (Arc::clone(&inside), Arc::clone(&most));
                strand.spawn(async move {
                    for _ in 0..100 {
                        assert!(own.is_current());
                        let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        tress::task::yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("it ends");
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[test]
fn run_on_goes_to_the_strand_and_comes_back() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let strand = Strand::new(runtime.handle().clone());
    let own = strand.clone();
    let task = runtime.spawn(async move {
        assert!(!own.is_current());
        assert!(run_on(own.clone(), async { own.is_current() }).await);
        !own.is_current()
    });
    assert!(runtime.block_on(task).expect("it ends"));
}

#[test]
fn run_on_leaves_the_strand_for_the_executor_below() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let strand = Strand::new(runtime.handle().clone());
    let (own, pool) = (strand.clone(), runtime.handle().clone());
    let task = strand.spawn(async move {
        assert!(own.is_current() && pool.is_current());
        assert!(!run_on(pool, async { own.is_current() }).await);
        own.is_current()
    });
    assert!(runtime.block_on(task).expect("it ends"));
}

/// Polls a future to its end on this thread, as another library would.
fn drive<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn run_on_does_not_wait_for_the_worker_that_it_blocks() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let strand = Strand::new(runtime.handle().clone());
    let (pool, (tx, rx)) = (runtime.handle().clone(), mpsc::channel());
    strand.post(move || tx.send(drive(run_on(pool, async { 7 }))).expect("somebody waits"));
    assert_eq!(rx.recv_timeout(Duration::from_secs(20)), Ok(7));
}

#[test]
fn a_panic_fails_its_own_item_only() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let strand = Strand::new(runtime.handle().clone());
    without_panic_messages(|| {
        strand.post(|| panic!("expected: of an item"));
        let task = strand.spawn(async { panic!("expected: of a task") });
        wait_for(&strand);
        assert!(runtime.block_on(task).expect_err("it panics").is_panic());
        wait_for(&strand);
    });
}

#[test]
fn a_strand_on_a_strand_is_on_both() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let outer = Strand::new(runtime.handle().clone());
    let inner = Strand::new(outer.clone());
    let (on_outer, on_inner) = (outer.clone(), inner.clone());
    let task = inner.spawn(async move { (on_outer.is_current(), on_inner.is_current()) });
    assert_eq!(runtime.block_on(task).expect("it ends"), (true, true));
    let (on_outer, on_inner) = (outer.clone(), inner.clone());
    let task = outer.spawn(async move { (on_outer.is_current(), on_inner.is_current()) });
    assert_eq!(runtime.block_on(task).expect("it ends"), (true, false));
    assert_eq!(inner.inner(), &outer);
}

#[test]
fn an_item_that_is_run_inside_by_others_is_not_on_the_strand() {
    let _watchdog = watchdog();
    let strand = Strand::new(Inline);
    let own = strand.clone();
    let (tx, rx) = mpsc::channel();
    strand.post(move || {
        let is_current = own.is_current();
        let other = own.clone();
        let manual = Manual::new();
        let task = launch(manual.executor()).spawn(async move { other.is_current() });
        manual.run_one();
        tx.send((is_current, task)).expect("somebody waits");
    });
    let (is_current, task) = rx.try_recv().expect("it is inline");
    assert!(is_current);
    assert!(!runtime(1).block_on(task).expect("it has ended"));
}

#[test]
fn the_last_handle_drops_what_is_queued() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let strand = Strand::new(manual.executor());
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        strand.post(counting(&ran));
    }
    drop(strand);
    assert_eq!(Arc::strong_count(&ran), 4);
    manual.run_until_idle(10);
    assert_eq!((Arc::strong_count(&ran), ran.load(Ordering::Relaxed)), (1, 0));
}

#[test]
fn an_executor_that_drops_the_drain_drops_what_is_queued_once() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let strand = Strand::new(manual.executor());
    let ran = Arc::new(AtomicUsize::new(0));
    strand.post(counting(&ran));
    let task = strand.spawn(async {});
    drop(manual);
    assert_eq!(Arc::strong_count(&ran), 1);
    assert!(runtime(1).block_on(task).is_err());
    // It is idle again, and what is posted is dropped as well.
    strand.post(counting(&ran));
    assert_eq!((Arc::strong_count(&ran), ran.load(Ordering::Relaxed)), (1, 0));
}

#[test]
fn a_strand_may_be_dropped_inside_itself() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let strand = Strand::new(runtime.handle().clone());
    let (tx, rx) = mpsc::channel();
    let last = strand.clone();
    strand.post(move || {
        drop(last);
        tx.send(()).expect("somebody waits");
    });
    drop(strand);
    // Whether it was run or dropped depends on who came first; neither hangs.
    assert_ne!(rx.recv_timeout(Duration::from_secs(20)), Err(mpsc::RecvTimeoutError::Timeout));
}

/// Drops what it is given; where it panics, by that.
#[derive(Clone, PartialEq, Eq)]
struct Refusing {
    panics: bool,
}

impl Executor for Refusing {
    fn post(&self, runnable: Runnable) {
        assert!(!self.panics, "expected: it is given {runnable:?}");
    }

    fn is_current(&self) -> bool {
        false
    }
}

#[test]
fn an_executor_that_takes_nothing_leaves_the_strand_idle() {
    let _watchdog = watchdog();
    for panics in [false, true] {
        let strand = Strand::new(Refusing { panics });
        let ran = Arc::new(AtomicUsize::new(0));
        without_panic_messages(|| {
            for _ in 0..2 {
                strand.post(counting(&ran));
                strand.defer(counting(&ran));
                strand.dispatch(counting(&ran));
                let counts = counting(&ran);
                let task = strand.spawn(async move { counts() });
                assert!(runtime(1).block_on(task).is_err());
            }
        });
        assert_eq!((Arc::strong_count(&ran), ran.load(Ordering::Relaxed)), (1, 0), "panics: {panics}");
        assert_eq!(strand.metrics().depth, 0);
    }
}

#[test]
fn what_is_given_to_it_after_the_end_of_its_runtime_is_dropped() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let strand = Strand::new(runtime.handle().clone());
    drop(runtime);
    let ran = Arc::new(AtomicUsize::new(0));
    strand.post(counting(&ran));
    strand.defer(counting(&ran));
    strand.dispatch(counting(&ran));
    let counts = counting(&ran);
    let task = strand.spawn(async move { counts() });
    assert!(support::block_on_foreign(task).is_err());
    assert_eq!((Arc::strong_count(&ran), ran.load(Ordering::Relaxed)), (1, 0));
}

#[test]
fn a_panic_of_what_is_dropped_ends_there() {
    let _watchdog = watchdog();
    struct Bomb(Arc<AtomicUsize>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("expected: a bomb");
        }
    }
    for last_handle_goes_first in [false, true] {
        let manual = Manual::new();
        let strand = Strand::new(manual.executor());
        let dropped = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let bomb = Bomb(Arc::clone(&dropped));
            strand.post(move || drop(bomb));
        }
        without_panic_messages(|| {
            if last_handle_goes_first {
                drop(strand);
                manual.run_until_idle(10);
            } else {
                drop(manual);
                drop(strand);
            }
        });
        assert_eq!(dropped.load(Ordering::Relaxed), 3);
    }
}

#[test]
fn strands_that_stand_on_each_other_drop_what_they_are_given() {
    let _watchdog = watchdog();
    use std::sync::OnceLock;

    /// Stands on whatever it is told to.
    #[derive(Clone)]
    struct Later(Arc<OnceLock<AnyExecutor>>);

    impl PartialEq for Later {
        fn eq(&self, other: &Self) -> bool {
            Arc::ptr_eq(&self.0, &other.0)
        }
    }
    impl Eq for Later {}

    impl Executor for Later {
        fn post(&self, runnable: Runnable) {
            self.0.get().expect("it is set").post(runnable);
        }
        fn is_current(&self) -> bool {
            false
        }
    }

    // They keep each other for ever: here, where a leak checker finds them.
    static KEPT: OnceLock<[Later; 3]> = OnceLock::new();
    let circles = KEPT.get_or_init(|| std::array::from_fn(|_| Later(Arc::new(OnceLock::new()))));
    for (more, later) in circles.iter().enumerate() {
        let lowest = Strand::new(AnyExecutor::new(later.clone()));
        let strands: Vec<_> =
            std::iter::successors(Some(lowest), |below| Some(Strand::new(AnyExecutor::new(below.clone()))))
                .take(1 + more)
                .collect();
        let highest = strands.last().expect("there is one").clone();
        assert!(later.0.set(AnyExecutor::new(highest)).is_ok());
        let ran = Arc::new(AtomicUsize::new(0));
        // Again and again: none of them is held afterwards.
        for strand in strands.iter().chain(&strands) {
            strand.post(counting(&ran));
            assert!(!strand.is_current());
            assert_eq!((Arc::strong_count(&ran), ran.load(Ordering::Relaxed)), (1, 0), "{}", strands.len());
        }
    }
}

#[test]
fn a_cell_is_lent_on_its_strand_only_and_once() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let strand = Strand::new(runtime.handle().clone());
    let cell = Arc::new(StrandCell::new(&strand, 1));
    assert_eq!(cell.try_borrow_mut().map(|number| *number), Err(BorrowError::NotOnStrand));
    let other = Strand::new(runtime.handle().clone());
    let own = Arc::clone(&cell);
    let task = other.spawn(async move { own.try_borrow_mut().map(|number| *number) });
    assert_eq!(runtime.block_on(task).expect("it ends"), Err(BorrowError::NotOnStrand));
    let own = Arc::clone(&cell);
    let task = strand.spawn(async move {
        let mut number = own.borrow_mut();
        *number += 1;
        let again = own.try_borrow_mut().map(|number| *number);
        drop(number);
        (again, own.with(|number| *number))
    });
    assert_eq!(runtime.block_on(task).expect("it ends"), (Err(BorrowError::Borrowed), 2));
}

#[test]
fn a_cell_outlives_its_strand_and_is_lent_on_no_other() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let strand = Strand::new(runtime.handle().clone());
    let cell = Arc::new(StrandCell::new(&strand, 1));
    drop(strand);
    for _ in 0..200 {
        let next = Strand::new(runtime.handle().clone());
        let own = Arc::clone(&cell);
        let task = next.spawn(async move { own.try_borrow_mut().is_ok() });
        assert!(!runtime.block_on(task).expect("it ends"));
    }
}

#[test]
fn a_neighbour_waits_for_a_turn_and_not_for_the_backlog() {
    const ITEMS_PER_TURN: usize = 256;
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let strand = Strand::builder(runtime.handle().clone()).items(ITEMS_PER_TURN as u32).build();
    let done = Arc::new(AtomicUsize::new(0));
    // Queued while the only worker is busy.
    let (tx, rx) = mpsc::channel::<()>();
    let blocked = runtime.spawn(async move { rx.recv().is_ok() });
    for _ in 0..100_000 {
        let done = Arc::clone(&done);
        strand.post(move || {
            done.fetch_add(1, Ordering::Relaxed);
        });
    }
    let seen = Arc::clone(&done);
    let neighbour = runtime.spawn(async move { seen.load(Ordering::Relaxed) });
    drop(tx);
    runtime.block_on(async {
        assert!(!blocked.await.expect("it ends"));
        // It comes from outside, which a busy worker looks at after so many polls, and after each turn of a strand.
        assert!(neighbour.await.expect("it ends") < 4 * ITEMS_PER_TURN);
    });
    wait_for(&strand);
    assert_eq!(done.load(Ordering::Relaxed), 100_000);
}
