//! Wakers of others may panic wherever they are called: the worker, the timer, and every other task go on.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, RawWaker, RawWakerVTable, Waker};
use std::time::Duration;

use support::{runtime, stress, wait_until, watchdog, without_panic_messages};
use tress::task::{JoinHandle, yield_now};
use tress::{Builder, Runtime};

/// Which of a waker's functions panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Panics {
    InWake,
    InClone,
    InDrop,
    Never,
}

/// What a waker points to; it counts the wakers that there are.
struct Target {
    panics: Panics,
    wakers: Arc<AtomicUsize>,
}

/// A waker with a table of its own, since std's `Wake` cannot panic in a clone.
fn waker(panics: Panics, wakers: &Arc<AtomicUsize>) -> Waker {
    wakers.fetch_add(1, Ordering::Relaxed);
    let target = Box::new(Target { panics, wakers: Arc::clone(wakers) });
    #[expect(unsafe_code, reason = "a waker whose functions panic can only be made by hand")]
    // SAFETY: the table's functions own the box that the pointer comes from.
    unsafe {
        Waker::new(Box::into_raw(target).cast_const().cast(), &VTABLE)
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

#[expect(unsafe_code, reason = "std's raw waker interface")]
unsafe fn target<'a>(data: *const ()) -> &'a Target {
    // SAFETY: the data of these wakers is a `Target` until they are dropped.
    unsafe { &*data.cast::<Target>() }
}

#[expect(unsafe_code, reason = "std's raw waker interface")]
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: called through a waker.
    let target = unsafe { target(data) };
    assert!(target.panics != Panics::InClone, "expected: clone");
    target.wakers.fetch_add(1, Ordering::Relaxed);
    let copy = Box::new(Target { panics: target.panics, wakers: Arc::clone(&target.wakers) });
    RawWaker::new(Box::into_raw(copy).cast_const().cast(), &VTABLE)
}

#[expect(unsafe_code, reason = "std's raw waker interface")]
unsafe fn wake(data: *const ()) {
    // SAFETY: called through a waker, which is used up.
    let target = unsafe { Box::from_raw(data.cast_mut().cast::<Target>()) };
    target.wakers.fetch_sub(1, Ordering::Relaxed);
    assert!(target.panics != Panics::InWake, "expected: wake");
}

#[expect(unsafe_code, reason = "std's raw waker interface")]
unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: called through a waker.
    assert!(unsafe { target(data) }.panics != Panics::InWake, "expected: wake by reference");
}

#[expect(unsafe_code, reason = "std's raw waker interface")]
unsafe fn drop_waker(data: *const ()) {
    // SAFETY: called through a waker, which is used up.
    let target = unsafe { Box::from_raw(data.cast_mut().cast::<Target>()) };
    target.wakers.fetch_sub(1, Ordering::Relaxed);
    assert!(target.panics != Panics::InDrop || std::thread::panicking(), "expected: drop");
}

/// Polls with a hostile waker; a panic of the waker may come through.
fn poll_with<T>(task: &mut JoinHandle<T>, panics: Panics, wakers: &Arc<AtomicUsize>) {
    let waker = waker(panics, wakers);
    let polled = catch_unwind(AssertUnwindSafe(|| {
        let _ = pin!(task).poll(&mut Context::from_waker(&waker));
    }));
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(waker)));
    assert!(panics != Panics::Never || (polled.is_ok() && dropped.is_ok()));
}

fn assert_alive(runtime: &Runtime) {
    let task = runtime.spawn(async {
        yield_now().await;
        tress::time::sleep(Duration::from_millis(1)).await;
    });
    wait_until(|| task.is_finished(), "a worker is dead");
}

fn one_worker() -> Runtime {
    Builder::new().worker_threads(1).build().unwrap()
}

const KINDS: [Panics; 4] = [Panics::InWake, Panics::InClone, Panics::InDrop, Panics::Never];

#[test]
fn of_join_handles() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        for first in KINDS {
            for second in KINDS {
                let (runtime, wakers) = (one_worker(), Arc::default());
                let (send, receive) = std::sync::mpsc::channel::<()>();
                let mut task = runtime.spawn(async move {
                    // Ends when the sender is gone.
                    let _ = tress::task::block_in_place(|| receive.recv());
                    11
                });
                poll_with(&mut task, first, &wakers);
                poll_with(&mut task, second, &wakers);
                drop(send);
                assert_eq!(support::block_on_foreign(task).unwrap(), 11, "{first:?} {second:?}");
                assert_alive(&runtime);
                drop(runtime);
                assert_eq!(wakers.load(Ordering::Relaxed), 0, "{first:?} {second:?}: wakers leaked");
            }
        }
    });
}

#[test]
fn of_handles_that_are_dropped() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        for kind in KINDS {
            let (runtime, wakers) = (one_worker(), Arc::default());
            let mut task = runtime.spawn(std::future::pending::<()>());
            poll_with(&mut task, kind, &wakers);
            assert!(catch_unwind(AssertUnwindSafe(|| drop(task))).is_ok(), "{kind:?}");
            assert_alive(&runtime);
            drop(runtime);
            assert_eq!(wakers.load(Ordering::Relaxed), 0, "{kind:?}: wakers leaked");
        }
    });
}

#[test]
fn of_timers() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        for kind in KINDS {
            let (runtime, wakers) = (one_worker(), Arc::default());
            let guard = runtime.enter();
            let mut sleeps: Vec<_> =
                (0..10).map(|n| Box::pin(tress::time::sleep(Duration::from_millis(n)))).collect();
            for sleep in &mut sleeps {
                let waker = waker(kind, &wakers);
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    let _ = sleep.as_mut().poll(&mut Context::from_waker(&waker));
                }));
                let _ = catch_unwind(AssertUnwindSafe(|| drop(waker)));
            }
            drop(guard);
            std::thread::sleep(Duration::from_millis(30));
            assert_alive(&runtime);
            for sleep in sleeps {
                let _ = catch_unwind(AssertUnwindSafe(|| drop(sleep)));
            }
            drop(runtime);
            assert_eq!(wakers.load(Ordering::Relaxed), 0, "{kind:?}: wakers leaked");
        }
    });
}

#[test]
fn in_storms() {
    without_panic_messages(|| {
        stress(|workers, random| {
            let (runtime, wakers) = (runtime(workers), Arc::default());
            let mut tasks = Vec::new();
            for _ in 0..100 {
                let mut random = random.fork();
                tasks.push(runtime.spawn(async move {
                    while random.once_in(2) {
                        yield_now().await;
                    }
                    if random.once_in(4) {
                        tress::time::sleep(Duration::from_micros(random.below(500) as u64)).await;
                    }
                }));
            }
            for mut task in tasks {
                for _ in 0..random.below(3) {
                    if !task.is_finished() {
                        let done = catch_unwind(AssertUnwindSafe(|| {
                            let waker = waker(KINDS[random.below(4)], &wakers);
                            pin!(&mut task).poll(&mut Context::from_waker(&waker)).is_ready()
                        }));
                        if done.unwrap_or(false) {
                            break;
                        }
                    }
                }
                let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
            }
            wait_until(|| runtime.handle().metrics().live_tasks() == 0, "tasks were left");
            drop(runtime);
            wait_until(|| wakers.load(Ordering::Relaxed) == 0, "wakers leaked");
        });
    });
}
