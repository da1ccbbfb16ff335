//! Lanes: what is in a higher one runs first, a lower one does not wait for ever, and nothing is lost.

mod support;

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use support::{Census, EXPECTED, Pend, runtime, stress, wait_until, watchdog, without_panic_messages};
use tress::executor::{self, AnyExecutor, Executor, Inline, Lane, Prioritized, launch};
use tress::sync::{Notify, oneshot};
use tress::task::{self, block_in_place, yield_now};
use tress::{Handle, Runtime};

/// What ran, in its order: lane and number.
type Log = Arc<Mutex<Vec<(usize, usize)>>>;

/// Keeps the only worker until what is returned is dropped.
fn hold(runtime: &Runtime) -> impl Sized + use<> {
    let (held, is_held) = mpsc::channel::<()>();
    let (release, released) = mpsc::channel::<()>();
    runtime.spawn(async move {
        held.send(()).unwrap();
        let _ = released.recv();
    });
    is_held.recv().unwrap();
    release
}

/// Queues so many tasks on each lane, which enter themselves in the log.
fn queue(lanes: &Prioritized, counts: &[usize]) -> (Log, Vec<task::JoinHandle<()>>) {
    let log = Log::default();
    let mut tasks = Vec::new();
    // The lowest first: the order is not that of the posts.
    for (lane, &count) in counts.iter().enumerate().rev() {
        for number in 0..count {
            let log = log.clone();
            let task = async move { log.lock().unwrap().push((lane, number)) };
            tasks.push(launch(lanes.lane(lane)).spawn(task));
        }
    }
    (log, tasks)
}

fn join(tasks: Vec<task::JoinHandle<()>>) {
    for task in tasks {
        launch(Inline).block_on(async { wait_for(task).await }).unwrap();
    }
}

async fn wait_for(task: task::JoinHandle<()>) {
    task.await.unwrap();
}

/// The order that is documented.
fn documented(counts: &[usize]) -> Vec<(usize, usize)> {
    let mut next = vec![0; counts.len()];
    let total: usize = counts.iter().sum();
    let mut order = Vec::new();
    for pick in 1..=total {
        let own = |lane: &usize| pick % 8_usize.pow(*lane as u32) == 8_usize.pow(*lane as u32) / 2;
        let first = (1..counts.len()).find(own).unwrap_or(0);
        let lane =
            std::iter::once(first).chain(0..counts.len()).find(|&lane| next[lane] < counts[lane]).unwrap();
        order.push((lane, next[lane]));
        next[lane] += 1;
    }
    order
}

#[test]
fn the_higher_lane_first_in_the_documented_order() {
    let _watchdog = watchdog();
    for counts in [&[3, 3, 3][..], &[100, 100, 100], &[0, 40, 200], &[700, 20, 5], &[1000], &[90, 2, 2, 2, 9]]
    {
        let runtime = runtime(1);
        let lanes = Prioritized::with_lanes(runtime.handle().clone(), counts.len());
        let held = hold(&runtime);
        let (log, tasks) = queue(&lanes, counts);
        drop(held);
        join(tasks);
        assert_eq!(*log.lock().unwrap(), documented(counts), "{counts:?}");
    }
}

#[test]
fn a_lower_lane_waits_no_longer_than_is_documented() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let lanes = Prioritized::new(runtime.handle().clone());
    let (picks, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let held = hold(&runtime);
    let endless: Vec<_> = (0..50)
        .map(|_| {
            let (picks, is_over) = (picks.clone(), is_over.clone());
            launch(lanes.high()).spawn(async move {
                while !is_over.load(Ordering::SeqCst) {
                    picks.fetch_add(1, Ordering::SeqCst);
                    yield_now().await;
                }
            })
        })
        .collect();
    let (done, ended) = mpsc::channel();
    for (lane, count) in [(1, 30), (2, 10)] {
        for number in 1..=count {
            let (picks, done) = (picks.clone(), done.clone());
            launch(lanes.lane(lane)).detach(async move {
                done.send((lane, number, picks.fetch_add(1, Ordering::SeqCst) + 1)).unwrap();
            });
        }
    }
    drop(held);
    for _ in 0..40 {
        let (lane, number, pick) = ended.recv().unwrap();
        assert!(pick <= number * 8_usize.pow(lane as u32), "number {number} of lane {lane} is pick {pick}");
    }
    is_over.store(true, Ordering::SeqCst);
    join(endless);
}

