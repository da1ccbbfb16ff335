//! Strands that several runtimes share, that are many, and that come and go: nobody waits for another's, and nothing is left.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use support::{Census, Random, runtime, stress, wait_until, watchdog};
use tress::strand::{Local, Strand, StrandCell};
use tress::task::yield_now;

/// Runs on the strand after all that has been posted before.
fn wait_for(strand: &Strand) {
    let (tx, rx) = mpsc::channel();
    strand.post(move || tx.send(()).expect("somebody waits"));
    rx.recv_timeout(Duration::from_secs(60)).expect("the strand goes on");
}

/// The state lives on a strand over the first runtime; tasks of the others post to it and await what they spawn there.
fn share(order: [usize; 3]) {
    const ROUNDS: usize = 300;
    let census = Census::default();
    let mut runtimes = [2, 2, 1].map(|workers| Some(runtime(workers)));
    let home = runtimes[0].as_ref().expect("it is there").handle().clone();
    let strand = Strand::new(home);
    let sum = Arc::new(StrandCell::new(&strand, 0_usize));
    let visitors: Vec<_> = runtimes[1..]
        .iter()
        .flatten()
        .map(|runtime| {
            let (strand, sum) = (strand.clone(), Arc::clone(&sum));
            runtime.spawn(async move {
                for _ in 0..ROUNDS {
                    let (posted, spawned) = (Arc::clone(&sum), Arc::clone(&sum));
                    strand.post(move || *posted.borrow_mut() += 1);
                    strand
                        .spawn(async move {
                            *spawned.borrow_mut() += 1;
                            yield_now().await;
                            *spawned.borrow_mut() += 1;
                        })
                        .await
                        .expect("it ends");
                    assert!(!strand.is_current());
                }
            })
        })
        .collect();
    for visitor in visitors {
        support::block_on_foreign(visitor).expect("it ends");
    }
    let own = Arc::clone(&sum);
    let (tx, rx) = mpsc::channel();
    strand.post(move || tx.send(*own.borrow_mut()).expect("somebody waits"));
    assert_eq!(rx.recv(), Ok(2 * 3 * ROUNDS));
    // Something of each is on the strand when they end, one after the other.
    for runtime in runtimes.iter().flatten() {
        let (strand, counted) = (strand.clone(), census.count());
        let _detached = runtime.spawn(async move {
            let task = strand.spawn(async move {
                let _counted = counted;
                std::future::pending::<()>().await;
            });
            // It ends in an error if the strand's runtime is the first to go.
            let _ = task.await;
        });
    }
    wait_for(&strand);
    let is_home_first = order[0] == 0;
    for (place, index) in order.into_iter().enumerate() {
        drop(runtimes[index].take());
        if place == 0 {
            let (tx, rx) = mpsc::channel();
            strand.post(move || tx.send(()).expect("somebody waits"));
            let ran = rx.recv_timeout(Duration::from_secs(60));
            assert_eq!(ran.is_err(), is_home_first, "it goes on while its own runtime does");
        }
    }
    drop((strand, sum));
    census.wait_until_empty();
}

#[test]
fn by_several_runtimes_that_end_in_any_order() {
    let _watchdog = watchdog();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        share(order);
    }
}

#[test]
fn a_thousand_of_which_one_is_blocked() {
    let _watchdog = watchdog();
    const STRANDS: usize = 1_000;
    const ITEMS: usize = 20;
    let runtime = runtime(2);
    let strands: Vec<Strand> = (0..STRANDS).map(|_| Strand::new(runtime.handle().clone())).collect();
    let ((blocked, is_blocked), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel());
    strands[0].post(move || {
        blocked.send(()).expect("somebody waits");
        may_go_on.recv().expect("somebody says so");
    });
    is_blocked.recv().expect("it runs");
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..ITEMS {
        for strand in &strands {
            let ran = Arc::clone(&ran);
            strand.post(move || {
                ran.fetch_add(1, Ordering::Relaxed);
            });
        }
    }
    let others = (STRANDS - 1) * ITEMS;
    wait_until(|| ran.load(Ordering::Relaxed) == others, "the others do not go on");
    go_on.send(()).expect("somebody waits");
    wait_until(|| ran.load(Ordering::Relaxed) == STRANDS * ITEMS, "the one does not go on");
}

