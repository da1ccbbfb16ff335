//! Loom models of serial execution: posts × drains × the executor's end, calls × calls × those who leave.
//!
//! The executor is a queue whose runnables a model's threads run when they please. Each model has been seen to fail on a broken variant; those are
//! kept as `strand-*.patch` in `ci/mutants`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::{Mutex, Notify};
use loom::thread;

use tress_runtime::executor::{Executor, Runnable};

use crate::primitive::thread_local;
use crate::{Actor, RefMut, Strand, StrandCell};

/// Std's `Arc`: loom need not explore who keeps the model's own things.
#[expect(clippy::disallowed_types, reason = "unseen by loom on purpose")]
type Shared<T> = std::sync::Arc<T>;
/// For the model's own books, which loom need not explore.
#[expect(clippy::disallowed_types, reason = "unseen by loom on purpose")]
type Count = std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

/// An executor of which nothing is left but its queue.
#[derive(Clone)]
struct Yard(Shared<Queue>);

struct Queue {
    runnables: Mutex<Option<VecDeque<Runnable>>>,
    posted: Notify,
    /// Whether all code is taken to run on it.
    is_everywhere: bool,
}

impl Yard {
    fn new() -> Self {
        Self::with(false)
    }

    fn everywhere() -> Self {
        Self::with(true)
    }

    fn with(is_everywhere: bool) -> Self {
        let runnables = Mutex::new(Some(VecDeque::new()));
        Self(Shared::new(Queue { runnables, posted: Notify::new(), is_everywhere }))
    }

    fn next(&self) -> Option<Runnable> {
        self.0.runnables.lock().expect("nobody panics").as_mut()?.pop_front()
    }

    /// Runs what is queued by now, and what that queues.
    fn run(&self) {
        while let Some(runnable) = self.next() {
            runnable.run();
        }
    }

    /// Runs one, when there is one.
    fn run_one(&self) {
        loop {
            if let Some(runnable) = self.next() {
                return runnable.run();
            }
            self.0.posted.wait();
        }
    }

    /// Drops what is queued, and all that comes.
    fn close(&self) {
        let queued = self.0.runnables.lock().expect("nobody panics").take();
        drop(queued);
    }
}

impl PartialEq for Yard {
    fn eq(&self, other: &Self) -> bool {
        Shared::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Yard {}

impl Executor for Yard {
    fn post(&self, runnable: Runnable) {
        let mut runnables = self.0.runnables.lock().expect("nobody panics");
        match runnables.as_mut() {
            Some(queue) => queue.push_back(runnable),
            None => {
                drop(runnables);
                return drop(runnable);
            }
        }
        drop(runnables);
        self.0.posted.notify();
    }

    fn is_current(&self) -> bool {
        self.0.is_everywhere
    }
}

fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(builder.preemption_bound.unwrap_or(preemptions).min(preemptions));
    builder.max_branches = 10_000;
    builder.check(model);
}

/// What only one at a time may touch; loom sees who does.
struct Log(UnsafeCell<Vec<u32>>);

// SAFETY: loom checks it.
#[expect(unsafe_code, reason = "loom checks who touches it")]
unsafe impl Sync for Log {}

impl Log {
    fn new() -> Shared<Self> {
        Shared::new(Self(UnsafeCell::new(Vec::new())))
    }

    #[expect(unsafe_code, reason = "loom checks who touches it")]
    fn push(&self, number: u32) {
        // SAFETY: loom checks it.
        self.0.with_mut(|log| unsafe { (*log).push(number) });
    }

    #[expect(unsafe_code, reason = "loom checks who touches it")]
    fn take(&self) -> Vec<u32> {
        // SAFETY: loom checks it.
        self.0.with_mut(|log| unsafe { std::mem::take(&mut *log) })
    }