#[test]
fn what_yields_or_is_woken_goes_to_the_back_of_its_lane() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let lanes = Prioritized::with_lanes(runtime.handle().clone(), 1);
    let log = Log::default();
    let held = hold(&runtime);
    let tasks: Vec<_> = (0..3)
        .map(|task| {
            let log = log.clone();
            launch(lanes.high()).spawn(async move {
                for turn in 0..100 {
                    log.lock().unwrap().push((turn, task));
                    if turn % 2 == 0 { yield_now().await } else { Pend(1).await }
                }
            })
        })
        .collect();
    drop(held);
    join(tasks);
    let expected: Vec<_> = (0..100).flat_map(|turn| (0..3).map(move |task| (turn, task))).collect();
    assert_eq!(*log.lock().unwrap(), expected);
}

#[test]
fn other_tasks_have_their_turn_beside_busy_lanes() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let lanes = Prioritized::new(runtime.handle().clone());
    let is_over = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..20)
        .map(|_| {
            let is_over = is_over.clone();
            launch(lanes.high()).spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    yield_now().await;
                }
            })
        })
        .collect();
    let handle = runtime.handle().clone();
    let plain = launch(handle.clone()).spawn(async {
        for _ in 0..100 {
            yield_now().await;
        }
    });
    join(vec![plain]);
    is_over.store(true, Ordering::Relaxed);
    join(busy);
}

#[test]
fn equal_if_it_is_the_same_lane() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (one, two) = (Prioritized::new(runtime.handle().clone()), Prioritized::new(runtime.handle().clone()));
    let all = [one.high(), one.normal(), one.low(), two.high(), two.normal(), two.low()];
    for (i, a) in all.iter().enumerate() {
        for (j, b) in all.iter().enumerate() {
            assert_eq!(a == b, i == j, "{a:?} {b:?}");
            assert_eq!(AnyExecutor::new(a.clone()) == AnyExecutor::new(b.clone()), i == j);
        }
        assert_eq!(a.index(), i % 3);
        assert_eq!(a.runtime(), Some(runtime.handle()));
        assert!(!a.is_current());
    }
    assert_eq!(one.clone().lane(2), one.low());
    assert!(size_of::<Lane>() <= 2 * size_of::<usize>());
    let four = Prioritized::with_lanes(runtime.handle().clone(), 4);
    assert_eq!((four.lanes(), four.normal().index(), four.low().index()), (4, 2, 3));
    let panics = |f: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err();
    without_panic_messages(|| {
        assert!(panics(&|| drop(Prioritized::with_lanes(runtime.handle().clone(), 0))));
        assert!(panics(&|| drop(Prioritized::with_lanes(runtime.handle().clone(), 9))));
        assert!(panics(&|| drop(four.lane(4))));
    });
}

#[test]
fn current_while_a_task_of_the_lane_runs() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let lanes = Prioritized::new(runtime.handle().clone());
    let (high, low, handle) = (lanes.high(), lanes.low(), runtime.handle().clone());
    let task = launch(high.clone()).spawn(async move {
        for _ in 0..100 {
            assert!(high.is_current() && !low.is_current() && handle.is_current());
            yield_now().await;
        }
        assert_eq!(executor::current(), Some(AnyExecutor::new(high.clone())));
        // What it spawns stays in the lane.
        let inner = high.clone();
        let is_current = tress::spawn(async move { inner.is_current() });
        assert!(is_current.await.unwrap());
        // The runtime's own tasks are in none.
        let (inner, outer) = (high.clone(), low.clone());
        let plain = handle.spawn(async move { inner.is_current() || outer.is_current() });
        assert!(!plain.await.unwrap());
        block_in_place(|| {
            assert!(!high.is_current());
            let (inner, nested) = (high.clone(), low.clone());
            handle.block_on(async move {
                assert!(!inner.is_current());
                let task =
                    launch(nested.clone()).spawn(async move { nested.is_current() && !inner.is_current() });
                assert!(task.await.unwrap());
            });
            assert!(!high.is_current());
        });
        assert!(high.is_current() && !low.is_current());
    });
    join(vec![task]);
    assert!(!lanes.high().is_current());
}

