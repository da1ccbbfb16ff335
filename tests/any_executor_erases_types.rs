//! `AnyExecutor` and `ExecutorRef` stand for an executor of any type: equal by type and then value, without an allocation where the handle is
//! small, and launched and run on as what they hold is.

mod allocations;
mod support;

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use allocations::allocations;
use support::{runtime, watchdog};
use tress::executor::{
    self, AnyExecutor, CurrentThread, Executor, ExecutorRef, Inline, Manual, Prioritized, Runnable, launch,
    run_on,
};
use tress::sync::oneshot;
use tress::task::yield_now;
use tress::{Handle, Runtime};

/// Drops everything. Its handle has so many words, and a type of its own for each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dropping<const WORDS: usize, const KIND: usize = 0>([usize; WORDS]);

impl<const WORDS: usize, const KIND: usize> Executor for Dropping<WORDS, KIND> {
    fn post(&self, runnable: Runnable) {
        drop(runnable);
    }

    fn is_current(&self) -> bool {
        false
    }
}

#[test]
fn equal_by_type_then_value() {
    let _watchdog = watchdog();
    let (one, two) = (runtime(2), runtime(2));
    let (manual, lanes) = (Manual::new(), Prioritized::new(one.handle().clone()));
    let all = [
        AnyExecutor::new(one.handle().clone()),
        AnyExecutor::new(two.handle().clone()),
        AnyExecutor::new(lanes.high()),
        AnyExecutor::new(lanes.low()),
        AnyExecutor::new(Prioritized::new(one.handle().clone()).high()),
        AnyExecutor::new(Inline),
        AnyExecutor::new(manual.executor()),
        AnyExecutor::new(Manual::new().executor()),
        AnyExecutor::new(Dropping::<0>([])),
        // The same bits, of another type.
        AnyExecutor::new(Dropping::<0, 1>([])),
        AnyExecutor::new(Dropping::<2>([1; 2])),
        AnyExecutor::new(Dropping::<2>([2; 2])),
        AnyExecutor::new(Dropping::<2, 1>([1; 2])),
        AnyExecutor::new(Dropping::<5>([1; 5])),
        AnyExecutor::new(Dropping::<5>([2; 5])),
        AnyExecutor::new(Dropping::<5, 1>([1; 5])),
    ];
    for (i, a) in all.iter().enumerate() {
        for (j, b) in all.iter().enumerate() {
            assert_eq!(a == b, i == j, "{a:?} {b:?}");
            assert_eq!(ExecutorRef::new(a) == ExecutorRef::new(&b.clone()), i == j);
            assert_eq!(a.as_ref().to_any() == *b, i == j);
        }
    }
    // Made apart, of equal values.
    assert_eq!(AnyExecutor::new(Dropping::<2>([1; 2])), all[10]);
    assert_eq!(AnyExecutor::new(Dropping::<5>([1; 5])), all[13]);
    assert_eq!(ExecutorRef::new(&Dropping::<5>([1; 5])).to_any(), all[13]);
}

#[test]
fn what_is_held_is_found_by_its_type() {
    let (small, large) = (AnyExecutor::new(Dropping::<2>([7; 2])), AnyExecutor::new(Dropping::<5>([8; 5])));
    assert_eq!(small.downcast_ref(), Some(&Dropping::<2>([7; 2])));
    assert_eq!(large.downcast_ref(), Some(&Dropping::<5>([8; 5])));
    assert_eq!(small.downcast_ref::<Dropping<2, 1>>(), None);
    assert_eq!(large.downcast_ref::<Inline>(), None);
    // One in another is no other one.
    let nested = AnyExecutor::new(AnyExecutor::new(large.clone()));
    assert_eq!(nested, large);
    assert_eq!(nested.downcast_ref(), Some(&Dropping::<5>([8; 5])));
    assert_eq!(ExecutorRef::new(&nested), ExecutorRef::new(&Dropping::<5>([8; 5])));
    assert!(format!("{nested:?} {:?}", small.as_ref()).contains("Dropping<5>"), "{nested:?}");
}

