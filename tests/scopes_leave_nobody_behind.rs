//! A task that has dropped a scope is not complete before the scope's tasks have been dropped, however it ends.

mod leaves;
mod support;

use std::future::pending;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};
use std::time::Duration;

use leaves::poll_once;
use support::{
    Census, Counted, burn, panic_text, runtime, stress, wait_until, watchdog, without_panic_messages,
};
use tress::executor::CurrentThread;
use tress::task::{CountingScope, scope};
use tress::time::sleep;
use tress::trace::State;
use tress::{Handle, Runtime};

/// How long a task of a scope is at work in one poll.
const WORK: Duration = Duration::from_millis(60);

/// Begins a scope with a task that computes on this runtime, and drops it when that has begun.
async fn leave(workers: &Handle, census: &Census) {
    let (begun, counted) = (Arc::new(AtomicBool::new(false)), census.count());
    let (says_so, workers) = (begun.clone(), workers.clone());
    let mut scoped = Box::pin(scope(|scope| async move {
        let work = async move {
            says_so.store(true, Ordering::Release);
            burn(WORK);
            drop((pending::<()>().await, counted));
            Ok::<(), ()>(())
        };
        scope.spawn_on(work, &workers);
        pending::<Result<(), ()>>().await
    }));
    assert!(poll_once(scoped.as_mut()).await.is_pending());
    while !begun.load(Ordering::Acquire) {
        sleep(Duration::from_millis(1)).await;
    }
}

/// A runtime for those who leave, and one for what they leave.
fn runtimes() -> (Runtime, Runtime) {
    (runtime(2), runtime(1))
}

#[test]
fn when_it_returns() {
    let _watchdog = watchdog();
    let (runtime, other) = runtimes();
    let census = Census::default();
    let (workers, inner) = (other.handle().clone(), census.clone());
    let task = runtime.spawn(async move {
        leave(&workers, &inner).await;
        (inner.alive(), 7)
    });
    let (left_behind, output) = runtime.block_on(task).unwrap();
    assert_eq!((left_behind, output, census.alive()), (1, 7, 0));
}

#[test]
fn when_it_panics_is_stopped_or_aborted() {
    let _watchdog = watchdog();
    let (runtime, other) = runtimes();
    without_panic_messages(|| {
        let census = Census::default();
        let (workers, inner) = (other.handle().clone(), census.clone());
        let task = runtime.spawn(async move {
            leave(&workers, &inner).await;
            panic!("expected");
        });
        assert_eq!(panic_text(runtime.block_on(task).unwrap_err()), "expected");
        assert_eq!((census.made(), census.alive()), (1, 0));
    });

    let census = Census::default();
    let (workers, inner) = (other.handle().clone(), census.clone());
    let task = runtime.spawn(async move {
        leave(&workers, &inner).await;
        match tress::stop::stopped().await {}
    });
    assert!(runtime.block_on(async { task.await.map(|()| ()).unwrap_err() }).is_stopped());
    assert_eq!((census.made(), census.alive()), (1, 0));

    let census = Census::default();
    let (workers, inner) = (other.handle().clone(), census.clone());
    let left = Arc::new(AtomicBool::new(false));
    let has_left = left.clone();
    let task = runtime.spawn(async move {
        leave(&workers, &inner).await;
        has_left.store(true, Ordering::Release);
        pending::<()>().await;
    });
    wait_until(|| left.load(Ordering::Acquire), "it has not left");
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
    assert_eq!((census.made(), census.alive()), (1, 0));
}

/// The scope is dropped with the future: by an abort.
#[test]
fn when_the_scope_is_dropped_with_it() {
    let _watchdog = watchdog();
    let (runtime, other) = runtimes();
    let census = Census::default();
    let (workers, counted) = (other.handle().clone(), census.count());
    let begun = Arc::new(AtomicBool::new(false));
    let says_so = begun.clone();
    let task = runtime.spawn(scope(move |scope| async move {
        let work = async move {
            says_so.store(true, Ordering::Release);
            burn(WORK);
            drop((pending::<()>().await, counted));
            Ok::<(), ()>(())
        };
        scope.spawn_on(work, &workers);
        pending::<Result<(), ()>>().await
    }));
    wait_until(|| begun.load(Ordering::Acquire), "the inner task has not begun");
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
    assert_eq!(census.alive(), 0);
}

#[test]
fn when_block_on_returns_or_panics() {
    let _watchdog = watchdog();
    let (runtime, other) = runtimes();
    let census = Census::default();
    let left_behind = runtime.block_on(async {
        leave(other.handle(), &census).await;
        census.alive()
    });
    assert_eq!((left_behind, census.made(), census.alive()), (1, 1, 0));
    // The same runtime, whose only worker is what computes: the thread takes part meanwhile.
    other.block_on(leave(other.handle(), &census));
    assert_eq!((census.made(), census.alive()), (2, 0));
    without_panic_messages(|| {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async {
                leave(other.handle(), &census).await;
                panic!("expected");
            })
        }));
        assert_eq!(support::payload_text(result.unwrap_err()), "expected");
    });
    assert_eq!((census.made(), census.alive()), (3, 0));
}

/// What is left may leave others in turn.
#[test]
fn of_any_generation() {
    let _watchdog = watchdog();
    let (runtime, other) = runtimes();
    let census = Census::default();
    let (workers, inner) = (other.handle().clone(), census.clone());
    let task = runtime.spawn(async move {
        let own = Handle::current();
        let mut scoped = Box::pin(scope(|scope| {
            let (workers, inner) = (workers.clone(), inner.clone());
            async move {
                let child = async move {
                    leave(&workers, &inner).await;
                    pending::<Result<(), ()>>().await
                };
                scope.spawn_on(child, &own);
                pending::<Result<(), ()>>().await
            }
        }));
        assert!(poll_once(scoped.as_mut()).await.is_pending());
        while inner.made() == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        sleep(Duration::from_millis(10)).await;
    });
    runtime.block_on(task).unwrap();
    assert_eq!((census.made(), census.alive()), (1, 0));
}

