//! A shared lazy runs once, for whoever awaits it: all get its output, it goes on while anybody still wants it, and the
//! last one to lose interest cancels it.

mod leaves;
mod support;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{Either, join_all, select};
use leaves::{Flag, Gate, Tally, poll_once};
use support::{
    Census, Pend, block_on_foreign, payload_text, runtime, stress, wait_until, watchdog,
    without_panic_messages,
};
use tress::task::{SharedLazy, lazy, lazy_borrowed, yield_now};

/// Passes a gate; how often that is done is counted.
fn shared(gate: &Gate, runs: &Tally, census: &Census) -> SharedLazy<'static, Arc<str>> {
    let (gate, runs, counted) = (gate.clone(), runs.clone(), census.count());
    lazy(async move {
        let _counted = counted;
        runs.add();
        lazy(async move { gate.passed().await }).await;
        Arc::from("shared")
    })
    .shared()
}

#[test]
fn by_many_tasks() {
    let _watchdog = watchdog();
    for workers in [1, 4] {
        let (runtime, gate, runs, census) =
            (runtime(workers), Gate::default(), Tally::default(), Census::default());
        let shared = shared(&gate, &runs, &census);
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let shared = shared.clone();
                runtime.spawn(async move {
                    match n % 4 {
                        0 => shared.await,
                        1 => lazy(shared).await,
                        2 => Box::pin(shared).await,
                        _ => tress::join!(shared.clone(), shared).0,
                    }
                })
            })
            .collect();
        wait_until(|| gate.polls() > 0, "nobody has started it");
        // Some come after the start, some after the end, on other executors.
        let late = shared.clone();
        let foreign = thread::spawn(move || block_on_foreign(late));
        let last = shared.clone();
        gate.open();
        let outputs: Vec<_> = tasks.into_iter().map(|task| runtime.block_on(task).unwrap()).collect();
        let foreign = foreign.join().unwrap();
        assert!(outputs.iter().all(|output| Arc::ptr_eq(output, &foreign)), "there is one output");
        assert!(Arc::ptr_eq(&runtime.block_on(last), &foreign));
        assert!(Arc::ptr_eq(&shared.clone().now_or_never().unwrap(), &foreign));
        assert_eq!((runs.count(), census.alive()), (1, 0));
        drop((shared, outputs));
        assert_eq!(Arc::strong_count(&foreign), 1, "the output was kept");
    }
}

#[test]
fn until_the_last_is_dropped() {
    let _watchdog = watchdog();
    let (runtime, runs, census) = (runtime(2), Tally::default(), Census::default());
    // Unstarted.
    let unstarted = shared(&Gate::default(), &runs, &census);
    let clone = unstarted.clone();
    drop(unstarted);
    assert_eq!(census.alive(), 1);
    drop(clone);
    assert_eq!((census.alive(), runs.count()), (0, 0));
    // Started by one that has gone.
    let gate = Gate::default();
    let mut first = shared(&gate, &runs, &census);
    let (mut second, third) = (first.clone(), first.clone());
    assert!(block_on_foreign(poll_once(Pin::new(&mut first))).is_pending());
    drop(first);
    assert_eq!(census.alive(), 1);
    let flag = Arc::new(Flag::default());
    let waker = flag.waker();
    assert!(Pin::new(&mut second).poll(&mut Context::from_waker(&waker)).is_pending());
    gate.wake();
    wait_until(|| flag.wakes() > 0, "who is left was not woken");
    drop(second);
    assert_eq!(census.alive(), 1);
    let task = runtime.spawn(third);
    wait_until(|| gate.polls() > 1, "it does not go on");
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
    assert_eq!((census.alive(), runs.count()), (0, 1));
    gate.open();
}

/// It was started by a task that is gone: another one goes on with it.
#[test]
fn after_whoever_started_it() {
    let _watchdog = watchdog();
    for is_dropped_with_runtime in [false, true] {
        let (first, second) = (runtime(2), runtime(2));
        let (gate, runs, census) = (Gate::default(), Tally::default(), Census::default());
        let shared = shared(&gate, &runs, &census);
        let starter = first.spawn(shared.clone());
        wait_until(|| gate.polls() > 0, "it was not started");
        let heir = second.spawn(shared.clone());
        let foreign = thread::spawn(move || block_on_foreign(shared));
        thread::sleep(Duration::from_millis(5));
        if is_dropped_with_runtime {
            drop(first);
        } else {
            starter.abort();
            assert!(first.block_on(starter).unwrap_err().is_aborted());
        }
        gate.open();
        assert_eq!(&*second.block_on(heir).unwrap(), "shared");
        assert_eq!(&*foreign.join().unwrap(), "shared");
        assert_eq!((runs.count(), census.alive()), (1, 0));
    }
}

