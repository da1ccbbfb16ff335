//! `block_on` inside a runtime panics with a message that says what to do, and is allowed where it does no harm.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};

use support::{panic_text, runtime, watchdog, without_panic_messages};
use tress::Handle;
use tress::task::{block_in_place, spawn_blocking};

fn assert_says_what_to_do(text: &str) {
    assert!(text.contains("block_on") && text.contains("block_in_place"), "{text}");
}

/// The message also names the expected panic, so it is not quiet.
#[test]
fn in_a_task() {
    let _watchdog = watchdog();
    for other in [false, true] {
        let (runtime, another) = (runtime(2), runtime(1));
        let handle = if other { another.handle() } else { runtime.handle() }.clone();
        let task = runtime.spawn(async move { handle.block_on(async {}) });
        assert_says_what_to_do(&panic_text(runtime.block_on(task).unwrap_err()));
        assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
    }
}

#[test]
fn in_the_future_of_block_on() {
    let _watchdog = watchdog();
    let (runtime, another) = (runtime(2), runtime(1));
    for inner in [runtime.handle(), another.handle()] {
        let caught = catch_unwind(AssertUnwindSafe(|| runtime.block_on(async { inner.block_on(async {}) })));
        let payload = caught.unwrap_err();
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        assert_says_what_to_do(&text.or(payload.downcast_ref::<String>().cloned()).unwrap());
        assert_eq!(runtime.block_on(async { 2 }), 2);
    }
}

#[test]
fn but_not_where_the_thread_has_nothing_else_to_do() {
    let _watchdog = watchdog();
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let in_place = runtime.spawn(async {
            block_in_place(|| {
                Handle::current().block_on(async {
                    let task = tress::spawn(async { 20 });
                    task.await.unwrap() + block_in_place(|| Handle::current().block_on(async { 1 }))
                })
            })
        });
        assert_eq!(runtime.block_on(in_place).unwrap(), 21);
        let in_call = runtime.spawn(async {
            let call =
                spawn_blocking(|| Handle::current().block_on(async { tress::spawn(async { 22 }).await }));
            call.await.unwrap().unwrap()
        });
        assert_eq!(runtime.block_on(in_call).unwrap(), 22);
        let in_root = runtime.block_on(async {
            block_in_place(|| Handle::current().block_on(async { tress::spawn(async { 23 }).await.unwrap() }))
        });
        assert_eq!(in_root, 23);
    }
}

/// What a task left on its worker is run by others, while it blocks in place.
#[test]
fn block_in_place_holds_up_nobody() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let task = runtime.spawn(async {
        let (send, receive) = std::sync::mpsc::channel();
        let tasks: Vec<_> = (0..10)
            .map(|number| {
                let send = send.clone();
                tress::spawn(async move { send.send(number).unwrap() })
            })
            .collect();
        let sum: i32 = block_in_place(|| receive.iter().take(10).sum());
        for task in tasks {
            task.await.unwrap();
        }
        sum
    });
    assert_eq!(runtime.block_on(task).unwrap(), 45);
}

#[test]
fn a_panic_in_block_in_place_is_the_tasks() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = runtime(1);
        let task = runtime.spawn(async { block_in_place(|| panic!("expected: in place")) });
        assert_eq!(panic_text(runtime.block_on(task).unwrap_err()), "expected: in place");
        // The worker is back in its loop.
        let task = runtime.spawn(async { catch_unwind(|| Handle::current().block_on(async {})).is_err() });
        assert!(runtime.block_on(task).unwrap());
    });
}
