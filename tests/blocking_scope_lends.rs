//! `Handle::scope`: its tasks borrow from the thread that blocks, which goes on when nothing of them is left.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::{payload_text, runtime, stress, watchdog, without_panic_messages};
use tress::task::{ScopedJoinHandle, yield_now};
use tress::time::sleep;

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
            tress::task::block_in_place(|| {
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
