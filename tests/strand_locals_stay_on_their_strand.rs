//! A `Local` is a value of the innermost strand that code runs on: lent there only, once at a time, and dropped once.

mod support;

use std::sync::mpsc;
use std::thread;

use support::{Census, Counted, runtime, watchdog, without_panic_messages};
use tress::executor::{Inline, Manual, launch};
use tress::strand::{Actor, BorrowError, Local, Strand};
use tress::task::{block_in_place, yield_now};

static NUMBER: Local<u32> = Local::new(|| 7);

/// What `f` gives, called on the strand.
fn on<R: Send + 'static>(strand: &Strand, f: impl FnOnce() -> R + Send + 'static) -> R {
    let (tx, rx) = mpsc::channel();
    strand.post(move || tx.send(f()).expect("somebody waits"));
    rx.recv().expect("it is run")
}

fn number() -> Result<u32, BorrowError> {
    NUMBER.try_with(|number| *number)
}

#[test]
fn each_strand_has_its_own_and_nobody_else() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let [one, other] = [(), ()].map(|()| Strand::new(runtime.handle().clone()));
    on(&one, || NUMBER.with(|number| *number += 1));
    assert_eq!((on(&one, number), on(&other, number)), (Ok(8), Ok(7)));
    assert_eq!(number(), Err(BorrowError::NotOnStrand));
    assert_eq!(
        runtime.block_on(runtime.spawn(async { number() })).expect("it ends"),
        Err(BorrowError::NotOnStrand)
    );
    let message = without_panic_messages(|| {
        let thread = thread::spawn(|| NUMBER.with(|_| panic!("expected: not reached")));
        support::payload_text(thread.join().expect_err("there is no strand"))
    });
    assert!(message.contains("does not run on its strand"), "{message}");
}

#[test]
fn tasks_find_it_after_each_await() {
    let _watchdog = watchdog();
    let runtime = runtime(4);
    let strand = Strand::builder(runtime.handle().clone()).local(&NUMBER, 0).build();
    const TASKS: u32 = 20;
    const ROUNDS: u32 = 500;
    runtime.block_on(async {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                strand.spawn(async {
                    for _ in 0..ROUNDS {
                        // Not in one step: an overlap would lose some.
                        let before = NUMBER.with(|number| *number);
                        std::hint::spin_loop();
                        NUMBER.with(|number| *number = before + 1);
                        yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("it ends");
        }
    });
    assert_eq!(on(&strand, number), Ok(TASKS * ROUNDS));
}

#[test]
fn it_is_lent_once_also_to_what_is_dispatched_inside() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let strand = Strand::new(runtime.handle().clone());
    let own = strand.clone();
    let (inside, after) = on(&strand, move || {
        let (tx, rx) = mpsc::channel();
        NUMBER.with(|_| own.dispatch(move || tx.send(number()).expect("somebody waits")));
        (rx.recv(), number())
    });
    assert_eq!((inside, after), (Ok(Err(BorrowError::Borrowed)), Ok(7)));
}

#[test]
fn a_panic_gives_it_back() {
    let _watchdog = watchdog();
    static FUSED: Local<u32> = Local::new(|| panic!("expected: cannot be made"));
    let runtime = runtime(1);
    let strand = Strand::new(runtime.handle().clone());
    without_panic_messages(|| {
        strand.post(|| NUMBER.with(|_| panic!("expected: while it is lent")));
        assert_eq!(on(&strand, number), Ok(7));
        for _ in 0..2 {
            let made = on(&strand, || std::panic::catch_unwind(|| FUSED.with(|_| ())).is_ok());
            assert!(!made, "each tries to make it");
        }
    });
}

#[test]
fn one_that_is_being_made_is_not_made_again() {
    let _watchdog = watchdog();
    static OUTER: Local<Result<u32, BorrowError>> = Local::new(|| OUTER.try_with(|_| 0));
    static SUM: Local<u32> = Local::new(|| NUMBER.with(|number| *number + 1));
    let runtime = runtime(1);
    let strand = Strand::new(runtime.handle().clone());
    assert_eq!(on(&strand, || OUTER.with(|outer| *outer)), Err(BorrowError::Borrowed));
    assert_eq!(on(&strand, || SUM.with(|sum| *sum)), 8, "it may ask for others");
}

#[test]
fn it_is_that_of_the_innermost_strand() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let outer = Strand::builder(runtime.handle().clone()).local(&NUMBER, 1).build();
    let inner = Strand::builder(outer.clone()).local(&NUMBER, 2).build();
    let (tx, rx) = mpsc::channel();
    let below = outer.clone();
    inner.post(move || {
        let on_inner = number();
        let (to_outer, from_outer) = mpsc::channel();
        below.dispatch(move || to_outer.send(number()).expect("somebody waits"));
        tx.send((on_inner, from_outer.recv(), number())).expect("somebody waits");
    });
    assert_eq!(rx.recv(), Ok((Ok(2), Ok(Ok(1)), Ok(2))));
    // One that is idle, over the executor that the caller is on, runs inside.
    let third = Strand::builder(runtime.handle().clone()).local(&NUMBER, 3).build();
    let inside = on(&outer, move || {
        let (tx, rx) = mpsc::channel();
        third.dispatch(move || tx.send(number()).expect("somebody waits"));
        (rx.recv(), number())
    });
    assert_eq!(inside, (Ok(Ok(3)), Ok(1)));
}

