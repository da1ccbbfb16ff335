//! What the current thread is to a runtime.
//!
//! A thread that runs tasks has a *run loop*; inside it, the thread's [`Local`] is found through a thread-local
//! pointer. Besides, any thread may have *entered* handles: they say which runtime `spawn`, timers and sockets belong to
//! where no run loop does.
#![expect(unsafe_code, reason = "a scoped thread-local pointer; a counted one would cost on every wake")]

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ptr::{self, NonNull};

use crate::executor::{RawExecutor, Reason, Runnable};
use crate::primitive::coarse::{self, Moment};
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::Ordering;
use crate::primitive::thread::thread_local;
use crate::reactor::Reactor;
use crate::scheduler::{Local, Parker, Pool, PoolRef};
use crate::time::TimeDriver;
use crate::{env, frame, run, tree};

/// What a run loop shows to the code that it runs.
struct RunLoop {
    pool: PoolRef,
    /// Names the pool without touching it.
    data: NonNull<()>,
    /// Null in a loop that has no queue.
    local: *const Local,
    /// The number of the next handle to be entered when the loop began: that one and later ones win over the loop.
    entered_from: u64,
}

thread_local! {
    /// The innermost run loop; null if there is none. Points to a value on this thread's stack that outlives the
    /// pointer (see `with_loop`).
    static LOOP: Cell<*const RunLoop> = const { Cell::new(ptr::null()) };
    /// The entered handles, with the numbers by which their guards find them.
    static ENTERED: RefCell<Vec<(u64, PoolRef)>> = const { RefCell::new(Vec::new()) };
    /// One more than the number of the last of them; 0 if there is none. Spares most spawns a look at the list.
    static ENTERED_END: Cell<u64> = const { Cell::new(0) };
    /// The address of the pool to whose threads this one belongs, as a worker or for blocking calls.
    static SERVING: Cell<Option<NonZeroUsize>> = const { Cell::new(None) };
    static NEXT_ENTER: Cell<u64> = const { Cell::new(0) };
    /// The pools whose run loops are suspended further up on this stack, outermost first.
    static SUSPENDED: RefCell<Vec<NonNull<()>>> = const { RefCell::new(Vec::new()) };
    /// The pools whose injectors this thread is emptying, outermost first.
    static DRAINING: RefCell<Vec<NonNull<()>>> = const { RefCell::new(Vec::new()) };
}

/// Leaves a handle when dropped.
#[derive(Debug)]
pub(crate) struct Entered {
    number: u64,
    /// The guard belongs to its thread.
    _not_send: PhantomData<*const ()>,
}

/// Puts the former loop back when dropped.
struct Restore(*const RunLoop);

impl Drop for Restore {
    fn drop(&mut self) {
        LOOP.with(|current| current.set(self.0));
        // Nobody notes the time here any more; an outer loop does so soon.
        coarse::forget();
    }
}

/// Runs `f` with `run_loop` as the thread's innermost.
fn within<R>(run_loop: &RunLoop, f: impl FnOnce() -> R) -> R {
    let _run = run::begin();
    let _restore = Restore(LOOP.with(|current| current.replace(run_loop)));
    f()
}

/// Runs `f` inside the run loop of `local`.
///
/// # Panics
///
/// If the thread is in a run loop already.
pub(crate) fn run_as_worker<R>(local: &Local, f: impl FnOnce() -> R) -> R {
    assert_outside("block_on");
    within(&RunLoop::new(&local.pool, local), f)
}

/// Runs `f` inside a run loop that has no queue.
pub(crate) fn run_without_queue<R>(pool: &PoolRef, f: impl FnOnce() -> R) -> R {
    assert_outside("block_on");
    within(&RunLoop::new(pool, ptr::null()), f)
}

/// Runs `f`, which polls or drops what has nothing to do with whoever calls: in neither its window nor its environment nor its spans.
pub(crate) fn apart<R>(f: impl FnOnce() -> R) -> R {
    env::outside(|| env::outside_spans(|| frame::within(None, f)))
}

/// Panics if the thread is in a run loop, in which the function with this name would block it.
#[track_caller]
pub(crate) fn assert_outside(function: &str) {
    assert!(
        LOOP.with(Cell::get).is_null(),
        "`{function}` was called from inside a runtime: the thread would stop running the tasks that it is there for. \
         Await the future instead, or wrap the call in `block_in_place`"
    );
}

/// Runs `f` as if the thread were in no run loop; what it had queued is given to others.
pub(crate) fn suspend<R>(f: impl FnOnce() -> R) -> R {
    let current = LOOP.with(Cell::get);
    let own = with_loop(|run_loop| {
        run_loop.map(|run_loop| {
            if let Some(local) = run_loop.local() {
                local.give_away();
            }
            PoolRef::clone(&run_loop.pool)
        })
    });
    let Some(pool) = own else { return f() };
    let budget = crate::coop::enter(None);
    // What was the current runtime stays it, be it the loop's or one that was entered since.
    let current_pool = with_pool(|pool| pool.cloned()).unwrap_or_else(|| PoolRef::clone(&pool));
    let suspended = Suspended::push(pool.data());
    let entered = enter(current_pool);
    LOOP.with(|cell| cell.set(ptr::null()));
    let _restore = (Restore(current), entered, suspended, budget);
    f()
}

