//! A strand has its executor for a turn, then goes behind its neighbours; whichever worker is free takes it, as a whole.

mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use support::{burn, runtime, wait_until, watchdog, without_panic_messages};
use tress::executor::{Executor, Manual, QueueHandle, Runnable, launch};
use tress::strand::{Strand, StrandCell};
use tress::task::yield_now;

/// Says how it is given what it is to run.
#[derive(Clone)]
struct Recorder {
    below: QueueHandle,
    log: Arc<Mutex<Vec<&'static str>>>,
}

impl Recorder {
    fn over(manual: &Manual) -> Self {
        Self { below: manual.executor(), log: Arc::default() }
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.log.lock().expect("nobody panics"))
    }
}

impl PartialEq for Recorder {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.log, &other.log)
    }
}

impl Eq for Recorder {}

impl Executor for Recorder {
    fn post(&self, runnable: Runnable) {
        self.log.lock().expect("nobody panics").push("post");
        self.below.post(runnable);
    }

    fn defer(&self, runnable: Runnable) {
        self.log.lock().expect("nobody panics").push("defer");
        self.below.defer(runnable);
    }

    fn is_current(&self) -> bool {
        self.below.is_current()
    }
}

#[test]
fn only_the_first_in_hands_it_over_and_a_turn_that_ends_goes_behind() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let recorder = Recorder::over(&manual);
    let strand = Strand::builder(recorder.clone()).items(2).time(Duration::from_secs(60)).build();
    for _ in 0..3 {
        strand.post(|| ());
        strand.defer(|| ());
    }
    assert_eq!(recorder.take(), ["post"]);
    manual.run_until_idle(10);
    // The last turn is over, too, before it is known that nothing waits.
    assert_eq!(recorder.take(), ["defer"; 2]);
    strand.defer(|| ());
    strand.post(|| ());
    assert_eq!(recorder.take(), ["defer"]);
    manual.run_until_idle(10);
    assert_eq!(recorder.take(), [""; 0]);
    // A task that yields goes behind what waits on its strand, which needs no executor for that.
    let seen = Arc::new(StrandCell::new(&strand, Vec::new()));
    let (own, last) = (Arc::clone(&seen), Arc::clone(&seen));
    drop(strand.spawn(async move {
        own.borrow_mut().push("task");
        yield_now().await;
        own.borrow_mut().push("task again");
    }));
    strand.post(move || last.borrow_mut().push("posted"));
    manual.run_until_idle(10);
    let (tx, rx) = mpsc::channel();
    strand.post(move || tx.send(seen.with(std::mem::take)).expect("somebody waits"));
    manual.run_until_idle(10);
    assert_eq!(rx.recv().expect("it is run"), ["task", "posted", "task again"]);
}

#[test]
fn a_turn_is_over_after_its_time() {
    const ITEMS: usize = 100;
    let _watchdog = watchdog();
    let manual = Manual::new();
    let strand = Strand::builder(manual.executor()).items(u32::MAX).time(Duration::from_millis(5)).build();
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..ITEMS {
        let ran = Arc::clone(&ran);
        strand.post(move || {
            burn(Duration::from_millis(1));
            ran.fetch_add(1, Ordering::Relaxed);
        });
    }
    let mut turns = Vec::new();
    while manual.run_one() {
        turns.push(ran.swap(0, Ordering::Relaxed));
    }
    assert_eq!(turns.iter().sum::<usize>(), ITEMS);
    // The first one does not know yet how long they are.
    assert!(turns[0] <= 20, "{turns:?}");
    assert!(turns[1..].iter().all(|items| *items <= 6), "{turns:?}");
}