#[test]
fn a_task_that_blocks_in_place_can_wait_for_others_of_its_lane() {
    let _watchdog = watchdog();
    /// Waits for a task that waits, on its own thread, for the next one.
    fn nest(handle: &Handle, lane: &Lane, depth: usize) -> usize {
        if depth == 0 {
            return 0;
        }
        handle.block_on(async {
            let (inner, next) = (handle.clone(), lane.clone());
            let task =
                launch(lane.clone()).spawn(async move { block_in_place(|| nest(&inner, &next, depth - 1)) });
            task.await.unwrap() + 1
        })
    }
    let runtime = runtime(1);
    let lanes = Prioritized::new(runtime.handle().clone());
    assert_eq!(nest(runtime.handle(), &lanes.low(), 5), 5);
}

#[test]
fn a_stuck_task_holds_up_no_other() {
    let _watchdog = watchdog();
    for _ in 0..20 {
        let runtime = runtime(2);
        let lanes = Prioritized::new(runtime.handle().clone());
        let (release, released) = mpsc::channel::<()>();
        let stuck = launch(lanes.high()).spawn(async move { released.recv().unwrap() });
        let others: Vec<_> =
            (0..100).map(|i| launch(lanes.lane(i % 3)).spawn(async { Pend(3).await })).collect();
        join(others);
        assert!(!stuck.is_finished());
        release.send(()).unwrap();
        join(vec![stuck]);
    }
}

#[test]
fn a_panic_stays_in_its_task() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let lanes = Prioritized::new(runtime.handle().clone());
    without_panic_messages(|| {
        for _ in 0..100 {
            let panics = launch(lanes.high()).spawn(async { panic!("{EXPECTED}") });
            let fine = launch(lanes.high()).spawn(async {});
            assert!(runtime.block_on(panics).unwrap_err().is_panic());
            runtime.block_on(fine).unwrap();
        }
    });
}

#[test]
fn dumps_list_them_and_a_shutdown_drops_them() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let lanes = Prioritized::new(runtime.handle().clone());
    let census = Census::default();
    let spawn = |lane: Lane, name: &str| {
        let counted = census.count();
        launch(lane).name(name).spawn(async move {
            let _counted = counted;
            pending::<()>().await;
        })
    };
    let mut tasks: Vec<_> = (0..3).map(|lane| spawn(lanes.lane(lane), "parked")).collect();
    join(vec![launch(lanes.low()).spawn(async {})]);
    let held = hold(&runtime);
    tasks.extend((0..100).map(|i| spawn(lanes.lane(i % 3), "queued")));
    let dump = {
        let handle = runtime.handle().clone();
        let dump = thread::spawn(move || tress::trace::dump(&handle));
        thread::sleep(Duration::from_millis(50));
        drop(held);
        dump.join().unwrap()
    };
    let count = |name: &str| dump.tasks.iter().filter(|task| task.name.as_deref() == Some(name)).count();
    assert_eq!((count("parked"), count("queued")), (3, 100), "{dump}");
    // Queued once more, in part behind a worker that is held until the runtime ends.
    let held = hold(&runtime);
    tasks.extend((0..100).map(|i| spawn(lanes.lane(i % 3), "late")));
    let ending = thread::spawn(move || drop(runtime));
    thread::sleep(Duration::from_millis(20));
    drop(held);
    ending.join().unwrap();
    assert_eq!((census.made(), census.alive()), (203, 0));
    for task in tasks {
        assert!(launch(Inline).block_on(task).unwrap().unwrap_err().is_aborted());
    }
    // What comes later is refused, or dropped.
    let late = launch(lanes.high()).spawn(async {});
    assert!(launch(Inline).block_on(late).unwrap().unwrap_err().is_refused());
}

/// An executor that keeps what it is given.
#[derive(Clone, Default)]
struct Keeping(Arc<Mutex<Vec<executor::Runnable>>>);

