//! A lazy may hold and give anything: nothing at all, a megabyte, pages, borrowed and dropping things. It starts when it
//! is awaited, and says so when it is polled once too often.

mod leaves;
mod support;

use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use leaves::{Gate, OpenOnDrop, Tally, poll_once};
use support::{Census, Pend, block_on_foreign, runtime, wait_until, watchdog, without_panic_messages};
use tress::task::{
    Lazy, LocalLazy, SharedLazy, lazy, lazy_borrowed, lazy_local, lazy_local_borrowed, yield_now,
};
use tress::{Builder, Runtime};

/// In a task, in `block_on`, in no runtime; in a frame of its own and boxed; ready at once, and after some polls.
fn in_each_way<T: Send + 'static>(
    runtime: &Runtime,
    make: impl Fn(usize) -> Lazy<'static, T>,
    check: impl Fn(T) + Copy + Send + Sync + 'static,
) {
    for pends in [0, 1, 3] {
        let (one, two) = (make(pends), make(pends));
        let task = runtime.spawn(async move {
            check(one.await);
            check(Box::pin(two).await);
        });
        runtime.block_on(task).unwrap();
        check(runtime.block_on(runtime.spawn(make(pends))).unwrap());
        check(runtime.block_on(make(pends)));
        check(block_on_foreign(make(pends)));
        let (one, two, three) = (make(pends), make(pends), make(pends));
        let task = runtime.spawn(async move {
            let (one, two, three) = tress::join!(one, lazy(two), three.opaque());
            check(one);
            check(two);
            check(three);
        });
        runtime.block_on(task).unwrap();
        // Unstarted, and dropped while it waits.
        drop(make(pends));
        let mut dropped = Box::pin(make(pends));
        let _ = dropped.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
}

/// A future and an output without a byte, of which the drops are counted all the same.
#[test]
fn of_no_size() {
    static ALIVE: AtomicUsize = AtomicUsize::new(0);

    struct Empty(PhantomData<()>);

    impl Empty {
        fn new() -> Self {
            ALIVE.fetch_add(1, Ordering::SeqCst);
            Self(PhantomData)
        }
    }

    impl Drop for Empty {
        fn drop(&mut self) {
            ALIVE.fetch_sub(1, Ordering::SeqCst);
        }
    }

    struct Nothing(Empty);

    impl Future for Nothing {
        type Output = Empty;

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Empty> {
            // It has no memory, so chance decides.
            thread_local!(static POLLS: Cell<usize> = const { Cell::new(0) });
            POLLS.set(POLLS.get() + 1);
            if POLLS.get().is_multiple_of(3) {
                return Poll::Ready(Empty::new());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }

    let _watchdog = watchdog();
    assert_eq!(size_of::<Nothing>(), 0);
    let runtime = runtime(2);
    for _ in 0..10 {
        in_each_way(&runtime, |_| lazy(Nothing(Empty::new())), drop);
        in_each_way(&runtime, |_| lazy(std::future::ready(Empty::new())), drop);
        assert_eq!(ALIVE.load(Ordering::SeqCst), 0);
    }
    in_each_way(&runtime, |_| lazy(std::future::ready(())), |()| {});
    in_each_way(&runtime, |_| lazy(yield_now()), |()| {});
}

/// A future, and an output, of a megabyte each.
#[test]
fn of_a_megabyte() {
    const BYTES: usize = 1 << 20;
    let _watchdog = watchdog();
    let on_large_stack = || {
        let runtime = Builder::new().worker_threads(2).thread_stack_size(256 * BYTES).build().unwrap();
        in_each_way(
            &runtime,
            |pends| {
                lazy(async move {
                    let mut bytes = [1_u8; BYTES];
                    Pend(pends).await;
                    bytes[BYTES / 2] = 7;
                    Pend(pends).await;
                    bytes
                })
            },
            |bytes| assert_eq!(bytes.iter().map(|&byte| usize::from(byte)).sum::<usize>(), BYTES + 6),
        );
        in_each_way(
            &runtime,
            |pends| {
                let bytes = [3_u8; BYTES];
                lazy(async move {
                    Pend(pends).await;
                    bytes[pends]
                })
            },
            |byte| assert_eq!(byte, 3),
        );
        in_each_way(
            &runtime,
            |pends| {
                lazy(async move {
                    Pend(pends).await;
                    [9_u8; BYTES]
                })
            },
            |bytes| assert!(bytes.iter().all(|&byte| byte == 9)),
        );
    };
    thread::Builder::new().stack_size(256 * BYTES).spawn(on_large_stack).unwrap().join().unwrap();
}

/// Futures and outputs that are to lie on pages of their own.
#[test]
fn of_large_alignment() {
    #[repr(align(4096))]
    struct Page(Cell<u8>, Tally);

    impl Page {
        fn new(byte: u8, tally: &Tally) -> Self {
            Self(Cell::new(byte), tally.clone())
        }

        fn check(&self) {
            assert_eq!(std::ptr::from_ref(std::hint::black_box(self)).addr() % 4096, 0, "a page is askew");
        }
    }

    impl Drop for Page {
        fn drop(&mut self) {
            self.check();
            self.1.add();
        }
    }

    let _watchdog = watchdog();
    let on_large_stack = || {
        let runtime = Builder::new().worker_threads(2).thread_stack_size(16 << 20).build().unwrap();
        let drops = Tally::default();
        let made = Tally::default();
        let page = |byte| {
            made.add();
            Page::new(byte, &drops)
        };
        in_each_way(
            &runtime,
            |pends| {
                let page = page(5);
                lazy(async move {
                    page.check();
                    Pend(pends).await;
                    page.check();
                    page
                })
            },
            |page| {
                page.check();
                assert_eq!(page.0.get(), 5);
            },
        );
        in_each_way(
            &runtime,
            |pends| {
                let page = page(6);
                lazy(async move {
                    Pend(pends).await;
                    page.check();
                    page.0.get()
                })
            },
            |byte| assert_eq!(byte, 6),
        );
        assert_eq!(drops.count(), made.count());
    };
    thread::Builder::new().stack_size(16 << 20).spawn(on_large_stack).unwrap().join().unwrap();

    #[repr(align(64))]
    struct Line(u8);
    let runtime = runtime(2);
    in_each_way(
        &runtime,
        |pends| {
            lazy(async move {
                let line = Line(1);
                Pend(pends).await;
                assert_eq!(std::ptr::from_ref(&line).addr() % 64, 0);
                Pend(pends).await;
                line
            })
        },
        |line| assert_eq!((std::ptr::from_ref(&line).addr() % 64, line.0), (0, 1)),
    );
}

/// Outputs that have to be dropped, taken or not.
#[test]
fn with_an_output_that_is_dropped_once() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    let counts = census.clone();
    in_each_way(
        &runtime,
        move |pends| {
            let counts = counts.clone();
            lazy(async move {
                Pend(pends).await;
                let counted = counts.count();
                (vec![counts.count(), counts.count()], Box::new(counted), "text".to_owned())
            })
        },
        |(counted, _, text)| assert_eq!((counted.len(), &*text), (2, "text")),
    );
    assert_eq!(census.alive(), 0);
    in_each_way(
        &runtime,
        |pends| {
            lazy(async move {
                Pend(pends).await;
                Box::new(|text: &str| text.len()) as Box<dyn Fn(&str) -> usize + Send>
            })
        },
        |f| assert_eq!(f("four"), 4),
    );
}

/// Outputs that borrow what the future borrowed.
#[test]
fn with_an_output_that_borrows() {
    fn longest<'a>(texts: &'a [String], census: &'a Census) -> Lazy<'a, Option<&'a String>> {
        lazy_borrowed(async move {
            let _counted = census.count();
            let [first, rest @ ..] = texts else { return None };
            yield_now().await;
            let other = longest(rest, census).await;
            Some(other.filter(|other| other.len() > first.len()).unwrap_or(first))
        })
    }
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    let texts = ["a", "ccc", "bb"].map(str::to_owned);
    assert_eq!(runtime.block_on(longest(&texts, &census)), Some(&texts[1]));
    assert_eq!(block_on_foreign(longest(&texts, &census)), Some(&texts[1]));
    let counts = census.clone();
    let task = runtime.spawn(async move {
        let mut texts = texts;
        let longest = longest(&texts, &counts).await.unwrap().clone();
        texts[0].push_str("now this");
        longest
    });
    assert_eq!(runtime.block_on(task).unwrap(), "ccc");
    assert_eq!(census.alive(), 0);
}

/// Mutable borrows come back when the lazy has ended, or been dropped.
#[test]
fn with_what_it_borrows_mutably() {
    fn count<'a>(number: &'a mut u32, to: u32) -> Lazy<'a, &'a mut u32> {
        lazy_borrowed(async move {
            while *number < to {
                *number += 1;
                yield_now().await;
            }
            number
        })
    }
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let task = runtime.spawn(async {
        let mut number = 0;
        *count(&mut number, 5).await += 1;
        assert_eq!(number, 6);
        {
            let mut dropped = pin!(count(&mut number, 10));
            assert!(poll_once(dropped.as_mut()).await.is_pending());
        }
        number += 1;
        *count(&mut number, 10).await
    });
    assert_eq!(runtime.block_on(task).unwrap(), 10);
}

