//! A stop reaches everybody who waits for what is stopped, by whatever detour, and nobody else.

mod leaves;
mod support;

use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::select;
use futures_util::stream::{FuturesUnordered, StreamExt};
use leaves::{Flag, Gate, Tally, poll_once};
use support::{Census, block_on_foreign, runtime, wait_until, watchdog};
use tress::env;
use tress::net::{TcpListener, TcpStream, lookup_host};
use tress::stop::{self, Outcome, StopSource, StopToken, stopped};
use tress::task::{Lazy, lazy, yield_now};
use tress::time::sleep;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);

fn until<F: Future>(token: StopToken, future: F) -> impl Future<Output = F::Output> {
    env::scope().stop(token).run(future)
}

/// A token that was asked to stop before.
fn requested() -> StopToken {
    let source = StopSource::new();
    source.request_stop();
    source.token()
}

#[test]
fn a_farewell_after_a_lost_select_is_said() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    for (framed, stop_first) in [(false, false), (false, true), (true, false), (true, true)] {
        let source = StopSource::new();
        let task = runtime.spawn(until(source.token(), async move {
            let token = env::current().stop_token();
            let told = pin!(token.stop_requested());
            let work: Pin<Box<dyn Future<Output = ()> + Send>> =
                if framed { Box::pin(lazy(sleep(LONG))) } else { Box::pin(sleep(LONG)) };
            if stop_first {
                select(told, work).await;
            } else {
                select(work, told).await;
            }
            env::shield(sleep(SHORT)).await;
            "good bye"
        }));
        source.request_stop();
        assert_eq!(runtime.block_on(task).unwrap(), "good bye");
    }
}

#[test]
fn who_has_lost_a_select_is_no_reason_to_stop_later() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let stop_here = || async { match stopped().await {} };
    for which in 0..5 {
        let task = runtime.spawn(async move {
            let mut won = ready(()).fuse();
            let mut loses: Pin<Box<dyn Future<Output = ()> + Send>> = match which {
                0 => Box::pin(stop_here()),
                1 => Box::pin(async move { lazy(stop_here()).await }),
                2 => Box::pin(until(requested(), sleep(LONG))),
                3 => Box::pin(until(requested(), lazy(sleep(LONG)))),
                _ => Box::pin(until(requested(), async { sleep(LONG).await })),
            };
            let mut lost = poll_fn(|cx| loses.as_mut().poll(cx)).fuse();
            tress::select_biased! {
                () = lost => unreachable!("it is stopped"),
                () = won => {}
            }
            yield_now().await;
            let mut kept = pin!(lazy(stop_here()));
            assert_eq!(poll_once(kept.as_mut()).await, Poll::<()>::Pending);
            sleep(SHORT).await;
            7
        });
        assert_eq!(runtime.block_on(task).unwrap(), 7);
    }
}

#[test]
fn who_shares_a_lazy_goes_on_when_another_is_stopped() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let shared = lazy(async {
        sleep(SHORT).await;
        7
    })
    .shared();
    let one = runtime.spawn(stop::outcome(until(requested(), shared.clone())));
    assert_eq!(runtime.block_on(one).unwrap(), Outcome::Stopped);
    assert_eq!(runtime.block_on(runtime.spawn(shared)).unwrap(), 7);
}

#[test]
fn who_shares_a_lazy_that_another_drives_is_stopped() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let polls = Tally::default();
    let shared = lazy(polls.clone().polls(sleep(LONG))).shared();
    let drives = runtime.spawn(shared.clone());
    wait_until(|| polls.count() > 0, "it is driven");
    let source = StopSource::new();
    let waits = Tally::default();
    let task = runtime.spawn(stop::outcome(until(source.token(), waits.clone().polls(shared))));
    wait_until(|| waits.count() > 0, "it waits");
    source.request_stop();
    assert_eq!(runtime.block_on(task).unwrap(), Outcome::Stopped);
    drives.abort();
}

#[test]
fn one_of_many_that_is_stopped_stops_who_waits_for_the_rest() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let source = StopSource::new();
    let token = source.token();
    let task = runtime.spawn(until(token, async move {
        let gate = Gate::default();
        let mut set = FuturesUnordered::<Pin<Box<dyn Future<Output = u32> + Send>>>::new();
        set.push(Box::pin(sleep(LONG).map(|()| 1)));
        set.push(Box::pin(gate.passed().map(|()| 2)));
        assert!(poll_once(pin!(set.next())).await.is_pending());
        source.request_stop();
        gate.open();
        let mut got = Vec::new();
        while let Outcome::Value(next) = stop::outcome(set.next()).await {
            got.push(next);
        }
        got
    }));
    assert_eq!(runtime.block_on(task).unwrap(), [Some(2)]);
}