/// One that needs no room, and does not fit by its alignment.
#[derive(Clone, PartialEq, Eq)]
#[repr(align(32))]
struct Aligned;

impl Executor for Aligned {
    fn post(&self, runnable: Runnable) {
        drop(runnable);
    }

    fn is_current(&self) -> bool {
        std::ptr::from_ref(self).addr().is_multiple_of(32)
    }
}

/// How often memory is asked for in order to hold an executor, to hold it twice, and to hold what is borrowed from it.
fn allocations_of(executor: &impl Executor) -> [usize; 3] {
    let held = AnyExecutor::new(executor.clone());
    let clones = allocations(|| (held.clone(), held.clone()));
    let looks = allocations(|| (held.as_ref() == ExecutorRef::new(executor), AnyExecutor::new(held.clone())));
    assert_eq!(looks, 0);
    [
        allocations(|| AnyExecutor::new(executor.clone())),
        clones,
        allocations(|| ExecutorRef::new(executor).to_any()),
    ]
}

#[test]
fn small_ones_take_no_allocation() {
    let _watchdog = watchdog();
    let (runtime, manual) = (runtime(1), Manual::new());
    assert_eq!(allocations(|| black_box(Box::new(1))), 1, "the count counts");
    assert_eq!(allocations_of(runtime.handle()), [0; 3]);
    assert_eq!(allocations_of(&Prioritized::new(runtime.handle().clone()).low()), [0; 3]);
    assert_eq!(allocations_of(&manual.executor()), [0; 3]);
    assert_eq!(allocations_of(&CurrentThread::new().executor()), [0; 3]);
    assert_eq!(allocations_of(&Inline), [0; 3]);
    assert_eq!(allocations_of(&Dropping::<1>([1])), [0; 3]);
    assert_eq!(allocations_of(&Dropping::<2>([1; 2])), [0; 3]);
    // One for each large one, which its clones share.
    assert_eq!(allocations_of(&Dropping::<3>([1; 3])), [1, 0, 1]);
    assert_eq!(allocations_of(&Dropping::<50>([1; 50])), [1, 0, 1]);
    assert_eq!(allocations_of(&Aligned), [1, 0, 1]);
    assert!(AnyExecutor::new(Aligned).is_current(), "it lies where it must not");
    assert_eq!(size_of::<ExecutorRef<'_>>(), 2 * size_of::<usize>());
    assert_eq!(size_of::<AnyExecutor>(), 3 * size_of::<usize>());
    assert_eq!(size_of::<Option<AnyExecutor>>(), size_of::<AnyExecutor>());
}

/// An executor that passes on what it is given, and whose calls and handles are counted.
#[derive(Debug)]
struct Own<const MORE: usize> {
    shared: Arc<OwnState>,
    /// Takes room.
    more: [usize; MORE],
}

#[derive(Debug)]
struct OwnState {
    inner: Handle,
    posts: AtomicUsize,
    dispatches: AtomicUsize,
    defers: AtomicUsize,
    looks: AtomicUsize,
    inner_looks: AtomicUsize,
}

impl OwnState {
    /// Calls of `post`, `dispatch` and `defer`.
    fn calls(&self) -> [usize; 3] {
        [&self.posts, &self.dispatches, &self.defers].map(|calls| calls.load(Ordering::SeqCst))
    }
}

impl<const MORE: usize> Own<MORE> {
    fn new(runtime: &Runtime) -> Self {
        let [posts, dispatches, defers, looks, inner_looks] = [const { AtomicUsize::new(0) }; 5];
        let inner = runtime.handle().clone();
        let shared = Arc::new(OwnState { inner, posts, dispatches, defers, looks, inner_looks });
        Self { shared, more: [7; MORE] }
    }
}

impl<const MORE: usize> Clone for Own<MORE> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), more: self.more }
    }
}

impl<const MORE: usize> PartialEq for Own<MORE> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<const MORE: usize> Eq for Own<MORE> {}

