//! A thread that returns from `block_on` is as it was before; the root future, though, lives and dies inside.
#![allow(clippy::disallowed_types, reason = "users of the crate have std's types, and so have its tests")]

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};

use tress::task::coop;
use tress::{Builder, Handle};

/// More than can take part in a runtime as workers.
const THREADS: usize = 12;

#[test]
fn no_budget_stays_behind() {
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let barrier = Arc::new(Barrier::new(THREADS));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                runtime.block_on(async { barrier.wait() });
                let mut cx = Context::from_waker(Waker::noop());
                for _ in 0..1000 {
                    match coop::poll_proceed(&mut cx) {
                        Poll::Ready(unit) => unit.made_progress(),
                        Poll::Pending => panic!("outside a task there is no budget"),
                    }
                }
            });
        }
    });
}

/// Is ready at once; its drop spawns a task.
struct SpawnInDrop;

impl Future for SpawnInDrop {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl Drop for SpawnInDrop {
    fn drop(&mut self) {
        drop(tress::spawn(async {}));
    }
}

#[test]
fn the_root_is_dropped_inside() {
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    runtime.block_on(SpawnInDrop);
    assert!(Handle::try_current().is_err());
}
