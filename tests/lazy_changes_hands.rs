//! A started lazy goes on wherever it is polled next: in another task, on another thread, runtime or executor, or on
//! several in turn; whoever polled it last is woken, and it is dropped where its owner drops it.

mod leaves;
mod support;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use leaves::{Flag, Gate, Tally, poll_once};
use support::{Census, Random, block_on_foreign, runtime, stress, wait_until, watchdog};
use tress::task::{Lazy, lazy, lazy_borrowed, yield_now};

type Boxed = Pin<Box<Lazy<'static, u64>>>;

/// A chain of frames above two gates, of which each level adds one.
fn chain(depth: usize, gates: [Gate; 2], census: &Census) -> Lazy<'static, u64> {
    let counted = census.count();
    let leaf = lazy(async move {
        let _counted = counted;
        let [first, second] = gates;
        first.passed().await;
        second.passed().await;
        0
    });
    (0..depth).fold(leaf, |below, _| {
        let counted = census.count();
        lazy(async move {
            let _counted = counted;
            below.await + 1
        })
    })
}

fn gates() -> [Gate; 2] {
    [Gate::default(), Gate::default()]
}

/// Where a lazy is polled.
#[derive(Clone, Copy, Debug)]
enum Place {
    Task,
    LazyOfTask,
    OtherRuntime,
    BlockOn,
    Foreign,
}

const PLACES: [Place; 5] =
    [Place::Task, Place::LazyOfTask, Place::OtherRuntime, Place::BlockOn, Place::Foreign];

struct Places {
    runtime: tress::Runtime,
    other: tress::Runtime,
}

impl Places {
    fn new() -> Self {
        Self { runtime: runtime(2), other: runtime(1) }
    }

    /// Runs a future in such a place, to its end.
    fn run<T: Send + 'static>(&self, place: Place, future: impl Future<Output = T> + Send + 'static) -> T {
        match place {
            Place::Task => self.runtime.block_on(self.runtime.spawn(future)).unwrap(),
            Place::LazyOfTask => {
                self.runtime.block_on(self.runtime.spawn(async { lazy(future).await })).unwrap()
            }
            Place::OtherRuntime => block_on_foreign(self.other.spawn(future)).unwrap(),
            Place::BlockOn => self.runtime.block_on(future),
            Place::Foreign => block_on_foreign(future),
        }
    }

    /// Polls once there, and gives the lazy back.
    fn start(&self, place: Place, mut boxed: Boxed) -> Boxed {
        let [boxed] = self.run(place, async move {
            assert!(poll_once(boxed.as_mut()).await.is_pending());
            [boxed]
        });
        boxed
    }
}

#[test]
fn from_any_place_to_any_other() {
    let _watchdog = watchdog();
    let (places, census) = (Places::new(), Census::default());
    for from in PLACES {
        for to in PLACES {
            for depth in [0, 1, 5, 40] {
                // Opened before it goes on, or only after the next one waits.
                for is_early in [true, false] {
                    let [first, second] = gates();
                    let boxed = Box::pin(chain(depth, [first.clone(), second.clone()], &census));
                    let boxed = places.start(from, boxed);
                    wait_until_started(&places, boxed, &first, |boxed| {
                        if is_early {
                            first.open();
                            second.open();
                        }
                        thread::scope(|scope| {
                            scope.spawn(|| {
                                thread::yield_now();
                                first.open();
                                wait_until(|| second.polls() > 0, "the leaf was not woken");
                                second.open();
                            });
                            assert_eq!(places.run(to, boxed), depth as u64, "{from:?} {to:?} {is_early}");
                        });
                    });
                    assert_eq!(census.alive(), 0, "{from:?} {to:?}");
                }
            }
        }
    }
}

/// A deep chain may take more than one poll of its handle until the leaf has been reached.
fn wait_until_started(places: &Places, mut boxed: Boxed, leaf: &Gate, then: impl FnOnce(Boxed)) {
    while leaf.polls() == 0 {
        boxed = places.start(Place::Foreign, boxed);
    }
    then(boxed);
}

#[test]
fn and_is_dropped_anywhere() {
    let _watchdog = watchdog();
    let (places, census) = (Places::new(), Census::default());
    for from in PLACES {
        for to in PLACES {
            for depth in [0, 3, 40] {
                let [first, second] = gates();
                let boxed = places.start(from, Box::pin(chain(depth, [first.clone(), second], &census)));
                let counts = census.clone();
                places.run(to, async move {
                    drop(boxed);
                    assert_eq!(counts.alive(), 0);
                });
                let polls = first.polls();
                first.open();
                assert_eq!(first.polls(), polls);
            }
        }
    }
}