#[test]
fn a_dump_stops_nobody() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let polls = Tally::default();
    let task = runtime.spawn(polls.clone().polls(sleep(Duration::from_millis(50))));
    wait_until(|| polls.count() > 0, "it waits");
    runtime.block_on(until(requested(), async { drop(tress::trace::dump(runtime.handle())) }));
    assert!(polls.count() > 1, "it was looked at");
    assert!(runtime.block_on(task).is_ok());
}

/// Starts an operation when it is dropped.
struct PollsInDrop;

impl Drop for PollsInDrop {
    fn drop(&mut self) {
        assert!(sleep(LONG).now_or_never().is_none());
    }
}

#[test]
fn what_is_stopped_in_a_drop_goes_no_further_than_the_outcome() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let task = runtime.spawn(async {
        let stopped = stop::outcome(until(requested(), async {
            let _polls = PollsInDrop;
            sleep(LONG).await;
        }));
        assert_eq!(stopped.await, Outcome::Stopped);
        yield_now().await;
        let source = StopSource::new();
        {
            let mut dropped = pin!(stop::outcome(until(source.token(), async {
                let _polls = PollsInDrop;
                pending::<()>().await;
            })));
            assert!(poll_once(dropped.as_mut()).await.is_pending());
            source.request_stop();
        }
        yield_now().await;
        7
    });
    assert_eq!(runtime.block_on(task).unwrap(), 7);
}

#[test]
fn a_kept_environment_is_stopped_and_does_not_spin_when_its_scope_is_over() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let (source, polls) = (StopSource::new(), Tally::default());
    let kept = runtime.block_on(until(source.token(), async { env::current() }));
    let task = runtime.spawn(stop::outcome(kept.clone().run(polls.clone().polls(sleep(SHORT)))));
    assert_eq!(runtime.block_on(task).unwrap(), Outcome::Value(()));
    assert!(polls.count() < 10, "{} polls", polls.count());

    let polls = Tally::default();
    let task = runtime.spawn(stop::outcome(kept.run(polls.clone().polls(sleep(LONG)))));
    wait_until(|| polls.count() > 0, "it waits");
    source.request_stop();
    assert_eq!(runtime.block_on(task).unwrap(), Outcome::Stopped);
}

#[test]
fn a_frame_that_outlives_its_scope_is_stopped_and_does_not_spin() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    for stops in [false, true] {
        let (source, polls, gate) = (StopSource::new(), Tally::default(), Gate::default());
        let (token, counted, opens) = (source.token(), polls.clone(), gate.clone());
        let task = runtime.spawn(async move {
            let mut frame = pin!(lazy(async move {
                gate.passed().await;
                counted.polls(sleep(if stops { LONG } else { SHORT })).await;
            }));
            until(token, async { assert!(poll_once(frame.as_mut()).await.is_pending()) }).await;
            opens.open();
            frame.await;
        });
        wait_until(|| polls.count() > 0, "the frame waits");
        if stops {
            source.request_stop();
            assert!(runtime.block_on(task).unwrap_err().is_stopped());
        } else {
            runtime.block_on(task).unwrap();
            assert!(polls.count() < 10, "{} polls", polls.count());
        }
    }
}

#[test]
fn a_frame_that_was_begun_outside_is_stopped_with_who_awaits_it() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let (source, polls) = (StopSource::new(), Tally::default());
    let (token, counted) = (source.token(), polls.clone());
    let task = runtime.spawn(async move {
        let mut frame = pin!(lazy(sleep(LONG)));
        assert!(poll_once(frame.as_mut()).await.is_pending());
        stop::outcome(until(token, counted.polls(frame))).await
    });
    wait_until(|| polls.count() > 0, "it waits");
    source.request_stop();
    assert_eq!(runtime.block_on(task).unwrap(), Outcome::Stopped);
}

#[test]
fn frames_that_have_become_islands_let_go_of_their_environment() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let census = Census::default();
    let (counted, gate) = (Mutex::new(census.count()), Gate::default());
    let task = runtime.spawn(env::scope().value(counted).run(async move {
        let mut frame: Pin<&mut Lazy<'static, ()>> = pin!(lazy(lazy(lazy(gate.passed()))));
        assert!(poll_once(frame.as_mut()).await.is_pending());
        gate.open();
        let waker = Arc::new(Flag::default()).waker();
        assert!(frame.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    }));
    runtime.block_on(task).unwrap();
    census.wait_until_empty();
}

