//! A worker calls wakers of others between its tasks' polls: what these poll must not find a budget that a task has spent.

mod support;

use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use support::watchdog;
use tress::Builder;
use tress::task::coop;

/// Makes progress so often as no task could in one poll, as an executor that runs in its wakers might.
struct Runs(mpsc::Sender<bool>);

impl Wake for Runs {
    fn wake(self: Arc<Self>) {
        let mut cx = Context::from_waker(Waker::noop());
        let mut proceed = || match coop::poll_proceed(&mut cx) {
            Poll::Ready(unit) => {
                unit.made_progress();
                true
            }
            Poll::Pending => false,
        };
        self.0.send((0..10_000).all(|_| proceed())).unwrap();
    }
}

#[test]
fn between_polls_there_is_none() {
    let _watchdog = watchdog();
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let (send, receive) = mpsc::channel();
    for _ in 0..20 {
        // Made on the worker, so that its own timers fire it.
        let _guard = runtime.enter();
        let mut sleep = Box::pin(tress::time::sleep(Duration::from_millis(5)));
        let waker = Waker::from(Arc::new(Runs(send.clone())));
        assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(runtime.spawn(async {
            while coop::has_budget_remaining() {
                std::future::poll_fn(|cx| coop::poll_proceed(cx).map(|unit| unit.made_progress())).await;
            }
        }));
        assert!(receive.recv_timeout(Duration::from_secs(60)).unwrap(), "the waker was limited");
    }
}
