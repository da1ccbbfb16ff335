//! `Handle::scope`: its tasks borrow from the thread that blocks, which goes on when nothing of them is left.

mod leaves;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{Either, select};
use leaves::{Gate, OpenOnDrop, Tally, poll_once};
use support::{Census, payload_text, runtime, stress, wait_until, watchdog, without_panic_messages};
use tress::frame::{Arena, Counting, Pool, with_allocator};
use tress::task::{Lazy, ScopedJoinHandle, block_in_place, lazy, yield_now};
use tress::time::sleep;
use tress::{Builder, env};

/// Counts drops in what a task borrows.
struct Guard<'a>(&'a AtomicUsize);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_micros(200));
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Leaks a value; a sanitizer finds it where it is named.
fn leak<T>(value: T) {
    static LEAKED: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    LEAKED.lock().unwrap().push(Box::into_raw(Box::new(value)).expose_provenance());
}

#[test]
fn tasks_borrow_shared_and_mutably() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let numbers: Vec<u64> = (0..1000).collect();
    let mut sums = [0; 10];
    let total = runtime.handle().scope(|scope| {
        let tasks: Vec<ScopedJoinHandle<'_, &u64>> = sums
            .iter_mut()
            .zip(numbers.chunks(100))
            .map(|(sum, chunk)| {
                scope.spawn(async move {
                    for number in chunk {
                        *sum += number;
                        yield_now().await;
                    }
                    // The output borrows, too.
                    &chunk[0]
                })
            })
            .collect();
        tasks.into_iter().map(|task| *runtime.block_on(task).unwrap()).sum::<u64>()
    });
    assert_eq!(total, (0..10).map(|number| 100 * number).sum());
    assert_eq!(sums.iter().sum::<u64>(), 499_500);
}

#[test]
fn it_waits_for_what_was_left_and_for_what_that_spawns() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let count = AtomicUsize::new(0);
    runtime.handle().scope(|scope| {
        for _ in 0..10 {
            // One handle is dropped, the other leaked.
            drop(scope.spawn(async {
                sleep(Duration::from_millis(2)).await;
                let guard = Guard(&count);
                leak(scope.spawn(async move {
                    sleep(Duration::from_millis(2)).await;
                    drop(guard);
                }));
            }));
        }
    });
    assert_eq!(count.load(Ordering::SeqCst), 10);
}

#[test]
fn outputs_that_nobody_takes_are_dropped_before_it_returns() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for _ in 0..50 {
        let count = AtomicUsize::new(0);
        let first = runtime.handle().scope(|scope| {
            for _ in 0..4 {
                drop(scope.spawn(async { Guard(&count) }));
            }
            let aborted = scope.spawn(async {
                let _guard = Guard(&count);
                std::future::pending::<()>().await;
            });
            aborted.abort();
            runtime.block_on(scope.spawn(async { 7 })).unwrap()
        });
        assert_eq!(first, 7);
        let dropped = count.load(Ordering::SeqCst);
        assert!((4..=5).contains(&dropped), "{dropped}");
    }
}

#[test]
fn panics_are_told_once() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = runtime(2);
        let count = AtomicUsize::new(0);
        // To the joiner.
        runtime.handle().scope(|scope| {
            let task = scope.spawn(async { panic!("expected") });
            assert!(runtime.block_on(task).unwrap_err().is_panic());
        });
        // Else to the caller, when all have ended.
        let panic = catch_unwind(AssertUnwindSafe(|| {
            runtime.handle().scope(|scope| {
                drop(scope.spawn(async { panic!("expected") }));
                drop(scope.spawn(async {
                    sleep(Duration::from_millis(5)).await;
                    drop(Guard(&count));
                }));
            });
        }));
        assert_eq!(payload_text(panic.unwrap_err()), "a task of the scope has panicked");
        assert_eq!(count.load(Ordering::SeqCst), 1);
        // That of the closure comes first.
        let panic = catch_unwind(AssertUnwindSafe(|| {
            runtime.handle().scope(|scope| {
                drop(scope.spawn(async {
                    sleep(Duration::from_millis(5)).await;
                    drop(Guard(&count));
                }));
                panic!("expected: the closure's");
            })
        }));
        assert_eq!(payload_text(panic.unwrap_err()), "expected: the closure's");
        assert_eq!(count.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_scope_in_a_destructor_of_an_unwinding_thread_tells_of_no_panic() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        struct Scopes<'a>(&'a tress::Handle, &'a AtomicUsize);
        impl Drop for Scopes<'_> {
            fn drop(&mut self) {
                let Self(handle, count) = self;
                // This thread polls as well.
                handle.scope(|scope| {
                    for _ in 0..20 {
                        drop(scope.spawn(async {
                            yield_now().await;
                            count.fetch_add(1, Ordering::SeqCst);
                        }));
                    }
                });
            }
        }
        let runtime = runtime(1);
        let count = AtomicUsize::new(0);
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _scopes = Scopes(runtime.handle(), &count);
            panic!("expected: the first one");
        }));
        // A second panic in there would have ended the process.
        assert_eq!(payload_text(panic.unwrap_err()), "expected: the first one");
        assert_eq!(count.load(Ordering::SeqCst), 20);
        // Of a leaked handle, too.
        let panic = catch_unwind(AssertUnwindSafe(|| {
            runtime.handle().scope(|scope| leak(scope.spawn(async { panic!("expected") })));
        }));
        assert_eq!(payload_text(panic.unwrap_err()), "a task of the scope has panicked");
    });
}