/// Takes a lock when it is woken.
struct Locking(Arc<Mutex<()>>, AtomicBool);

impl Wake for Locking {
    fn wake(self: Arc<Self>) {
        self.1.store(true, Ordering::SeqCst);
        drop(self.0.lock().unwrap());
    }
}

#[test]
fn a_scope_is_dropped_without_waiting_for_wakers() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let lock = Arc::new(Mutex::new(()));
    let waker = Arc::new(Locking(lock.clone(), AtomicBool::new(false)));
    let source = StopSource::new();
    let (tell, told) = mpsc::channel();
    let (handle, token) = (runtime.handle().clone(), source.token());
    thread::spawn(move || {
        let _entered = handle.enter();
        let mut waiting = Box::pin(until(token, sleep(LONG)));
        let by_lock = Waker::from(waker.clone());
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&by_lock)).is_pending());
        let guard = lock.lock().unwrap();
        let stopper = thread::spawn(move || source.request_stop());
        wait_until(|| waker.1.load(Ordering::SeqCst), "the waker is woken");
        // As a combinator that drops a child under the lock which its wakers take.
        drop(waiting);
        drop(guard);
        tell.send(stopper.join().unwrap()).unwrap();
    });
    assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(true), "it waits for its own lock");
}

#[test]
fn an_outcome_may_be_awaited_in_a_threads_last_destructors() {
    struct AtExit(Option<mpsc::Sender<Outcome<u32>>>);
    impl Drop for AtExit {
        fn drop(&mut self) {
            let outcome = block_on_foreign(stop::outcome(async { match stopped().await {} }));
            if let Some(tell) = &self.0 {
                tell.send(outcome).unwrap();
            }
        }
    }
    std::thread_local! { static AT_EXIT: std::cell::RefCell<AtExit> = const { std::cell::RefCell::new(AtExit(None)) } }
    let _watchdog = watchdog();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        AT_EXIT.with_borrow_mut(|at_exit| at_exit.0 = Some(tell));
        let outcome: Outcome<u32> = block_on_foreign(stop::outcome(async { match stopped().await {} }));
        assert_eq!(outcome, Outcome::Stopped);
    })
    .join()
    .unwrap();
    assert_eq!(told.recv().unwrap(), Outcome::Stopped);
}

#[test]
fn a_loop_that_catches_stops_lets_others_run() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let task = runtime.spawn(until(requested(), async {
        let ran = Arc::new(AtomicBool::new(false));
        let flag = ran.clone();
        tress::spawn(async move { flag.store(true, Ordering::SeqCst) });
        while !ran.load(Ordering::SeqCst) {
            assert_eq!(stop::outcome(sleep(LONG)).await, Outcome::Stopped);
        }
    }));
    runtime.block_on(task).unwrap();
}

#[test]
fn what_is_stopped_before_it_begins_asks_the_system_for_nothing() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    runtime.block_on(until(requested(), async {
        assert!(stop::outcome(TcpStream::connect(address)).await.is_stopped());
        assert!(stop::outcome(TcpStream::connect(("localhost", address.port()))).await.is_stopped());
        assert!(stop::outcome(TcpListener::bind("127.0.0.1:0")).await.is_stopped());
        assert!(stop::outcome(lookup_host("localhost:80")).await.is_stopped());
    }));
    // One that is made now is the first to arrive.
    let first = std::net::TcpStream::connect(address).unwrap();
    assert_eq!(listener.accept().unwrap().1, first.local_addr().unwrap());
}

#[test]
fn what_begins_while_a_stop_is_told_from_a_lost_select_is_polled() {
    /// More frames below each other than are polled for the first time in one go.
    fn chain(depth: usize) -> Lazy<'static, usize> {
        lazy(async move { if depth == 0 { 0 } else { chain(depth - 1).await + 1 } })
    }
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let task = runtime.spawn(async {
        {
            let mut lost = pin!(stopped());
            assert!(poll_once(lost.as_mut()).await.is_pending());
        }
        // Ready in the next poll, which is made to see whether the stop holds.
        yield_now().await;
        chain(100_000).await
    });
    assert_eq!(runtime.block_on(task).unwrap(), 100_000);
}
