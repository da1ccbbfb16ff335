//! Executors: each runs the tasks that are launched on it, where it says, and drops what it cannot run.

mod support;

use std::cell::Cell;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use support::{runtime, watchdog, without_panic_messages};
use tress::executor::{self, AnyExecutor, CurrentThread, Executor, Inline, Manual, Runnable, launch};
use tress::stop::StopSource;
use tress::sync::oneshot;
use tress::task::{coop, lazy, try_lazy, yield_now};
use tress::{Handle, env, frame};

/// Counts drops.
struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// An executor that is larger than two words, and drops everything.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dropping([u64; 5]);

impl Executor for Dropping {
    fn post(&self, runnable: Runnable) {
        drop(runnable);
    }

    fn is_current(&self) -> bool {
        false
    }
}

/// An executor whose code panics.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Panicking;

impl Executor for Panicking {
    fn post(&self, _runnable: Runnable) {
        panic!("expected: the executor's own");
    }

    fn is_current(&self) -> bool {
        false
    }
}

#[test]
fn manual_in_the_order_of_wakes() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..3)
        .map(|number| {
            let order = order.clone();
            launch(manual.executor()).spawn(async move {
                order.lock().unwrap().push(number);
                yield_now().await;
                order.lock().unwrap().push(10 + number);
            })
        })
        .collect();
    assert_eq!(manual.len(), 3);
    assert_eq!(manual.run_queued(), 3);
    assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
    assert_eq!(manual.run_until_idle(100), 3);
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 10, 11, 12]);
    assert!(tasks.iter().all(|task| task.is_finished()) && manual.is_empty());
    let endless = launch(manual.executor()).spawn(async {
        loop {
            yield_now().await;
        }
    });
    assert_eq!((manual.run_until_idle(10), manual.run_queued()), (10, 1));
    endless.abort();
    assert_eq!(manual.run_until_idle(10), 1);
}

#[test]
fn manual_drops_its_tasks() {
    let _watchdog = watchdog();
    let drops = Arc::new(AtomicUsize::new(0));
    let manual = Manual::new();
    let spawn = |parked: bool| {
        let guard = Guard(drops.clone());
        launch(manual.executor()).spawn(async move {
            let _guard = guard;
            if parked {
                pending::<()>().await;
            }
        })
    };
    let parked = spawn(true);
    manual.run_until_idle(10);
    let queued = spawn(false);
    let executor = manual.executor();
    drop(manual);
    assert_eq!(drops.load(Ordering::SeqCst), 2);
    let runtime = runtime(2);
    assert!(runtime.block_on(parked).unwrap_err().is_aborted());
    assert!(runtime.block_on(queued).unwrap_err().is_aborted());
    let late = launch(executor).spawn(async {});
    assert!(runtime.block_on(late).unwrap_err().is_refused());
}

#[test]
fn current_thread_runs_what_is_not_send() {
    let _watchdog = watchdog();
    let own = thread::current().id();
    let local = CurrentThread::new();
    let (tx, rx) = oneshot::channel::<u32>();
    let sum = Rc::new(Cell::new(0));
    let (inner, spawner) = (sum.clone(), local.spawner());
    let task = local.spawn(async move {
        let nested = spawner.spawn({
            let inner = inner.clone();
            async move { inner.set(inner.get() + 1) }
        });
        nested.await.unwrap();
        inner.set(inner.get() + rx.await.unwrap());
        assert_eq!(thread::current().id(), own);
        inner
    });
    let waker = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        tx.send(41).unwrap();
    });
    local.run();
    waker.join().unwrap();
    assert!(task.is_finished());
    assert_eq!(local.run_until(task).unwrap().get(), 42);
    assert!(!local.poll_one());
}

/// Neither the future nor the tasks have to wait until the others do.
#[test]
fn current_thread_gives_everybody_a_turn() {
    let _watchdog = watchdog();
    let local = CurrentThread::new();
    let polls = Rc::new(Cell::new(0));
    let counted = polls.clone();
    let endless = local.spawn(async move {
        loop {
            counted.set(counted.get() + 1);
            yield_now().await;
        }
    });
    local.run_until(async {
        for _ in 0..100 {
            yield_now().await;
        }
    });
    assert!((99..=101).contains(&polls.get()), "{}", polls.get());
    endless.abort();
    local.run();
    assert!(endless.is_finished());
}

