//! A generator gives what its body emits, one item whenever one is asked for, wherever in the body that is done, and loses nothing.

mod leaves;
mod support;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::FusedStream;
use leaves::{Flag, Gate, Tally, never, poll_once};
use support::{
    Census, Pend, block_on_foreign, runtime, stress, wait_until, watchdog, without_panic_messages,
};
use tress::env;
use tress::stop::StopSource;
use tress::stream::{FuturesUnordered, Stream, StreamExt, Yielder, generator};
use tress::task::{lazy, yield_now};

async fn count_to(mut yielder: Yielder<u32>, end: u32) {
    for number in 0..end {
        yielder.emit(number).await;
    }
}

#[test]
fn items_come_in_order_and_end() {
    let mut numbers = pin!(generator(|yielder| count_to(yielder, 3)));
    let collected: Vec<u32> = block_on_foreign(numbers.by_ref().collect());
    assert_eq!(collected, [0, 1, 2]);
    assert!(numbers.is_terminated());
    assert_eq!(block_on_foreign(numbers.next()), None);

    let empty = generator(|_: Yielder<u32>| async {});
    assert_eq!(block_on_foreign(empty.count()), 0);
}

/// The body runs when an item is asked for, and no further than to its next item.
#[test]
fn the_body_does_not_run_ahead() {
    let steps = Tally::default();
    let inside = steps.clone();
    let mut numbers = pin!(generator(|mut yielder| async move {
        inside.add();
        yielder.emit(1).await;
        inside.add();
        yielder.emit(2).await;
        inside.add();
    }));
    for (number, item) in [Some(1), Some(2), None].into_iter().enumerate() {
        assert_eq!(steps.count(), number);
        assert_eq!(block_on_foreign(numbers.next()), item);
        assert_eq!(steps.count(), number + 1);
    }
}

/// Between items the body may wait; the stream is pending then, and woken by what the body waits for alone.
#[test]
fn the_body_may_wait() {
    let gate = Gate::default();
    let inside = gate.clone();
    let mut numbers = pin!(generator(|mut yielder| async move {
        yielder.emit(1).await;
        inside.passed().await;
        yielder.emit(2).await;
    }));
    let flag = Arc::new(Flag::default());
    let waker = flag.waker();
    let mut cx = Context::from_waker(&waker);
    assert_eq!(numbers.as_mut().poll_next(&mut cx), Poll::Ready(Some(1)));
    assert_eq!(numbers.as_mut().poll_next(&mut cx), Poll::Pending);
    assert_eq!(flag.wakes(), 0);
    gate.open();
    assert_eq!(flag.wakes(), 1);
    assert_eq!(numbers.as_mut().poll_next(&mut cx), Poll::Ready(Some(2)));
    assert_eq!(numbers.as_mut().poll_next(&mut cx), Poll::Ready(None));
    assert_eq!(flag.wakes(), 1, "items that are asked for wake nobody");
}

#[test]
fn errors_are_items() {
    let lines = generator(|mut yielder| async move {
        for text in ["1", "x", "3"] {
            yielder.emit(text.parse::<u32>()).await;
        }
    });
    let numbers: Result<Vec<u32>, _> = block_on_foreign(tress::stream::TryStreamExt::try_collect(lines));
    assert!(numbers.is_err());
}

#[test]
fn a_panic_goes_on() {
    let census = Census::default();
    let counted = census.count();
    let mut numbers = Box::pin(generator(|mut yielder| async move {
        let _counted = counted;
        yielder.emit(1).await;
        panic!("expected: the body panics");
    }));
    assert_eq!(block_on_foreign(numbers.next()), Some(1));
    without_panic_messages(|| {
        let panic = catch_unwind(AssertUnwindSafe(|| block_on_foreign(numbers.next()))).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"expected: the body panics"));
    });
    drop(numbers);
    assert_eq!(census.alive(), 0);
}

#[test]
fn dropping_the_stream_drops_the_body_and_the_items() {
    let census = Census::default();
    let inside = census.clone();
    let counted = census.count();
    let mut items = Box::pin(generator(|mut yielder| async move {
        let _counted = counted;
        loop {
            yielder.emit(inside.count()).await;
        }
    }));
    drop(block_on_foreign(items.next()));
    assert_eq!(census.alive(), 1);
    drop(items);
    assert_eq!(census.alive(), 0);
}

/// A pending `next` that is dropped takes no item with it.
#[test]
fn dropping_a_pending_next_loses_nothing() {
    let gate = Gate::default();
    let inside = gate.clone();
    let mut numbers = pin!(generator(|mut yielder| async move {
        for number in 0..3 {
            inside.passed().await;
            yielder.emit(number).await;
        }
    }));
    block_on_foreign(async {
        assert!(poll_once(pin!(numbers.next())).await.is_pending());
        gate.open();
        assert_eq!(numbers.collect::<Vec<_>>().await, [0, 1, 2]);
    });
}

/// An `emit` that is dropped after its first poll has given its item away; the next one waits until that is taken.
#[test]
fn dropping_a_pending_emit_loses_nothing() {
    let numbers = generator(|mut yielder| async move {
        assert!(poll_once(pin!(yielder.emit(1))).await.is_pending());
        drop(yielder.emit(0));
        yielder.emit(2).await;
        assert!(poll_once(pin!(yielder.emit(3))).await.is_pending());
    });
    assert_eq!(block_on_foreign(numbers.collect::<Vec<_>>()), [1, 2, 3]);
}

