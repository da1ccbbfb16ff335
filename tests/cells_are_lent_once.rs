//! The guard of a `StrandCell` is the only one, wherever it is kept, and stays on its thread.

mod support;

use std::cell::RefCell;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;

use support::{runtime, wait_until, watchdog, without_panic_messages};
use tress::executor::Manual;
use tress::strand::{BorrowError, RefMut, Strand, StrandCell};

/// What `f` gives, called on the strand.
fn on<R: Send + 'static>(strand: &Strand, f: impl FnOnce() -> R + Send + 'static) -> R {
    let (tx, rx) = mpsc::channel();
    strand.post(move || tx.send(f()).expect("somebody waits"));
    rx.recv().expect("it is run")
}

/// Builds only if a guard is not `Send`: otherwise both implementations are meant.
#[test]
fn its_guard_is_not_send() {
    trait Ambiguous<Which> {
        fn is_send() -> bool {
            false
        }
    }
    struct Sendable;
    impl<T: ?Sized> Ambiguous<()> for T {}
    impl<T: ?Sized + Send> Ambiguous<Sendable> for T {}
    assert!(!<RefMut<'static, u32> as Ambiguous<_>>::is_send());
}

thread_local! {
    static KEPT: RefCell<Option<RefMut<'static, Vec<u32>>>> = const { RefCell::new(None) };
}

/// A guard may be kept where a later item, or no item at all, drops it: nobody else has the value meanwhile, and the next one sees what was done.
#[test]
fn a_guard_that_is_put_aside_keeps_the_value() {
    static CELL: OnceLock<StrandCell<Vec<u32>>> = OnceLock::new();
    let _watchdog = watchdog();
    let manual = Manual::new();
    let strand = Strand::new(manual.executor());
    let cell = CELL.get_or_init(|| StrandCell::new(&strand, Vec::new()));
    let borrow = move || cell.try_borrow_mut().map(|numbers| numbers.clone());
    for round in 0..100 {
        // The item is run, and its guard dropped, by a thread that is not on the strand then.
        thread::scope(|scope| {
            let (kept, is_kept) = mpsc::channel();
            let (go_on, may_go_on) = mpsc::channel::<()>();
            let (strand, executor) = (&strand, &manual);
            strand.post(move || {
                let mut guard = cell.borrow_mut();
                guard.push(round);
                KEPT.set(Some(guard));
                kept.send(()).expect("somebody waits");
            });
            executor.run_until_idle(10);
            is_kept.recv().expect("it is run");
            let (tx, rx) = mpsc::channel();
            strand.post(move || tx.send(borrow()).expect("somebody waits"));
            // By another thread, which is on the strand then, and finds it lent.
            scope.spawn(|| executor.run_until_idle(10)).join().expect("it ends");
            assert_eq!(rx.recv(), Ok(Err(BorrowError::Borrowed)));
            // While this one, off the strand, writes to it and gives it back, the other asks again and again.
            let asking = scope.spawn(move || {
                let _ = may_go_on.recv();
                loop {
                    let (tx, rx) = mpsc::channel();
                    strand.post(move || tx.send(borrow()).expect("somebody waits"));
                    executor.run_until_idle(10);
                    match rx.recv().expect("it is run") {
                        Ok(numbers) => return numbers,
                        Err(error) => assert_eq!(error, BorrowError::Borrowed),
                    }
                }
            });
            drop(go_on);
            KEPT.with_borrow_mut(|guard| guard.as_mut().expect("it is kept").push(round + 1000));
            KEPT.set(None);
            let numbers = asking.join().expect("it ends");
            assert_eq!(numbers[numbers.len() - 2..], [round, round + 1000]);
        });
    }
}

#[test]
fn a_panic_gives_it_back_and_a_forgotten_guard_does_not() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let strand = Strand::new(runtime.handle().clone());
    let cell = Arc::new(StrandCell::new(&strand, 1));
    let own = Arc::clone(&cell);
    without_panic_messages(|| {
        strand.post(move || own.with(|_| panic!("expected: while it is lent")));
        let own = Arc::clone(&cell);
        assert_eq!(on(&strand, move || own.try_borrow_mut().map(|number| *number)), Ok(1));
    });
    let own = Arc::clone(&cell);
    on(&strand, move || std::mem::forget(own.borrow_mut()));
    let own = Arc::clone(&cell);
    let refused = on(&strand, move || own.try_borrow_mut().map(|number| *number));
    assert_eq!(refused, Err(BorrowError::Borrowed));
    wait_until(|| Arc::strong_count(&cell) == 1, "an item keeps it");
    assert_eq!(Arc::into_inner(cell).map(|mut cell| *cell.get_mut()), Some(1), "its owner still has it");
}

#[test]
fn what_runs_inside_an_item_of_its_strand_may_borrow_it() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let strand = Strand::new(runtime.handle().clone());
    let above = Strand::new(strand.clone());
    let cell = Arc::new(StrandCell::new(&strand, 0));
    let (tx, rx) = mpsc::channel();
    let own = Arc::clone(&cell);
    above.post(move || tx.send(own.try_borrow_mut().map(|_| ())).expect("somebody waits"));
    assert_eq!(rx.recv(), Ok(Ok(())), "the item of the upper strand is one of the lower");
    let (own, inner) = (Arc::clone(&cell), strand.clone());
    let dispatched = on(&strand, move || {
        let (tx, rx) = mpsc::channel();
        let guard = own.borrow_mut();
        let again = Arc::clone(&own);
        inner.dispatch(move || tx.send(again.try_borrow_mut().map(|_| ())).expect("somebody waits"));
        drop(guard);
        rx.recv()
    });
    assert_eq!(dispatched, Ok(Err(BorrowError::Borrowed)));
    let messages = without_panic_messages(|| {
        let [off, twice] = [(); 2].map(|()| Arc::clone(&cell));
        let off = thread::spawn(move || *off.borrow_mut()).join().expect_err("it is off the strand");
        let twice = on(&strand, move || {
            let _guard = twice.borrow_mut();
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| twice.with(|_| ())))
        });
        [off, twice.expect_err("it is borrowed")].map(support::payload_text)
    });
    assert!(messages[0].contains("does not run on its strand"), "{messages:?}");
    assert!(messages[1].contains("it is borrowed already"), "{messages:?}");
}