/// Wherever it is called: what the caller has used up, or is stopped by, is none of the future's.
#[test]
fn current_thread_drives_its_future_anywhere() {
    let _watchdog = watchdog();
    // Its worker is busy with it: another one sees to the timer.
    let (runtime, source) = (runtime(2), StopSource::new());
    source.request_stop();
    let (sender, receiver) = oneshot::channel();
    let task = runtime.spawn(env::scope().value(7_u32).stop(source.token()).run(async move {
        while coop::has_budget_remaining() {
            std::future::poll_fn(|cx| coop::poll_proceed(cx).map(|unit| unit.made_progress())).await;
        }
        let local = CurrentThread::new();
        let lock = tress::sync::Mutex::new(0);
        local.run_until(async {
            for _ in 0..1000 {
                *lock.lock().await += 1;
            }
            tress::time::sleep(Duration::from_millis(1)).await;
            assert_eq!((*lock.lock().await, env::value::<u32>()), (1000, Some(7)));
        });
        sender.send(()).unwrap();
    }));
    runtime.block_on(receiver).expect("it has come to the end");
    runtime.block_on(task).unwrap();
}

/// A future that is always ready to go on lets the tasks have their turn.
#[test]
fn current_thread_gives_its_future_a_budget() {
    let _watchdog = watchdog();
    let local = CurrentThread::new();
    let has_run = Rc::new(Cell::new(false));
    let inside = has_run.clone();
    drop(local.spawn(async move { inside.set(true) }));
    let lock = tress::sync::Mutex::new(());
    local.run_until(async {
        while !has_run.get() {
            drop(lock.lock().await);
        }
    });
}

/// Nobody could be told.
#[test]
fn current_thread_panics_when_its_future_is_stopped() {
    let _watchdog = watchdog();
    let local = CurrentThread::new();
    let stopped = |stops: bool| async move {
        yield_now().await;
        if stops { lazy(async { match tress::stop::stopped().await {} }).await } else { 7 }
    };
    without_panic_messages(|| {
        let told = catch_unwind(AssertUnwindSafe(|| local.run_until(stopped(true))));
        let text = support::payload_text(told.unwrap_err());
        assert!(text.contains("`run_until` has been stopped") && text.contains("stop::outcome"), "{text}");
    });
    assert_eq!(local.run_until(stopped(false)), 7);
    assert!(local.run_until(tress::stop::outcome(stopped(true))).is_stopped());
}

#[test]
fn current_thread_takes_tasks_from_others() {
    let _watchdog = watchdog();
    let local = CurrentThread::new();
    let executor = local.executor();
    let own = thread::current().id();
    let other = thread::spawn(move || {
        launch(executor.clone())
            .block_on(async move {
                assert!(executor.is_current());
                thread::current().id()
            })
            .unwrap()
    });
    while !local.poll_one() {
        thread::yield_now();
    }
    assert_eq!(other.join().unwrap(), own);
    assert!(!local.executor().is_current());
}

#[test]
fn current_thread_drops_its_tasks_on_its_thread() {
    let _watchdog = watchdog();
    struct Here(ThreadId, Arc<AtomicUsize>, #[expect(dead_code, reason = "not Send")] Rc<()>);
    impl Drop for Here {
        fn drop(&mut self) {
            assert_eq!(thread::current().id(), self.0);
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    for _ in 0..200 {
        let local = CurrentThread::new();
        let (tx, rx) = oneshot::channel::<()>();
        let here = Here(thread::current().id(), drops.clone(), Rc::new(()));
        drop(local.spawn(async move {
            let _here = here;
            let _ = rx.await;
            pending::<()>().await;
        }));
        assert!(local.poll_one());
        // Wakes the task while its executor ends.
        let waker = thread::spawn(move || drop(tx));
        drop(local);
        waker.join().unwrap();
    }
    assert_eq!(drops.load(Ordering::SeqCst), 200);
}

#[test]
fn current_thread_refuses_when_it_is_gone() {
    let _watchdog = watchdog();
    let local = CurrentThread::new();
    let spawner = local.spawner();
    drop(local);
    let task = spawner.spawn(async {});
    assert!(CurrentThread::new().run_until(task).unwrap_err().is_refused());
}

#[test]
fn what_is_dropped_is_aborted() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = runtime(2);
        let drops = Arc::new(AtomicUsize::new(0));
        let guard = Guard(drops.clone());
        let task = launch(Dropping([1; 5])).spawn(async move { drop(guard) });
        assert!(runtime.block_on(task).unwrap_err().is_aborted());
        let guard = Guard(drops.clone());
        let task = launch(Panicking).spawn(async move { drop(guard) });
        assert!(runtime.block_on(task).unwrap_err().is_aborted());
        assert_eq!(drops.load(Ordering::SeqCst), 2);
        assert!(launch(Dropping([1; 5])).block_on(async {}).unwrap_err().is_aborted());
    });
}

