//! A future whose drop polls what lies in it leaves nothing behind: a frame that is started after its task has ended is an island.

#![expect(unsafe_code, reason = "a future that pins what it holds, by hand")]

mod leaves;
mod support;

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use leaves::{Gate, Tally};
use support::{
    Census, Pend, block_on_foreign, panic_text, runtime, wait_until, watchdog, without_panic_messages,
};
use tress::frame;
use tress::task::{Lazy, lazy, yield_now};

/// Keeps the waker of its last poll, and polls what it holds for the first time when it is dropped.
struct Late {
    // Pinned with it.
    child: Lazy<'static, ()>,
    waker: Option<Waker>,
    is_ready: bool,
    drops: Tally,
}

impl Late {
    /// The child waits at the gate, below so many frames, and wakes itself before that.
    fn new(depth: usize, is_ready: bool, gate: &Gate, census: &Census, drops: &Tally) -> Self {
        let (leaf, counted) = (gate.clone(), census.count());
        let last = lazy(async move {
            let _counted = counted;
            Pend(1).await;
            leaf.passed().await;
        });
        let child = (0..depth).fold(last, |below, _| lazy(below));
        Self { child, waker: None, is_ready, drops: drops.clone() }
    }

    fn child(self: Pin<&mut Self>) -> Pin<&mut Lazy<'static, ()>> {
        // SAFETY: the field is pinned with the whole: it is dropped in place, and nobody moves it.
        unsafe { self.map_unchecked_mut(|this| &mut this.child) }
    }
}

impl Future for Late {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: nothing is moved.
        let this = unsafe { self.get_unchecked_mut() };
        this.waker = Some(cx.waker().clone());
        if this.is_ready { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        self.drops.add();
        // SAFETY: a value that is dropped was pinned if it was polled, and is not moved any more.
        let this = unsafe { Pin::new_unchecked(self) };
        if let Some(waker) = this.waker.clone() {
            let mut cx = Context::from_waker(&waker);
            let mut child = this.child();
            for _ in 0..3 {
                assert!(child.as_mut().poll(&mut cx).is_pending());
            }
        }
    }
}

/// Waits until as many frames are in use as before.
fn wait_until_freed(before: usize) {
    let is_as_before = || {
        // What this thread has freed for a worker's heap counts as live until the batch goes home, which for one that is no worker may be never.
        frame::trim();
        frame::stats().live <= before
    };
    wait_until(is_as_before, "frames were not freed");
}

#[test]
fn of_its_root() {
    let _watchdog = watchdog();
    let (runtime, census, drops) = (runtime(2), Census::default(), Tally::default());
    for depth in [0, 1, 5] {
        for is_ready in [true, false] {
            let (gate, frames) = (Gate::default(), frame::stats().live);
            let late = || Late::new(depth, is_ready, &gate, &census, &drops);
            let dropped = drops.count();
            if is_ready {
                runtime.block_on(late());
                runtime.block_on(runtime.spawn(late())).unwrap();
            } else {
                let task = runtime.spawn(late());
                // Let it be polled.
                runtime.block_on(runtime.spawn(yield_now())).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(5));
                task.abort();
                assert!(block_on_foreign(task).unwrap_err().is_aborted());
            }
            wait_until(|| drops.count() > dropped, "it was not dropped");
            gate.open();
            gate.wake();
            census.wait_until_empty();
            drop(gate);
            wait_until_freed(frames);
        }
    }
}

/// While a panic unwinds, the run is not over: what lies in the body that panics, and is polled with its waker, is part of the tree until it is dropped.
#[test]
fn of_a_local_while_a_panic_unwinds() {
    let _watchdog = watchdog();
    let (runtime, census, drops) = (runtime(2), Census::default(), Tally::default());
    without_panic_messages(|| {
        for depth in [0, 1, 5] {
            for is_in_frame in [false, true] {
                for is_rooted in [true, false] {
                    let (gate, frames, dropped) = (Gate::default(), frame::stats().live, drops.count());
                    let late = Late::new(depth, false, &gate, &census, &drops);
                    let body = async move {
                        let mut late = pin!(late);
                        if !is_rooted {
                            // Then its waker is not that of the body.
                            let mut cx = Context::from_waker(Waker::noop());
                            assert!(late.as_mut().poll(&mut cx).is_pending());
                        } else {
                            assert!(leaves::poll_once(late.as_mut()).await.is_pending());
                        }
                        panic!("expected: below what polls");
                    };
                    let task = match is_in_frame {
                        true => runtime.spawn(lazy(body)),
                        false => runtime.spawn(body),
                    };
                    let text = panic_text(runtime.block_on(task).unwrap_err());
                    assert_eq!(text, "expected: below what polls");
                    assert_eq!((drops.count(), census.alive()), (dropped + 1, 0));
                    // As an island it is polled each time that its handle is, and comes to the gate.
                    assert_eq!(gate.polls() > 0, !is_rooted);
                    gate.open();
                    wait_until_freed(frames);
                }
            }
        }
    });
}

#[test]
fn of_a_frame() {
    let _watchdog = watchdog();
    let (runtime, census, drops) = (runtime(2), Census::default(), Tally::default());
    for depth in [0, 1, 5] {
        for is_ready in [true, false] {
            let (gate, frames) = (Gate::default(), frame::stats().live);
            let late = || {
                let late = Late::new(depth, is_ready, &gate, &census, &drops);
                lazy(async move {
                    yield_now().await;
                    late.await;
                })
            };
            let raw = || lazy(Late::new(depth, is_ready, &gate, &census, &drops));
            for future in [late(), raw()] {
                let task = runtime.spawn(async move {
                    let mut slot = pin!(Some(future));
                    for _ in 0..4 {
                        if leaves::poll_once(slot.as_mut().as_pin_mut().unwrap()).await.is_ready() {
                            break;
                        }
                        yield_now().await;
                    }
                    slot.set(None);
                    yield_now().await;
                });
                runtime.block_on(task).unwrap();
            }
            gate.open();
            gate.wake();
            census.wait_until_empty();
            drop(gate);
            wait_until_freed(frames);
        }
    }
}