#[test]
fn where_it_may_not_block() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = runtime(2);
        let handle = runtime.handle().clone();
        let task = runtime.spawn(async move {
            let refused = catch_unwind(AssertUnwindSafe(|| handle.scope(|_| ()))).is_err();
            let number = AtomicUsize::new(0);
            block_in_place(|| {
                handle.scope(|scope| {
                    for _ in 0..10 {
                        drop(scope.spawn(async { number.fetch_add(1, Ordering::SeqCst) }));
                    }
                });
            });
            (refused, number.into_inner())
        });
        assert_eq!(runtime.block_on(task).unwrap(), (true, 10));
    });
}

#[test]
fn a_runtime_that_ends_meanwhile() {
    let _watchdog = watchdog();
    for round in 0..20 {
        let runtime = runtime(2);
        let handle = runtime.handle().clone();
        let count = AtomicUsize::new(0);
        let mut runtime = Some(runtime);
        handle.scope(|scope| {
            for number in 0..20 {
                drop(scope.spawn(async {
                    let _guard = Guard(&count);
                    if round % 2 == 0 {
                        std::future::pending::<()>().await;
                    }
                    yield_now().await;
                }));
                if number == round {
                    drop(runtime.take());
                    let refused = scope.spawn(async {});
                    assert!(support::block_on_foreign(refused).unwrap_err().is_refused());
                }
            }
            drop(runtime.take());
        });
        // Those that never began have made no guard.
        assert!(count.load(Ordering::SeqCst) <= 20);
    }
}

#[test]
fn a_storm() {
    stress(|workers, _random| {
        let runtime = runtime(workers);
        for _ in 0..20 {
            let mut cells = vec![0_u32; 64];
            runtime.handle().scope(|scope| {
                for (number, cell) in cells.iter_mut().enumerate() {
                    let task = scope.spawn(async move {
                        for _ in 0..number % 5 {
                            yield_now().await;
                            *cell += 1;
                        }
                        *cell += 1;
                    });
                    if number % 7 == 0 {
                        task.abort();
                    }
                }
            });
            for (number, cell) in cells.iter().enumerate() {
                assert!(*cell as usize == number % 5 + 1 || number % 7 == 0);
            }
        }
    });
}

/// Its tasks are roots, also where an environment is around them.
#[test]
fn a_wake_in_a_task_polls_one_frame() {
    const WAKES: usize = 10;
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let check = || {
        let (gate, [root, above, leaf]) = (Gate::default(), [(); 3].map(|()| Tally::default()));
        let counts = || [&root, &above, &leaf].map(Tally::count);
        let text = String::from("borrowed");
        let output = runtime.handle().scope(|scope| {
            // Should the test fail, then nobody waits for ever.
            let _open = OpenOnDrop(&gate);
            let below = lazy(above.clone().polls(lazy(leaf.clone().polls(gate.passed()))));
            let task = scope.spawn(root.clone().polls(async {
                below.await;
                (text.len(), env::value::<u32>())
            }));
            wait_until(|| gate.polls() == 1, "the leaf was not polled");
            for wake in 1..=WAKES {
                gate.wake();
                wait_until(|| gate.polls() == 1 + wake, "the leaf was not polled");
            }
            assert_eq!(counts(), [1, 1, 1 + WAKES]);
            gate.open();
            support::block_on_foreign(task).unwrap()
        });
        assert_eq!(counts(), [2, 2, 2 + WAKES]);
        output
    };
    assert_eq!(check(), (8, None));
    let in_env = env::scope().value(7_u32).run(async { block_in_place(check) });
    assert_eq!(runtime.block_on(in_env), (8, Some(7)));
}

/// A chain of so many frames, each of which holds something that is counted.
fn chain(depth: usize, gate: Gate, polls: Tally, census: Census) -> Lazy<'static, usize> {
    lazy(polls.clone().polls(async move {
        let _counted = census.count();
        if depth > 1 {
            return chain(depth - 1, gate, polls, census).await + 1;
        }
        gate.passed().await;
        1
    }))
}