/// It is woken while somebody polls it who then loses interest; the others must not wait for that one's next poll.
#[test]
fn although_its_poller_leaves() {
    let _watchdog = watchdog();
    for is_woken_first in [true, false] {
        let (inside, is_inside) = mpsc::channel();
        let (leave, may_leave) = mpsc::channel::<()>();
        let mut is_first = true;
        let shared = lazy(poll_fn(move |cx| {
            if !std::mem::take(&mut is_first) {
                return Poll::Ready(5);
            }
            inside.send(cx.waker().clone()).unwrap();
            may_leave.recv().unwrap();
            Poll::Pending
        }))
        .shared();
        let mut poller = shared.clone();
        let poller = thread::spawn(move || {
            let _ = Pin::new(&mut poller).poll(&mut Context::from_waker(Waker::noop()));
        });
        let waker = is_inside.recv().unwrap();
        if is_woken_first {
            waker.wake_by_ref();
        }
        let heir = thread::spawn(move || block_on_foreign(shared));
        // Until the heir has found it busy; if that takes longer, the test shows nothing, but does not fail either.
        thread::sleep(Duration::from_millis(50));
        waker.wake();
        thread::sleep(Duration::from_millis(50));
        leave.send(()).unwrap();
        poller.join().unwrap();
        wait_until(|| heir.is_finished(), "who was left waits for ever");
        assert_eq!(heir.join().unwrap(), 5);
    }
}

/// All who await it learn of its panic, one way or the other; nobody hangs.
#[test]
fn with_a_panic() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    without_panic_messages(|| {
        for pends in [0, 1, 10] {
            let (gate, counted) = (Gate::default(), census.count());
            let leaf = gate.clone();
            let shared = lazy(async move {
                let _counted = counted;
                leaf.passed().await;
                Pend(pends).await;
                let panics = true;
                assert!(!panics, "expected: shared");
                1
            })
            .shared();
            let tasks: Vec<_> = (0..10).map(|_| runtime.spawn(shared.clone())).collect();
            wait_until(|| gate.polls() > 0, "nobody has started it");
            gate.open();
            for task in tasks {
                assert!(runtime.block_on(task).unwrap_err().is_panic());
            }
            let late = catch_unwind(AssertUnwindSafe(|| block_on_foreign(shared.clone())));
            assert!(late.is_err());
            drop(shared);
            assert_eq!(census.alive(), 0);
        }
    });
}

/// An error is an output like others: all have the same one, when it comes and later, and pass it on with `?`.
#[test]
fn with_an_error() {
    #[derive(Debug)]
    struct Fault(&'static str);

    async fn passed_on(shared: SharedLazy<'static, Result<u32, Arc<Fault>>>) -> Result<u32, Arc<Fault>> {
        let number = shared.await?;
        Ok(number + 1)
    }

    let _watchdog = watchdog();
    let (runtime, other) = (runtime(2), support::runtime(1));
    for pends in [0, 1, 10] {
        let (gate, runs, census) = (Gate::default(), Tally::default(), Census::default());
        let (leaf, count, counted) = (gate.clone(), runs.clone(), census.count());
        let polls = Tally::default();
        let arrivals = polls.clone();
        let shared = lazy(async move {
            let _counted = counted;
            count.add();
            leaf.passed().await;
            Pend(pends).await;
            // Until some have found it busy; if that takes longer, the test shows less, but does not fail either.
            let (before, end) = (arrivals.count(), Instant::now() + Duration::from_millis(50));
            while arrivals.count() < before + 5 && Instant::now() < end {
                thread::yield_now();
            }
            Err(Arc::new(Fault("shared")))
        })
        .shared();
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                (if n % 3 == 0 { &other } else { &runtime })
                    .spawn(polls.clone().polls(passed_on(shared.clone())))
            })
            .collect();
        let late = shared.clone();
        let foreign = thread::spawn(move || block_on_foreign(passed_on(late)));
        wait_until(|| gate.polls() > 0, "nobody has started it");
        gate.open();
        let fault = foreign.join().unwrap().unwrap_err();
        for task in tasks {
            let told = block_on_foreign(task).unwrap().unwrap_err();
            assert!(Arc::ptr_eq(&told, &fault), "there is one error");
        }
        assert_eq!((runs.count(), census.alive(), fault.0), (1, 0, "shared"));
        let peeked = shared.peek().expect("it is there").as_ref().unwrap_err();
        assert!(Arc::ptr_eq(peeked, &fault));
        assert!(Arc::ptr_eq(&shared.now_or_never().unwrap().unwrap_err(), &fault));
        assert_eq!(Arc::strong_count(&fault), 1, "the error was kept");
    }
}

