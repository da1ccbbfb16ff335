//! An allocator of frames is foreign code, called in the middle of everything: it may ask who runs, spawn, poll, refuse and panic.
#![expect(unsafe_code, reason = "allocators are declared by an unsafe impl")]

mod leaves;
mod support;

use std::alloc::Layout;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use leaves::{Gate, Tally, poll_once};
use support::{
    Census, Counted, EXPECTED, Pend, Random, panic_text, runtime, says_no_frame, wait_until, watchdog,
    without_panic_messages,
};
use tress::Runtime;
use tress::frame::{self, AllocError, FrameAllocator, Global, with_allocator};
use tress::task::{self, Lazy, lazy, lazy_borrowed, try_lazy, yield_now};
use tress::trace;

/// The program's own memory, with a function that is called whenever something has been done.
struct Meddling<F: Fn(Event) + Send + Sync> {
    meddle: F,
    _counted: Counted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Allocates,
    HasFreed,
    IsDropped,
}

impl<F: Fn(Event) + Send + Sync> Meddling<F> {
    fn new(census: &Census, meddle: F) -> Arc<Self> {
        Arc::new(Self { meddle, _counted: census.count() })
    }

    fn call(&self, event: Event) {
        let Err(payload) = catch_unwind(AssertUnwindSafe(|| (self.meddle)(event))) else { return };
        // Most of them are contained: a test would not hear of an assertion that fails here.
        if !payload.downcast_ref::<&str>().is_some_and(|text| text.starts_with(EXPECTED)) {
            eprintln!("an allocator found something wrong");
            std::process::abort();
        }
        resume_unwind(payload);
    }
}

// SAFETY: the memory is that of `Global`, which keeps the promises.
unsafe impl<F: Fn(Event) + Send + Sync> FrameAllocator for Meddling<F> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        self.call(Event::Allocates);
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller promises what `Global` asks for.
        unsafe { Global.deallocate(ptr, layout) };
        self.call(Event::HasFreed);
    }
}

impl<F: Fn(Event) + Send + Sync> Drop for Meddling<F> {
    fn drop(&mut self) {
        self.call(Event::IsDropped);
    }
}

/// Refuses now and then what another one would give.
struct Refusing<A> {
    other: A,
    /// Once in so many times.
    every: usize,
    random: Mutex<Random>,
    refusals: Tally,
}

// SAFETY: the memory is that of the other one, which keeps the promises.
unsafe impl<A: FrameAllocator> FrameAllocator for Refusing<A> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        if self.random.lock().unwrap().once_in(self.every) {
            self.refusals.add();
            return Err(AllocError);
        }
        self.other.allocate(layout)
    }

    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: the memory came from there.
        unsafe { self.other.deallocate(ptr, layout) };
    }
}

/// Runs tasks and lazies of all fates, whose frames come from the allocator that is made for each.
fn use_frames<A: FrameAllocator + 'static>(runtime: &Runtime, make: impl Fn() -> Arc<A>) {
    let spawn = |future: Lazy<'static, usize>, make: Arc<A>| with_allocator(make, || runtime.spawn(future));
    let level = |pends| lazy(async move { lazy(Pend(pends)).await });
    let future = |pends| {
        with_allocator(make(), || {
            lazy(async move {
                level(pends).await;
                let (one, two) = (lazy(Pend(pends)), lazy(Pend(2 * pends)));
                tress::join!(one, two);
                1
            })
        })
    };
    for pends in [0, 1, 3] {
        // Joined, detached, aborted while it waits, and aborted before it starts.
        assert_eq!(runtime.block_on(spawn(future(pends), make())).unwrap(), 1);
        drop(spawn(future(pends), make()));
        let gate = Gate::default();
        let leaf = gate.clone();
        let waits = with_allocator(make(), || {
            lazy(async move {
                lazy(async move { leaf.passed().await }).await;
                1
            })
        });
        let waits = spawn(waits, make());
        wait_until(|| gate.polls() > 0, "it was not polled");
        waits.abort();
        assert!(runtime.block_on(waits).unwrap_err().is_aborted());
        let aborted = spawn(future(pends), make());
        aborted.abort();
        let _ = runtime.block_on(aborted);
        assert_eq!(runtime.block_on(frame::scope(make(), future(pends))), 1);
    }
}