impl<const MORE: usize> Executor for Own<MORE> {
    fn post(&self, runnable: Runnable) {
        self.shared.posts.fetch_add(1, Ordering::SeqCst);
        self.shared.inner.post(runnable);
    }

    fn dispatch(&self, runnable: Runnable) {
        self.shared.dispatches.fetch_add(1, Ordering::SeqCst);
        self.shared.inner.dispatch(runnable);
    }

    fn defer(&self, runnable: Runnable) {
        self.shared.defers.fetch_add(1, Ordering::SeqCst);
        self.shared.inner.defer(runnable);
    }

    fn is_current(&self) -> bool {
        assert_eq!(self.more, [7; MORE]);
        self.shared.looks.fetch_add(1, Ordering::SeqCst);
        self.shared.inner.is_current()
    }

    fn is_innermost(&self) -> bool {
        self.shared.inner_looks.fetch_add(1, Ordering::SeqCst);
        self.shared.inner.is_innermost()
    }

    fn runtime(&self) -> Option<&Handle> {
        Some(&self.shared.inner)
    }
}

/// Posts by dispatching to another one, and so shows that this is passed on as such.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dispatching(AnyExecutor);

impl Executor for Dispatching {
    fn post(&self, runnable: Runnable) {
        self.0.dispatch(runnable);
    }

    fn is_current(&self) -> bool {
        self.0.is_current()
    }
}

fn each_call_reaches_it<const MORE: usize>() {
    let runtime = runtime(1);
    let own = Own::<MORE>::new(&runtime);
    let state = Arc::clone(&own.shared);
    let any = AnyExecutor::new(own);
    assert_eq!(any.runtime(), Some(runtime.handle()));
    assert_eq!(any.as_ref().runtime(), Some(runtime.handle()));
    let looks = state.looks.load(Ordering::SeqCst);
    assert!(!any.is_current() && !any.as_ref().is_current());
    assert_eq!(state.looks.load(Ordering::SeqCst), looks + 2);
    assert!(!any.is_innermost() && !any.as_ref().is_innermost());
    assert_eq!(
        (state.inner_looks.load(Ordering::SeqCst), state.looks.load(Ordering::SeqCst)),
        (2, looks + 2)
    );

    let task = launch(any.clone()).spawn(async {
        yield_now().await;
        executor::current()
    });
    assert_eq!(runtime.block_on(task).unwrap(), Some(any.clone()));
    assert_eq!(state.calls(), [1, 0, 1]);
    let task = launch(Dispatching(any)).spawn(async { 7 });
    assert_eq!(runtime.block_on(task).unwrap(), 7);
    assert_eq!(state.calls(), [1, 1, 1]);
    // Whoever has held a handle has given it back.
    support::wait_until(|| Arc::strong_count(&state) == 1, "a handle is left");
}

#[test]
fn each_call_reaches_what_is_held() {
    let _watchdog = watchdog();
    each_call_reaches_it::<0>();
    each_call_reaches_it::<9>();
}

/// What is erased, and whoever runs it meanwhile.
fn each_erased(check: impl Fn(&Runtime, AnyExecutor)) {
    let _watchdog = watchdog();
    let (home, other) = (runtime(1), runtime(2));
    let lane = Prioritized::new(other.handle().clone()).normal();
    let (begin, begun) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let local = CurrentThread::new();
        begin.send(local.executor()).unwrap();
        while ended.try_recv() != Err(mpsc::TryRecvError::Disconnected) {
            if !local.poll_one() {
                thread::yield_now();
            }
        }
    });
    check(&home, AnyExecutor::new(other.handle().clone()));
    check(&home, AnyExecutor::new(lane));
    check(&home, AnyExecutor::new(begun.recv().unwrap()));
    check(&home, AnyExecutor::new(Own::<0>::new(&other)));
    check(&home, AnyExecutor::new(Own::<9>::new(&other)));
    drop(end);
    thread.join().unwrap();
}

