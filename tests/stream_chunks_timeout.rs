//! Chunks are given when they are full, when their time is over, and when the stream ends; no item is lost.

mod leaves;
mod support;

use std::future::ready;
use std::panic::catch_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::stream::FusedStream;
use leaves::{Flag, Gate, poll_once};
use support::{Census, block_on_foreign, runtime, stress, wait_until, watchdog, without_panic_messages};
use tress::env;
use tress::stop::{self, Outcome, StopSource};
use tress::stream::{Stream, StreamExt, chunks_timeout, empty, generator, iter};
use tress::time::sleep;

const LONG: Duration = Duration::from_secs(600);

#[test]
fn full_chunks_and_the_rest() {
    let chunks = chunks_timeout(iter(0..7), 3, LONG);
    assert_eq!(block_on_foreign(chunks.collect::<Vec<_>>()), [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
    let mut none = pin!(chunks_timeout(empty::<u8>(), 3, LONG));
    assert_eq!(block_on_foreign(none.next()), None);
    assert!(none.is_terminated());
    assert_eq!(block_on_foreign(none.next()), None);
}

/// The time of a chunk begins with its first item, not with the one before it.
#[test]
fn chunks_end_with_their_time() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let wait = Duration::from_millis(20);
    let numbers = generator(|mut yielder| async move {
        sleep(2 * wait).await;
        let begun = Instant::now();
        yielder.emit((1, begun)).await;
        yielder.emit((2, begun)).await;
        sleep(LONG).await;
    });
    runtime.block_on(async {
        let mut chunks = pin!(chunks_timeout(numbers, 100, wait));
        let chunk = chunks.next().await.unwrap();
        assert!(chunk[0].1.elapsed() >= wait);
        assert_eq!(chunk.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2]);
    });
}

/// Without items nothing wakes anybody.
#[test]
fn no_timer_runs_for_nothing() {
    let gate = Gate::default();
    let passed = gate.clone();
    let mut chunks =
        pin!(chunks_timeout(passed.passed().map(|()| 1).into_stream(), 2, Duration::from_millis(1)));
    let flag = Arc::new(Flag::default());
    let waker = flag.waker();
    assert!(chunks.as_mut().poll_next(&mut Context::from_waker(&waker)).is_pending());
    thread::sleep(Duration::from_millis(20));
    assert_eq!(flag.wakes(), 0);
    gate.open();
    assert_eq!(
        chunks.as_mut().poll_next(&mut Context::from_waker(&waker)),
        Poll::Ready(Some(vec![1])),
        "the stream has ended"
    );
}

#[test]
fn errors_are_items() {
    let chunks = chunks_timeout(iter([Ok(1), Err("two"), Ok(3)]), 2, LONG);
    assert_eq!(block_on_foreign(chunks.collect::<Vec<_>>()), [vec![Ok(1), Err("two")], vec![Ok(3)]]);
}

#[test]
fn a_chunk_has_room() {
    without_panic_messages(|| {
        let panic = catch_unwind(|| drop(chunks_timeout(empty::<u8>(), 0, LONG))).unwrap_err();
        assert!(panic.downcast_ref::<&str>().is_some_and(|text| text.contains("room for one")));
    });
}

#[test]
fn a_panic_of_the_stream_goes_on() {
    let census = Census::default();
    let counted = census.count();
    let numbers = generator(|mut yielder| async move {
        yielder.emit(counted).await;
        panic!("expected: the stream panics");
    });
    let mut chunks = Box::pin(chunks_timeout(numbers, 5, LONG));
    without_panic_messages(|| {
        let poll = || chunks.as_mut().poll_next(&mut Context::from_waker(Waker::noop()));
        assert!(catch_unwind(std::panic::AssertUnwindSafe(poll)).is_err());
    });
    drop(chunks);
    assert_eq!(census.alive(), 0);
}

/// What was gathered stays in the stream when a pending `next` is dropped, and goes with the stream.
#[test]
fn dropping_a_pending_next_loses_nothing() {
    let (census, gate) = (Census::default(), Gate::default());
    let (inside, passed) = (census.clone(), gate.clone());
    let items = generator(|mut yielder| async move {
        loop {
            yielder.emit(inside.count()).await;
            yielder.emit(inside.count()).await;
            passed.passed().await;
        }
    });
    let mut chunks = Box::pin(chunks_timeout(items, 3, LONG));
    block_on_foreign(async {
        assert!(poll_once(pin!(chunks.next())).await.is_pending());
        assert_eq!(census.alive(), 2);
        gate.open();
        assert_eq!(chunks.next().await.map(|chunk| chunk.len()), Some(3));
        assert_eq!(census.alive(), 0);
        assert_eq!(chunks.next().await.map(|chunk| chunk.len()), Some(3));
    });
    drop(chunks);
    assert_eq!(census.alive(), 0);
}

