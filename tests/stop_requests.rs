//! A stop is requested once, reaches everybody who waits for it, and can be waited for, called back and left in any order.

mod support;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use support::{Random, runtime, wait_until, watchdog, without_panic_messages};
use tress::stop::{StopCallback, StopSource, StopToken};
use tress::task::yield_now;

type Callback = Pin<Box<StopCallback<Box<dyn FnOnce() + Send>>>>;

fn on_stop(token: &StopToken, f: impl FnOnce() + Send + 'static) -> Callback {
    let mut callback: Callback = Box::pin(StopCallback::new(Box::new(f)));
    callback.as_mut().register(token);
    callback
}

/// A list that callbacks add to.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<usize>>>);

impl Log {
    fn adds(&self, number: usize) -> impl FnOnce() + Send + 'static {
        let log = self.clone();
        move || log.0.lock().unwrap().push(number)
    }

    fn entries(&self) -> Vec<usize> {
        self.0.lock().unwrap().clone()
    }
}

#[test]
fn call_back_in_order_and_once() {
    let (source, log) = (StopSource::new(), Log::default());
    let token = source.token();
    let callbacks: Vec<_> = (0..5).map(|number| on_stop(&token, log.adds(number))).collect();
    assert!(log.entries().is_empty());
    assert!(source.request_stop());
    assert!(!source.request_stop());
    assert_eq!(log.entries(), [0, 1, 2, 3, 4]);
    drop(callbacks);
    assert_eq!(log.entries().len(), 5);
}

#[test]
fn call_back_at_once_if_they_came_before() {
    let (source, log) = (StopSource::new(), Log::default());
    source.request_stop();
    let callback = on_stop(&source.token(), log.adds(7));
    assert_eq!(log.entries(), [7]);
    drop(callback);
}

#[test]
fn leave_out_who_has_gone() {
    let (source, log) = (StopSource::new(), Log::default());
    let token = source.token();
    let mut callbacks: Vec<_> = (0..6).map(|number| on_stop(&token, log.adds(number))).collect();
    for gone in [5, 0, 2] {
        drop(callbacks.remove(gone));
    }
    source.request_stop();
    assert_eq!(log.entries(), [1, 2, 4]);
}

/// What is never stopped calls nobody; and a stop that nobody can request any more leaves its callbacks alone.
#[test]
fn may_never_come() {
    let log = Log::default();
    let never = on_stop(&StopToken::never(), log.adds(0));
    let lonely = on_stop(&StopSource::new().token(), log.adds(1));
    assert_eq!(StopToken::default(), StopToken::never());
    drop((never, lonely));
    assert!(log.entries().is_empty());
}

/// A function may use what it is called for: request again, register, and drop others, itself, and the last source.
#[test]
fn may_be_used_from_their_callbacks() {
    let _watchdog = watchdog();
    let (source, log) = (StopSource::new(), Log::default());
    let token = source.token();
    let others: Arc<Mutex<Vec<Callback>>> = Arc::default();
    let first = on_stop(&token, {
        let (token, log, others, source) = (token.clone(), log.clone(), Arc::clone(&others), source.clone());
        move || {
            assert!(token.is_stop_requested() && !source.request_stop());
            drop(on_stop(&token, log.adds(1)));
            // One that has not been called, and this one.
            others.lock().unwrap().clear();
            drop((token, source));
        }
    });
    let second = on_stop(&token, log.adds(2));
    let third = on_stop(&token, log.adds(3));
    others.lock().unwrap().extend([first, second]);
    assert!(source.request_stop());
    assert_eq!(log.entries(), [1, 3]);
    drop(third);
}

#[test]
fn go_on_after_a_panic() {
    let (source, log) = (StopSource::new(), Log::default());
    let token = source.token();
    without_panic_messages(|| {
        let callbacks = [
            on_stop(&token, log.adds(0)),
            on_stop(&token, || panic!("expected: first")),
            on_stop(&token, log.adds(2)),
            on_stop(&token, || panic!("expected: second")),
        ];
        let payload = catch_unwind(AssertUnwindSafe(|| source.request_stop())).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"expected: first"));
        assert_eq!(log.entries(), [0, 2]);
        drop(callbacks);

        // A guard has nobody to tell, also while a panic goes on.
        let source = StopSource::new();
        let callback = on_stop(&source.token(), || panic!("expected: third"));
        let unwinds = catch_unwind(AssertUnwindSafe(|| {
            let _guard = source.guard();
            panic!("expected: fourth");
        }));
        assert_eq!(unwinds.unwrap_err().downcast_ref::<&str>(), Some(&"expected: fourth"));
        drop(callback);
    });
}