static SEEN: Local<Option<support::Counted>> = Local::new(|| None);

/// Ten thousand strands, made, posted to and dropped by several threads; what belongs to them goes with them.
#[test]
fn ten_thousand_that_come_and_go() {
    const THREADS: usize = 4;
    const STRANDS: usize = 10_000;
    stress(|workers, random| {
        let (runtime, census, ran) = (runtime(workers), Census::default(), Arc::new(AtomicUsize::new(0)));
        let (tx, rx) = mpsc::sync_channel::<Strand>(64);
        let posted = thread::scope(|scope| {
            // Strands wander: made here, posted to there, dropped by whoever is last.
            let taker = {
                let census = &census;
                scope.spawn(move || {
                    for strand in rx {
                        let counted = census.count();
                        strand.post(move || drop(counted));
                    }
                })
            };
            let makers = [(); THREADS].map(|()| {
                let mut random: Random = random.fork();
                let (runtime, census, ran, tx) = (&runtime, &census, &ran, tx.clone());
                scope.spawn(move || {
                    let mut posted = 0;
                    for _ in 0..STRANDS / THREADS {
                        let strand = Strand::builder(runtime.handle().clone())
                            .local(&SEEN, Some(census.count()))
                            .build();
                        for _ in 0..random.below(4) {
                            // A handle of its own, so that it is run, and dropped inside.
                            let (own, ran, counted) = (strand.clone(), Arc::clone(ran), census.count());
                            posted += 1;
                            strand.post(move || {
                                assert!(own.is_current());
                                SEEN.with(|seen| *seen = Some(counted));
                                ran.fetch_add(1, Ordering::Relaxed);
                            });
                        }
                        if random.once_in(3) {
                            tx.send(strand).expect("somebody takes them");
                        }
                    }
                    posted
                })
            });
            drop(tx);
            let posted: usize =
                makers.into_iter().map(|maker| maker.join().expect("it does not panic")).sum();
            taker.join().expect("it does not panic");
            posted
        });
        wait_until(|| ran.load(Ordering::Relaxed) == posted, "an item was lost");
        census.wait_until_empty();
    });
}

/// The last handle goes in an item, in a task, and in the drop of what is queued.
#[test]
fn one_that_is_dropped_from_inside_itself() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (census, outer) = (Census::default(), Strand::new(runtime.handle().clone()));
    for kind in 0..3 {
        let strand = Strand::builder(runtime.handle().clone())
            .name("short")
            .local(&SEEN, Some(census.count()))
            .build();
        let (own, counted) = (strand.clone(), census.count());
        let ((go_on, may_go_on), (tx, rx)) = (mpsc::channel::<()>(), mpsc::channel());
        let last = move || {
            may_go_on.recv().expect("somebody says so");
            let behind = own.clone();
            behind.post(move || drop(counted));
            drop(behind);
            drop(own);
            // Still on it, though nothing of it can be reached but this.
            tx.send(SEEN.try_with(|seen| seen.is_some())).expect("somebody waits");
        };
        match kind {
            0 => strand.post(last),
            1 => drop(strand.spawn(async move { last() })),
            _ => {
                let inner = strand.clone();
                outer.post(move || inner.dispatch(last));
            }
        }
        drop(strand);
        go_on.send(()).expect("somebody waits");
        assert_eq!(rx.recv(), Ok(Ok(true)));
        census.wait_until_empty();
        wait_until(|| runtime.handle().metrics().strands().is_empty(), "its name stays");
    }
}
