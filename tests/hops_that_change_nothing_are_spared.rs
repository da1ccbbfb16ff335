//! A hop to where the code is already is not made: what is awaited so is polled at once, and the metrics count it as spared; each other one is
//! made, and counted.

mod support;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use support::{Random, runtime, stress, watchdog};
use tress::executor::{self, AnyExecutor, Executor, Inline, Prioritized, hop_to, launch, run_on};
use tress::sync::oneshot;
use tress::task::{lazy, yield_now};
use tress::time::sleep;
use tress::{Handle, Runtime};

/// Two runtimes, and their handles.
fn pair() -> ([Runtime; 2], Handle, Handle) {
    let runtimes = [runtime(1), runtime(1)];
    let (home, there) = (runtimes[0].handle().clone(), runtimes[1].handle().clone());
    (runtimes, home, there)
}

/// How many hops were made on a runtime, and how many were spared.
fn hops(handle: &Handle) -> (u64, u64) {
    let metrics = handle.metrics();
    (metrics.executor_hops(), metrics.executor_hops_spared())
}

/// Polls a future for the first time, in which it has to be ready.
async fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it is not ready in its first poll"),
    }
}

#[test]
fn no_hop_where_the_code_is_already() {
    let _watchdog = watchdog();
    let ([runtime, _other], home, there) = pair();
    let elsewhere = there.clone();
    let task = runtime.spawn(async move {
        let polls = Arc::new(AtomicUsize::new(0));
        let count = polls.clone();
        let seven = run_on(home.clone(), async move {
            count.fetch_add(1, Ordering::SeqCst);
            7
        });
        assert_eq!((at_once(seven).await, polls.load(Ordering::SeqCst)), (7, 1));
        // Nested in one that is there.
        run_on(there.clone(), async { at_once(run_on(there.clone(), async {})).await }).await;
    });
    runtime.block_on(task).unwrap();
    assert_eq!((hops(runtime.handle()), hops(&elsewhere)), ((1, 1), (0, 1)));
}

#[test]
fn it_is_the_place_that_counts_and_not_the_type() {
    let _watchdog = watchdog();
    let ([runtime, _other], home, _there) = pair();
    let lanes = Prioritized::new(home.clone());
    let task = launch(lanes.high()).spawn(async move {
        at_once(run_on(lanes.high(), async {})).await;
        at_once(run_on(AnyExecutor::new(lanes.high()), async {})).await;
        at_once(run_on(Inline, async {})).await;
        // A lane is on the workers of its runtime.
        at_once(run_on(home.clone(), async {})).await;
        assert_eq!(hops(&home), (0, 4));
        // Another lane has another turn.
        run_on(lanes.low(), async {
            assert_eq!(hops(&home), (1, 4));
            at_once(run_on(lanes.low(), async {})).await;
            run_on(lanes.high(), async {}).await;
        })
        .await;
        assert_eq!(hops(&home), (2, 5));
    });
    runtime.block_on(task).unwrap();
}

#[test]
fn no_move_where_it_is_already() {
    let _watchdog = watchdog();
    let ([runtime, _other], home, there) = pair();
    let elsewhere = there.clone();
    let task = runtime.spawn(async move {
        run_on(there.clone(), async {
            let former = at_once(hop_to(there.clone())).await;
            assert_eq!(former, Ok(AnyExecutor::new(there.clone())));
            assert_eq!(hops(&there), (0, 1));
            // To another one that is here, too, and back.
            assert_eq!(hop_to(Inline).await, Ok(AnyExecutor::new(there.clone())));
            assert_eq!(hop_to(there.clone()).await, Ok(AnyExecutor::new(Inline)));
            assert_eq!(hops(&there), (0, 3));
            hop_to(home.clone()).await.unwrap();
            assert_eq!(hops(&there), (1, 3));
        })
        .await;
    });
    runtime.block_on(task).unwrap();
    assert_eq!((hops(runtime.handle()), hops(&elsewhere)), ((1, 0), (1, 3)));
}