#[test]
fn and_starts_when_it_is_awaited() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let polls = Tally::default();
    let unstarted = lazy(polls.clone().polls(async { 1 }));
    let shared = lazy(polls.clone().polls(async { 2 })).shared();
    let opaque = lazy(polls.clone().polls(async { 3 })).opaque();
    let local = lazy_local(polls.clone().polls(async { 4 }));
    runtime.block_on(async {
        for _ in 0..10 {
            yield_now().await;
        }
    });
    assert_eq!(polls.count(), 0);
    assert_eq!(runtime.block_on(async { unstarted.await + shared.await + opaque.await + local.await }), 10);
    assert_eq!(polls.count(), 4);
}

/// A panic, whose text says that it had completed.
#[track_caller]
fn assert_complains<T>(future: Pin<&mut impl Future<Output = T>>) {
    let poll = || future.poll(&mut Context::from_waker(Waker::noop()));
    let payload =
        catch_unwind(AssertUnwindSafe(poll)).map(|_| ()).expect_err("it was polled after completion");
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or(payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
    assert!(text.contains("complet"), "the message is {text:?}");
}

#[test]
fn and_complains_when_polled_after_completion() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for pends in [0, 2] {
        let task = runtime.spawn(async move {
            let mut ended = pin!(lazy(Pend(pends)));
            ended.as_mut().await;
            assert_complains(ended.as_mut());
            assert_complains(ended.as_mut());
            let mut boxed = Box::pin(lazy(Pend(pends)));
            boxed.as_mut().await;
            assert_complains(boxed.as_mut());
            let mut borrowed = pin!(lazy_borrowed(Pend(pends)));
            borrowed.as_mut().await;
            assert_complains(borrowed.as_mut());
            let mut opaque = pin!(lazy(Pend(pends)).opaque());
            opaque.as_mut().await;
            assert_complains(opaque.as_mut());
        });
        runtime.block_on(task).unwrap();
        let mut local = Box::pin(lazy_local(Pend(pends)));
        block_on_foreign(local.as_mut());
        assert_complains(local.as_mut());
    }
}

