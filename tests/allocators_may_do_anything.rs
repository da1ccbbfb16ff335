//! An allocator of frames is foreign code, called in the middle of everything: it may ask who runs, spawn, poll, refuse and panic.
#![expect(unsafe_code, reason = "allocators are declared by an unsafe impl")]

mod leaves;
mod support;

use std::alloc::Layout;
use std::future::Future;
use std::pin::pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Waker};

use leaves::Gate;
use support::{Census, Counted, Pend, runtime, watchdog};
use tress::Runtime;
use tress::frame::{self, AllocError, FrameAllocator, Global, with_allocator};
use tress::task::{self, Lazy, lazy};

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
}

// SAFETY: the memory is that of `Global`, which keeps the promises.
unsafe impl<F: Fn(Event) + Send + Sync> FrameAllocator for Meddling<F> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        (self.meddle)(Event::Allocates);
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller promises what `Global` asks for.
        unsafe { Global.deallocate(ptr, layout) };
        (self.meddle)(Event::HasFreed);
    }
}

impl<F: Fn(Event) + Send + Sync> Drop for Meddling<F> {
    fn drop(&mut self) {
        (self.meddle)(Event::IsDropped);
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
        support::wait_until(|| gate.polls() > 0, "it was not polled");
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