#[test]
fn a_million_ready_awaits_use_no_stack_and_no_hop() {
    let _watchdog = watchdog();
    let runtime = tress::Builder::new().worker_threads(1).thread_stack_size(128 << 10).build().unwrap();
    let lane = Prioritized::new(runtime.handle().clone()).high();
    let inner = lane.clone();
    let task = launch(lane).spawn(async move {
        let mut sum = 0_u64;
        for number in 0..1_000_000_u64 {
            sum += run_on(inner.clone(), async { number }).await;
        }
        sum
    });
    // By a thread that takes no part: the worker does it.
    assert_eq!(support::block_on_foreign(task).unwrap(), 499_999_500_000);
    assert_eq!(hops(runtime.handle()), (0, 1_000_000));
    let polls: u64 = runtime.handle().metrics().workers().iter().map(|worker| worker.polls).sum();
    assert!(polls < 100, "the worker has turned to something {polls} times");
}

/// A task that awaits what ends elsewhere is queued where it belongs, and goes nowhere.
#[test]
fn to_await_what_ends_elsewhere_is_no_hop() {
    let _watchdog = watchdog();
    let ([runtime, _other], home, there) = pair();
    let lane = Prioritized::new(home.clone()).normal();
    let (here, elsewhere) = (lane.clone(), there.clone());
    let task = launch(lane).spawn(async move {
        for _ in 0..20 {
            sleep(Duration::from_micros(50)).await;
            yield_now().await;
            there.spawn(yield_now()).await.unwrap();
            home.spawn_blocking(|| ()).await.unwrap();
            lazy(yield_now()).await;
            let (tx, rx) = oneshot::channel();
            let thread = thread::spawn(move || tx.send(()).unwrap());
            rx.await.unwrap();
            thread.join().unwrap();
            assert!(here.is_current());
        }
    });
    runtime.block_on(task).unwrap();
    assert_eq!((hops(runtime.handle()), hops(&elsewhere)), ((0, 0), (0, 0)));
}

type Walk<'a> = Pin<Box<dyn Future<Output = (u64, u64)> + Send + 'a>>;

/// Goes from place to place, for so many levels; says how many hops that takes, and how many it does not.
fn walk<'a>(places: &'a [Handle], here: usize, levels: usize, random: &'a mut Random) -> Walk<'a> {
    Box::pin(async move {
        let (mut made, mut spared) = (0, 0);
        let mut add = |is_spared: bool, (more_made, more_spared): (u64, u64)| {
            made += more_made + u64::from(!is_spared);
            spared += more_spared + u64::from(is_spared);
        };
        for _ in 0..random.below(4) {
            let to = random.below(places.len());
            if random.once_in(4) {
                run_on(Inline, async { assert!(places[here].is_current()) }).await;
                add(true, (0, 0));
            } else if levels > 0 {
                let inside = run_on(places[to].clone(), walk(places, to, levels - 1, random)).await;
                add(to == here, inside);
            } else {
                let moved = random.below(places.len());
                run_on(places[to].clone(), async {
                    hop_to(places[moved].clone()).await.unwrap();
                    assert!(places[moved].is_current());
                })
                .await;
                add(to == here, (0, 0));
                add(moved == to, (0, 0));
            }
            assert!(places[here].is_current());
            assert_eq!(executor::current(), Some(AnyExecutor::new(places[here].clone())));
            if random.once_in(2) {
                yield_now().await;
            }
        }
        (made, spared)
    })
}

#[test]
fn as_many_are_made_as_change_something() {
    let runtimes = [runtime(1), runtime(2), runtime(1)];
    let places: Vec<Handle> = runtimes.iter().map(|runtime| runtime.handle().clone()).collect();
    let all_hops = || {
        let sum =
            |(made, spared): (u64, u64), (more_made, more_spared)| (made + more_made, spared + more_spared);
        places.iter().map(hops).fold((0, 0), sum)
    };
    stress(|_, random| {
        let before = all_hops();
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let (places, mut random) = (places.clone(), random.fork());
                let home = number % places.len();
                runtimes[home].spawn(async move { walk(&places, home, 4, &mut random).await })
            })
            .collect();
        let (mut made, mut spared) = before;
        for task in tasks {
            let walked = runtimes[0].block_on(task).unwrap();
            made += walked.0;
            spared += walked.1;
        }
        assert_eq!(all_hops(), (made, spared));
    });
}
