//! Several `run_on` in one another and side by side: each has its turn, and none that is gone moves the task.

mod support;

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use support::{runtime, watchdog};
use tress::executor::{CurrentThread, Executor, Prioritized, launch, run_on};
use tress::future::FutureExt;
use tress::stop;
use tress::stream::{FuturesUnordered, StreamExt};
use tress::task::yield_now;
use tress::time::sleep;
use tress::{Handle, Runtime};

fn four() -> ([Runtime; 4], [Handle; 4]) {
    let runtimes = [runtime(1), runtime(1), runtime(1), runtime(1)];
    let handles = [0, 1, 2, 3].map(|place: usize| runtimes[place].handle().clone());
    (runtimes, handles)
}

#[test]
fn nested_outside_tasks() {
    let _watchdog = watchdog();
    let (runtimes, [_, a, b, c]) = four();
    let nested = || async {
        run_on(a.clone(), async {
            yield_now().await;
            let number = run_on(b.clone(), async {
                sleep(Duration::from_millis(2)).await;
                run_on(c.clone(), async {
                    sleep(Duration::from_millis(2)).await;
                    assert!(c.is_current());
                    5
                })
                .await
            })
            .await;
            assert!(a.is_current());
            number + 1
        })
        .await
    };
    assert_eq!(runtimes[0].block_on(nested()), 6);
    let local = CurrentThread::new();
    assert_eq!(local.run_until(nested()), 6);
    let (a, b) = (a.clone(), b.clone());
    let bound = local.spawn(async move {
        let stays = Rc::new(Cell::new(1));
        run_on(a, async { run_on(b, sleep(Duration::from_millis(2))).await }).await;
        stays.get()
    });
    assert_eq!(local.run_until(bound).unwrap(), 1);
}

#[test]
fn one_that_yields_holds_up_no_other() {
    let _watchdog = watchdog();
    let (runtimes, [home, o, i, j]) = four();
    let task = runtimes[0].spawn(async move {
        for _ in 0..20 {
            let flag = AtomicBool::new(false);
            run_on(o.clone(), async {
                tress::join!(
                    run_on(j.clone(), async { flag.store(true, Ordering::SeqCst) }),
                    run_on(i.clone(), async {
                        while !flag.load(Ordering::SeqCst) {
                            assert!(i.is_current());
                            yield_now().await;
                        }
                    })
                );
            })
            .await;
            assert!(home.is_current());
        }
    });
    runtimes[0].block_on(task).unwrap();
}

#[test]
fn one_that_begins_again_and_again_holds_up_no_other() {
    let _watchdog = watchdog();
    let (runtimes, [_, o, _, j]) = four();
    let task = runtimes[0].spawn(async move {
        run_on(o.clone(), async {
            let mut endless = pin!(
                async {
                    loop {
                        run_on(o.clone(), async {}).await;
                        yield_now().await;
                    }
                }
                .fuse()
            );
            let mut work = pin!(
                run_on(j.clone(), async {
                    for _ in 0..20 {
                        yield_now().await;
                    }
                })
                .fuse()
            );
            tress::select! {
                () = work => {}
                () = endless => unreachable!(),
            }
        })
        .await;
    });
    runtimes[0].block_on(task).unwrap();
}

#[test]
fn one_that_is_gone_moves_nobody() {
    let _watchdog = watchdog();
    let (runtimes, [home, there, ..]) = four();
    let task = runtimes[0].spawn(async move {
        let mut waker = None;
        {
            let mut gone = pin!(run_on(
                there.clone(),
                poll_fn(|cx| {
                    waker = Some(cx.waker().clone());
                    Poll::<()>::Pending
                })
            ));
            while gone.as_mut().now_or_never_once().await {
                yield_now().await;
                if there.is_current() {
                    break;
                }
            }
            // Until it has been polled there.
            let _ = tress::time::timeout(Duration::from_millis(5), gone).await;
        }
        let waker = waker.expect("it has been polled");
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(10));
            waker.wake();
        });
        // Each poll is at home, not only those in which something ends.
        let mut nap = pin!(sleep(Duration::from_millis(30)));
        poll_fn(|cx| {
            assert!(home.is_current());
            nap.as_mut().poll(cx)
        })
        .await;
        thread.join().unwrap();
    });
    runtimes[0].block_on(task).unwrap();
}

/// Polls once.
trait Once {
    async fn now_or_never_once(self) -> bool;
}

impl<F: Future> Once for std::pin::Pin<&mut F> {
    /// Whether it is pending.
    async fn now_or_never_once(mut self) -> bool {
        poll_fn(|cx| Poll::Ready(self.as_mut().poll(cx).is_pending())).await
    }
}

#[test]
fn what_waits_inside_an_item_of_a_lane_is_found_by_others() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let lane = Prioritized::new(runtime.handle().clone()).high();
    let inner = lane.clone();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let task = launch(lane).spawn(async move {
        let local = CurrentThread::new();
        let task = launch(local.executor()).spawn(async move {
            run_on(inner, async move {
                for _ in 0..10 {
                    counter.fetch_add(1, Ordering::SeqCst);
                    yield_now().await;
                }
            })
            .await;
        });
        // The item keeps its worker meanwhile.
        local.run_until(task).unwrap();
    });
    runtime.block_on(task).unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 10);
}

#[test]
fn stops_reach_those_inside() {
    let _watchdog = watchdog();
    let (runtimes, [home, a, b, _]) = four();
    let task = runtimes[0].spawn(async move {
        let outcome = stop::outcome(run_on(a, run_on(b, async { stop::stopped().await }))).await;
        assert!(home.is_current());
        outcome.is_stopped()
    });
    assert!(runtimes[0].block_on(task).unwrap());
}

/// Between two hops there may be something with wakers of its own, which polls a few at a time.
#[test]
fn hops_inside_one_under_other_wakers() {
    let _watchdog = watchdog();
    let (runtimes, handles) = four();
    let task = runtimes[0].spawn(async move {
        let [_home, a, b, c] = &handles;
        run_on(a.clone(), async {
            let inner: FuturesUnordered<_> = (0..30)
                .map(|number| {
                    let to = [a, b, c][number % 3];
                    run_on(to.clone(), async move {
                        for turn in 0..3 {
                            assert!(to.is_current());
                            match (number + turn) % 4 {
                                0 => sleep(Duration::from_micros(20)).await,
                                _ => yield_now().await,
                            }
                        }
                        assert!(to.is_current());
                        number
                    })
                })
                .collect();
            assert_eq!(inner.collect::<Vec<_>>().await.len(), 30);
            yield_now().await;
            assert!(a.is_current());
        })
        .await;
    });
    runtimes[0].block_on(task).unwrap();
}