/// Forgets a suspended run loop when dropped.
struct Suspended(());

impl Suspended {
    fn push(data: NonNull<()>) -> Self {
        let _ = SUSPENDED.try_with(|suspended| suspended.borrow_mut().push(data));
        Self(())
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        let _ = SUSPENDED.try_with(|suspended| suspended.borrow_mut().pop());
    }
}

/// Whether a run loop of the pool is suspended further up on this stack: perhaps in the middle of a task.
pub(crate) fn is_suspended(pool: &Pool) -> bool {
    SUSPENDED.try_with(|suspended| suspended.borrow().contains(&pool.data())).unwrap_or(false)
}

/// Makes `pool` the current one where no run loop says otherwise.
pub(crate) fn enter(pool: PoolRef) -> Entered {
    let number = NEXT_ENTER.with(|next| next.replace(next.get() + 1));
    // On a thread whose thread-locals are being dropped this does nothing: what follows finds no current runtime.
    let _ = ENTERED.try_with(|entered| {
        entered.borrow_mut().push((number, pool));
        ENTERED_END.with(|end| end.set(number + 1));
    });
    Entered { number, _not_send: PhantomData }
}

/// Whether [`enter`] does anything: not on a thread whose thread-locals are being dropped.
pub(crate) fn can_enter() -> bool {
    ENTERED.try_with(|_| ()).is_ok()
}

impl Drop for Entered {
    fn drop(&mut self) {
        // The handle is dropped after the borrow has ended: its drop may be the end of a runtime.
        let _left = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            let place = entered.iter().rposition(|(number, _)| *number == self.number);
            let left = place.map(|place| entered.remove(place));
            ENTERED_END.with(|end| end.set(entered.last().map_or(0, |(number, _)| number + 1)));
            left
        });
    }
}

impl RunLoop {
    fn new(pool: &PoolRef, local: *const Local) -> Self {
        Self {
            data: pool.data(),
            pool: PoolRef::clone(pool),
            local,
            entered_from: NEXT_ENTER.with(Cell::get),
        }
    }

    #[inline]
    fn local(&self) -> Option<&Local> {
        // SAFETY: the pointer is null or that of a `Local` that `run_as_worker` borrows for longer than the loop lasts.
        unsafe { self.local.as_ref() }
    }
}

/// Lends the innermost run loop.
#[inline]
fn with_loop<R>(f: impl FnOnce(Option<&RunLoop>) -> R) -> R {
    let current = LOOP.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: the pointer is null or set by `within`, whose frame is further up on this stack and resets it before
    // the loop goes away; `f` cannot keep the borrow.
    f(unsafe { current.as_ref() })
}

/// Whether the thread runs tasks of the pool with this address, and so keeps it alive.
#[inline]
pub(crate) fn is_current_pool(data: NonNull<()>) -> bool {
    with_loop(|run_loop| run_loop.is_some_and(|run_loop| run_loop.data == data)) || is_modelled(data)
}

/// Whether the thread runs tasks of the model's executor with this address.
#[cfg(all(test, tress_loom))]
fn is_modelled(data: NonNull<()>) -> bool {
    crate::primitive::explore::is_worker(data)
}

/// Only models have executors that are no pools.
#[cfg(not(all(test, tress_loom)))]
#[inline(always)]
fn is_modelled(_data: NonNull<()>) -> bool {
    false
}

/// Whether the thread is one that the pool's shutdown would wait for.
pub(crate) fn is_own_thread(pool: &Pool) -> bool {
    SERVING.with(Cell::get) == Some(pool.data().addr())
}

/// Marks the thread as one of those of the pool at this address, until the mark is dropped.
pub(crate) fn mark_serving(pool: NonZeroUsize) -> ServingMark {
    SERVING.with(|serving| serving.set(Some(pool)));
    ServingMark(())
}

/// Runs `drain`, which empties the injector of the pool at `data`, unless that is what the thread does already, further
/// up on its stack: what has been queued since is then left to that call. Dropping a task may wake the next one, which
/// is dropped in turn: without this, a chain of tasks would be as deep on the stack as it is long.
pub(crate) fn drain_unless_draining(data: NonNull<()>, drain: impl FnOnce()) {
    struct Pop;

    impl Drop for Pop {
        fn drop(&mut self) {
            let _ = DRAINING.try_with(|draining| draining.borrow_mut().pop());
        }
    }

    let is_draining = DRAINING.try_with(|draining| {
        let mut draining = draining.borrow_mut();
        let is_draining = draining.contains(&data);
        if !is_draining {
            draining.push(data);
        }
        is_draining
    });
    let _pop = match is_draining {
        Ok(true) => return,
        Ok(false) => Some(Pop),
        // The thread is ending: it has to do without.
        Err(_) => None,
    };
    drain();
}

