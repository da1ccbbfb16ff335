//! A dump, and the end of a runtime, leave tasks as they are, wherever they are called from.

mod support;

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use support::{runtime, wait_until, watchdog};
use tress::frame::{Arena, with_allocator};
use tress::task::lazy;
use tress::trace::{self, State};
use tress::{Handle, Runtime};

/// A task that makes a frame in each poll, and waits for ever. Says how often it was polled.
fn makes_frames(runtime: &Runtime) -> (tress::task::JoinHandle<()>, Arc<AtomicUsize>) {
    let polls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&polls);
    let task = runtime.spawn(poll_fn(move |_| {
        drop(lazy(async { [0_u8; 1000] }));
        counter.fetch_add(1, Ordering::Relaxed);
        Poll::Pending
    }));
    wait_until(|| polls.load(Ordering::Relaxed) > 0, "the task does not start");
    (task, polls)
}

fn state_of(handle: &Handle) -> State {
    let dump = trace::dump(handle);
    assert_eq!(dump.tasks.len(), 1, "{dump}");
    dump.tasks[0].state
}

/// The window of whoever dumps is not open for the tasks that are polled for it.
#[test]
fn by_its_callers_allocator() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let (task, polls) = makes_frames(&runtime);
    let arena = Arc::new(Arena::new(64).unwrap());
    wait_until(|| state_of(runtime.handle()) == State::Idle, "the task does not become idle");
    let before = polls.load(Ordering::Relaxed);
    with_allocator(arena, || assert_eq!(state_of(runtime.handle()), State::Idle));
    assert!(polls.load(Ordering::Relaxed) > before, "the dump has not polled it");
    assert!(!task.is_finished());
}

/// Nor for what the drop of a runtime drops.
#[test]
fn by_the_allocator_of_who_drops_the_runtime() {
    /// Makes a frame when dropped.
    struct MakesOne(Arc<AtomicBool>);

    impl Drop for MakesOne {
        fn drop(&mut self) {
            drop(lazy(async { [0_u8; 1000] }));
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let _watchdog = watchdog();
    let runtime = runtime(1);
    let has_made = Arc::new(AtomicBool::new(false));
    let makes = MakesOne(Arc::clone(&has_made));
    drop(runtime.spawn(async move {
        std::future::pending::<()>().await;
        drop(makes);
    }));
    wait_until(|| state_of(runtime.handle()) == State::Idle, "the task does not become idle");
    let arena = Arc::new(Arena::new(64).unwrap());
    with_allocator(arena, || drop(runtime));
    assert!(has_made.load(Ordering::Relaxed), "the drop had no frame");
}

/// Where a thread's locals are being dropped, no task is polled.
#[test]
fn by_a_thread_that_ends() {
    /// Dumps when dropped.
    struct Dumps(Handle, Arc<Mutex<Option<State>>>);

    impl Drop for Dumps {
        fn drop(&mut self) {
            *self.1.lock().unwrap() = Some(state_of(&self.0));
        }
    }

    thread_local! {
        static AT_THE_END: RefCell<Option<Dumps>> = const { RefCell::new(None) };
    }

    let _watchdog = watchdog();
    let runtime = runtime(1);
    let is_polled = Arc::new(AtomicBool::new(false));
    let task = runtime.spawn(poll_fn({
        let is_polled = Arc::clone(&is_polled);
        move |_| {
            // Which is there in every poll.
            drop(tress::spawn(async {}));
            is_polled.store(true, Ordering::Relaxed);
            Poll::<()>::Pending
        }
    }));
    let metrics = runtime.handle().metrics();
    wait_until(
        || is_polled.load(Ordering::Relaxed) && metrics.live_tasks() == 1,
        "the other tasks do not end",
    );
    let seen = Arc::new(Mutex::new(None));
    let dumps = Dumps(runtime.handle().clone(), Arc::clone(&seen));
    // The one that is initialised first is dropped last.
    let ends = thread::spawn(move || {
        AT_THE_END.set(Some(dumps));
        drop(AT_THE_END.with_borrow(|dumps| dumps.as_ref().map(|dumps| dumps.0.enter())));
    });
    ends.join().unwrap();
    let seen = seen.lock().unwrap().expect("the thread has dumped");
    assert_ne!(seen, State::Ended, "it was polled, and had no runtime");
    assert!(!task.is_finished());
}

/// A task that drops another runtime when it is polled, from a task of which the dump is made: nobody waits for somebody who waits.
#[test]
fn by_dropping_a_runtime() {
    let _watchdog = watchdog();
    let (outer, inner) = (runtime(1), runtime(1));
    let slot = Arc::new(Mutex::new(None::<Runtime>));
    let drops = {
        let slot = Arc::clone(&slot);
        outer.spawn(poll_fn(move |_| match slot.lock().unwrap().take() {
            Some(runtime) => {
                let left = runtime.shutdown(Duration::from_secs(10));
                Poll::Ready(left.is_ok())
            }
            None => Poll::Pending,
        }))
    };
    wait_until(|| state_of(outer.handle()) == State::Idle, "the task does not become idle");
    let (dumped, dumper) = (outer.handle().clone(), inner.handle().clone());
    *slot.lock().unwrap() = Some(inner);
    let start = Instant::now();
    // By a task that this thread runs: it is the one who would be waited for.
    let task = async move { trace::dump(&dumped).tasks.len() };
    let _ = dumper.block_on(async { tress::spawn(task).await });
    assert!(start.elapsed() < Duration::from_secs(8), "somebody waited for who waited");
    outer.block_on(drops).unwrap();
}

/// A poll that is part of a dump counts for nobody, also if the task ends in it.
#[test]
fn by_counting_its_polls() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let may_end = Arc::new(AtomicBool::new(false));
    let task = {
        let may_end = Arc::clone(&may_end);
        let end = move |_: &mut std::task::Context<'_>| {
            if may_end.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
        };
        runtime.spawn(poll_fn(end))
    };
    wait_until(|| state_of(runtime.handle()) == State::Idle, "the task does not become idle");
    for _ in 0..3 {
        assert_eq!(trace::dump(runtime.handle()).tasks[0].polls, 1);
    }
    may_end.store(true, Ordering::Relaxed);
    let dump = trace::dump(runtime.handle());
    assert_eq!((dump.tasks[0].state, dump.tasks[0].polls), (State::Ended, 1), "{dump}");
    runtime.block_on(task).unwrap();
}