#[test]
fn a_runtime_that_is_shut_down_refuses() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle().clone();
    let drops = Arc::new(AtomicUsize::new(0));
    let guard = Guard(drops.clone());
    let parked = launch(handle.clone()).name("parked").spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    assert!(launch(Inline).block_on(parked).unwrap().is_err_and(|error| error.is_aborted()));
    assert!(launch(handle).block_on(async {}).unwrap_err().is_refused());
}

#[test]
fn spawns_inherit_the_executor() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let manual = Manual::new();
    let expected = AnyExecutor::new(manual.executor());
    let handle = runtime.handle().clone();
    let task = launch(manual.executor()).value(5_u32).spawn(async move {
        assert_eq!(executor::current(), Some(expected.clone()));
        let inner = tress::spawn(async { (executor::current(), env::value::<u32>()) });
        assert_eq!(inner.await.unwrap(), (Some(expected.clone()), Some(5)));
        let named = tress::task::Builder::new().name("n").spawn(async { executor::current() });
        assert_eq!(named.await.unwrap(), Some(expected.clone()));
        let mut set = tress::task::JoinSet::new();
        {
            let _entered = handle.enter();
            set.spawn(async { executor::current() });
        }
        assert_eq!(set.join_next().await.unwrap().unwrap(), Some(expected));
        // Said explicitly, it is the runtime.
        let other = handle.spawn(async { (executor::current(), env::value::<u32>()) });
        assert_eq!(other.await.unwrap(), (Some(AnyExecutor::new(handle.clone())), Some(5)));
    });
    while !task.is_finished() {
        manual.run_until_idle(100);
        thread::yield_now();
    }
    launch(Inline).block_on(task).unwrap().unwrap();
    assert_eq!(executor::current(), None);
}

/// Whoever detaches a task says by what it is stopped.
#[test]
fn launched_tasks_inherit_the_values_and_not_the_stop() {
    fn seen() -> (Option<&'static str>, Option<u32>, bool) {
        (env::value(), env::value(), env::with(|env| env.stop_token().is_stop_possible()))
    }
    let _watchdog = watchdog();
    let (runtime, source, local) = (runtime(2), StopSource::new(), CurrentThread::new());
    let outer = env::scope().value("outer").stop(source.token());
    local.run_until(outer.run(async {
        assert_eq!(seen(), (Some("outer"), None, true));
        let plain = launch(runtime.handle().clone()).spawn(async { seen() });
        assert_eq!(plain.await.unwrap(), (Some("outer"), None, false));
        let own = launch(runtime.handle().clone()).value(7_u32).spawn(async { seen() });
        assert_eq!(own.await.unwrap(), (Some("outer"), Some(7), false));
        let hidden = launch(Inline).value("inner").spawn(async { seen() });
        assert_eq!(hidden.await.unwrap(), (Some("inner"), None, false));
        let here = local.spawn(async { seen() });
        assert_eq!(here.await.unwrap(), (Some("outer"), None, false));
        let token = StopSource::new().token();
        let stoppable = launch(local.executor()).stop(token).value(8_u32).spawn(async { seen() });
        assert_eq!(stoppable.await.unwrap(), (Some("outer"), Some(8), true));
    }));
}

#[test]
fn launched_with_all_it_is_to_have() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let source = StopSource::new();
    let counting = Arc::new(frame::Counting::new(frame::Global));
    let task = launch(runtime.handle().clone())
        .name("all")
        .stop(source.token())
        .frames(counting.clone())
        .value("blue")
        .spawn(async {
            assert_eq!(env::value::<&str>(), Some("blue"));
            tress::time::sleep(Duration::from_secs(60)).await;
        });
    let dump = tress::trace::dump(runtime.handle());
    assert!(dump.tasks.iter().any(|task| task.name.as_deref() == Some("all")), "{dump}");
    assert!(counting.allocated() > 0);
    source.request_stop();
    assert!(runtime.block_on(task).unwrap_err().is_stopped());
}

