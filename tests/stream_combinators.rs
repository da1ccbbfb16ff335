//! The combinators of the field over generators: items are in order, and ends, stops, panics and drops reach what is below them.

mod leaves;
mod support;

use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use leaves::{Gate, Tally, never, poll_once};
use support::{
    Census, Counted, Pend, block_on_foreign, panic_text, runtime, wait_until, watchdog,
    without_panic_messages,
};
use tress::env;
use tress::stop::{self, Outcome, StopSource};
use tress::stream::{self, Stream, StreamExt, generator};
use tress::task::yield_now;
use tress::time::sleep;

const LONG: Duration = Duration::from_secs(600);

type Numbers = Pin<Box<dyn Stream<Item = u32> + Send>>;

/// What a generator does when it has counted.
#[derive(Clone, Copy, Debug)]
enum Then {
    End,
    Wait,
    Stop,
    Panic,
}

/// From `first` on, in steps, so many numbers, each after a wait now and then; and then this. It holds what it is given.
fn count(first: u32, step: usize, numbers: u32, then: Then, held: impl Send + 'static) -> Numbers {
    Box::pin(generator(move |mut yielder| async move {
        let _held = held;
        for number in (first..).step_by(step).take(numbers as usize) {
            Pend(number as usize % 3).await;
            yielder.emit(number).await;
        }
        match then {
            Then::End => {}
            Then::Wait => sleep(LONG).await,
            Then::Stop => match stop::stopped().await {},
            Then::Panic => panic!("expected: below a combinator"),
        }
    }))
}

/// A combinator over one or two of these streams, which have ten numbers in all; and what it gives.
struct Case {
    what: &'static str,
    make: fn(Then, &Census) -> Numbers,
    expected: &'static [u32],
}

const TEN: &[u32] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

const CASES: [Case; 8] = [
    Case {
        what: "map",
        make: |then, census| Box::pin(ten(then, census).map(|number| number / 2)),
        expected: &[0, 0, 1, 1, 2, 2, 3, 3, 4, 4],
    },
    Case {
        what: "then",
        make: |then, census| Box::pin(ten(then, census).then(|number| Pend(1).map(move |()| number))),
        expected: TEN,
    },
    Case {
        what: "filter",
        make: |then, census| Box::pin(ten(then, census).filter(|number| ready(number % 2 == 0))),
        expected: &[0, 2, 4, 6, 8],
    },
    Case {
        what: "filter_map",
        make: |then, census| {
            Box::pin(ten(then, census).filter_map(|number| ready((number > 7).then(|| number + 1))))
        },
        expected: &[9, 10],
    },
    Case {
        what: "take_until",
        make: |then, census| Box::pin(ten(then, census).take_until(never())),
        expected: TEN,
    },
    Case {
        what: "chunks",
        make: |then, census| Box::pin(ten(then, census).chunks(5).map(|chunk| chunk.iter().sum())),
        expected: &[10, 35],
    },
    Case {
        what: "select",
        make: |then, census| {
            let [even, odd] = even_and_odd(then, census);
            Box::pin(stream::select(even, odd))
        },
        expected: TEN,
    },
    Case {
        what: "select_all",
        make: |then, census| Box::pin(stream::select_all(even_and_odd(then, census))),
        expected: TEN,
    },
];

fn ten(then: Then, census: &Census) -> Numbers {
    count(0, 1, 10, then, census.count())
}

fn even_and_odd(then: Then, census: &Census) -> [Numbers; 2] {
    [0, 1].map(|first| count(first, 2, 5, then, census.count()))
}

/// Whether the order of the items is said. Of a merge it is that within each of both.
fn in_order(what: &str, mut items: Vec<u32>) -> Vec<u32> {
    if what.starts_with("select") {
        for parity in [0, 1] {
            assert!(items.iter().filter(|number| **number % 2 == parity).is_sorted(), "{what}: {items:?}");
        }
        items.sort_unstable();
    }
    items
}

#[test]
fn values_come_in_order_and_end() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    for Case { what, make, expected } in CASES {
        let items = make(Then::End, &census);
        let collected = runtime.block_on(runtime.spawn(items.collect::<Vec<_>>())).unwrap();
        assert_eq!(in_order(what, collected), expected, "{what}");
    }
    for Case { what, make, expected } in CASES {
        let items = make(Then::End, &census);
        assert_eq!(in_order(what, block_on_foreign(items.collect())), expected, "{what}");
    }
    assert_eq!(census.alive(), 0);
}