#[test]
fn refuse_a_callback_that_is_registered() {
    let source = StopSource::new();
    let mut callback = pin!(StopCallback::new(|| ()));
    callback.as_mut().register(&source.token());
    without_panic_messages(|| {
        let again = catch_unwind(AssertUnwindSafe(|| callback.as_mut().register(&source.token())));
        assert!(
            again.unwrap_err().downcast_ref::<&str>().is_some_and(|text| text.contains("registered twice"))
        );
    });
}

/// What was called at once is used up, what was registered with a stop that never comes is not.
#[test]
fn refuse_a_callback_that_was_called() {
    let (source, log) = (StopSource::new(), Log::default());
    source.request_stop();
    let mut callback = pin!(StopCallback::new(log.adds(1)));
    callback.as_mut().register(&StopToken::never());
    callback.as_mut().register(&source.token());
    assert_eq!(log.entries(), [1]);
    without_panic_messages(|| {
        assert!(catch_unwind(AssertUnwindSafe(|| callback.as_mut().register(&source.token()))).is_err());
    });
}

/// Executors drop futures under locks that their wakers take.
#[test]
fn let_go_of_a_future_whose_waker_is_at_it() {
    /// Takes a lock in order to wake.
    struct Locks(Arc<Mutex<()>>, AtomicBool);

    impl Wake for Locks {
        fn wake(self: Arc<Self>) {
            self.1.store(true, Ordering::Relaxed);
            drop(self.0.lock().unwrap());
        }
    }

    let _watchdog = watchdog();
    let (source, lock) = (StopSource::new(), Arc::new(Mutex::new(())));
    let locks = Arc::new(Locks(Arc::clone(&lock), AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&locks));
    let mut waits = Box::pin(source.token().stop_requested());
    assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let held = lock.lock().unwrap();
    let stopper = thread::spawn(move || source.request_stop());
    wait_until(|| locks.1.load(Ordering::Relaxed), "nobody wakes");
    drop(waits);
    drop(held);
    assert!(stopper.join().unwrap());
}

/// A drop that waits for a call leaves alone what its thread was woken for.
#[test]
fn leave_wakes_of_others_to_them() {
    let _watchdog = watchdog();
    let (source, is_called) = (StopSource::new(), Arc::new(AtomicBool::new(false)));
    let callback = on_stop(&source.token(), {
        let is_called = Arc::clone(&is_called);
        move || {
            is_called.store(true, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(50));
        }
    });
    let stopper = thread::spawn(move || source.request_stop());
    wait_until(|| is_called.load(Ordering::Relaxed), "it is not called");
    thread::current().unpark();
    drop(callback);
    let start = Instant::now();
    thread::park_timeout(Duration::from_secs(20));
    assert!(start.elapsed() < Duration::from_secs(10), "the wake is gone");
    stopper.join().unwrap();
}

/// A callback that is leaked where it is pinned is called all the same, since its memory stays.
#[test]
fn call_what_was_leaked() {
    /// What is leaked on purpose, so that a leak checker finds it.
    static LEAKED: AtomicPtr<Callback> = AtomicPtr::new(std::ptr::null_mut());

    let (source, log) = (StopSource::new(), Log::default());
    let leaked = Box::new(on_stop(&source.token(), log.adds(1)));
    LEAKED.store(Box::into_raw(leaked), Ordering::Relaxed);
    source.request_stop();
    assert_eq!(log.entries(), [1]);
}

