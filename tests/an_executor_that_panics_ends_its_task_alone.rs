//! An executor whose `post` panics, and whose handles panic again as they are dropped while that unwinds, ends its task and nothing else.

mod support;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;

use support::{block_on_foreign, payload_text, runtime, watchdog, without_panic_messages};
use tress::executor::{AnyExecutor, Executor, Inline, Runnable, launch, run_on};
use tress::sync::oneshot;
use tress::task::{JoinHandle, yield_now};
use tress::{Handle, Runtime};

/// What the handles of a hostile executor share.
#[derive(Debug)]
struct Fuse {
    inner: Handle,
    /// Which call of `post` or `defer` panics; from then on, so does each drop of a handle.
    last: usize,
    posts: AtomicUsize,
    /// Whether the runtime drops its tasks.
    is_of_runtime: bool,
    panics_of_drops: AtomicUsize,
}

impl Fuse {
    fn new(inner: &Handle, last: usize, is_of_runtime: bool) -> Arc<Self> {
        let (posts, panics_of_drops) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { inner: inner.clone(), last, posts, is_of_runtime, panics_of_drops })
    }

    fn count_post(&self) {
        let post = self.posts.fetch_add(1, Ordering::SeqCst);
        assert!(post < self.last, "expected: of a post");
    }

    fn blow(&self) {
        self.posts.store(self.last + 1, Ordering::SeqCst);
    }

    fn is_blown(&self) -> bool {
        self.posts.load(Ordering::SeqCst) > self.last
    }
}

/// Posts to a runtime until its fuse blows. A handle has one word, and so many more.
#[derive(Clone, Debug)]
struct Hostile<const MORE: usize>(Arc<Fuse>, #[allow(dead_code, reason = "it takes room")] [usize; MORE]);

impl<const MORE: usize> Hostile<MORE> {
    fn new(fuse: &Arc<Fuse>) -> Self {
        Self(Arc::clone(fuse), [0; MORE])
    }
}

impl<const MORE: usize> Drop for Hostile<MORE> {
    fn drop(&mut self) {
        if self.0.is_blown() {
            self.0.panics_of_drops.fetch_add(1, Ordering::SeqCst);
            panic!("expected: of a handle");
        }
    }
}

impl<const MORE: usize> PartialEq for Hostile<MORE> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<const MORE: usize> Eq for Hostile<MORE> {}

impl<const MORE: usize> Executor for Hostile<MORE> {
    fn post(&self, runnable: Runnable) {
        self.0.count_post();
        self.0.inner.post(runnable);
    }

    fn defer(&self, runnable: Runnable) {
        self.0.count_post();
        self.0.inner.defer(runnable);
    }

    fn is_current(&self) -> bool {
        self.0.inner.is_current()
    }

    fn runtime(&self) -> Option<&Handle> {
        self.0.is_of_runtime.then_some(&self.0.inner)
    }
}

/// Two runtimes, and the handle of the second one.
fn pair() -> ([Runtime; 2], Handle) {
    let runtimes = [runtime(1), runtime(1)];
    let there = runtimes[1].handle().clone();
    (runtimes, there)
}

/// Checks that a task has been dropped, and that the handles have panicked; and that the runtimes go on.
#[track_caller]
fn assert_ended_alone(runtimes: &[Runtime; 2], fuse: &Fuse, task: JoinHandle<()>) {
    let error = launch(Inline).block_on(task).unwrap().unwrap_err();
    assert!(error.is_aborted(), "{error}");
    assert_they_go_on(runtimes, fuse);
}

#[track_caller]
fn assert_they_go_on(runtimes: &[Runtime; 2], fuse: &Fuse) {
    assert!(fuse.is_blown());
    // Whoever waits for the task may be told before its last handle goes.
    while fuse.panics_of_drops.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    for runtime in runtimes {
        assert_eq!(runtime.block_on(runtime.spawn(async { 7 })).unwrap(), 7);
    }
}

/// Calls `check` with a small executor and a large one, on a runtime and on none, whose so many posts succeed.
fn each_kind(posts: usize, check: impl Fn(&[Runtime; 2], &Arc<Fuse>, AnyExecutor)) {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let (runtimes, there) = pair();
        for is_of_runtime in [false, true] {
            let fuse = Fuse::new(&there, posts, is_of_runtime);
            check(&runtimes, &fuse, AnyExecutor::new(Hostile::<0>::new(&fuse)));
            let fuse = Fuse::new(&there, posts, is_of_runtime);
            check(&runtimes, &fuse, AnyExecutor::new(Hostile::<4>::new(&fuse)));
        }
    });
}