/// Ends a thread's service when dropped.
#[derive(Debug)]
pub(crate) struct ServingMark(());

impl Drop for ServingMark {
    fn drop(&mut self) {
        SERVING.with(|serving| serving.set(None));
    }
}

/// Queues a runnable on this thread, if it runs tasks of that pool.
#[inline]
pub(crate) fn schedule_local(data: NonNull<()>, runnable: Runnable, reason: Reason) -> Result<(), Runnable> {
    with_loop(|run_loop| match run_loop.filter(|run_loop| run_loop.data == data).and_then(RunLoop::local) {
        Some(local) => {
            local.schedule(runnable, reason);
            Ok(())
        }
        None => Err(runnable),
    })
}

/// Queues a runnable on this thread, if it is a worker that polls nothing just now.
pub(crate) fn adopt_between_polls(runnable: Runnable) -> Result<(), Runnable> {
    if tree::is_polling() {
        return Err(runnable);
    }
    with_loop(|run_loop| match run_loop.and_then(RunLoop::local) {
        Some(local) => {
            local.schedule(runnable, Reason::Woken);
            Ok(())
        }
        None => Err(runnable),
    })
}

/// Counts a hop to another executor, or one that is spared because the code runs there already.
pub(crate) fn count_hop(is_spared: bool) {
    with_pool(|pool| {
        if let Some(pool) = pool {
            let counter = if is_spared { &pool.hops_spared } else { &pool.hops };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// Whether the thread is the worker with this parker.
pub(crate) fn is_own_parker(parker: &Arc<Parker>) -> bool {
    with_loop(|run_loop| {
        run_loop.and_then(RunLoop::local).is_some_and(|local| Arc::ptr_eq(&local.remote().parker, parker))
    })
}

/// A row of items has ended at `now` on this thread, so that others have their turn.
pub(crate) fn row_is_over(now: Moment) {
    with_loop(|run_loop| {
        if let Some(local) = run_loop.and_then(RunLoop::local) {
            local.row_is_over(now);
        }
    });
}

/// Counts a task that has been made for the pool.
#[inline]
pub(crate) fn task_spawned(pool: &Pool) {
    let data = pool.data();
    with_loop(|run_loop| match run_loop.filter(|run_loop| run_loop.data == data).and_then(RunLoop::local) {
        Some(local) => local.remote().counters.spawned.add(1),
        None => {
            pool.foreign_spawned.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// Counts a task that has ended.
#[inline]
pub(crate) fn task_completed(executor: &RawExecutor) {
    let data = executor.data();
    with_loop(|run_loop| match run_loop.filter(|run_loop| run_loop.data == data).and_then(RunLoop::local) {
        Some(local) => local.remote().counters.completed.add(1),
        None => {
            // SAFETY: the task that is ending has not been completed yet, so its executor is alive (see `PoolOwner`).
            unsafe { executor.count_completed() }
        }
    });
}

/// The current pool: the run loop's, or that of the handle that was entered last.
#[inline]
pub(crate) fn with_pool<R>(f: impl FnOnce(Option<&PoolRef>) -> R) -> R {
    with_loop(|run_loop| {
        let from = run_loop.map_or(0, |run_loop| run_loop.entered_from);
        let entered = if ENTERED_END.with(Cell::get) > from { last_entered() } else { None };
        match entered {
            Some(pool) => f(Some(&pool)),
            None => f(run_loop.map(|run_loop| &run_loop.pool)),
        }
    })
}

/// The handle that was entered last, if one is entered.
fn last_entered() -> Option<PoolRef> {
    let last = ENTERED.try_with(|entered| entered.borrow().last().map(|(_, pool)| PoolRef::clone(pool)));
    last.ok().flatten()
}

/// The worker of `pool` whose reactor and timers suit what is made on this thread.
fn suitable_worker(pool: &PoolRef) -> usize {
    let data = pool.data();
    let own = with_loop(|run_loop| {
        let local = run_loop.filter(|run_loop| run_loop.data == data).and_then(RunLoop::local)?;
        (!local.is_guest()).then_some(local.index)
    });
    own.unwrap_or(0)
}

/// The reactor that a new registration made on this thread belongs to.
pub(crate) fn current_reactor() -> Option<Arc<Reactor>> {
    with_pool(|pool| pool.map(reactor_of))
}

/// The reactor that a new registration made on this thread for `pool` belongs to.
pub(crate) fn reactor_of(pool: &PoolRef) -> Arc<Reactor> {
    let worker = pool.worker_for_socket(suitable_worker(pool));
    let remote = &pool.workers()[worker];
    Arc::clone(remote.reactor().expect("workers have reactors"))
}

/// The wheel that a timer first polled on this thread belongs to.
pub(crate) fn current_time_driver() -> Option<Arc<TimeDriver>> {
    with_pool(|pool| {
        let pool = pool?;
        pool.workers()[suitable_worker(pool)].timers().cloned()
    })
}
