//! A thread's end drops, wakes and polls what its locals hold, before and after the runtime's own locals are gone, while the runtime
//! lives and after that.

mod leaves;
mod support;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use leaves::Gate;
use support::{Census, Counted, runtime, wait_until, watchdog};
use tress::Handle;
use tress::frame::{self, Arena, with_allocator};
use tress::task::{JoinHandle, Lazy, SharedLazy, lazy};

/// What a thread leaves to its end.
struct Estate {
    boxed: Vec<Pin<Box<Lazy<'static, ()>>>>,
    shared: SharedLazy<'static, ()>,
    wakers: Vec<Waker>,
    task: Option<JoinHandle<()>>,
    handle: Handle,
    ended: Arc<AtomicUsize>,
    _counted: Counted,
}

impl Drop for Estate {
    fn drop(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        for waker in self.wakers.drain(..) {
            drop(waker.clone());
            waker.wake_by_ref();
            waker.wake();
        }
        for boxed in &mut self.boxed {
            assert!(boxed.as_mut().poll(&mut cx).is_pending());
        }
        self.boxed.drain(..).step_by(2).for_each(drop);
        assert!(Pin::new(&mut self.shared).poll(&mut cx).is_pending());
        let mut made = Box::pin(lazy(async {
            let boxed = frame::Box::pin(async { 1 });
            lazy(boxed).await
        }));
        assert_eq!(made.as_mut().poll(&mut cx), Poll::Ready(1));
        drop(self.handle.spawn(lazy(leaves::never())));
        let arena = Arc::new(Arena::new(4096).unwrap());
        drop(with_allocator(arena, || self.handle.spawn(lazy(leaves::never()))));
        drop(self.task.take());
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

thread_local! {
    // Whose destructors come last and first, whichever way round that is.
    static EARLY: RefCell<Option<Estate>> = const { RefCell::new(None) };
    static LATE: RefCell<Option<Estate>> = const { RefCell::new(None) };
}

/// Waits at the gate, below another frame, and holds something.
fn waits(gate: &Gate, census: &Census) -> Lazy<'static, ()> {
    let (gate, counted) = (gate.clone(), census.count());
    let below = lazy(async move {
        let _counted = counted;
        gate.passed().await;
    });
    lazy(below)
}

#[test]
fn before_and_after_its_runtime() {
    let _watchdog = watchdog();
    let census = Census::default();
    for is_runtime_first in [true, false] {
        let (runtime, ended) = (runtime(2), Arc::new(AtomicUsize::new(0)));
        let gates: Vec<Gate> = (0..8).map(|_| Gate::default()).collect();
        let estates: Vec<Estate> = gates
            .chunks(4)
            .map(|gates| {
                let started: Vec<_> = gates[..2].iter().map(|gate| Box::pin(waits(gate, &census))).collect();
                // Started in a task, and in it for good: frames of a tree, of which the wakers are left.
                let started = runtime.spawn(async move {
                    let mut started = started;
                    for boxed in &mut started {
                        assert!(leaves::poll_once(boxed.as_mut()).await.is_pending());
                    }
                    started
                });
                let task = runtime.spawn(waits(&gates[2], &census));
                let mut shared = waits(&gates[3], &census).shared();
                assert!(Pin::new(&mut shared).poll(&mut Context::from_waker(Waker::noop())).is_pending());
                let boxed = runtime.block_on(started).unwrap();
                wait_until(|| gates[2].polls() > 0, "it was not polled");
                let own = runtime.block_on(poll_fn(|cx| Poll::Ready(cx.waker().clone())));
                let wakers = gates[..3].iter().flat_map(Gate::wakers).chain([own]).collect();
                Estate {
                    boxed,
                    shared,
                    wakers,
                    task: Some(task),
                    handle: runtime.handle().clone(),
                    ended: Arc::clone(&ended),
                    _counted: census.count(),
                }
            })
            .collect();
        let (left, is_left) = std::sync::mpsc::channel();
        let (end, is_over) = std::sync::mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            let mut estates = estates.into_iter();
            EARLY.with(|early| *early.borrow_mut() = estates.next());
            // The runtime's locals, between the two.
            drop(frame::Box::new([0_u8; 64]));
            let used = estates.as_slice()[0].handle.clone();
            drop(used.spawn(async {}));
            used.block_on(lazy(tress::task::yield_now()));
            LATE.with(|late| *late.borrow_mut() = estates.next());
            left.send(()).unwrap();
            let _ = is_over.recv();
        });
        is_left.recv().unwrap();
        if is_runtime_first {
            drop(runtime);
            drop(end);
            thread.join().unwrap();
        } else {
            drop(end);
            thread.join().unwrap();
            drop(runtime);
        }
        assert_eq!(ended.load(Ordering::SeqCst), 2);
        drop(gates);
        census.wait_until_empty();
    }
}