/// A scope that is awaited waits for what its tasks have left behind, too; and one that is dropped in a task of its own waits for nobody.
#[test]
fn as_members_of_a_scope() {
    let _watchdog = watchdog();
    let (runtime, other) = runtimes();
    let census = Census::default();
    let (workers, inner) = (other.handle().clone(), census.clone());
    let task = runtime.spawn(scope(|scope| async move {
        scope.spawn(async move {
            leave(&workers, &inner).await;
            Ok::<(), ()>(())
        });
        Ok(())
    }));
    assert_eq!(runtime.block_on(task).unwrap(), Ok(()));
    assert_eq!((census.made(), census.alive()), (1, 0));

    let counting = CountingScope::new();
    let (workers, inner) = (other.handle().clone(), census.clone());
    runtime.block_on(async {
        counting.spawn(async move { leave(&workers, &inner).await });
        counting.join().await;
    });
    assert_eq!((census.made(), census.alive()), (2, 0));

    let task = runtime.spawn(async {
        let (sender, receiver) = tress::sync::oneshot::channel();
        let mut scoped = Box::pin(scope(|scope| async move {
            scope.spawn(async move {
                let own: Pin<Box<dyn Future<Output = Result<(), ()>> + Send>> = receiver.await.unwrap();
                drop(own);
                Ok(())
            });
            pending::<Result<(), ()>>().await
        }));
        assert!(poll_once(scoped.as_mut()).await.is_pending());
        assert!(sender.send(scoped as Pin<Box<dyn Future<Output = Result<(), ()>> + Send>>).is_ok());
    });
    runtime.block_on(task).unwrap();
    drop(runtime);
}

/// Its result is what it had ended with, whatever is asked of it while it waits for them.
#[test]
fn an_abort_meanwhile_comes_too_late() {
    let _watchdog = watchdog();
    let (runtime, other) = runtimes();
    let census = Census::default();
    let (workers, inner) = (other.handle().clone(), census.clone());
    let left = Arc::new(AtomicBool::new(false));
    let has_left = left.clone();
    let task = runtime.spawn(async move {
        leave(&workers, &inner).await;
        has_left.store(true, Ordering::Release);
        String::from("output")
    });
    wait_until(|| left.load(Ordering::Acquire), "it has not left");
    thread::sleep(Duration::from_millis(5));
    assert!(!task.is_finished() || census.alive() == 0);
    let has_ended =
        || tress::trace::dump(runtime.handle()).tasks.iter().all(|task| task.state == State::Ended);
    wait_until(has_ended, "it has not ended");
    task.abort();
    assert_eq!(runtime.block_on(task).unwrap(), "output");
    assert_eq!(census.alive(), 0);
}

/// An output that is not sent anywhere is dropped on its thread, whoever completes the task, and whenever its handle goes.
#[test]
fn outputs_of_bound_tasks_stay_on_their_thread() {
    struct Bound {
        thread: ThreadId,
        _stays: Rc<()>,
        _counted: Counted,
    }

    impl Drop for Bound {
        fn drop(&mut self) {
            assert_eq!(thread::current().id(), self.thread);
        }
    }

    let _watchdog = watchdog();
    let other = runtime(1);
    let (outputs, census) = (Census::default(), Census::default());
    for keeps_the_handle in [false, true] {
        let local = CurrentThread::new();
        let (workers, inner, output) = (other.handle().clone(), census.clone(), outputs.count());
        let handle = local.spawn(async move {
            leave(&workers, &inner).await;
            Bound { thread: thread::current().id(), _stays: Rc::new(()), _counted: output }
        });
        let made = census.made();
        if keeps_the_handle {
            local.run_until(async {
                // Ended, and not complete.
                while census.made() == made {
                    tress::task::yield_now().await;
                }
                sleep_outside(Duration::from_millis(5)).await;
            });
            drop(handle);
        } else {
            drop(handle);
            local.run();
        }
        assert_eq!(outputs.alive(), 0, "it is dropped where it was made");
        census.wait_until_empty();
    }
}

/// Waits without a runtime.
async fn sleep_outside(time: Duration) {
    let end = std::time::Instant::now() + time;
    while std::time::Instant::now() < end {
        tress::task::yield_now().await;
    }
}

/// Runtimes that are dropped meanwhile lose nothing.
#[test]
fn runtimes_end_whenever() {
    let _watchdog = watchdog();
    stress(|_, random| {
        let (futures, outputs) = (Census::default(), Census::default());
        let runtime = runtime(2);
        for _ in 0..8 {
            let (counted, output) = (futures.count(), outputs.count());
            let (turns, is_joined) = (random.below(4), random.once_in(2));
            let task = runtime.spawn(async move {
                let mut scoped = Box::pin(scope(|scope| async move {
                    scope.spawn(async move {
                        for _ in 0..3 {
                            tress::task::yield_now().await;
                        }
                        drop((pending::<()>().await, counted));
                        Ok::<(), ()>(())
                    });
                    pending::<Result<(), ()>>().await
                }));
                assert!(poll_once(scoped.as_mut()).await.is_pending());
                for _ in 0..turns {
                    tress::task::yield_now().await;
                }
                drop(scoped);
                output
            });
            if is_joined {
                runtime.spawn(task);
            }
        }
        if random.once_in(2) {
            runtime.block_on(tress::task::yield_now());
        }
        drop(runtime);
        assert_eq!((futures.alive(), outputs.alive()), (0, 0));
    });
}
