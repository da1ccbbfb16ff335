//! A task that has dropped a scope is not complete before the scope's tasks have been dropped, however it ends.

mod leaves;
mod support;

use std::cell::Cell;
use std::future::pending;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use leaves::poll_once;
use support::{
    Census, Counted, burn, panic_text, runtime, stress, wait_until, watchdog, without_panic_messages,
};
use tress::executor::{CurrentThread, Inline, Manual, launch};
use tress::task::{AbortHandle, CountingScope, block_in_place, scope};
use tress::time::sleep;
use tress::trace::State;
use tress::{Handle, Runtime};

/// How long a task of a scope is at work in one poll.
const WORK: Duration = Duration::from_millis(60);

type Scoped = Pin<Box<dyn Future<Output = Result<(), ()>> + Send>>;

/// A scope with a task that computes on this runtime, and whether that has begun.
fn working_scope(workers: &Handle, census: &Census) -> (Scoped, Arc<AtomicBool>) {
    let (begun, counted) = (Arc::new(AtomicBool::new(false)), census.count());
    let (says_so, workers) = (begun.clone(), workers.clone());
    let scoped = scope(|scope| async move {
        let work = async move {
            says_so.store(true, Ordering::Release);
            burn(WORK);
            drop((pending::<()>().await, counted));
            Ok(())
        };
        scope.spawn_on(work, &workers);
        pending().await
    });
    (Box::pin(scoped), begun)
}

/// Begins such a scope, and waits until its task has begun, too.
async fn begin(workers: &Handle, census: &Census) -> Scoped {
    let (mut scoped, begun) = working_scope(workers, census);
    assert!(poll_once(scoped.as_mut()).await.is_pending());
    while !begun.load(Ordering::Acquire) {
        sleep(Duration::from_millis(1)).await;
    }
    scoped
}

/// Begins such a scope, and drops it.
async fn leave(workers: &Handle, census: &Census) {
    drop(begin(workers, census).await);
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
    assert!(runtime.block_on(task).unwrap_err().is_stopped());
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
    let (scoped, begun) = working_scope(other.handle(), &census);
    let task = runtime.spawn(scoped);
    wait_until(|| begun.load(Ordering::Acquire), "the inner task has not begun");
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
    assert_eq!((census.made(), census.alive()), (1, 0));
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
                let own: Scoped = receiver.await.unwrap();
                drop(own);
                Ok(())
            });
            pending::<Result<(), ()>>().await
        }));
        assert!(poll_once(scoped.as_mut()).await.is_pending());
        assert!(sender.send(scoped as Scoped).is_ok());
    });
    runtime.block_on(task).unwrap();
    drop(runtime);
}

/// Also one that is aborted before it is ever polled, and owns a scope that has been begun elsewhere.
#[test]
fn as_members_that_were_never_polled() {
    let _watchdog = watchdog();
    let (runtime, other) = runtimes();
    let (manual, census) = (Manual::new(), Census::default());
    let (mut own, begun) = working_scope(other.handle(), &census);
    let task = launch(manual.executor()).spawn(scope(|scope| async move {
        assert!(poll_once(own.as_mut()).await.is_pending());
        wait_until(|| begun.load(Ordering::Acquire), "the inner task has not begun");
        scope.spawn(own).expect("the scope is open").abort();
        Ok(())
    }));
    let has_ended = || {
        manual.run_until_idle(100);
        task.is_finished()
    };
    wait_until(has_ended, "the scope has not ended");
    assert_eq!((census.made(), census.alive()), (1, 0));
    assert_eq!(runtime.block_on(task).unwrap(), Ok(()));

    let (mut own, begun) = working_scope(other.handle(), &census);
    let counting = CountingScope::new();
    let spawner = counting.clone();
    let task = launch(manual.executor()).spawn(async move {
        assert!(poll_once(own.as_mut()).await.is_pending());
        wait_until(|| begun.load(Ordering::Acquire), "the inner task has not begun");
        let task = spawner.spawn(own);
        task.as_ref().expect("the scope is open").abort();
        task
    });
    manual.run_until_idle(100);
    let task = runtime.block_on(task).unwrap().unwrap();
    runtime.block_on(counting.join());
    assert_eq!((census.made(), census.alive()), (2, 0));
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
}