#[test]
fn dispatch_does_not_overtake() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let strand = Strand::new(manual.executor());
    let (tx, rx) = mpsc::channel();
    let say = |word: &'static str| {
        let tx = tx.clone();
        move || tx.send(word).expect("somebody listens")
    };
    let (own, second, third) = (strand.clone(), say("second"), say("third"));
    // It runs on the executor below, but the strand is not idle by then.
    let task = launch(manual.executor()).spawn(async move {
        own.dispatch(second);
        third();
    });
    strand.post(say("first"));
    assert!(manual.run_one() && task.is_finished());
    manual.run_until_idle(10);
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), ["third", "first", "second"]);
    // Nor does it on one that is at work, on another thread.
    let ((begun, has_begun), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel::<()>());
    let (first, second) = (say("first"), say("second"));
    strand.post(move || {
        begun.send(()).expect("somebody waits");
        let _ = may_go_on.recv();
        first();
    });
    thread::scope(|scope| {
        let running = scope.spawn(|| manual.run_one());
        has_begun.recv().expect("it is run");
        let own = strand.clone();
        drop(launch(manual.executor()).spawn(async move { own.dispatch(second) }));
        assert!(manual.run_one(), "this thread is on the executor, too");
        assert!(rx.try_recv().is_err());
        drop(go_on);
        assert!(running.join().expect("it ends"));
    });
    manual.run_until_idle(10);
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), ["first", "second"]);
}

#[test]
fn a_dispatch_that_panics_leaves_it_idle() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let strand = Strand::new(manual.executor());
    let own = strand.clone();
    let task = launch(manual.executor()).spawn(async move {
        own.dispatch(|| panic!("expected: at once"));
        let (tx, rx) = mpsc::channel();
        let inner = own.clone();
        own.dispatch(move || {
            inner.dispatch(|| panic!("expected: inside"));
            tx.send(inner.is_current()).expect("somebody waits");
        });
        (rx.try_recv(), own.is_current())
    });
    without_panic_messages(|| manual.run_until_idle(10));
    assert_eq!(support::block_on_foreign(task).expect("it is no panic of the task"), (Ok(true), false));
}

/// The worker that it was posted from is busy: another one takes all of it.
#[test]
fn a_strand_is_stolen() {
    const ITEMS: usize = 1_000;
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let strand = Strand::builder(runtime.handle().clone()).items(10).build();
    let ran_on = Arc::new(StrandCell::new(&strand, Vec::new()));
    let (done, is_done) = mpsc::channel();
    let (own, seen) = (strand.clone(), Arc::clone(&ran_on));
    let busy = runtime.spawn(async move {
        for number in 0..ITEMS {
            let seen = Arc::clone(&seen);
            own.post(move || seen.borrow_mut().push((thread::current().id(), number)));
        }
        own.post(move || done.send(()).expect("somebody waits"));
        // It is in this worker's queue, and this worker does not go on.
        is_done.recv_timeout(Duration::from_secs(20)).expect("nobody else runs it");
        thread::current().id()
    });
    let busy = runtime.block_on(busy).expect("it ends");
    let (tx, rx) = mpsc::channel();
    strand.post(move || tx.send(ran_on.with(std::mem::take)).expect("somebody waits"));
    let ran_on = rx.recv().expect("it is run");
    assert!(ran_on.iter().map(|item| item.1).eq(0..ITEMS));
    let threads: HashSet<_> = ran_on.into_iter().map(|item| item.0).collect();
    assert!(!threads.contains(&busy));
}

/// Between two turns as well: a worker that is kept by an item of another strand does not keep this one.
#[test]
fn a_strand_that_waits_for_its_next_turn_is_stolen() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let strand = Strand::builder(runtime.handle().clone()).items(1).build();
    let ran = Arc::new(AtomicUsize::new(0));
    let ((go_on, may_go_on), blocker) = (mpsc::channel(), Strand::new(runtime.handle().clone()));
    let (other, own) = (blocker.clone(), strand.clone());
    let (counts, seen) = (Arc::clone(&ran), Arc::clone(&ran));
    strand.post(move || {
        // What blocks is in this worker's queue before this strand's next turn.
        other.post(move || may_go_on.recv_timeout(Duration::from_secs(20)).expect("somebody says so"));
        for _ in 0..100 {
            let counts = Arc::clone(&counts);
            own.post(move || {
                counts.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    wait_until(|| seen.load(Ordering::Relaxed) == 100, "it waits for another strand");
    go_on.send(()).expect("somebody waits");
    drop(blocker);
}