/// After a panic it is neither pending nor ready: it panics again.
#[test]
fn and_complains_when_polled_after_a_panic() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    without_panic_messages(|| {
        for pends in [0, 2] {
            let task = runtime.spawn(async move {
                let mut panics = pin!(lazy(async move {
                    Pend(pends).await;
                    panic!("expected: once")
                }));
                let mut caught = 0;
                std::future::poll_fn(|cx| {
                    let poll = catch_unwind(AssertUnwindSafe(|| panics.as_mut().poll(cx).map(|()| ())));
                    match poll {
                        Ok(Poll::Pending) => Poll::Pending,
                        Ok(Poll::Ready(())) => panic!("it has given something"),
                        Err(_) => {
                            caught += 1;
                            if caught == 3 { Poll::Ready(()) } else { wake_and_pend(cx) }
                        }
                    }
                })
                .await;
            });
            runtime.block_on(task).unwrap();
        }
    });
}

fn wake_and_pend(cx: &Context<'_>) -> Poll<()> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// The payload of a panic is what comes through, whatever it is.
#[test]
fn and_passes_on_any_payload() {
    struct Payload(#[expect(dead_code, reason = "it is counted")] support::Counted);
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    for depth in [0, 1, 50] {
        for pends in [0, 1] {
            let counted = census.count();
            let last = lazy(async move {
                Pend(pends).await;
                std::panic::resume_unwind(Box::new(Payload(counted)))
            });
            let task = runtime.spawn((0..depth).fold(last, |below, _| lazy::<Lazy<'static, ()>>(below)));
            let error = runtime.block_on(task).unwrap_err();
            assert_eq!(census.alive(), 1);
            assert!(error.into_panic().is::<Payload>());
            assert_eq!(census.alive(), 0);
        }
    }
}

/// What may not be sent, on the one thread of `block_on`.
#[test]
fn that_stays_on_its_thread() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    fn chain(depth: usize, gate: Gate, sum: Rc<Cell<usize>>) -> LocalLazy<'static, Rc<Cell<usize>>> {
        lazy_local(async move {
            let thread = thread::current().id();
            if depth == 0 {
                gate.passed().await;
            } else {
                drop(chain(depth - 1, gate, Rc::clone(&sum)).await);
            }
            assert_eq!(thread, thread::current().id());
            sum.set(sum.get() + 1);
            sum
        })
    }
    for depth in [0, 1, 50, 1000] {
        for is_foreign in [true, false] {
            let gate = Gate::default();
            let sum = thread::scope(|scope| {
                let _open = OpenOnDrop(&gate);
                scope.spawn(|| {
                    wait_until(|| gate.polls() > 0, "the leaf was not polled");
                    gate.wake();
                    gate.open();
                });
                let sum = Rc::new(Cell::new(0));
                let chain = chain(depth, gate.clone(), Rc::clone(&sum));
                // Others run here too, but not in between.
                let others: Vec<_> = (0..10).map(|_| runtime.spawn(lazy(Pend(100)))).collect();
                let output = if is_foreign { block_on_foreign(chain) } else { runtime.block_on(chain) };
                assert!(Rc::ptr_eq(&output, &sum));
                others.into_iter().for_each(|task| runtime.block_on(task).unwrap());
                sum.get()
            });
            assert_eq!(sum, depth + 1);
        }
    }
    // Borrowing, and dropped while it waits.
    let (number, dropped) = (Rc::new(Cell::new(1)), Rc::new(()));
    let output = runtime.block_on(async {
        let held = Rc::clone(&dropped);
        let mut pending = pin!(lazy_local(async move {
            let _held = held;
            leaves::never().await;
        }));
        assert!(poll_once(pending.as_mut()).await.is_pending());
        lazy_local_borrowed(async {
            yield_now().await;
            number.get()
        })
        .await
    });
    assert_eq!((output, Rc::strong_count(&dropped)), (1, 1));
}

/// Whether a type has a trait, found out without asking for it.
macro_rules! has {
    ($of:ty: $bound:path) => {{
        struct Probe<T>(PhantomData<T>);
        #[allow(dead_code, reason = "types that have the trait do not come here")]
        trait No {
            const HAS: bool = false;
        }
        impl<T> No for Probe<T> {}
        #[allow(dead_code, reason = "types that do not have the trait do not come here")]
        impl<T: $bound> Probe<T> {
            const HAS: bool = true;
        }
        <Probe<$of>>::HAS
    }};
}

/// A rooted frame may give its output on another thread than the one that takes it, so that what may not be sent may
/// not be the output of a lazy that can be sent.
#[test]
fn that_is_sent_only_if_its_output_may_be() {
    assert!(has!(Lazy<'static, u8>: Send));
    assert!(has!(SharedLazy<'static, u8>: Send));
    assert!(!has!(LocalLazy<'static, u8>: Send));
    assert!(!has!(LocalLazy<'static, u8>: Sync));
    assert!(!has!(Lazy<'static, Rc<u8>>: Send), "an output that may not be sent");
    // Each awaiter clones the one output.
    assert!(!has!(SharedLazy<'static, Rc<u8>>: Send));
    assert!(!has!(SharedLazy<'static, Cell<u8>>: Send), "an output that may not be shared");
    assert!(!has!(SharedLazy<'static, Cell<u8>>: Sync));
}

#[test]
fn that_is_used_once() {
    assert!(!has!(Lazy<'static, u8>: Unpin));
    assert!(!has!(LocalLazy<'static, u8>: Unpin));
    assert!(!has!(Lazy<'static, u8>: Clone));
    assert!(!has!(Lazy<'static, u8>: Default));
    assert!(has!(SharedLazy<'static, u8>: Clone));
    let shared = Arc::new(());
    drop(lazy(std::future::ready(Arc::clone(&shared))));
    assert_eq!(Arc::strong_count(&shared), 1);
}