/// Parts of the body that are polled only when they were woken themselves may emit.
#[test]
fn frames_and_sets_may_emit() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let numbers = || {
        generator(|mut yielder| async move {
            yielder.emit(0).await;
            let mut yielder = lazy(async move {
                yielder.emit(1).await;
                yield_now().await;
                yielder.emit(2).await;
                yielder.emit(3).await;
                yielder
            })
            .await;
            let set: FuturesUnordered<_> = std::iter::once(async {
                yielder.emit(4).await;
                yielder.emit(5).await;
            })
            .collect();
            set.collect::<()>().await;
        })
    };
    let expected = [0, 1, 2, 3, 4, 5];
    let collects = || async move { numbers().collect::<Vec<i32>>().await };
    assert_eq!(runtime.block_on(collects()), expected);
    assert_eq!(runtime.block_on(runtime.spawn(collects())).unwrap(), expected);
    assert_eq!(runtime.block_on(runtime.spawn(lazy(collects()))).unwrap(), expected);
    assert_eq!(block_on_foreign(collects()), expected);
}

/// A yielder that went to another task is a channel without room: each item is waited for, and after the end none is.
#[test]
fn another_task_may_emit() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let (items, taken) = (random.below(50), random.below(50));
        let pends: Vec<_> = (0..items).map(|_| random.below(3)).collect();
        let mut numbers = Box::pin(generator(|mut yielder| async move {
            let task = tress::spawn(async move {
                for (number, pends) in pends.into_iter().enumerate() {
                    Pend(pends).await;
                    yielder.emit(number).await;
                }
            });
            task.await.unwrap();
        }));
        let collected = runtime.block_on(runtime.spawn(async move {
            let mut collected = Vec::new();
            while collected.len() < taken
                && let Some(number) = numbers.next().await
            {
                collected.push(number);
            }
            collected
        }));
        assert!(collected.unwrap().into_iter().eq(0..items.min(taken)));
    });
}

/// What is emitted when nobody will take it is dropped at once.
#[test]
fn emitting_after_the_end_does_not_wait() {
    let census = Census::default();
    let mut left = None;
    let ends = generator(|yielder| {
        left = Some(yielder);
        async {}
    });
    assert_eq!(block_on_foreign(ends.count()), 0);
    let mut yielder = left.unwrap();
    block_on_foreign(yielder.emit(census.count()));
    assert_eq!(census.alive(), 0);
}

/// Who waits for room when the stream goes away goes on.
#[test]
fn the_end_frees_who_waits() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let waits = Arc::new(AtomicUsize::new(0));
    let inside = Arc::clone(&waits);
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut items = Box::pin(generator(|mut yielder| async move {
        let task = tress::spawn(async move {
            yielder.emit(1).await;
            let mut second = pin!(yielder.emit(2));
            poll_fn(|cx| {
                inside.fetch_add(1, Ordering::SeqCst);
                second.as_mut().poll(cx)
            })
            .await;
        });
        sender.send(task).unwrap();
        never().await;
    }));
    runtime.block_on(async {
        assert_eq!(items.next().await, Some(1));
        // The other task may be quick enough to be seen.
        let _asked = poll_once(pin!(items.next())).await;
    });
    wait_until(|| waits.load(Ordering::SeqCst) > 0, "the second item is emitted");
    drop(items);
    runtime.block_on(receiver.recv().unwrap()).unwrap();
}

/// The body has the environment of whoever asks for an item; a stop of it stops them.
#[test]
fn the_body_has_the_environment_of_its_caller() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let source = StopSource::new();
    let inside = source.clone();
    let collects = env::scope().stop(source.token()).value(7_u32).run(async move {
        let mut items = pin!(generator(|mut yielder| async move {
            yielder.emit(env::value::<u32>()).await;
            inside.request_stop();
            tress::time::sleep(Duration::from_secs(600)).await;
            yielder.emit(None).await;
        }));
        assert_eq!(items.next().await, Some(Some(7)));
        items.next().await
    });
    assert!(runtime.block_on(runtime.spawn(collects)).unwrap_err().is_stopped());
}

/// What is always ready takes turns with others on the same worker.
#[test]
fn others_have_their_turn() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let gate = Gate::default();
    let opened = gate.clone();
    let endless = runtime.spawn(async move {
        let numbers = generator(|mut yielder| async move {
            loop {
                yielder.emit(()).await;
            }
        });
        let mut numbers = pin!(numbers.take_until(gate.passed()));
        while numbers.next().await.is_some() {}
    });
    let opens = runtime.spawn(async move { opened.open() });
    block_on_foreign(endless).unwrap();
    block_on_foreign(opens).unwrap();
}

#[test]
fn a_million_items_need_no_stack() {
    let _watchdog = watchdog();
    let thread = thread::Builder::new().stack_size(64 << 10).spawn(|| {
        let sum = generator(|yielder| count_to(yielder, 1_000_000))
            .fold(0_u64, |sum, number| async move { sum + u64::from(number) });
        assert_eq!(block_on_foreign(sum), 499_999_500_000);
    });
    thread.unwrap().join().unwrap();
}

/// With the combinators of the field.
#[test]
fn streams_are_merged_and_cut() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let ticks = |name: char| {
        Box::pin(generator(move |mut yielder| async move {
            loop {
                yielder.emit(name).await;
            }
        }))
    };
    let merged = tress::stream::select(ticks('a'), ticks('b')).take(10);
    assert_eq!(runtime.block_on(merged.collect::<String>()), "ababababab");

    let late = tress::time::sleep(Duration::from_millis(5));
    let cut = ticks('c').then(|tick| yield_now().map(move |()| tick)).take_until(late);
    assert!(runtime.block_on(cut.count()) > 0);
}
