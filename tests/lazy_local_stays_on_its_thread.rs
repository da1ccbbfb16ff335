//! A future that may not be sent is polled and dropped on its thread only, also in a wrapper that vouches for that by itself.
#![expect(unsafe_code, reason = "the wrapper says what may be sent, as several crates do")]

mod leaves;
mod support;

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};

use leaves::{Gate, Tally, poll_once};
use support::{block_on_foreign, runtime, watchdog};
use tress::task::{lazy, lazy_local, yield_now};

/// A handle that can be sent, since what is in it is touched on the thread that made it only: elsewhere a poll panics, and a drop leaks.
struct Bound<F> {
    inner: ManuallyDrop<F>,
    thread: ThreadId,
}

// SAFETY: the inner value is touched on its own thread only.
unsafe impl<F> Send for Bound<F> {}

impl<F> Bound<F> {
    fn new(inner: F) -> Self {
        const { assert!(size_of::<F>() == size_of::<usize>()) };
        Self { inner: ManuallyDrop::new(inner), thread: thread::current().id() }
    }
}

impl<F: Future> Future for Bound<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        assert!(self.thread == thread::current().id(), "expected: polled on another thread");
        // SAFETY: the inner future is not moved, and dropped in place or never.
        let inner = unsafe { self.map_unchecked_mut(|this| &mut *this.inner) };
        inner.poll(cx)
    }
}

impl<F> Drop for Bound<F> {
    fn drop(&mut self) {
        if self.thread == thread::current().id() {
            // SAFETY: it is dropped once.
            unsafe { ManuallyDrop::drop(&mut self.inner) };
        } else {
            static LEAKED: Mutex<Vec<usize>> = Mutex::new(Vec::new());
            // Leaked in such a way that leak detectors still find it: its first word is the address of a frame.
            // SAFETY: the value is that large, and its bytes are there.
            let frame = unsafe { std::ptr::from_ref(&self.inner).cast::<usize>().read() };
            LEAKED.lock().unwrap().push(frame);
        }
    }
}

/// Ends the process when it is dropped on another thread.
struct Native(Rc<()>, ThreadId, Tally);

impl Native {
    fn new(drops: &Tally) -> Self {
        Self(Rc::new(()), thread::current().id(), drops.clone())
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        if self.1 != thread::current().id() {
            eprintln!("what may not be sent was dropped on another thread");
            std::process::abort();
        }
        self.2.add();
    }
}

/// Lent to another thread inside of what may be sent, and dropped there.
#[test]
fn when_its_parent_is_dropped_on_another() {
    let _watchdog = watchdog();
    let (runtime, gate, drops) = (runtime(1), Gate::default(), Tally::default());
    for depth in [0, 1, 3] {
        let native = Native::new(&drops);
        let leaf = gate.clone();
        let (polls, local) = (gate.polls(), async move {
            let native = native;
            leaf.passed().await;
            drop(native);
        });
        let local = (0..depth).fold(lazy_local(local), |below, _| lazy_local(below));
        let bound = Bound::new(local);
        let outer = lazy(bound);
        runtime.block_on(async {
            let mut slot = pin!(Some(lazy(outer)));
            while gate.polls() == polls {
                assert!(poll_once(slot.as_mut().as_pin_mut().unwrap()).await.is_pending());
                yield_now().await;
            }
            gate.wake();
            yield_now().await;
            thread::scope(|scope| scope.spawn(|| slot.set(None)).join().unwrap());
        });
        assert_eq!(drops.count(), 0, "it leaks, as the wrapper says");
    }
}

/// The same in a task, which may be on any thread.
#[test]
fn in_a_task() {
    let _watchdog = watchdog();
    let (runtime, drops) = (runtime(2), Tally::default());
    for is_aborted in [true, false] {
        for _ in 0..50 {
            let gate = Gate::default();
            let (leaf, drops) = (gate.clone(), drops.clone());
            let task = runtime.spawn(async move {
                let local = lazy(async move {
                    Bound::new(lazy_local({
                        let native = Native::new(&drops);
                        async move {
                            leaf.passed().await;
                            assert_eq!(native.1, thread::current().id());
                            Rc::strong_count(&native.0)
                        }
                    }))
                    .await
                });
                lazy(local).await
            });
            support::wait_until(|| gate.polls() > 0, "it was not polled");
            if is_aborted {
                task.abort();
            }
            gate.open();
            // On another thread than the one that it began on, the wrapper panics.
            let _ = support::without_panic_messages(|| block_on_foreign(task));
        }
    }
}