/// One that is refused was never a task: whoever spawns it is no member in its stead, whomever that leaves behind.
#[test]
fn one_that_is_refused_is_no_member() {
    let _watchdog = watchdog();
    let (runtime, other) = runtimes();
    let gone = support::runtime(1);
    let handle = gone.handle().clone();
    drop(gone);
    let census = Census::default();
    let (workers, inner) = (other.handle().clone(), census.clone());
    let task = runtime.spawn(async move {
        let counting = CountingScope::new();
        leave(&workers, &inner).await;
        let refused = counting.spawn_on(async {}, &handle).expect("the scope is open");
        assert_eq!(counting.len(), 0);
        assert!(refused.await.unwrap_err().is_refused());
        // It would wait for itself.
        counting.join().await;
    });
    runtime.block_on(task).unwrap();
    assert_eq!(census.alive(), 0);
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
        let has_ended = Rc::new(Cell::new(false));
        let says_so = has_ended.clone();
        let handle = local.spawn(async move {
            leave(&workers, &inner).await;
            says_so.set(true);
            Bound { thread: thread::current().id(), _stays: Rc::new(()), _counted: output }
        });
        if keeps_the_handle {
            local.run_until(async {
                while !has_ended.get() {
                    tress::task::yield_now().await;
                }
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

/// A scope whose only task this is, and the task's handle.
async fn scope_of(task: impl Future<Output = Result<(), ()>> + Send + 'static) -> (Scoped, AbortHandle) {
    let (sender, receiver) = tress::sync::oneshot::channel();
    let mut scoped: Scoped = Box::pin(scope(|scope| async move {
        sender.send(scope.spawn(task).unwrap()).unwrap();
        pending::<Result<(), ()>>().await
    }));
    assert!(poll_once(scoped.as_mut()).await.is_pending());
    (scoped, receiver.await.unwrap())
}

/// Tasks that drop scopes which they are members of, themselves or in a circle, do not wait for each other.
#[test]
fn scopes_that_change_hands_make_no_circle() {
    let _watchdog = watchdog();
    let (runtime, other) = runtimes();
    let census = Census::default();
    let (workers, inner) = (other.handle().clone(), census.clone());
    let task = runtime.spawn(async move {
        // Its own, beside another one whose task is at work.
        let (sender, receiver) = tress::sync::oneshot::channel::<Scoped>();
        let (own, own_task) = scope_of(async move {
            let own = receiver.await.unwrap();
            leave(&workers, &inner).await;
            drop(own);
            Ok(())
        })
        .await;
        assert!(sender.send(own).is_ok());
        // Its own, in a `block_on`.
        let (sender, receiver) = tress::sync::oneshot::channel::<Scoped>();
        let (own, blocked_task) = scope_of(async move {
            let own = receiver.await.unwrap();
            block_in_place(|| Handle::current().block_on(async move { drop(own) }));
            Ok(())
        })
        .await;
        assert!(sender.send(own).is_ok());
        // The same in a `run_until`.
        let (sender, receiver) = tress::sync::oneshot::channel::<Scoped>();
        let (own, hidden_task) = scope_of(async move {
            let own = receiver.await.unwrap();
            let drop_it = async move { Handle::current().block_on(async move { drop(own) }) };
            block_in_place(|| CurrentThread::new().run_until(drop_it));
            Ok(())
        })
        .await;
        assert!(sender.send(own).is_ok());
        // Each one the other's.
        let (to_first, of_first) = tress::sync::oneshot::channel::<Scoped>();
        let (to_second, of_second) = tress::sync::oneshot::channel::<Scoped>();
        let keep = |receiver: tress::sync::oneshot::Receiver<Scoped>| async move {
            let _other = receiver.await.unwrap();
            pending().await
        };
        let (first, first_task) = scope_of(keep(of_first)).await;
        let (second, second_task) = scope_of(keep(of_second)).await;
        assert!(to_first.send(second).is_ok() && to_second.send(first).is_ok());
        sleep(Duration::from_millis(5)).await;
        first_task.abort();
        [own_task, blocked_task, hidden_task, first_task, second_task]
    });
    let tasks = runtime.block_on(task).unwrap();
    wait_until(|| tasks.iter().all(AbortHandle::is_finished), "they wait for each other");
    assert_eq!((census.made(), census.alive()), (1, 0));
}

/// However many wait for one another, completing them takes no more stack than one.
#[test]
fn generations_are_completed_one_after_the_other() {
    fn generation(left: usize, bottom: Arc<AtomicBool>) -> Scoped {
        Box::pin(scope(move |scope| async move {
            match left {
                0 => bottom.store(true, Ordering::Release),
                _ => drop(scope.spawn(generation(left - 1, bottom))),
            }
            pending().await
        }))
    }

    let _watchdog = watchdog();
    let runtime = runtime(2);
    let bottom = Arc::new(AtomicBool::new(false));
    let task = runtime.spawn(generation(20_000, bottom.clone()));
    wait_until(|| bottom.load(Ordering::Acquire), "the last one has not begun");
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
}

/// Also what an output leaves that nobody wants.
#[test]
fn when_its_output_is_dropped() {
    let _watchdog = watchdog();
    let (runtime, other) = runtimes();
    let (census, counting) = (Census::default(), CountingScope::new());
    let (workers, inner) = (other.handle().clone(), census.clone());
    runtime.block_on(async {
        let detached = counting.spawn(async move { Some(begin(&workers, &inner).await) });
        let detached = detached.unwrap();
        let abort = detached.abort_handle();
        drop(detached);
        while !abort.is_finished() {
            sleep(Duration::from_millis(1)).await;
        }
    });
    assert_eq!((census.made(), census.alive()), (1, 0));
}

/// Executors end without waiting for what their tasks have left on others, which may never run again.
#[test]
fn executors_do_not_wait_for_it() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    // Drops a scope when it is told to, and says so; the scope is given to whoever wants to spawn in it.
    let leaves = || {
        let (scopes, of_scopes) = std::sync::mpsc::channel();
        let (drop_it, is_told) = tress::sync::oneshot::channel::<()>();
        let has_left = Arc::new(AtomicBool::new(false));
        let says_so = has_left.clone();
        let task = async move {
            let mut scoped: Scoped = Box::pin(scope(|scope| async move {
                scopes.send(scope).unwrap();
                pending().await
            }));
            assert!(poll_once(scoped.as_mut()).await.is_pending());
            is_told.await.unwrap();
            drop(scoped);
            says_so.store(true, Ordering::Release);
        };
        (task, of_scopes, drop_it, has_left)
    };
    let spawn_in = |scope: tress::task::Scope<()>| {
        let spawner = launch(manual.executor()).spawn(async move { scope.spawn(pending()).is_some() });
        while manual.run_one() {}
        assert!(spawner.is_finished());
    };

    let runtime = runtime(1);
    let (task, scopes, drop_it, has_left) = leaves();
    let task = runtime.spawn(task);
    spawn_in(scopes.recv().unwrap());
    drop_it.send(()).unwrap();
    wait_until(|| has_left.load(Ordering::Acquire), "it has not left");
    let begun = Instant::now();
    drop(runtime);
    assert!(!task.is_finished(), "what it has left has not been dropped");

    let local = CurrentThread::new();
    let (bound, scopes, drop_it, has_left) = leaves();
    let bound = local.spawn(bound);
    while local.poll_one() {}
    spawn_in(scopes.recv().unwrap());
    drop_it.send(()).unwrap();
    while local.poll_one() {}
    assert!(has_left.load(Ordering::Acquire));
    drop(local);

    assert!(begun.elapsed() < Duration::from_secs(5), "it has been waited for");
    assert!(!bound.is_finished());
    while manual.run_one() {}
    assert!(task.is_finished() && bound.is_finished());
}

/// One that is leaked leaves its tasks to themselves, and breaks nothing.
#[test]
fn a_leaked_scope_waits_for_nobody() {
    /// As good as forgotten: nobody drops what is in a static.
    static KEPT: Mutex<Vec<Scoped>> = Mutex::new(Vec::new());

    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (census, begun) = (Census::default(), Census::default());
    let (counted, runs) = (census.count(), begun.clone());
    let task = runtime.spawn(async move {
        let (scoped, task) = scope_of(async move {
            let _runs = runs.count();
            drop((pending::<()>().await, counted));
            Ok(())
        })
        .await;
        KEPT.lock().unwrap().push(scoped);
        task
    });
    let left = runtime.block_on(task).unwrap();
    wait_until(|| begun.alive() == 1, "it has not begun");
    assert!(!left.is_finished() && census.alive() == 1);
    drop(runtime);
    assert!(left.is_finished());
    assert_eq!((begun.alive(), census.alive()), (0, 0));
}

/// Whoever is woken by a completion may block, on the same thread, for another task that leaves somebody behind.
#[test]
fn a_joiner_may_block_for_another_one() {
    let _watchdog = watchdog();
    let (runtime, other) = runtimes();
    let (third, census) = (support::runtime(1), Census::default());
    let (workers, inner) = (other.handle().clone(), census.clone());
    let first = runtime.spawn(async move { leave(&workers, &inner).await });
    let workers = third.handle().clone();
    let joiner = launch(Inline).spawn(async move {
        first.await.unwrap();
        let local = CurrentThread::new();
        let second = local.spawn(async move {
            let mut scoped: Scoped = Box::pin(scope(|scope| async move {
                scope.spawn_on(pending(), &workers);
                pending().await
            }));
            assert!(poll_once(scoped.as_mut()).await.is_pending());
        });
        local.run_until(second).unwrap();
    });
    runtime.block_on(joiner).unwrap();
    assert_eq!(census.alive(), 0);
}