/// The task or runtime that it was started in is gone when it goes on.
#[test]
fn after_the_end_of_its_runtime() {
    let _watchdog = watchdog();
    let census = Census::default();
    for depth in [0, 3, 40] {
        let [first, second] = gates();
        let mut boxed = Box::pin(chain(depth, [first.clone(), second.clone()], &census));
        for _ in 0..3 {
            let short_lived = runtime(2);
            [boxed] = short_lived
                .block_on(short_lived.spawn(async move {
                    assert!(poll_once(boxed.as_mut()).await.is_pending());
                    [boxed]
                }))
                .unwrap();
            // A wake of the task that has ended, then of one whose runtime has.
            first.wake();
            drop(short_lived);
            first.wake();
        }
        first.open();
        second.open();
        assert_eq!(block_on_foreign(boxed), depth as u64);
        assert_eq!(census.alive(), 0);
    }
}

/// Handed from one to the other while it is woken all the time.
#[test]
fn in_a_storm_of_wakes() {
    stress(|workers, random| {
        let (runtime, other, census) = (runtime(workers), runtime(1), Census::default());
        let lazies: Vec<_> = (0..20)
            .map(|_| {
                let gates = gates();
                let depth = random.below(5);
                (Box::pin(chain(depth, gates.clone(), &census)), gates, depth as u64, random.fork())
            })
            .collect();
        let (all, is_over) = (lazies.iter().map(|lazy| lazy.1.clone()).collect::<Vec<_>>(), Tally::default());
        thread::scope(|scope| {
            for _ in 0..2 {
                let (all, is_over, mut random) = (&all, &is_over, random.fork());
                scope.spawn(move || {
                    while is_over.count() == 0 {
                        let gate = &all[random.below(all.len())][random.below(2)];
                        if random.once_in(20) {
                            gate.open()
                        } else {
                            gate.wake()
                        }
                        if random.once_in(10) {
                            thread::yield_now();
                        }
                    }
                });
            }
            let tasks: Vec<_> = lazies
                .into_iter()
                .map(|(boxed, _, depth, random)| {
                    (
                        runtime.spawn(hand_on(
                            boxed,
                            random,
                            runtime.handle().clone(),
                            other.handle().clone(),
                            10,
                        )),
                        depth,
                    )
                })
                .collect();
            for (task, depth) in tasks {
                let output = runtime.block_on(task).unwrap();
                assert!(output.is_none_or(|output| output == depth));
            }
            is_over.add();
        });
        assert_eq!(census.alive(), 0);
    });
}

/// Polls a few times, then lets another task go on with it, for so many times; at last it is dropped or finished.
fn hand_on(
    mut boxed: Boxed,
    mut random: Random,
    here: tress::Handle,
    there: tress::Handle,
    times: usize,
) -> Pin<Box<dyn Future<Output = Option<u64>> + Send>> {
    Box::pin(async move {
        for _ in 0..random.below(3) {
            if let Poll::Ready(output) = poll_once(boxed.as_mut()).await {
                return Some(output);
            }
            if random.once_in(2) {
                yield_now().await;
            }
        }
        if times == 0 {
            if random.once_in(2) {
                return None;
            }
            return Some(boxed.await);
        }
        let next = hand_on(boxed, random.fork(), here.clone(), there.clone(), times - 1);
        let executor = if random.once_in(2) { &here } else { &there };
        executor.spawn(next).await.unwrap()
    })
}

/// Two executors poll the same one in turn: it is the last poller that is woken.
#[test]
fn to_and_fro_between_two_executors() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    for depth in [0, 1, 10] {
        for ends_in_task in [true, false] {
            let [first, second] = gates();
            let shared =
                Arc::new(Mutex::new(Box::pin(chain(depth, [first.clone(), second.clone()], &census))));
            let foreign = Arc::new(Flag::default());
            let poll_foreign = || {
                let waker = foreign.waker();
                shared.lock().unwrap().as_mut().poll(&mut Context::from_waker(&waker))
            };
            let (orders, ordered) = mpsc::channel::<()>();
            let polls = Tally::default();
            let task = {
                let (shared, polls) = (Arc::clone(&shared), polls.clone());
                runtime.spawn(poll_fn(move |cx| {
                    // When it is told to; and later, if it is to end here, whenever it is woken.
                    if polls.count() == 0 {
                        tress::task::block_in_place(|| ordered.recv().unwrap());
                    } else if !ends_in_task {
                        return Poll::Pending;
                    }
                    polls.add();
                    shared.lock().unwrap().as_mut().poll(cx)
                }))
            };
            for _ in 0..3 {
                assert!(poll_foreign().is_pending());
            }
            orders.send(()).unwrap();
            wait_until(|| polls.count() > 0, "the task did not poll");
            if ends_in_task {
                first.open();
                second.open();
                assert_eq!(runtime.block_on(task).unwrap(), depth as u64);
            } else {
                // The foreign one takes over, and has to be woken until it is done.
                assert!(poll_foreign().is_pending());
                let opener = thread::spawn(move || {
                    first.open();
                    wait_until(|| second.polls() > 0, "the leaf was not woken");
                    second.open();
                });
                let mut wakes = 0;
                let output = loop {
                    wait_until(|| foreign.wakes() > wakes, "the last poller was not woken");
                    wakes = foreign.wakes();
                    if let Poll::Ready(output) = poll_foreign() {
                        break output;
                    }
                };
                assert_eq!(output, depth as u64);
                opener.join().unwrap();
                task.abort();
                assert!(runtime.block_on(task).unwrap_err().is_aborted());
            }
            drop(shared);
            assert_eq!(census.alive(), 0);
        }
    }
}

