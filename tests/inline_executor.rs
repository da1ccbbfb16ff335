//! `Inline` runs at once, on whoever wakes, in constant stack; and what `dispatch` does, on it and on others.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use support::{runtime, watchdog};
use tress::executor::{AnyExecutor, Executor, Inline, Manual, QueueHandle, Runnable, launch};
use tress::sync::oneshot;
use tress::task::yield_now;

#[test]
fn inline_at_once_and_in_constant_stack() {
    let _watchdog = watchdog();
    let task = launch(Inline).spawn(async {
        for _ in 0..100_000 {
            yield_now().await;
        }
        7
    });
    assert!(task.is_finished());

    // A chain, each link of which wakes the next one.
    let (first, mut last) = oneshot::channel::<u32>();
    for _ in 0..50_000 {
        let (tx, rx) = oneshot::channel();
        let link = last;
        last = rx;
        launch(Inline).detach(async move { tx.send(link.await.unwrap() + 1).unwrap() });
    }
    let end = launch(Inline).spawn(last);
    assert!(!end.is_finished());
    thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(move || first.send(0).unwrap())
        .unwrap()
        .join()
        .unwrap();
    assert!(end.is_finished());
    assert_eq!(launch(Inline).block_on(end).unwrap().unwrap(), Ok(50_000));
}

/// An executor that passes on what it is given, as somebody's of their own would, and counts.
#[derive(Clone, Debug)]
struct Passing {
    inner: QueueHandle,
    posts: Arc<AtomicUsize>,
}

impl PartialEq for Passing {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.posts, &other.posts)
    }
}

impl Eq for Passing {}

impl Executor for Passing {
    fn post(&self, runnable: Runnable) {
        self.posts.fetch_add(1, Ordering::SeqCst);
        self.inner.post(runnable);
    }

    fn is_current(&self) -> bool {
        self.inner.is_current()
    }
}

/// Posts by dispatching to another executor, and so shows what that does with a runnable that is not its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dispatching(AnyExecutor);

impl Executor for Dispatching {
    fn post(&self, runnable: Runnable) {
        self.0.as_ref().dispatch(runnable);
    }

    fn is_current(&self) -> bool {
        self.0.is_current()
    }
}

#[test]
fn dispatch_runs_at_once_inside_and_queues_outside() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let passing = Passing { inner: manual.executor(), posts: Arc::default() };
    let dispatching = Dispatching(AnyExecutor::new(passing.clone()));
    let outside = launch(dispatching.clone()).spawn(async { 7 });
    assert!(!outside.is_finished() && passing.posts.load(Ordering::SeqCst) == 1);
    let inside = launch(passing.clone()).spawn(async move {
        let task = launch(dispatching).spawn(async { 7 });
        task.is_finished()
    });
    while manual.run_one() {}
    assert!(outside.is_finished());
    assert!(launch(Inline).block_on(inside).unwrap().unwrap(), "it has been queued");
    assert_eq!(passing.posts.load(Ordering::SeqCst), 2);
}

#[test]
fn inline_dispatches_in_constant_stack() {
    let _watchdog = watchdog();
    let dispatching = Dispatching(AnyExecutor::new(Inline));
    let (first, mut last) = oneshot::channel::<u32>();
    for _ in 0..20_000 {
        let (tx, rx) = oneshot::channel();
        let link = std::mem::replace(&mut last, rx);
        launch(dispatching.clone()).detach(async move { tx.send(link.await.unwrap() + 1).unwrap() });
    }
    let chain = move || {
        first.send(0).unwrap();
        launch(Inline).block_on(last).unwrap().unwrap()
    };
    let thread = thread::Builder::new().stack_size(64 * 1024).spawn(chain).unwrap();
    assert_eq!(thread.join().unwrap(), 20_000);
}

#[test]
fn inline_inside_workers() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    runtime.block_on(async {
        for _ in 0..100 {
            let task = launch(Inline).spawn(async {
                tress::time::sleep(Duration::from_micros(100)).await;
                tress::spawn(async { 7 }).await.unwrap()
            });
            assert_eq!(task.await.unwrap(), 7);
        }
    });
}
