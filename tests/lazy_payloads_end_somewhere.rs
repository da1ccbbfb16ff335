//! What a panic leaves behind may panic in turn when it is dropped, and that ends where it began: nothing else is lost, and nobody
//! aborts.

mod support;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use support::{Census, Counted, block_on_foreign, runtime, watchdog, without_panic_messages};
use tress::task::{Lazy, lazy, yield_now};

/// A payload with an opinion.
struct Payload(Option<Counted>);

impl Drop for Payload {
    fn drop(&mut self) {
        if self.0.take().is_some() {
            panic_any("expected: of a payload");
        }
    }
}

/// Is pending for ever, and panics when it is dropped, also while something else does.
struct PanicsInDrop(Census);

impl Future for PanicsInDrop {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new(Payload(Some(self.0.count()))));
    }
}

/// Takes what is caught, so that its drop does no harm.
fn disarm(payload: Box<dyn std::any::Any + Send>) {
    if let Ok(mut payload) = payload.downcast::<Payload>() {
        payload.0 = None;
    }
}

/// Of the last of so many frames, the drop panics.
fn chain(depth: usize, census: &Census) -> Lazy<'static, ()> {
    let last = lazy(PanicsInDrop(census.clone()));
    (0..depth).fold(last, |below, _| {
        let counted = census.count();
        lazy(async move {
            let _counted = counted;
            below.await;
        })
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Panics,
    IsReady,
    IsAborted,
}

/// Has two such chains, which are dropped one after the other.
async fn two_chains(depth: usize, fate: Fate, census: Census) {
    let mut one = pin!(chain(depth, &census));
    let mut two = pin!(chain(depth, &census));
    for _ in 0..3 {
        assert!(futures_util::poll!(one.as_mut()).is_pending());
        assert!(futures_util::poll!(two.as_mut()).is_pending());
        yield_now().await;
    }
    match fate {
        Fate::Panics => panic!("expected: with frames below"),
        Fate::IsReady => {}
        Fate::IsAborted => std::future::pending().await,
    }
}

/// By a panic, by the end of the future that they lie in, and with their task.
#[test]
fn wherever_frames_are_dropped() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    without_panic_messages(|| {
        for depth in [0, 1, 5] {
            for fate in [Fate::Panics, Fate::IsReady, Fate::IsAborted] {
                let task = runtime.spawn(two_chains(depth, fate, census.clone()));
                if fate == Fate::IsAborted {
                    std::thread::sleep(std::time::Duration::from_millis(2));
                    task.abort();
                }
                match block_on_foreign(task) {
                    Err(error) if error.is_panic() => disarm(error.into_panic()),
                    // Aborted before it was polled.
                    ended => assert!(fate == Fate::IsAborted && ended.unwrap_err().is_aborted()),
                }
                let future = two_chains(depth, fate, census.clone());
                let future = async {
                    let mut future = pin!(future);
                    for _ in 0..10 {
                        if futures_util::poll!(future.as_mut()).is_ready() {
                            break;
                        }
                        yield_now().await;
                    }
                };
                disarm(catch_unwind(AssertUnwindSafe(|| runtime.block_on(future))).unwrap_err());
            }
        }
    });
    drop(runtime);
    census.wait_until_empty();
}