/// A stop of what the stream waits for takes whoever asks for a chunk with it, and a partial chunk goes with the stream.
#[test]
fn a_stop_drops_what_was_gathered() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (census, source, waits) = (Census::default(), StopSource::new(), Gate::default());
    let (inside, waiting) = (census.clone(), waits.clone());
    let items = generator(|mut yielder| async move {
        yielder.emit(inside.count()).await;
        yielder.emit(inside.count()).await;
        // As soon as the stream waits with what it has.
        assert!(poll_once(pin!(waiting.passed())).await.is_pending());
        sleep(LONG).await;
    });
    let asks = async move { pin!(chunks_timeout(items, 3, LONG)).next().await.map(|chunk| chunk.len()) };
    let task = runtime.spawn(stop::outcome(env::scope().stop(source.token()).run(asks)));
    wait_until(|| waits.polls() > 0, "it waits for the third item");
    assert_eq!(census.alive(), 2);
    source.request_stop();
    assert_eq!(runtime.block_on(task).unwrap(), Outcome::Stopped);
    assert_eq!((census.made(), census.alive()), (2, 0));
}

/// A stream that waits for nothing that can be stopped: the time of the chunk can be.
#[test]
fn a_stop_ends_the_wait_for_the_time() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (census, source, gate) = (Census::default(), StopSource::new(), Gate::default());
    let (counted, passed) = (census.count(), gate.clone());
    let items = iter([counted]).chain(passed.passed().into_stream().filter_map(|()| ready(None)));
    let task = runtime.spawn(
        env::scope()
            .stop(source.token())
            .run(async move { pin!(chunks_timeout(items, 2, LONG)).next().await.map(|chunk| chunk.len()) }),
    );
    wait_until(|| gate.polls() > 0, "it waits for the second item");
    source.request_stop();
    assert!(runtime.block_on(task).unwrap_err().is_stopped());
    assert_eq!(census.alive(), 0);
}

/// Caught around one `next`, a stop leaves what was gathered in the stream, as dropping that `next` does.
#[test]
fn a_stop_that_is_caught_loses_nothing() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    runtime.block_on(async {
        let (source, gate) = (StopSource::new(), Gate::default());
        let passed = gate.clone();
        let items = iter([1, 2]).chain(passed.passed().map(|()| 3).into_stream());
        let mut chunks = pin!(chunks_timeout(items, 3, LONG));
        let mut asks = Box::pin(stop::outcome(env::scope().stop(source.token()).run(chunks.next())));
        assert!(poll_once(asks.as_mut()).await.is_pending());
        source.request_stop();
        assert_eq!(asks.await, Outcome::Stopped);
        gate.open();
        assert_eq!(chunks.next().await, Some(vec![1, 2, 3]));
        assert_eq!(chunks.next().await, None);
    });
}

/// Items come at any time; all of them are given, in order, in chunks that are neither empty nor too long.
#[test]
fn nothing_is_lost_at_any_pace() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let (items, max_len) = (random.below(60), 1 + random.below(8));
        let wait = Duration::from_micros(random.below(400) as u64);
        let mut paces = random.fork();
        let numbers = generator(|mut yielder| async move {
            for number in 0..items {
                if paces.once_in(4) {
                    sleep(Duration::from_micros(paces.below(400) as u64)).await;
                }
                yielder.emit(number).await;
            }
        });
        let chunks = runtime.spawn(chunks_timeout(numbers, max_len, wait).collect::<Vec<_>>());
        let chunks = runtime.block_on(chunks).unwrap();
        assert!(chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= max_len));
        assert!(chunks.into_iter().flatten().eq(0..items));
    });
}

/// A stream that is always ready keeps neither the deadline from being seen, nor others from their turn.
#[test]
fn an_endless_stream_is_cut_by_time() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let endless = generator(|mut yielder| async move {
        loop {
            yielder.emit(()).await;
        }
    });
    let chunks =
        chunks_timeout(endless, usize::MAX, Duration::from_millis(2)).take(3).map(|chunk| chunk.len());
    let lens = runtime.block_on(runtime.spawn(chunks.collect::<Vec<_>>())).unwrap();
    assert!(lens.iter().all(|len| *len > 0));
}

#[test]
fn a_million_items_need_no_stack() {
    let _watchdog = watchdog();
    let thread = thread::Builder::new().stack_size(64 << 10).spawn(|| {
        let count = chunks_timeout(iter(0..1_000_000), 1, LONG).count();
        assert_eq!(block_on_foreign(count), 1_000_000);
    });
    thread.unwrap().join().unwrap();
}