/// Whoever comes when it is done gets the output at once: in turn or all together, in no stack; and nothing is left of them.
#[test]
fn by_a_million_when_it_is_ready() {
    const AWAITS: usize = 1_000_000;

    let _watchdog = watchdog();
    let output = Arc::new(7);
    let (runs, kept) = (Tally::default(), output.clone());
    let count = runs.clone();
    let shared = lazy(async move {
        count.add();
        yield_now().await;
        kept
    })
    .shared();
    let runtime = runtime(1);
    assert_eq!(*runtime.block_on(runtime.spawn(shared.clone())).unwrap(), 7);
    let (awaited, polls) = (shared.clone(), Tally::default());
    let task = runtime.spawn(polls.clone().polls(async move {
        let mut sum = 0;
        for _ in 0..AWAITS {
            sum += *awaited.clone().await;
        }
        sum
    }));
    assert_eq!(runtime.block_on(task).unwrap(), 7 * AWAITS);
    assert_eq!(polls.count(), 1, "the task has waited");

    let all = vec![shared.clone(); AWAITS];
    let outputs = block_on_foreign(async move {
        let mut outputs = Vec::with_capacity(AWAITS);
        for one in all {
            outputs.push(one.await);
        }
        outputs
    });
    assert!(outputs.iter().all(|one| Arc::ptr_eq(one, &output)), "there is one output");
    drop((outputs, shared));
    assert_eq!((runs.count(), Arc::strong_count(&output)), (1, 1));
}

/// Clones may be polled and dropped inside its poll.
#[test]
fn with_clones_inside() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (gate, runs, census) = (Gate::default(), Tally::default(), Census::default());
    let inner = shared(&gate, &runs, &census);
    let outer = {
        let inner = inner.clone();
        lazy(async move { lazy_borrowed(async { tress::join!(inner.clone(), inner.clone()).1 }).await })
            .shared()
    };
    let task = runtime.spawn(async move { tress::join!(outer.clone(), inner, outer) });
    gate.open();
    let (a, b, c) = runtime.block_on(task).unwrap();
    assert!(Arc::ptr_eq(&a, &b) && Arc::ptr_eq(&b, &c));
    assert_eq!((runs.count(), census.alive()), (1, 0));
}

/// One that awaits itself is pending, whatever wakes it, goes on with what else it waits for, and can be dropped.
#[test]
fn with_itself_inside() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for is_dropped in [false, true] {
        let (gate, polls, census) = (Gate::default(), Tally::default(), Census::default());
        let slot = Arc::<Mutex<Option<SharedLazy<'static, u32>>>>::default();
        let (own, leaf, counted) = (Arc::clone(&slot), gate.clone(), census.count());
        let shared = lazy(polls.clone().polls(async move {
            let _counted = counted;
            let itself = poll_fn(|cx| Pin::new(own.lock().unwrap().as_mut().unwrap()).poll(cx));
            match select(itself, pin!(leaf.passed())).await {
                Either::Left(_) => panic!("it has awaited its own end"),
                Either::Right(_) => 5,
            }
        }))
        .shared();
        *slot.lock().unwrap() = Some(shared.clone());
        let task = runtime.spawn(shared);
        wait_until(|| gate.polls() > 0, "it was not polled");
        for _ in 0..5 {
            // A wake may ring for itself, too, which is another poll.
            let before = gate.polls();
            gate.wake();
            wait_until(|| gate.polls() > before, "it was not woken");
        }
        if is_dropped {
            task.abort();
            assert!(runtime.block_on(task).unwrap_err().is_aborted());
        } else {
            gate.open();
            assert_eq!(runtime.block_on(task).unwrap(), 5);
        }
        // The last clone, unless it is the one inside.
        let last = slot.lock().unwrap().take().unwrap();
        assert_eq!(last.peek(), (!is_dropped).then_some(&5));
        drop(last);
        assert_eq!(census.alive(), 0);
        let before = polls.count();
        gate.wake();
        assert_eq!(polls.count(), before);
    }
}