/// All that came before is given.
#[test]
fn panics_go_on_after_the_values() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    without_panic_messages(|| {
        for Case { what, make, expected } in CASES {
            let mut items = make(Then::Panic, &census);
            let seen = Tally::default();
            let counts = seen.clone();
            let task = runtime.spawn(async move {
                while items.next().await.is_some() {
                    counts.add();
                }
            });
            assert_eq!(panic_text(runtime.block_on(task).unwrap_err()), "expected: below a combinator");
            assert!(seen.count() <= expected.len(), "{what}");
            if !what.starts_with("select") {
                assert_eq!(seen.count(), expected.len(), "{what}");
            }
            assert_eq!(census.alive(), 0, "{what}");
        }
    });
}

/// One that stops itself stops whoever asks for its items.
#[test]
fn stops_from_below_go_on_after_the_values() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    for Case { what, make, expected } in CASES {
        let mut items = make(Then::Stop, &census);
        let seen = Tally::default();
        let counts = seen.clone();
        let task = runtime.spawn(stop::outcome(async move {
            while items.next().await.is_some() {
                counts.add();
            }
        }));
        assert_eq!(runtime.block_on(task).unwrap(), Outcome::Stopped, "{what}");
        // A merge is stopped with the first of both, unless the other has something to give.
        if !what.starts_with("select") {
            assert_eq!(seen.count(), expected.len(), "{what}");
        }
        assert_eq!(census.alive(), 0, "{what}");
    }
}

#[test]
fn stops_from_outside_reach_what_waits_below() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    for Case { what, make, expected } in CASES {
        let mut items = make(Then::Wait, &census);
        let (source, seen) = (StopSource::new(), Tally::default());
        let counts = seen.clone();
        let task = runtime.spawn(env::scope().stop(source.token()).run(async move {
            while items.next().await.is_some() {
                counts.add();
            }
        }));
        wait_until(|| seen.count() == expected.len(), what);
        assert!(!task.is_finished(), "{what}");
        source.request_stop();
        assert!(runtime.block_on(task).unwrap_err().is_stopped(), "{what}");
        assert_eq!(census.alive(), 0, "{what}");
    }
}

#[test]
fn drops_in_the_middle_reach_what_is_below() {
    let _watchdog = watchdog();
    let census = Census::default();
    // After so many items, between two, and while it waits for the next one.
    for taken in 0..3 {
        for Case { what, make, expected } in CASES {
            let mut items = make(Then::Wait, &census);
            let before = block_on_foreign(async {
                let mut before = Vec::new();
                for _ in 0..taken.min(expected.len()) {
                    before.push(items.next().await.unwrap());
                }
                before
            });
            if !what.starts_with("select") {
                assert!(expected.starts_with(&before), "{what}: {before:?}");
            }
            assert!(census.alive() > 0);
            let _asked = items.poll_next_unpin(&mut Context::from_waker(Waker::noop()));
            drop(items);
        }
        assert_eq!(census.alive(), 0);
    }
}

/// Items that a combinator holds go with it.
#[test]
fn drops_take_what_was_gathered() {
    let census = Census::default();
    let (inside, gate) = (census.clone(), Gate::default());
    let passed = gate.clone();
    let items = generator(|mut yielder| async move {
        for _ in 0..5 {
            yielder.emit(inside.count()).await;
        }
        passed.passed().await;
    });
    let mut chunks = Box::pin(items.chunks(3));
    block_on_foreign(async {
        assert_eq!(chunks.next().await.map(|chunk: Vec<Counted>| chunk.len()), Some(3));
        assert!(poll_once(pin!(chunks.next())).await.is_pending());
    });
    assert_eq!((census.made(), census.alive()), (5, 2));
    drop(chunks);
    assert_eq!(census.alive(), 0);
}

#[test]
fn a_merge_takes_turns_and_waits_for_both() {
    let gate = Gate::default();
    let passed = gate.clone();
    let late = generator(|mut yielder| async move {
        yielder.emit(100).await;
        passed.passed().await;
        yielder.emit(101).await;
    });
    let early = generator(|mut yielder| async move {
        for number in 0..4 {
            yielder.emit(number).await;
        }
    });
    let mut merged = Box::pin(stream::select(late, early));
    block_on_foreign(async {
        let mut items = Vec::new();
        while let Poll::Ready(item) = poll_once(pin!(merged.next())).await {
            items.push(item.unwrap());
        }
        assert_eq!(items, [100, 0, 1, 2, 3]);
        gate.open();
        assert_eq!((merged.next().await, merged.next().await), (Some(101), None));
    });
}

