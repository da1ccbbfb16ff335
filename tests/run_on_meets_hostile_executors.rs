//! `run_on` with executors that drop, panic or end, and inside others that are none of this crate's tasks.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use support::{payload_text, runtime, watchdog, without_panic_messages};
use tress::executor::{self, AnyExecutor, CurrentThread, Executor, Inline, Manual, Runnable, launch, run_on};
use tress::task::yield_now;
use tress::{Handle, Runtime, env};

/// Notes where it is dropped.
struct DroppedOn(AnyExecutor, Arc<Mutex<Vec<bool>>>);

impl Drop for DroppedOn {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0.is_current());
    }
}

/// Two runtimes, and their handles.
fn pair() -> ([Runtime; 2], Handle, Handle) {
    let runtimes = [runtime(1), runtime(1)];
    let (home, there) = (runtimes[0].handle().clone(), runtimes[1].handle().clone());
    (runtimes, home, there)
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Dropping;

impl Executor for Dropping {
    fn post(&self, runnable: Runnable) {
        drop(runnable);
    }

    fn is_current(&self) -> bool {
        false
    }
}

#[test]
fn an_executor_that_drops() {
    let _watchdog = watchdog();
    let ([runtime, _other], home, _there) = pair();
    let drops = Arc::new(Mutex::new(Vec::new()));
    let guard = DroppedOn(AnyExecutor::new(home), drops.clone());
    let task = runtime.spawn(async move {
        let _guard = guard;
        run_on(Dropping, async {}).await;
    });
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
    assert_eq!(drops.lock().unwrap().len(), 1);
    let panic = catch_unwind(AssertUnwindSafe(|| runtime.block_on(run_on(Dropping, async {}))));
    assert!(payload_text(panic.unwrap_err()).contains("dropped"));
    // A runtime that is shut down drops, too.
    let gone = support::runtime(1);
    let handle = gone.handle().clone();
    drop(gone);
    let task = runtime.spawn(async move { run_on(handle, async {}).await });
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
}

#[test]
fn a_kept_environment_has_no_executor() {
    let _watchdog = watchdog();
    let ([runtime, _other], home, there) = pair();
    let manual = Manual::new();
    let task = launch(manual.executor()).value(3_u32).spawn(async { env::current() });
    manual.run_until_idle(10);
    let env = runtime.block_on(task).unwrap();
    let task = runtime.spawn(env.run(async move {
        assert_eq!(executor::current(), Some(AnyExecutor::new(home.clone())));
        run_on(there, yield_now()).await;
        assert!(home.is_current());
        env::value::<u32>()
    }));
    assert_eq!(runtime.block_on(task).unwrap(), Some(3));
}

#[test]
fn an_executor_ends_while_its_task_is_away() {
    let _watchdog = watchdog();
    let (one, other) = (Manual::new(), Manual::new());
    let there = other.executor();
    let drops = Arc::new(Mutex::new(Vec::new()));
    let guard = DroppedOn(AnyExecutor::new(Inline), drops.clone());
    let task = launch(one.executor()).spawn(async move {
        let _guard = guard;
        run_on(there, async {}).await;
    });
    one.run_until_idle(10);
    assert_eq!(other.len(), 1);
    drop(one);
    assert!(!task.is_finished());
    other.run_until_idle(10);
    assert!(task.is_finished() && drops.lock().unwrap().len() == 1);
    assert!(launch(Inline).block_on(task).unwrap().unwrap_err().is_aborted());
}

/// Panics in the calls of one function from a number on.
#[derive(Debug)]
struct Panicking {
    inner: Handle,
    calls: Arc<[AtomicUsize; 2]>,
    from: [usize; 2],
}

impl Panicking {
    fn count(&self, function: usize) {
        let call = self.calls[function].fetch_add(1, Ordering::SeqCst);
        assert!(call < self.from[function], "expected");
    }
}

impl Clone for Panicking {
    fn clone(&self) -> Self {
        self.count(0);
        Self { inner: self.inner.clone(), calls: self.calls.clone(), from: self.from }
    }
}

impl PartialEq for Panicking {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.calls, &other.calls)
    }
}

impl Eq for Panicking {}

impl Executor for Panicking {
    fn post(&self, runnable: Runnable) {
        self.inner.post(runnable);
    }

    fn is_current(&self) -> bool {
        self.count(1);
        self.inner.is_current()
    }
}

#[test]
fn an_executor_that_panics_anywhere_ends_the_task_alone() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let ([runtime, _other], _home, there) = pair();
        for function in [0, 1] {
            for call in 0..12 {
                let mut from = [usize::MAX; 2];
                from[function] = call;
                let executor = Panicking { inner: there.clone(), calls: Arc::default(), from };
                let task = runtime.spawn(async move {
                    run_on(executor, async { yield_now().await }).await;
                });
                match runtime.block_on(task) {
                    Ok(()) => {}
                    Err(error) => assert!(error.is_panic() || error.is_aborted(), "{error}"),
                }
            }
        }
        // Both runtimes go on.
        let task = runtime.spawn(async move { run_on(there, async { 7 }).await });
        assert_eq!(runtime.block_on(task).unwrap(), 7);
    });
}

#[test]
fn from_an_executor_of_this_thread_inside_others() {
    let _watchdog = watchdog();
    let ([runtime, _other], _home, there) = pair();
    let inside = move || {
        let local = CurrentThread::new();
        local.run_until(run_on(there.clone(), async {
            yield_now().await;
            7
        }))
    };
    let blocking = inside.clone();
    assert_eq!(runtime.block_on(runtime.handle().spawn_blocking(blocking)).unwrap(), 7);
    let task = runtime.spawn(async move { tress::task::block_in_place(inside) });
    assert_eq!(runtime.block_on(task).unwrap(), 7);
}