/// Who asks for the task gets the one that is running, or none, but never one that is gone.
#[test]
fn as_asking_who_runs() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    use_frames(&runtime, || {
        Meddling::new(&census, |_| {
            let id = task::try_id();
            // In a lazy, nobody asks another one.
            let mut polled = pin!(lazy(async { task::try_id() }));
            let polled = polled.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(polled, std::task::Poll::Ready(id));
        })
    });
    drop(runtime);
    census.wait_until_empty();
}

/// Nor does a backtrace show a frame that is gone, also when a frame is freed that was ready at once.
#[test]
fn as_asking_for_a_backtrace() {
    let _watchdog = watchdog();
    let (runtime, census, lines) = (runtime(2), Census::default(), Tally::default());
    use_frames(&runtime, || {
        let lines = lines.clone();
        Meddling::new(&census, move |_| {
            let backtrace = trace::backtrace();
            for frame in &backtrace.frames {
                assert!(!frame.future.is_empty(), "{backtrace}");
                lines.add();
            }
        })
    });
    // Of these, each knows the one frame that came from it.
    let knowing = {
        let (census, lines) = (census.clone(), lines.clone());
        move || {
            let lines = lines.clone();
            Meddling::new(&census, move |event| {
                let backtrace = trace::backtrace();
                let is_shown = backtrace.frames.iter().any(|frame| frame.future.contains("that_goes"));
                assert!(event == Event::Allocates || !is_shown, "{backtrace}");
                backtrace.frames.iter().for_each(|_| lines.add());
            })
        }
    };
    let before = lines.count();
    runtime.block_on(runtime.spawn(async { lazy(await_and_drop(knowing)).await })).unwrap();
    assert!(lines.count() > before);
    end_a_task_that_goes(&runtime, &census);
    drop(runtime);
    census.wait_until_empty();
    assert!(lines.count() > 0);
}

async fn that_goes(pends: usize) {
    Pend(pends).await;
}

/// Ends such frames in each way: ready at once, or later; dropped before they have begun, or after.
async fn await_and_drop<A: FrameAllocator + 'static>(make: impl Fn() -> Arc<A>) {
    let frame = |pends| with_allocator(make(), || lazy(that_goes(pends)));
    for pends in 0..3 {
        frame(pends).await;
        drop(frame(pends));
        let mut begun = pin!(frame(pends + 1));
        assert!(poll_once(begun.as_mut()).await.is_pending());
    }
}

/// Ends a task that nobody holds any more, and whose allocator sees to it that it does not count as running when it has been freed.
fn end_a_task_that_goes(runtime: &Runtime, census: &Census) {
    let (id, is_gone) = (Arc::new(OnceLock::new()), Tally::default());
    let allocator = {
        let (id, is_gone) = (Arc::clone(&id), is_gone.clone());
        Meddling::new(census, move |event| {
            if event == Event::HasFreed {
                assert_ne!(trace::backtrace().task, id.get().copied());
                assert_ne!(task::try_id(), id.get().copied());
                is_gone.add();
            }
        })
    };
    let ends = {
        let id = Arc::clone(&id);
        async move {
            while id.get().is_none() {
                yield_now().await;
            }
        }
    };
    let task = with_allocator(allocator, || runtime.spawn(ends));
    let its_id = task.id();
    drop(task);
    id.set(its_id).unwrap();
    wait_until(|| is_gone.count() > 0, "the task is not freed");
}

/// Its end is nobody's who happens to let go of it last: the worker goes on, and so does whoever awaits a frame.
#[test]
fn as_panicking_when_it_goes() {
    let _watchdog = watchdog();
    let (runtime, census, gone) = (runtime(1), Census::default(), Tally::default());
    without_panic_messages(|| {
        for round in 0..20 {
            // Nobody else holds it.
            let make = || {
                let gone = gone.clone();
                Meddling::new(&census, move |event| {
                    if event == Event::IsDropped {
                        gone.add();
                        panic!("expected: of an allocator that goes");
                    }
                })
            };
            let future = with_allocator(make(), || lazy(Pend(round % 3)));
            drop(with_allocator(make(), || runtime.spawn(Pend(round % 3))));
            let awaits = runtime.spawn(async move { future.await });
            assert!(runtime.block_on(awaits).is_ok());
            let island = with_allocator(make(), || lazy_borrowed(Pend(round % 3)));
            runtime.block_on(island);
            let _ = trace::dump(runtime.handle());
        }
        let task = runtime.spawn(async { 7 });
        assert_eq!(runtime.block_on(task).unwrap(), 7);
    });
    drop(runtime);
    census.wait_until_empty();
    assert_eq!(gone.count(), 60);
}

