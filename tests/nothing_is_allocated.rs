//! What is said to allocate nothing, counted: looks at an environment, stop callbacks, small executors.
#![expect(unsafe_code, reason = "an allocator that counts, in front of the system's")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::pin;

use support::{runtime, watchdog};
use tress::env;
use tress::executor::{AnyExecutor, Executor, Inline, Manual, Prioritized, Runnable};
use tress::stop::{StopCallback, StopSource};

struct Counting;

thread_local! {
    /// How often this thread has asked for memory.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is done by the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often `f` asks for memory.
fn allocations<R>(f: impl FnOnce() -> R) -> usize {
    let before = ALLOCATIONS.get();
    drop(f());
    ALLOCATIONS.get() - before
}

/// An executor that is larger than what fits.
#[derive(Clone, PartialEq, Eq)]
struct Large([u64; 5]);

impl Executor for Large {
    fn post(&self, runnable: Runnable) {
        drop(runnable);
    }

    fn is_current(&self) -> bool {
        false
    }
}

#[test]
fn the_count_counts() {
    assert_eq!(allocations(|| Box::new(1)), 1);
}

#[test]
fn by_looks_at_an_environment() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    assert_eq!(allocations(|| env::with(|env| env.value::<u32>().is_none())), 0);
    assert_eq!(allocations(env::current), 0);
    let inside = runtime.block_on(env::scope().value(7_u32).run(async {
        allocations(|| {
            assert_eq!(env::with(|env| env.value::<u32>().copied()), Some(7));
            env::current()
        })
    }));
    assert_eq!(inside, 0);
    let task = runtime.spawn(async { allocations(|| (env::with(env::Env::stop_token), env::current())) });
    assert_eq!(runtime.block_on(task).unwrap(), 0);
}

#[test]
fn by_stop_callbacks() {
    let source = StopSource::new();
    let token = source.token();
    let registered_and_dropped = allocations(|| {
        for _ in 0..100 {
            pin!(StopCallback::new(|| ())).register(&token);
        }
    });
    assert_eq!(registered_and_dropped, 0);
    let mut callbacks = [const { None }; 10].map(|_: Option<()>| Box::pin(StopCallback::new(|| ())));
    let called = allocations(|| {
        for callback in &mut callbacks {
            callback.as_mut().register(&token);
        }
        source.request_stop();
    });
    assert_eq!(called, 0);
}

#[test]
fn by_small_executors() {
    let _watchdog = watchdog();
    let (runtime, manual) = (runtime(1), Manual::new());
    let (handle, lane) = (runtime.handle().clone(), Prioritized::new(runtime.handle().clone()).low());
    let queue = manual.executor();
    assert_eq!(allocations(|| AnyExecutor::new(handle.clone()).clone()), 0);
    assert_eq!(allocations(|| AnyExecutor::new(lane.clone()).clone()), 0);
    assert_eq!(allocations(|| AnyExecutor::new(queue.clone()).clone()), 0);
    assert_eq!(allocations(|| AnyExecutor::new(Inline).clone()), 0);
    // One, which its clones may share or not.
    assert!(allocations(|| AnyExecutor::new(Large([1; 5]))) == 1);
}
