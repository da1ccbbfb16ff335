//! Items of a strand, and calls of an actor, add to a plain number: one that overlapped with another would lose some, and under `ThreadSanitizer` be
//! found even where it loses none. Nothing but the strand orders them.
#![expect(unsafe_code, reason = "a number that nothing protects but what is tested")]

mod support;

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use support::{Random, runtime, stress, wait_until};
use tress::executor::{Executor, run_on};
use tress::strand::{Actor, Strand};
use tress::task::yield_now;

/// Numbers that nothing protects: how many were added, and by each producer the last of its own.
struct Plain(UnsafeCell<Numbers>);

#[derive(Clone, Default)]
struct Numbers {
    sum: usize,
    last: [usize; PRODUCERS],
    /// What ran out of its producer's order.
    disorder: usize,
}

// SAFETY: it is touched on one strand only; that this is enough is what is tested.
unsafe impl Sync for Plain {}

impl Plain {
    fn new() -> Arc<Self> {
        Arc::new(Self(UnsafeCell::new(Numbers::default())))
    }

    /// By an item of the strand.
    fn with<R>(&self, f: impl FnOnce(&mut Numbers) -> R) -> R {
        // SAFETY: items of one strand do not overlap; that is what is tested.
        f(unsafe { &mut *self.0.get() })
    }

    fn add(&self) {
        self.with(|numbers| {
            let before = numbers.sum;
            std::hint::spin_loop();
            numbers.sum = before + 1;
        });
    }

    /// The producer's `number`th post.
    fn add_of(&self, producer: usize, number: usize) {
        self.add();
        self.with(|numbers| {
            let former = std::mem::replace(&mut numbers.last[producer], number);
            numbers.disorder += usize::from(former + 1 != number);
        });
    }
}

const PRODUCERS: usize = 3;
const POSTS: usize = 300;
const TASKS: usize = 8;

/// Posts, dispatches and deferred ones of threads, tasks that live on it, and tasks that come to it.
fn count_on<E: Executor>(workers: usize, random: &mut Random, over: impl FnOnce(tress::Handle) -> E) {
    let runtime = runtime(workers);
    let strand = Strand::builder(over(runtime.handle().clone())).items(1 + random.below(8) as u32).build();
    let (plain, ran) = (Plain::new(), Arc::new(AtomicUsize::new(0)));
    let (mut closures, mut polls) = (PRODUCERS * POSTS, 0);
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let rounds = 1 + random.below(50);
            let (own, plain, ran) = (strand.clone(), Arc::clone(&plain), Arc::clone(&ran));
            polls += rounds;
            if task % 2 == 0 {
                return strand.spawn(async move {
                    for _ in 0..rounds {
                        plain.add();
                        yield_now().await;
                    }
                });
            }
            closures += rounds;
            runtime.spawn(async move {
                for _ in 0..rounds {
                    run_on(own.clone(), async { plain.add() }).await;
                    // At once, if nobody is there.
                    let (plain, ran) = (Arc::clone(&plain), Arc::clone(&ran));
                    own.dispatch(move || {
                        plain.add();
                        ran.fetch_add(1, Ordering::Relaxed);
                    });
                }
            })
        })
        .collect();
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let (strand, plain, ran, mut random) = (&strand, &plain, &ran, random.fork());
            scope.spawn(move || {
                for number in 1..=POSTS {
                    let (plain, ran) = (Arc::clone(plain), Arc::clone(ran));
                    let item = move || {
                        plain.add_of(producer, number);
                        ran.fetch_add(1, Ordering::Relaxed);
                    };
                    match random.below(3) {
                        0 => strand.dispatch(item),
                        1 => strand.defer(item),
                        _ => strand.post(item),
                    }
                }
            });
        }
    });
    let numbers = runtime.block_on(async {
        for task in tasks {
            task.await.expect("it ends");
        }
        // Relaxed, so that it orders nothing.
        wait_until(|| ran.load(Ordering::Relaxed) == closures, "an item was lost");
        run_on(strand, async { plain.with(|numbers| numbers.clone()) }).await
    });
    assert_eq!((numbers.sum, numbers.disorder), (closures + polls, 0));
}

#[test]
fn on_a_strand() {
    stress(|workers, random| count_on(workers, random, |pool| pool));
}

#[test]
fn on_a_strand_on_a_strand() {
    stress(|workers, random| count_on(workers, random, Strand::new));
}

#[test]
fn by_calls_of_an_actor() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let actor = Actor::builder(0_usize).executor(runtime.handle().clone()).build();
        let mut expected = 0;
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (actor, mut random) = (actor.clone(), random.fork());
                let rounds = 1 + random.below(200);
                expected += rounds;
                runtime.spawn(async move {
                    for _ in 0..rounds {
                        match random.below(5) {
                            0 => actor.call(|sum| *sum += 1).await.expect("it is made"),
                            1 => actor.with(|sum| *sum += 1).await.expect("it is made"),
                            2 => {
                                let adding = actor.call_async(async |sum| {
                                    let before = *sum;
                                    yield_now().await;
                                    *sum = before + 1;
                                });
                                adding.await.expect("it is made");
                            }
                            3 => {
                                let adding = actor.call_interleaved(async |access| {
                                    yield_now().await;
                                    access.with(|sum| *sum += 1);
                                });
                                adding.await.expect("it is made");
                            }
                            _ => actor.post(|sum| *sum += 1).expect("there is no limit"),
                        }
                    }
                })
            })
            .collect();
        let sum = runtime.block_on(async {
            for task in tasks {
                task.await.expect("it ends");
            }
            // Behind what has been posted.
            actor.call(|sum| *sum).await
        });
        assert_eq!(sum, Ok(expected));
    });
}