/// Waits, and says so when whoever wakes it finds it waiting.
async fn waiting(mut woken: oneshot::Receiver<()>, begin: std::sync::mpsc::Sender<()>) {
    let mut begin = Some(begin);
    let _ = poll_fn(|cx| {
        let polled = Pin::new(&mut woken).poll(cx);
        if let Some(begin) = begin.take() {
            assert!(polled.is_pending());
            begin.send(()).unwrap();
        }
        polled
    })
    .await;
}

#[test]
fn when_it_is_launched() {
    each_kind(0, |runtimes, fuse, executor| {
        let task = launch(executor).spawn(async {});
        assert_ended_alone(runtimes, fuse, task);
    });
}

#[test]
fn when_it_is_woken() {
    each_kind(1, |runtimes, fuse, executor| {
        let (wake, woken) = oneshot::channel::<()>();
        let (begin, begun) = std::sync::mpsc::channel();
        let task = launch(executor).spawn(async move {
            waiting(woken, begin).await;
        });
        begun.recv().unwrap();
        // Whoever wakes goes on.
        let _ = wake.send(());
        assert_ended_alone(runtimes, fuse, task);
    });
}

#[test]
fn when_it_yields() {
    each_kind(1, |runtimes, fuse, executor| {
        let task = launch(executor).spawn(yield_now());
        assert_ended_alone(runtimes, fuse, task);
    });
}

/// The task has the executor's last handle, which whoever posts keeps meanwhile.
#[test]
fn when_it_goes_there() {
    each_kind(0, |runtimes, fuse, executor| {
        let task = runtimes[0].spawn(run_on(executor, async {}));
        assert_ended_alone(runtimes, fuse, task);
    });
}

#[test]
fn when_it_comes_back() {
    each_kind(1, |runtimes, fuse, executor| {
        let elsewhere = runtimes[0].handle().clone();
        let task = launch(executor).spawn(run_on(elsewhere, async {}));
        assert_ended_alone(runtimes, fuse, task);
    });
}

#[test]
fn when_what_is_there_is_woken() {
    each_kind(1, |runtimes, fuse, executor| {
        let (wake, woken) = oneshot::channel::<()>();
        let (begin, begun) = std::sync::mpsc::channel();
        let task = runtimes[0].spawn(run_on(executor, async move {
            waiting(woken, begin).await;
        }));
        begun.recv().unwrap();
        let _ = wake.send(());
        assert_ended_alone(runtimes, fuse, task);
    });
}

/// What is no task has nobody else to be told: the panic of the `run_on`, and not that of a handle, goes on where that was polled.
#[test]
fn when_no_task_goes_there() {
    each_kind(0, |runtimes, fuse, executor| {
        let panic = catch_unwind(AssertUnwindSafe(|| runtimes[0].block_on(run_on(executor, async {}))));
        assert!(payload_text(panic.unwrap_err()).contains("the executor has dropped"));
        assert_they_go_on(runtimes, fuse);
    });
    each_kind(0, |runtimes, fuse, executor| {
        let panic = catch_unwind(AssertUnwindSafe(|| block_on_foreign(run_on(executor, async {}))));
        assert!(payload_text(panic.unwrap_err()).contains("the executor has dropped"));
        assert_they_go_on(runtimes, fuse);
    });
}

/// Whoever has the last handle is not to blame, be it the task that has ended well.
#[test]
fn when_the_last_handle_is_dropped_later() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let (runtimes, there) = pair();
        let fuse = Fuse::new(&there, 0, false);
        let executor = AnyExecutor::new(Hostile::<0>::new(&fuse));
        fuse.blow();
        drop(executor);
        assert_they_go_on(&runtimes, &fuse);

        let fuse = Fuse::new(&there, 1, false);
        let task = launch(Hostile::<4>::new(&fuse)).spawn({
            let fuse = Arc::clone(&fuse);
            async move {
                fuse.blow();
                8
            }
        });
        assert_eq!(runtimes[0].block_on(task).unwrap(), 8);
        assert_they_go_on(&runtimes, &fuse);

        // The waker of what has run there and is gone.
        let fuse = Fuse::new(&there, 1, false);
        let (leave, left) = std::sync::mpsc::channel();
        let waits = poll_fn(move |cx| {
            leave.send(cx.waker().clone()).unwrap();
            Poll::<()>::Pending
        });
        let task = runtimes[0].spawn(run_on(Hostile::<0>::new(&fuse), waits));
        let waker = left.recv().unwrap();
        task.abort();
        assert!(runtimes[0].block_on(task).unwrap_err().is_aborted());
        fuse.blow();
        drop(waker);
        assert_they_go_on(&runtimes, &fuse);
    });
}