impl PartialEq for Keeping {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Keeping {}

impl Executor for Keeping {
    fn post(&self, runnable: executor::Runnable) {
        self.0.lock().unwrap().push(runnable);
    }

    fn is_current(&self) -> bool {
        false
    }
}

#[test]
fn what_is_posted_after_the_shutdown_is_dropped() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let lanes = Prioritized::new(runtime.handle().clone());
    let (census, keeping) = (Census::default(), Keeping::default());
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let counted = census.count();
            launch(keeping.clone()).spawn(async move { drop(counted) })
        })
        .collect();
    drop(runtime);
    for (i, runnable) in keeping.0.lock().unwrap().drain(..).enumerate() {
        let lane = lanes.lane(i % 3);
        if i % 2 == 0 { lane.post(runnable) } else { lane.defer(runnable) }
    }
    assert_eq!(census.alive(), 0);
    for task in tasks {
        assert!(launch(Inline).block_on(task).unwrap().unwrap_err().is_aborted());
    }
}

#[test]
fn a_long_chain_is_dropped_flat() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let lanes = Prioritized::new(runtime.handle().clone());
    let census = Census::default();
    // Each waits for the one before it: its drop wakes the next one.
    let (first, mut last) = oneshot::channel::<()>();
    for i in 0..20_000 {
        let (tx, rx) = oneshot::channel::<()>();
        let (link, counted) = (last, census.count());
        last = rx;
        launch(lanes.lane(i % 3)).detach(async move {
            let _counted = (counted, tx);
            let _ = link.await;
            pending::<()>().await;
        });
    }
    join(vec![launch(lanes.low()).spawn(async {})]);
    let ending = move || drop((runtime, first, last));
    thread::Builder::new().stack_size(128 * 1024).spawn(ending).unwrap().join().unwrap();
    census.wait_until_empty();
}

#[test]
fn each_of_many_posts_is_run_once() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let lanes = Prioritized::new(runtime.handle().clone());
        let (census, ran) = (Census::default(), Arc::new(AtomicUsize::new(0)));
        let producers: Vec<_> = (0..4)
            .map(|_| {
                let (lanes, census, ran, mut random) =
                    (lanes.clone(), census.clone(), ran.clone(), random.fork());
                thread::spawn(move || {
                    for _ in 0..500 {
                        let (counted, ran, turns) = (census.count(), ran.clone(), random.below(4));
                        launch(lanes.lane(random.below(3))).detach(async move {
                            let _counted = counted;
                            for turn in 0..turns {
                                if turn % 2 == 0 {
                                    yield_now().await
                                } else {
                                    tress::spawn(Pend(1)).await.unwrap()
                                }
                            }
                            ran.fetch_add(1, Ordering::SeqCst);
                        });
                    }
                })
            })
            .collect();
        for producer in producers {
            producer.join().unwrap();
        }
        wait_until(|| ran.load(Ordering::SeqCst) == 2000, "not everything was run");
        census.wait_until_empty();
    });
}

#[test]
fn wakes_while_the_runtime_ends_lose_nothing() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let lanes = Prioritized::new(runtime.handle().clone());
        let census = Census::default();
        let notify = Arc::new(Notify::new());
        let mut senders = Vec::new();
        for i in 0..200 {
            let (tx, rx) = oneshot::channel::<()>();
            let (counted, notify) = (census.count(), notify.clone());
            senders.push(tx);
            launch(lanes.lane(i % 3)).detach(async move {
                let _counted = counted;
                let _ = rx.await;
                notify.notify_waiters();
                notify.notified().await;
            });
        }
        let barrier = Arc::new(Barrier::new(3));
        let mut wakers = Vec::new();
        for _ in 0..2 {
            let own = senders.split_off(senders.len() / 2);
            let (barrier, delay) = (barrier.clone(), random.below(50));
            wakers.push(thread::spawn(move || {
                barrier.wait();
                support::burn(Duration::from_micros(delay as u64));
                for tx in own {
                    let _ = tx.send(());
                }
            }));
        }
        barrier.wait();
        support::burn(Duration::from_micros(random.below(100) as u64));
        drop(runtime);
        for waker in wakers {
            waker.join().unwrap();
        }
        census.wait_until_empty();
        drop((senders, lanes));
    });
}