    /// Checks that each is there once: 1 before 2, and 10 anywhere.
    fn check_one_before_two_and_ten(&self) {
        let mut log = self.take();
        assert!(log.iter().position(|n| *n == 1) < log.iter().position(|n| *n == 2), "{log:?}");
        log.sort_unstable();
        assert_eq!(log, [1, 2, 10]);
    }
}

#[test]
fn items_run_once_alone_and_in_order() {
    explore(2, || {
        let yard = Yard::new();
        let strand = Strand::new(yard.clone());
        let log = Log::new();
        let producers: Vec<_> = [10, 20]
            .into_iter()
            .map(|first| {
                let (strand, log) = (strand.clone(), Shared::clone(&log));
                thread::spawn(move || {
                    for number in [first, first + 1] {
                        let log = Shared::clone(&log);
                        strand.post(move || log.push(number));
                    }
                })
            })
            .collect();
        yard.run_one();
        for producer in producers {
            producer.join().expect("it ends");
        }
        yard.run();
        let log = log.take();
        let of = |first| log.iter().copied().filter(|n| (first..first + 2).contains(n)).collect::<Vec<u32>>();
        assert_eq!((of(10), of(20)), (vec![10, 11], vec![20, 21]));
        assert_eq!(log.len(), 4);
    });
}

#[test]
fn the_last_item_meets_a_post() {
    explore(4, || {
        let yard = Yard::new();
        let strand = Strand::new(yard.clone());
        let log = Log::new();
        let (first, second) = (Shared::clone(&log), Shared::clone(&log));
        strand.post(move || first.push(1));
        let own = yard.clone();
        let worker = thread::spawn(move || own.run());
        strand.post(move || second.push(2));
        worker.join().expect("it ends");
        yard.run();
        assert_eq!(log.take(), [1, 2]);
    });
}

/// After each item a turn is over, and whoever is there takes the drain.
#[test]
fn a_drain_is_stolen_between_items() {
    explore(3, || {
        let yard = Yard::new();
        let strand = Strand::builder(yard.clone()).items(1).build();
        let log = Log::new();
        for number in 0..2 {
            let (own, log) = (strand.clone(), Shared::clone(&log));
            strand.post(move || {
                assert!(own.is_current());
                log.push(number);
                let again = Shared::clone(&log);
                own.post(move || again.push(number + 10));
            });
        }
        let own = yard.clone();
        let thief = thread::spawn(move || own.run());
        yard.run();
        thief.join().expect("it ends");
        yard.run();
        assert_eq!(log.take(), [0, 1, 10, 11]);
    });
}

#[test]
fn a_drain_is_stolen_while_the_last_handle_goes() {
    explore(3, || {
        let yard = Yard::new();
        let strand = Strand::builder(yard.clone()).items(1).build();
        let (log, token) = (Log::new(), Shared::new(()));
        for number in 0..2 {
            let (log, token) = (Shared::clone(&log), Shared::clone(&token));
            strand.post(move || {
                log.push(number);
                drop(token);
            });
        }
        let thieves = [(); 2].map(|()| {
            let own = yard.clone();
            thread::spawn(move || own.run())
        });
        drop(strand);
        for thief in thieves {
            thief.join().expect("it ends");
        }
        yard.run();
        assert_eq!(Shared::strong_count(&token), 1);
        let log = log.take();
        assert!([0, 1].starts_with(&log), "{log:?}");
    });
}

/// The items of the upper one are items of the lower one, too.
#[test]
fn a_strand_stands_on_a_strand() {
    explore(2, || {
        let yard = Yard::new();
        let lower = Strand::new(yard.clone());
        let upper = Strand::new(lower.clone());
        let log = Log::new();
        let post_to_upper = |number| {
            let (strands, log) = ((lower.clone(), upper.clone()), Shared::clone(&log));
            upper.post(move || {
                assert!(strands.0.is_current() && strands.1.is_current());
                log.push(number);
            });
        };
        post_to_upper(1);
        let own = yard.clone();
        let worker = thread::spawn(move || own.run());
        let (on_upper, posted) = (upper.clone(), Shared::clone(&log));
        lower.post(move || {
            assert!(!on_upper.is_current());
            posted.push(10);
        });
        post_to_upper(2);
        worker.join().expect("it ends");
        yard.run();
        log.check_one_before_two_and_ten();
    });
}

#[test]
fn a_strand_on_a_strand_meets_the_end_of_the_executor() {
    explore(3, || {
        let yard = Yard::new();
        let upper = Strand::new(Strand::new(yard.clone()));
        let token = Shared::new(());
        let post = || {
            let counted = Shared::clone(&token);
            upper.post(move || drop(counted));
        };
        post();
        let own = yard.clone();
        let closer = thread::spawn(move || own.close());
        post();
        closer.join().expect("it ends");
        assert_eq!(Shared::strong_count(&token), 1);
    });
}

/// Whoever is on the executor below and finds the strand idle runs what he dispatches at once.
#[test]
fn dispatches_meet_a_post() {
    explore(3, || {
        let yard = Yard::everywhere();
        let strand = Strand::new(yard.clone());
        let log = Log::new();
        let add = |number| {
            let log = Shared::clone(&log);
            move || log.push(number)
        };
        let (own, first, second) = (strand.clone(), add(1), add(2));
        let other = thread::spawn(move || {
            own.dispatch(first);
            own.post(second);
        });
        strand.dispatch(add(10));
        other.join().expect("it ends");
        yard.run();
        log.check_one_before_two_and_ten();
    });
}

#[test]
fn the_last_handle_meets_a_drain() {
    explore(4, || {
        let yard = Yard::new();
        let strand = Strand::new(yard.clone());
        let token = Shared::new(());
        for _ in 0..2 {
            let token = Shared::clone(&token);
            strand.post(move || drop(token));
        }
        let own = yard.clone();
        let worker = thread::spawn(move || own.run());
        drop(strand);
        worker.join().expect("it ends");
        assert_eq!(Shared::strong_count(&token), 1);
    });
}

thread_local! {
    /// What an item has taken with it, off its strand.
    static KEPT: RefCell<Option<RefMut<'static, u32>>> = const { RefCell::new(None) };
}

/// Adds to what the thread has kept, if it has, and gives it back.
fn give_back() {
    if let Some(mut kept) = KEPT.with(RefCell::take) {
        *kept += 1;
    }
}

#[test]
#[expect(
    unsafe_code,
    reason = "a guard that outlives its item needs a cell that is there for ever; it is freed all the same"
)]
fn a_guard_off_its_strand_meets_a_borrow() {
    explore(3, || {
        let yard = Yard::new();
        let strand = Strand::new(yard.clone());
        let whole = Box::into_raw(Box::new(StrandCell::new(&strand, 0_u32)));
        // SAFETY: it is there until all guards are gone.
        let cell: &'static StrandCell<u32> = unsafe { &*whole };
        strand.post(move || KEPT.with(|kept| *kept.borrow_mut() = Some(cell.borrow_mut())));
        let own = yard.clone();
        let keeper = thread::spawn(move || {
            own.run();
            give_back();
        });
        let count = Shared::new(Count::new(0));
        let counted = Shared::clone(&count);
        strand.post(move || {
            if let Ok(mut number) = cell.try_borrow_mut() {
                *number += 1;
                counted.fetch_add(1, SeqCst);
            }
        });
        yard.run();
        give_back();
        keeper.join().expect("it ends");
        yard.run();
        // SAFETY: every guard has been given back, and every item has been run.
        let mut cell = unsafe { Box::from_raw(whole) };
        assert_eq!(usize::try_from(*cell.get_mut()), Ok(1 + count.load(SeqCst)));
    });
}