#[test]
fn what_others_run_meanwhile_on_the_same_stack_has_none() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let strand = Strand::new(runtime.handle().clone());
    let handle = runtime.handle().clone();
    let found = on(&strand, move || {
        let manual = Manual::new();
        let task = launch(manual.executor()).spawn(async { number() });
        manual.run_until_idle(10);
        let by_manual = task.is_finished();
        let (tx, rx) = mpsc::channel();
        let inner = Strand::new(Inline);
        inner.post(move || tx.send(number()).expect("somebody waits"));
        let by_inline = rx.recv();
        let by_runtime = block_in_place(|| handle.block_on(async { number() }));
        let in_place = block_in_place(number);
        (by_manual, by_inline, by_runtime, in_place, number())
    });
    let none = Err(BorrowError::NotOnStrand);
    // On a strand of its own; under another run loop; and again on this one.
    assert_eq!(found, (true, Ok(Ok(7)), none, Ok(7), Ok(7)));
}

#[test]
fn actors_have_none() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let actor = Actor::builder(()).executor(runtime.handle().clone()).build();
    let (tx, rx) = mpsc::channel();
    actor.post(move |()| tx.send(number()).expect("somebody waits")).expect("there is no limit");
    assert_eq!(rx.recv(), Ok(Err(BorrowError::NotOnStrand)));
}

/// Says in its drop whether it is on a strand, then panics.
struct Bomb(mpsc::Sender<Result<u32, BorrowError>>, #[expect(dead_code, reason = "counts")] Counted);

impl Drop for Bomb {
    fn drop(&mut self) {
        let _ = self.0.send(number());
        panic!("expected: a bomb");
    }
}

#[test]
fn it_is_dropped_once_with_the_strand_and_its_panic_ends_there() {
    let _watchdog = watchdog();
    static FIRST: Local<Option<Bomb>> = Local::new(|| None);
    static SECOND: Local<Option<Bomb>> = Local::new(|| None);
    let census = Census::default();
    let (tx, rx) = mpsc::channel();
    without_panic_messages(|| {
        let runtime = runtime(2);
        let strand = Strand::builder(runtime.handle().clone())
            .local(&FIRST, Some(Bomb(tx.clone(), census.count())))
            .build();
        let second = Bomb(tx, census.count());
        on(&strand, move || SECOND.with(|value| *value = Some(second)));
        assert_eq!(census.alive(), 2);
        // From inside itself.
        let own = strand.clone();
        strand.post(move || drop(own));
        drop(strand);
        census.wait_until_empty();
    });
    assert_eq!(rx.into_iter().collect::<Vec<_>>(), [Err(BorrowError::NotOnStrand); 2]);
}

#[test]
fn a_builder_that_makes_nothing_drops_it() {
    static VALUE: Local<Option<Counted>> = Local::new(|| None);
    let census = Census::default();
    let builder =
        Strand::builder(Inline).local(&VALUE, Some(census.count())).local(&VALUE, Some(census.count()));
    assert_eq!(census.alive(), 1, "the later one is in the place of the former");
    drop(builder);
    assert_eq!(census.alive(), 0);
}