#[test]
fn launched_on_it_a_task_runs_there() {
    each_erased(|home, any| {
        let expected = any.clone();
        let task = launch(any.clone()).spawn(async move {
            for _ in 0..20 {
                assert!(expected.is_current());
                yield_now().await;
            }
            let spawned = tress::spawn(async { executor::current() });
            assert_eq!(spawned.await.unwrap(), Some(expected.clone()));
            assert!(expected.is_current() && executor::current() == Some(expected));
            7
        });
        assert_eq!(home.block_on(task).unwrap(), 7, "{any:?}");
        assert_eq!(launch(any).block_on(async { 8 }).unwrap(), 8);
    });
}

#[test]
fn run_on_goes_there_and_comes_back() {
    each_erased(|home, any| {
        let (handle, there) = (home.handle().clone(), any.clone());
        let task = home.spawn(async move {
            let mut sum = 0;
            for number in 0..20 {
                run_on(there.clone(), async {
                    assert!(there.is_current() && !handle.is_current());
                    yield_now().await;
                    assert!(there.is_current() && executor::current().as_ref() == Some(&there));
                    sum += number;
                })
                .await;
                assert!(handle.is_current() && !there.is_current());
            }
            // One who is there already.
            run_on(there.clone(), run_on(there.as_ref().to_any(), async { sum += 1 })).await;
            sum
        });
        assert_eq!(home.block_on(task).unwrap(), 191, "{any:?}");
        // And from outside of tasks.
        assert_eq!(home.block_on(run_on(any, async { 7 })), 7);
    });
}

/// The tasks of one that is erased are its own: their owner knows of them.
#[test]
fn an_owner_waits_for_what_is_launched_on_it() {
    let _watchdog = watchdog();
    let local = CurrentThread::new();
    let any = AnyExecutor::new(local.executor());
    let (wake, woken) = oneshot::channel();
    let task = launch(any).spawn(woken);
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        wake.send(7).unwrap();
    });
    local.run();
    assert!(task.is_finished(), "nothing was queued meanwhile, but it had not ended");
    thread.join().unwrap();
    let manual = Manual::new();
    let any = AnyExecutor::new(manual.executor());
    let task = launch(any.clone()).spawn(std::future::pending::<()>());
    manual.run_until_idle(10);
    drop(manual);
    assert!(task.is_finished());
    assert!(launch(any).block_on(async {}).unwrap_err().is_refused());
}

/// A handle that is counted while it is alive. It has one word, and so many more.
struct Handled<const MORE: usize>(Arc<AtomicUsize>, [usize; MORE]);

impl<const MORE: usize> Handled<MORE> {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(alive), [3; MORE])
    }
}

impl<const MORE: usize> Clone for Handled<MORE> {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl<const MORE: usize> Drop for Handled<MORE> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<const MORE: usize> PartialEq for Handled<MORE> {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl<const MORE: usize> Eq for Handled<MORE> {}

impl<const MORE: usize> Executor for Handled<MORE> {
    fn post(&self, runnable: Runnable) {
        Inline.post(runnable);
    }

    fn is_current(&self) -> bool {
        true
    }
}

fn each_handle_is_dropped<const MORE: usize>() {
    let count = Arc::new(AtomicUsize::new(0));
    let alive = || count.load(Ordering::SeqCst);
    let any = AnyExecutor::new(Handled::<MORE>::new(&count));
    assert_eq!(alive(), 1, "it is moved");
    let others: Vec<_> = (0..10).map(|_| any.clone()).collect();
    // A large one is there once.
    assert_eq!(alive(), if MORE == 0 { 11 } else { 1 });
    let sent = any.clone();
    let (borrowed, sent) = thread::spawn(move || (sent.as_ref().to_any(), sent)).join().unwrap();
    assert_eq!(launch(borrowed).block_on(async { 7 }).unwrap(), 7);
    drop((others, sent));
    assert_eq!(alive(), 1);
    assert_eq!(any.downcast_ref::<Handled<MORE>>().unwrap().1, [3; MORE]);
    drop(any);
    assert_eq!(alive(), 0);
}

#[test]
fn handles_are_dropped_once() {
    let _watchdog = watchdog();
    each_handle_is_dropped::<0>();
    each_handle_is_dropped::<7>();
}