/// The end comes while the stream waits, and between two items; it is not asked for another one then.
#[test]
fn what_is_taken_until_something_ends() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (gate, asked, census) = (Gate::default(), Tally::default(), Census::default());
    let (end, counts, counted) = (gate.clone(), asked.clone(), census.count());
    let task = runtime.spawn(async move {
        let endless = generator(|mut yielder| async move {
            let _counted = counted;
            loop {
                counts.add();
                yielder.emit(()).await;
                if counts.count() == 10 {
                    sleep(LONG).await;
                }
                yield_now().await;
            }
        });
        endless.take_until(end.passed()).count().await
    });
    wait_until(|| asked.count() == 10, "ten were emitted");
    assert!(!task.is_finished());
    gate.open();
    assert_eq!(runtime.block_on(task).unwrap(), 10);
    assert_eq!(census.alive(), 0);

    let (gate, asked) = (Gate::default(), Tally::default());
    let (end, counts) = (gate.clone(), asked.clone());
    let endless = generator(|mut yielder| async move {
        loop {
            counts.add();
            yielder.emit(counts.count()).await;
        }
    });
    let mut cut = pin!(endless.take_until(end.passed()));
    block_on_foreign(async {
        assert_eq!((cut.next().await, cut.next().await), (Some(1), Some(2)));
        gate.open();
        assert_eq!(cut.next().await, None);
    });
    assert_eq!(asked.count(), 2);
}

/// Closures of combinators are the caller's code: their panics and stops are, too.
#[test]
fn what_is_done_to_an_item_may_fail() {
    let _watchdog = watchdog();
    let (runtime, census) = (runtime(2), Census::default());
    without_panic_messages(|| {
        let numbers = count(0, 1, 10, Then::End, census.count());
        let mut mapped = numbers.map(|number| {
            assert!(number < 3, "expected: in a closure");
            number
        });
        for number in 0..3 {
            assert_eq!(block_on_foreign(mapped.next()), Some(number));
        }
        let ask = || block_on_foreign(mapped.next());
        assert!(catch_unwind(AssertUnwindSafe(ask)).is_err());
        // The item is lost, the stream is not.
        drop(mapped);
        assert_eq!(census.alive(), 0);
    });
    let numbers = count(0, 1, 10, Then::End, census.count());
    let seen = Tally::default();
    let counts = seen.clone();
    let filtered = numbers.filter(move |number| {
        let stops = *number == 3;
        counts.add();
        async move {
            if stops {
                stop::stopped().await;
            }
            true
        }
    });
    let task = runtime.spawn(stop::outcome(filtered.collect::<Vec<_>>()));
    assert_eq!(runtime.block_on(task).unwrap(), Outcome::Stopped);
    assert_eq!((seen.count(), census.alive()), (4, 0));
}

/// Also of what is left out: many items in one poll.
#[test]
fn a_million_items_need_no_stack() {
    const MANY: usize = 1_000_000;
    let _watchdog = watchdog();
    let thread = thread::Builder::new().stack_size(64 << 10).spawn(|| {
        let numbers = || stream::iter(0..MANY);
        let count = |items: Pin<Box<dyn Stream<Item = usize>>>| block_on_foreign(items.count());
        assert_eq!(count(Box::pin(numbers().map(|number| number / 2))), MANY);
        assert_eq!(count(Box::pin(numbers().then(ready))), MANY);
        assert_eq!(count(Box::pin(numbers().filter(|number| ready(*number == 7)))), 1);
        assert_eq!(count(Box::pin(numbers().filter_map(|number| ready((number == 7).then_some(8))))), 1);
        assert_eq!(count(Box::pin(numbers().take_until(never()))), MANY);
        assert_eq!(count(Box::pin(numbers().chunks(2).map(|chunk| chunk.len()))), MANY / 2);
        assert_eq!(count(Box::pin(numbers().ready_chunks(MANY).map(|chunk| chunk.len()))), 1);
        assert_eq!(count(Box::pin(stream::select(numbers(), numbers()))), 2 * MANY);
        assert_eq!(count(Box::pin(stream::select_all([numbers(), numbers()]))), 2 * MANY);
    });
    thread.unwrap().join().unwrap();
}