#[test]
fn a_post_meets_the_end_of_the_executor() {
    explore(4, || {
        let yard = Yard::new();
        let strand = Strand::new(yard.clone());
        let token = Shared::new(());
        let counted = Shared::clone(&token);
        strand.post(move || drop(counted));
        let own = yard.clone();
        let closer = thread::spawn(move || own.close());
        let counted = Shared::clone(&token);
        strand.post(move || drop(counted));
        closer.join().expect("it ends");
        assert_eq!(Shared::strong_count(&token), 1);
    });
}

#[test]
fn calls_meet() {
    explore(2, || {
        let actor = Actor::new(0_u32);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let actor = actor.clone();
                thread::spawn(move || block_on(actor.call(|sum| *sum += 1)))
            })
            .collect();
        assert_eq!(block_on(actor.call(|sum| *sum += 1)), Ok(()));
        for caller in callers {
            assert_eq!(caller.join().expect("it ends"), Ok(()));
        }
        assert_eq!(actor.try_call(|sum| *sum), Ok(3));
    });
}

/// Counts its drop.
struct Dropped(Shared<Count>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Polls once.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_call_meets_its_cancellation() {
    explore(4, || {
        let actor = Actor::new(0_u32);
        let (ran, dropped) = (Shared::new(Count::new(0)), Shared::new(Count::new(0)));
        let (runs, guard) = (Shared::clone(&ran), Dropped(Shared::clone(&dropped)));
        let own = actor.clone();
        let other = thread::spawn(move || block_on(own.call(|sum| *sum += 1)));
        let mut call = actor.call(move |_| {
            runs.fetch_add(1, SeqCst);
            guard
        });
        let polled = poll(&mut call).map(drop);
        drop(call);
        assert_eq!(other.join().expect("it ends"), Ok(()));
        assert_eq!(actor.try_call(|sum| *sum), Ok(1));
        assert_eq!(dropped.load(SeqCst), 1);
        assert!(ran.load(SeqCst) <= 1 && (polled.is_pending() || ran.load(SeqCst) == 1));
    });
}

#[test]
fn a_call_is_polled_again_while_it_is_made() {
    explore(3, || {
        let actor = Actor::new(0_u32);
        let own = actor.clone();
        let other = thread::spawn(move || block_on(own.call(|sum| *sum += 1)));
        let mut call = actor.call(|sum| *sum += 1);
        let made = block_on(poll_fn(|cx| {
            // First with a waker that nobody hears.
            match poll(&mut call) {
                Poll::Pending => Pin::new(&mut call).poll(cx),
                ready => ready,
            }
        }));
        assert_eq!(made, Ok(()));
        assert_eq!(other.join().expect("it ends"), Ok(()));
        assert_eq!(actor.try_call(|sum| *sum), Ok(2));
    });
}

#[test]
fn whoever_waits_for_the_state_has_it_given() {
    explore(2, || {
        let actor = Actor::new(0_u32);
        let own = actor.clone();
        let with = thread::spawn(move || block_on(own.with(|sum| *sum += 1)));
        let own = actor.clone();
        let call = thread::spawn(move || block_on(own.call(|sum| *sum += 1)));
        assert_eq!(block_on(actor.with(|sum| *sum += 1)), Ok(()));
        assert_eq!(with.join().expect("it ends"), Ok(()));
        assert_eq!(call.join().expect("it ends"), Ok(()));
        assert_eq!(actor.try_call(|sum| *sum), Ok(3));
    });
}

#[test]
fn a_waiter_that_leaves_passes_its_turn_on() {
    explore(3, || {
        let actor = Actor::new(0_u32);
        let own = actor.clone();
        let call = thread::spawn(move || block_on(own.call(|sum| *sum += 1)));
        let own = actor.clone();
        let leaver = thread::spawn(move || {
            let mut with = own.with(|sum| *sum += 10);
            poll(&mut with).is_ready()
        });
        assert_eq!(block_on(actor.with(|sum| *sum += 1)), Ok(()));
        assert_eq!(call.join().expect("it ends"), Ok(()));
        let has_added = leaver.join().expect("it ends");
        assert_eq!(actor.try_call(|sum| *sum), Ok(2 + 10 * u32::from(has_added)));
    });
}

#[test]
fn the_last_handle_frees_what_others_have_used() {
    explore(4, || {
        let actor = Actor::new(0_u32);
        let own = actor.clone();
        let caller = thread::spawn(move || {
            assert!(own.try_call(|sum| *sum += 1).is_ok());
        });
        drop(actor);
        caller.join().expect("it ends");
    });
}

#[test]
fn what_others_have_no_time_for_is_run_by_the_executor() {
    explore(3, || {
        let yard = Yard::new();
        let actor = Actor::builder(0_u32).executor(yard.clone()).build();
        actor.post(|sum| *sum += 1).expect("there is room");
        let own = actor.clone();
        let caller = thread::spawn(move || block_on(own.call(|sum| *sum += 1)));
        yard.run_one();
        assert_eq!(caller.join().expect("it ends"), Ok(()));
        yard.run();
        assert_eq!(actor.try_call(|sum| *sum), Ok(2));
    });
}
