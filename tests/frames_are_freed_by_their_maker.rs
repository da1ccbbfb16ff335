//! A frame goes back to the allocator that made it: on any thread, in thread-local destructors, and after everybody else has let go of it.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;

use tress::Runtime;
use tress::frame::{self, AllocError, Arena, Counting, Global, Pool, with_allocator};

#[test]
fn on_another_thread() {
    let counting = Arc::new(Counting::new(Global));
    let boxes: Vec<_> =
        with_allocator(counting.clone(), || (0..1000).map(|n| frame::Box::new([n; 10])).collect());
    assert_eq!(counting.live(), 1000);
    thread::spawn(move || drop(boxes)).join().expect("boxes are dropped anywhere");
    assert_eq!((counting.live(), counting.live_bytes()), (0, 0));
}

#[test]
fn in_a_thread_local_destructor() {
    thread_local! {
        static KEPT: RefCell<Vec<frame::Box<[usize; 10]>>> = const { RefCell::new(Vec::new()) };
    }
    let counting = Arc::new(Counting::new(Pool));
    let maker = counting.clone();
    thread::spawn(move || {
        // Some that this thread's pool made, and some of another maker's, dropped in whatever order the thread ends.
        let make = || (0..100).map(|n| frame::Box::new([n; 10]));
        KEPT.with_borrow_mut(|kept| {
            kept.extend(make());
            with_allocator(maker, || kept.extend(make()));
        });
    })
    .join()
    .expect("boxes are dropped at any time");
    assert_eq!((counting.allocated(), counting.live()), (100, 0));
}

#[test]
fn when_nobody_else_has_the_allocator_any_more() {
    let arena = Arc::new(Arena::new(1 << 20).expect("there is memory"));
    let gone = Arc::downgrade(&arena);
    let boxed = with_allocator(arena, || frame::Box::new([7; 100]));
    assert!(gone.upgrade().is_some(), "the frame holds it");
    assert!(boxed.iter().all(|n| *n == 7));
    drop(boxed);
    assert!(gone.upgrade().is_none(), "nobody holds it");
}

#[test]
fn by_tasks_that_end_elsewhere() {
    let counting = Arc::new(Counting::new(Pool));
    let runtime = Runtime::new().expect("a runtime starts");
    let futures: Vec<Pin<frame::Box<_>>> = with_allocator(counting.clone(), || {
        (0..1000usize)
            .map(|n| {
                frame::Box::pin(async move {
                    tress::task::yield_now().await;
                    n
                })
            })
            .collect()
    });
    let sum: usize = runtime.block_on(async {
        let tasks: Vec<_> = futures.into_iter().map(tress::spawn).collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.expect("it does not panic");
        }
        sum
    });
    assert_eq!(sum, 499_500);
    drop(runtime);
    assert_eq!((counting.allocated(), counting.live()), (1000, 0));
}

#[test]
fn an_allocator_that_refuses_gives_an_error() {
    let arena = Arc::new(Arena::new(10_000).expect("there is memory"));
    with_allocator(arena.clone(), || {
        let mut boxes = Vec::new();
        let refused = loop {
            match frame::Box::try_pin(async { [0u8; 100] }) {
                Ok(boxed) => boxes.push(boxed),
                Err(error) => break error,
            }
        };
        assert_eq!(refused, AllocError);
        assert!(!boxes.is_empty());
        let panic =
            std::panic::catch_unwind(|| frame::Box::new([0u8; 20_000])).expect_err("there is no room");
        drop(panic);
        drop(boxes);
        // What was refused does no harm to what comes later.
        drop(frame::Box::new([0u8; 5000]));
    });
    assert_eq!(arena.used_bytes(), 0);
    // Out of the window there is the pool.
    drop(frame::Box::new([0u8; 20_000]));
}
