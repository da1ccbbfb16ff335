//! What the user gives a builder: it is gone with the runtime, and cannot break the building.
#![allow(clippy::disallowed_types, reason = "users of the crate have std's types, and so have its tests")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use tress::{Builder, Runtime};

#[test]
fn hooks_are_dropped_with_the_runtime() {
    let held = Arc::new(());
    for _ in 0..10 {
        let hook = || {
            let held = Arc::clone(&held);
            move || assert!(Arc::strong_count(&held) > 1)
        };
        let builder = Builder::new().worker_threads(2).on_thread_start(hook()).on_thread_stop(hook());
        let runtime = builder.on_thread_park(hook()).on_thread_unpark(hook()).build().unwrap();
        runtime.block_on(async {});
        let handle = runtime.handle().clone();
        drop(runtime);
        drop(handle);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}

#[test]
fn a_name_that_no_thread_can_have_is_an_error() {
    let error = Builder::new().thread_name("zero\0byte").build().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("thread_name"));
}

#[test]
fn a_panic_in_a_name_leaves_no_threads() {
    let started = Arc::new(());
    let hook = Arc::clone(&started);
    let builder =
        Builder::new().worker_threads(3).on_thread_start(move || assert!(Arc::strong_count(&hook) > 1));
    let builder = builder.thread_name_fn(|index| if index < 2 { String::new() } else { panic!("expected") });
    assert!(catch_unwind(AssertUnwindSafe(|| builder.build())).is_err());
    assert_eq!(Arc::strong_count(&started), 1, "a worker was started and is still there");
}

#[test]
fn a_hook_may_drop_the_runtime() {
    let slot: Arc<Mutex<Option<Runtime>>> = Arc::default();
    let taken = Arc::clone(&slot);
    let (send, receive) = mpsc::channel();
    let builder = Builder::new().worker_threads(1).on_thread_start(move || {
        loop {
            let runtime = taken.lock().unwrap().take();
            if let Some(runtime) = runtime {
                drop(runtime);
                return send.send(()).unwrap();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let started = Instant::now();
    *slot.lock().unwrap() = Some(builder.build().unwrap());
    receive.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "the worker waited for itself");
}