#[test]
fn but_not_by_a_clone_that_has_given_its_output() {
    let _watchdog = watchdog();
    let shared = lazy(async { 5 }).shared();
    let mut polled = shared.clone();
    assert_eq!(block_on_foreign(&mut polled), 5);
    assert_eq!(polled.peek(), None);
    without_panic_messages(|| {
        let again = catch_unwind(AssertUnwindSafe(|| block_on_foreign(&mut polled)));
        assert_eq!(payload_text(again.unwrap_err()), "a SharedLazy was polled after it had completed");
    });
    assert_eq!(block_on_foreign(shared), 5);
}

/// Each awaits the next one, so that a wake of the innermost rings for all of them, one inside the other.
#[test]
fn in_a_deep_nest_on_a_small_stack() {
    const DEPTH: usize = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
    let _watchdog = watchdog();
    let on_small_stack = |f: &mut (dyn FnMut() + Send)| {
        thread::scope(|scope| {
            let small = thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, f).unwrap();
            small.join().unwrap_or_else(|payload| resume_unwind(payload));
        });
    };
    let (gate, census, flag) = (Gate::default(), Census::default(), Arc::new(Flag::default()));
    let nest = || {
        let (leaf, counted) = (gate.clone(), census.count());
        let innermost = lazy(async move {
            let _counted = counted;
            leaf.passed().await;
            1
        });
        (1..DEPTH).fold(innermost.shared(), |below, _| {
            let counted = census.count();
            lazy(async move {
                let _counted = counted;
                below.await + 1
            })
            .shared()
        })
    };
    let waker = flag.waker();
    // Dropped while it waits.
    let mut waits = Some(nest());
    on_small_stack(&mut || {
        let polled = Pin::new(waits.as_mut().unwrap()).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        gate.wake();
        assert_eq!(flag.wakes(), 1);
        waits = None;
    });
    assert_eq!(census.alive(), 0);
    // To its end, with a look in between.
    let mut ends = Some(nest());
    let mut output = Poll::Pending;
    on_small_stack(&mut || {
        let cx = &mut Context::from_waker(&waker);
        let ends = ends.as_mut().unwrap();
        assert!(Pin::new(&mut *ends).poll(cx).is_pending());
        gate.wake();
        assert_eq!(flag.wakes(), 2);
        assert!(Pin::new(&mut *ends).poll(cx).is_pending());
        gate.open();
        assert_eq!(flag.wakes(), 3);
        output = Pin::new(ends).poll(cx);
    });
    assert_eq!(output, Poll::Ready(DEPTH));
    on_small_stack(&mut || drop(ends.take()));
    assert_eq!(census.alive(), 0);
}

#[test]
fn of_what_borrows() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let text = String::from("borrowed");
    let shared = lazy_borrowed(async {
        yield_now().await;
        &*text
    })
    .shared();
    let outputs = runtime.block_on(join_all((0..5).map(|_| shared.clone())));
    assert_eq!(outputs, ["borrowed"; 5]);
    let mut polled = pin!(shared.clone());
    assert_eq!(polled.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready("borrowed"));
}

#[test]
fn in_a_storm() {
    stress(|workers, random| {
        let (runtime, other) = (runtime(workers), runtime(1));
        let census = Census::default();
        for _ in 0..20 {
            let (gate, runs) = (Gate::default(), Tally::default());
            let shared = shared(&gate, &runs, &census);
            thread::scope(|scope| {
                for _ in 0..2 {
                    let (shared, mut random) = (shared.clone(), random.fork());
                    scope.spawn(move || {
                        if random.once_in(2) {
                            assert_eq!(&*block_on_foreign(shared), "shared");
                        } else {
                            let mut shared = pin!(shared);
                            let _ = shared.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                        }
                    });
                }
                let tasks: Vec<_> = (0..10)
                    .map(|n| (if n % 3 == 0 { &other } else { &runtime }).spawn(shared.clone()))
                    .collect();
                drop(shared);
                scope.spawn(|| {
                    gate.wake();
                    gate.open();
                });
                for task in tasks {
                    if random.once_in(3) {
                        task.abort();
                    }
                    match block_on_foreign(task) {
                        Ok(output) => assert_eq!(&*output, "shared"),
                        Err(error) => assert!(error.is_aborted()),
                    }
                }
            });
            assert!(runs.count() <= 1);
            census.wait_until_empty();
        }
    });
}