/// A handle that lies in the frame of a task, and is lent to others, who poll it from theirs.
#[test]
fn when_it_is_only_lent() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    for depth in [0, 1, 5] {
        for starts_at_home in [true, false] {
            for ends_at_home in [true, false] {
                let [first, second] = gates();
                let chain = chain(depth, [first.clone(), second.clone()], &census);
                let task = runtime.spawn(async move {
                    let mut chain = pin!(chain);
                    if starts_at_home {
                        assert!(poll_once(chain.as_mut()).await.is_pending());
                    } else {
                        let lent = chain.as_mut();
                        let polled = lazy_borrowed(async move { poll_once(lent).await.is_pending() }).await;
                        assert!(polled);
                    }
                    if ends_at_home { chain.await } else { lazy_borrowed(chain).await }
                });
                wait_until(|| first.polls() > 0, "the leaf was not polled");
                first.open();
                wait_until(|| second.polls() > 0, "the leaf was not woken");
                second.open();
                assert_eq!(runtime.block_on(task).unwrap(), depth as u64, "{starts_at_home} {ends_at_home}");
                assert_eq!(census.alive(), 0);
            }
        }
    }
}

/// It lies in the frame of a task, and another thread polls it, or drops it, in the middle of that task's poll.
#[test]
fn when_it_is_lent_to_another_thread() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    for depth in [0, 1, 5] {
        for is_started in [true, false] {
            for is_dropped in [true, false] {
                let [first, second] = gates();
                let chain = chain(depth, [first.clone(), second.clone()], &census);
                let counts = census.clone();
                let leaves = [first.clone(), second.clone()];
                let task = runtime.spawn(async move {
                    let mut chain = pin!(Some(chain));
                    if is_started {
                        assert!(poll_once(chain.as_mut().as_pin_mut().unwrap()).await.is_pending());
                    }
                    thread::scope(|scope| {
                        scope.spawn(|| leaves[0].open());
                        let lent = scope.spawn(|| {
                            if is_dropped {
                                chain.set(None);
                                assert_eq!(counts.alive(), 0);
                                return None;
                            }
                            let [_, second] = &leaves;
                            scope.spawn(|| {
                                wait_until(|| second.polls() > 0, "the leaf was not woken");
                                second.open();
                            });
                            Some(block_on_foreign(chain.as_mut().as_pin_mut().unwrap()))
                        });
                        lent.join().unwrap()
                    })
                });
                let output = runtime.block_on(task).unwrap();
                assert_eq!(output, (!is_dropped).then_some(depth as u64));
                assert_eq!(census.alive(), 0);
                drop([first, second]);
            }
        }
    }
}

/// Made here, awaited there.
#[test]
fn before_it_is_started() {
    let _watchdog = watchdog();
    let (places, census) = (Places::new(), Census::default());
    for to in PLACES {
        let [first, second] = gates();
        let unstarted = chain(3, [first.clone(), second.clone()], &census);
        first.open();
        second.open();
        let unstarted = thread::spawn(move || unstarted).join().unwrap();
        assert_eq!(first.polls(), 0, "a lazy starts when it is awaited");
        assert_eq!(places.run(to, unstarted), 3);
        assert_eq!(census.alive(), 0);
    }
    let unstarted = chain(3, gates(), &census);
    thread::spawn(move || drop(unstarted)).join().unwrap();
    assert_eq!(census.alive(), 0);
}

/// Polled by hand, with a waker that does nothing, and then awaited.
#[test]
fn after_a_poll_by_nobody() {
    let _watchdog = watchdog();
    let (places, census) = (Places::new(), Census::default());
    for to in PLACES {
        let [first, second] = gates();
        let mut boxed: Boxed = Box::pin(chain(2, [first.clone(), second.clone()], &census));
        for _ in 0..3 {
            assert!(boxed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        first.open();
        thread::scope(|scope| {
            scope.spawn(|| {
                wait_until(|| second.polls() > 0, "it did not go on");
                second.open();
            });
            assert_eq!(places.run(to, boxed), 2);
        });
    }
}