/// Runs a task that was launched with frames on an executor, and checks that each frame of it comes from there.
fn makes_frames_there(executor: impl Executor, run: impl FnOnce(&tress::task::JoinHandle<()>)) {
    let frames = Arc::new(frame::Counting::new(frame::Global));
    let counts = frames.clone();
    let task = launch(executor).frames(frames.clone()).spawn(async move {
        let made = || counts.allocated();
        let mut before = made();
        let mut has_made = |number: usize, what: &str| {
            assert_eq!(made() - before, number, "{what}");
            before = made();
        };
        // At its beginning, and after a wake.
        for _ in 0..3 {
            let boxed = frame::Box::new(7_u64);
            has_made(1, "a box");
            let pinned = frame::Box::pin(async { 8 });
            has_made(1, "a boxed future");
            assert_eq!((*boxed, pinned.await), (7, 8));
            assert_eq!(lazy(async { lazy(async { 9 }).await }).await, 9);
            has_made(2, "a lazy, and one in it");
            let spawned = tress::spawn(async {
                yield_now().await;
                lazy(async { *frame::Box::new(10) }).await
            });
            assert_eq!(spawned.await.unwrap(), 10);
            has_made(3, "a task, and what that makes");
            yield_now().await;
        }
    });
    assert!(frames.allocated() > 0, "the task is there");
    run(&task);
    launch(Inline).block_on(task).unwrap().unwrap();
    support::wait_until(|| frames.live() == 0, "a frame has not come home");
}

#[test]
fn launched_frames_are_those_of_what_it_makes() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let wait = |task: &tress::task::JoinHandle<()>| {
        support::wait_until(|| task.is_finished(), "the task does not end");
    };
    makes_frames_there(runtime.handle().clone(), wait);
    makes_frames_there(executor::Prioritized::new(runtime.handle().clone()).high(), wait);
    makes_frames_there(Inline, wait);
    let manual = Manual::new();
    makes_frames_there(manual.executor(), |task| {
        while !task.is_finished() {
            manual.run_until_idle(100);
        }
    });
}

#[test]
fn launched_without_room_is_refused() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let drops = Arc::new(AtomicUsize::new(0));
    let large = || {
        let (large, guard) = ([0_u8; 8192], Guard(drops.clone()));
        async move {
            let _guard = guard;
            yield_now().await;
            large.len()
        }
    };
    let arena = Arc::new(frame::Arena::new(4096).unwrap());
    let manual = Manual::new();
    let on = |executor: AnyExecutor| launch(executor).frames(arena.clone());
    for (number, executor) in [
        AnyExecutor::new(runtime.handle().clone()),
        AnyExecutor::new(executor::Prioritized::new(runtime.handle().clone()).low()),
        AnyExecutor::new(Inline),
        AnyExecutor::new(manual.executor()),
    ]
    .into_iter()
    .enumerate()
    {
        let refused = on(executor.clone()).spawn(large());
        assert_eq!(drops.load(Ordering::SeqCst), 3 * number + 1, "the future is dropped at once");
        assert!(refused.is_finished());
        assert!(runtime.block_on(refused).unwrap_err().is_refused());
        assert!(on(executor.clone()).block_on(large()).unwrap_err().is_refused());
        on(executor).detach(large());
        assert_eq!(drops.load(Ordering::SeqCst), 3 * number + 3);
    }
    assert!(manual.is_empty());

    // One that has room, though what it makes has none.
    let small = on(AnyExecutor::new(runtime.handle().clone())).spawn(async {
        let large = [0_u8; 8192];
        assert!(frame::Box::try_new(large).is_err());
        assert!(try_lazy(async move { large.len() }).is_err());
        let refused = tress::spawn(async move { large.len() });
        assert!(refused.await.unwrap_err().is_refused());
    });
    runtime.block_on(small).unwrap();
}

/// One that has no room in an `AnyExecutor`, and may be dear to clone.
#[test]
fn a_large_one_is_not_cloned_for_each_wake() {
    let _watchdog = watchdog();
    struct Large(Handle, Arc<AtomicUsize>, [usize; 8]);
    impl Clone for Large {
        fn clone(&self) -> Self {
            self.1.fetch_add(1, Ordering::Relaxed);
            Self(self.0.clone(), self.1.clone(), self.2)
        }
    }
    impl PartialEq for Large {
        fn eq(&self, other: &Self) -> bool {
            Arc::ptr_eq(&self.1, &other.1)
        }
    }
    impl Eq for Large {}
    impl Executor for Large {
        fn post(&self, runnable: Runnable) {
            self.0.post(runnable);
        }
        fn is_current(&self) -> bool {
            self.0.is_current()
        }
    }
    let runtime = runtime(1);
    let clones = Arc::new(AtomicUsize::new(0));
    let large = Large(runtime.handle().clone(), clones.clone(), [0; 8]);
    let before = Arc::clone(&clones);
    let task = launch(large).spawn(async move {
        let before = before.load(Ordering::Relaxed);
        for _ in 0..100 {
            yield_now().await;
        }
        before
    });
    assert_eq!(runtime.block_on(task).unwrap(), clones.load(Ordering::Relaxed));
}