/// Each of them makes frames of its own, which come from the pool: boxes, lazies, tasks, and what all of these wait for.
#[test]
fn as_making_frames() {
    let _watchdog = watchdog();
    let (runtime, census, tasks) = (runtime(2), Census::default(), Tally::default());
    use_frames(&runtime, || {
        let (handle, tasks) = (runtime.handle().clone(), tasks.clone());
        Meddling::new(&census, move |event| {
            let boxed = frame::Box::pin(Pend(1));
            let mut polled = pin!(lazy(boxed));
            assert!(polled.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            let tasks = tasks.clone();
            let task = handle.spawn(lazy(async move {
                lazy(Pend(1)).await;
                tasks.add();
            }));
            if event != Event::Allocates {
                drop(task);
            } else {
                task.abort();
            }
        })
    });
    drop(runtime);
    census.wait_until_empty();
    assert!(tasks.count() > 0);
}

/// The one who wants a frame gets the panic, or the refusal; a runtime in which that happens comes to its end like any other.
#[test]
fn as_panicking_and_refusing() {
    let _watchdog = watchdog();
    let census = Census::default();
    let (mut complete, mut refused, mut without_frame) = (0, 0, 0);
    without_panic_messages(|| {
        for seed in 0..60 {
            let runtime = runtime(2);
            // From once in a few frames to once in a few trees.
            let every = [8, 40, 400][seed % 3];
            let random = Mutex::new(Random(seed as u64));
            let refusals = Tally::default();
            let allocator = Arc::new(Refusing {
                other: Meddling {
                    meddle: move |event| {
                        let panics = random.lock().unwrap().once_in(every);
                        assert!(event == Event::IsDropped || !panics, "expected: of an allocator");
                    },
                    _counted: census.count(),
                },
                every,
                random: Mutex::new(Random(!(seed as u64))),
                refusals: refusals.clone(),
            });
            for _ in 0..20 {
                let counted = census.count();
                let spawned = catch_unwind(AssertUnwindSafe(|| {
                    with_allocator(Arc::clone(&allocator), || runtime.spawn(tree(3, counted)))
                }));
                let Ok(task) = spawned else { continue };
                match runtime.block_on(task) {
                    Ok(()) => complete += 1,
                    Err(error) if error.is_refused() => refused += 1,
                    Err(error) => {
                        let text = panic_text(error);
                        without_frame += u32::from(says_no_frame(&text));
                        assert!(says_no_frame(&text) || text.starts_with(EXPECTED), "{text}");
                    }
                }
            }
            assert!(every > 8 || refusals.count() > 0);
            runtime.block_on(async {
                let counted = census.count();
                let scoped = frame::scope(allocator, async { tree(3, counted).await });
                let _ = AssertUnwindSafe(scoped).catch_unwind().await;
            });
            let metrics = runtime.handle().metrics();
            wait_until(|| metrics.live_tasks() == 0, "a task that never was is alive");
            runtime.shutdown(Duration::from_secs(60)).unwrap();
            census.wait_until_empty();
        }
    });
    // Each of the ends has been seen.
    assert!(complete > 0 && refused > 0 && without_frame > 0, "{complete} {refused} {without_frame}");
}

/// A tree of frames of all kinds, made while it runs.
fn tree(depth: usize, counted: Counted) -> Lazy<'static, ()> {
    lazy(async move {
        let _counted = counted;
        yield_now().await;
        if depth > 0 {
            let (one, two) = (branch(depth), branch(depth));
            let (spawned, held) = (task::spawn(branch(depth)), Census::default());
            let island = lazy_borrowed(async {
                let _held = held.count();
                Pend(1).await;
            });
            let boxed = frame::Box::pin(Pend(1));
            tress::join!(one, two, island, boxed);
            let _ = spawned.await;
            if let Ok(last) = try_lazy(Pend(1)) {
                last.await;
            }
        }
    })
}

fn branch(depth: usize) -> Lazy<'static, ()> {
    lazy(async move {
        let held = Census::default();
        tree(depth - 1, held.count()).await;
    })
}