#[test]
fn a_deep_chain_in_a_task_needs_no_stack() {
    const DEPTH: usize = 20_000;
    const WAKES: usize = 5;
    let _watchdog = watchdog();
    let runtime = Builder::new().worker_threads(2).thread_stack_size(64 << 10).build().unwrap();
    let census = Census::default();
    for is_aborted in [false, true] {
        let (gate, polls, text) = (Gate::default(), Tally::default(), String::from("borrowed"));
        let result = runtime.handle().scope(|scope| {
            let _open = OpenOnDrop(&gate);
            let chain = chain(DEPTH, gate.clone(), polls.clone(), census.clone());
            let task = scope.spawn(async { chain.await + text.len() });
            for wake in 0..WAKES {
                wait_until(|| gate.polls() == 1 + wake, "the chain was not built, or its leaf not polled");
                gate.wake();
            }
            wait_until(|| gate.polls() == 1 + WAKES, "the leaf was not polled");
            match is_aborted {
                true => task.abort(),
                false => gate.open(),
            }
            support::block_on_foreign(task)
        });
        // Islands would all be polled again by each wake.
        match is_aborted {
            true => assert!(result.unwrap_err().is_aborted()),
            false => assert_eq!((result.unwrap(), polls.count()), (DEPTH + 8, 2 * DEPTH + WAKES)),
        }
        assert_eq!(census.alive(), 0);
    }
}

/// Whichever way its task ends: when the scope returns, nothing is left of a frame that was awaited in it.
#[test]
fn frames_end_before_it_returns() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = runtime(2);
        for round in 0..100 {
            let (gate, census, polls) = (Gate::default(), Census::default(), Tally::default());
            let (count, winner, closed) = (AtomicUsize::new(0), Gate::default(), Gate::default());
            let chain = |gate: &Gate| chain(5, gate.clone(), polls.clone(), census.clone());
            let panic = catch_unwind(AssertUnwindSafe(|| {
                runtime.handle().scope(|scope| {
                    let _open = (OpenOnDrop(&gate), OpenOnDrop(&winner));
                    let task = scope.spawn(async {
                        let _guard = Guard(&count);
                        let (chain, wins) = (chain(&gate), lazy(winner.passed()));
                        match select(pin!(chain), pin!(wins)).await {
                            Either::Left((depth, _)) => assert_eq!(depth, 5),
                            Either::Right(_) => panic!("expected: the winner's"),
                        }
                    });
                    // One that is aborted, and one whose handle is dropped in its frame.
                    let aborted = scope.spawn(async {
                        let _guard = Guard(&count);
                        lazy(winner.passed()).await;
                    });
                    drop(scope.spawn(async {
                        let _guard = Guard(&count);
                        let mut chain = pin!(chain(&closed));
                        // Where there is little stack, it is the loop that gets to the leaf.
                        while closed.polls() == 0 {
                            assert!(poll_once(chain.as_mut()).await.is_pending());
                            yield_now().await;
                        }
                    }));
                    wait_until(|| gate.polls() > 0 && closed.polls() > 0, "the leaves were not polled");
                    aborted.abort();
                    match round % 4 {
                        0 => gate.open(),
                        1 => {
                            winner.open();
                            wait_until(|| task.is_finished(), "the task has not ended");
                        }
                        2 => task.abort(),
                        _ => panic!("expected: the closure's"),
                    }
                });
            }));
            match round % 4 {
                // Where both gates open when the closure ends, either may be first.
                0 | 2 => {}
                1 => assert_eq!(payload_text(panic.unwrap_err()), "a task of the scope has panicked"),
                _ => assert_eq!(payload_text(panic.unwrap_err()), "expected: the closure's"),
            }
            assert_eq!(census.alive(), 0);
            assert!((2..=3).contains(&count.load(Ordering::SeqCst)));
            // Their wakers are out of date.
            let before = polls.count();
            gate.wake();
            closed.wake();
            yield_to(&runtime);
            assert_eq!(polls.count(), before);
        }
    });
}

/// Gives tasks time to run.
fn yield_to(runtime: &tress::Runtime) {
    runtime.block_on(async {
        for _ in 0..10 {
            yield_now().await;
        }
    });
}

/// A task and its future are one allocation, and one that gets none has ended.
#[test]
fn its_tasks_come_from_the_allocator_at_hand() {
    let _watchdog = watchdog();
    let (runtime, count) = (runtime(2), AtomicUsize::new(0));
    let frames = Arc::new(Counting::new(Pool));
    let large = [1_u8; 4096];
    runtime.handle().scope(|scope| {
        let task = with_allocator(frames.clone(), || {
            scope.spawn(async {
                let _guard = Guard(&count);
                large.len()
            })
        });
        assert_eq!(runtime.block_on(task).unwrap(), 4096);
        assert_eq!(frames.allocated(), 1);
        let guard = Guard(&count);
        let refused = with_allocator(Arc::new(Arena::new(1024).unwrap()), || {
            scope.spawn(async move {
                let _guard = guard;
                large.len()
            })
        });
        assert!(runtime.block_on(refused).unwrap_err().is_refused());
    });
    assert_eq!(count.load(Ordering::SeqCst), 2);
}