#[test]
fn dumps_list_them_and_do_not_poll_them() {
    let _watchdog = watchdog();
    #[derive(Clone, Debug)]
    struct On(Handle, Arc<Mutex<Vec<ThreadId>>>);
    impl PartialEq for On {
        fn eq(&self, other: &Self) -> bool {
            Arc::ptr_eq(&self.1, &other.1)
        }
    }
    impl Eq for On {}
    impl Executor for On {
        fn post(&self, runnable: Runnable) {
            self.0.post(runnable);
        }
        fn is_current(&self) -> bool {
            self.0.is_current()
        }
        fn runtime(&self) -> Option<&Handle> {
            Some(&self.0)
        }
    }
    let runtime = runtime(1);
    let polls = Arc::new(Mutex::new(Vec::new()));
    let on = On(runtime.handle().clone(), polls.clone());
    let task = launch(on).name("listed").spawn(std::future::poll_fn(move |_| {
        polls.lock().unwrap().push(thread::current().id());
        std::task::Poll::<()>::Pending
    }));
    thread::sleep(Duration::from_millis(50));
    let dump = tress::trace::dump(runtime.handle());
    let listed = dump.tasks.iter().find(|task| task.name.as_deref() == Some("listed")).unwrap();
    assert!(listed.frames.is_empty() && listed.polls == 1, "{dump}");
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
}

#[test]
fn a_runtime_ends_though_an_executor_keeps_its_tasks() {
    #[derive(Clone, Debug)]
    struct Keeping(Handle, Arc<Mutex<Vec<Runnable>>>);
    impl PartialEq for Keeping {
        fn eq(&self, other: &Self) -> bool {
            Arc::ptr_eq(&self.1, &other.1)
        }
    }
    impl Eq for Keeping {}
    impl Executor for Keeping {
        fn post(&self, runnable: Runnable) {
            self.1.lock().unwrap().push(runnable);
        }
        fn is_current(&self) -> bool {
            false
        }
        fn runtime(&self) -> Option<&Handle> {
            Some(&self.0)
        }
    }
    let _watchdog = watchdog();
    let builder = tress::Builder::new().worker_threads(1).shutdown_timeout(Duration::from_millis(100));
    let runtime = builder.build().unwrap();
    let drops = Arc::new(AtomicUsize::new(0));
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeping = Keeping(runtime.handle().clone(), kept.clone());
    let guard = Guard(drops.clone());
    let task = launch(keeping).spawn(async move { drop(guard) });
    // One that has moved.
    let manual = Manual::new();
    let executor = manual.executor();
    let guard = Guard(drops.clone());
    let moved = runtime.spawn(async move {
        let _guard = guard;
        executor::run_on(executor, async {}).await;
    });
    while manual.is_empty() {
        thread::yield_now();
    }
    drop(runtime);
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    // Run or dropped, they are aborted by now.
    let runnable = kept.lock().unwrap().pop().unwrap();
    runnable.run();
    drop(manual);
    assert_eq!(drops.load(Ordering::SeqCst), 2);
    assert!(launch(Inline).block_on(task).unwrap().is_err_and(|error| error.is_aborted()));
    assert!(launch(Inline).block_on(moved).unwrap().is_err_and(|error| error.is_aborted()));
}

#[test]
fn sets_spawn_where_they_are_told() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let handle = runtime.handle().clone();
    let manual = Manual::new();
    let own = AnyExecutor::new(manual.executor());
    let task = launch(manual.executor()).spawn(async move {
        let mut set = tress::task::JoinSet::new();
        set.spawn_on(async { executor::current() }, &handle);
        assert_eq!(set.join_next().await.unwrap().unwrap(), Some(AnyExecutor::new(handle.clone())));
        // There is no runtime on this thread.
        set.spawn(async { executor::current() });
        assert_eq!(set.join_next().await.unwrap().unwrap(), Some(own.clone()));
        let scope = tress::task::CountingScope::new();
        let there = scope.spawn_on(async { executor::current() }, &handle).unwrap();
        assert_eq!(there.await.unwrap(), Some(AnyExecutor::new(handle)));
        let here = scope.spawn(async { executor::current() }).unwrap();
        assert_eq!(here.await.unwrap(), Some(own));
    });
    while !task.is_finished() {
        manual.run_until_idle(100);
        thread::yield_now();
    }
    launch(Inline).block_on(task).unwrap().unwrap();
}