#[test]
fn go_down_to_children_and_not_up() {
    let (parent, log) = (StopSource::new(), Log::default());
    let child = StopSource::linked_to(&parent.token());
    let grandchild = StopSource::linked_to(&child.token());
    let (parents, childs) = (on_stop(&parent.token(), log.adds(0)), on_stop(&child.token(), log.adds(1)));
    // Kept by its callback alone.
    let grandchilds = on_stop(&grandchild.token(), log.adds(2));
    drop(grandchild);
    child.request_stop();
    assert_eq!(log.entries(), [1, 2]);
    assert!(!parent.is_stop_requested());
    parent.request_stop();
    assert_eq!(log.entries(), [1, 2, 0]);
    assert!(StopSource::linked_to(&parent.token()).is_stop_requested());
    assert!(!StopSource::linked_to(&StopToken::never()).is_stop_requested());
    drop((parents, childs, grandchilds));
}

/// Neither the stop nor the end of a long chain of links is recursion.
#[test]
fn go_down_a_long_chain_on_a_small_stack() {
    let _watchdog = watchdog();
    let small = thread::Builder::new().stack_size(64 * 1024).spawn(|| {
        for stops in [true, false] {
            let first = StopSource::new();
            let mut last = first.clone();
            for _ in 0..200_000 {
                // The parent is kept by its child alone.
                last = StopSource::linked_to(&last.token());
            }
            if stops {
                first.request_stop();
                assert!(last.is_stop_requested());
            }
            drop(first);
            drop(last);
        }
    });
    small.unwrap().join().unwrap();
}

#[test]
fn wake_all_who_wait() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let source = StopSource::new();
    let tasks: Vec<_> = (0..1000)
        .map(|number| {
            let token = source.token();
            runtime.spawn(async move {
                if number % 3 == 0 {
                    // One that leaves before.
                    let mut waits = pin!(token.stop_requested().fuse());
                    assert!(waits.as_mut().now_or_never().is_none());
                }
                token.stop_requested().await;
                assert!(token.is_stop_requested());
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(20));
    source.request_stop();
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    // On a foreign executor, and when it has been requested already.
    futures_util::future::join_all((0..3).map(|_| source.token().stop_requested())).now_or_never().unwrap();
}

#[test]
fn do_not_end_what_nobody_can_stop() {
    let runtime = runtime(1);
    let waits = runtime.block_on(async {
        tress::time::timeout(Duration::from_millis(20), StopToken::never().stop_requested()).await
    });
    assert!(waits.is_err());
}

/// Callbacks, waiting tasks and links come and go on several threads while the stop is requested: each one that is there is called once,
/// and none after its drop.
#[test]
fn in_a_storm() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for seed in 0..200 {
        let source = StopSource::new();
        let barrier = Arc::new(Barrier::new(4));
        let late = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..3)
            .map(|number| {
                let (token, barrier, late) = (source.token(), Arc::clone(&barrier), Arc::clone(&late));
                let handle = runtime.handle().clone();
                thread::spawn(move || {
                    let mut random = Random(seed * 3 + number + 1);
                    let mut held = Vec::new();
                    barrier.wait();
                    for _ in 0..100 {
                        let (calls, is_gone) =
                            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
                        let child = StopSource::linked_to(&token);
                        let token = if random.below(2) == 0 { token.clone() } else { child.token() };
                        let callback = on_stop(&token, {
                            let (calls, is_gone, late) =
                                (Arc::clone(&calls), Arc::clone(&is_gone), Arc::clone(&late));
                            move || {
                                calls.fetch_add(1, Ordering::Relaxed);
                                late.fetch_add(
                                    usize::from(is_gone.load(Ordering::Relaxed)),
                                    Ordering::Relaxed,
                                );
                            }
                        });
                        match random.below(3) {
                            0 => {
                                drop(callback);
                                is_gone.store(true, Ordering::Relaxed);
                            }
                            1 => held.push((callback, calls)),
                            _ => drop(handle.spawn(async move {
                                let _callback = callback;
                                yield_now().await;
                                token.stop_requested().await;
                            })),
                        }
                    }
                    held
                })
            })
            .collect();
        barrier.wait();
        if seed % 2 == 0 {
            thread::yield_now();
        }
        source.request_stop();
        for thread in threads {
            for (callback, calls) in thread.join().unwrap() {
                assert_eq!(calls.load(Ordering::Relaxed), 1, "seed {seed}");
                drop(callback);
            }
        }
        assert_eq!(late.load(Ordering::Relaxed), 0, "seed {seed}");
        let metrics = runtime.handle().metrics();
        wait_until(|| metrics.live_tasks() == 0, "a task was not woken");
    }
}
