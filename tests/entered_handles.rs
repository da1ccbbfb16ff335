//! Which runtime is the current one, whatever order guards are dropped in, and while a thread ends.

use std::cell::RefCell;

use tress::{Builder, Handle, Runtime, spawn, task};

fn runtime() -> Runtime {
    Builder::new().worker_threads(1).build().unwrap()
}

/// Whether `spawn` spawns on this runtime.
fn is_current(runtime: &Runtime) -> bool {
    let live = || runtime.handle().metrics().live_tasks();
    let before = live();
    let task = spawn(std::future::pending::<()>());
    let is_current = live() == before + 1;
    task.abort();
    while !task.is_finished() {
        std::thread::yield_now();
    }
    is_current
}

#[test]
fn the_last_one_wins_though_an_outer_guard_is_dropped_first() {
    let (outer, middle, inner) = (runtime(), runtime(), runtime());
    let outer_guard = outer.enter();
    middle.block_on(async {
        assert!(is_current_from_inside(&middle).await);
        drop(outer_guard);
        let _inner_guard = inner.enter();
        assert!(is_current(&inner));
    });
}

/// As [`is_current`], where the caller is the one that runs the task.
async fn is_current_from_inside(runtime: &Runtime) -> bool {
    let before = runtime.handle().metrics().live_tasks();
    let task = spawn(std::future::pending::<()>());
    let is_current = runtime.handle().metrics().live_tasks() == before + 1;
    task.abort();
    let _ = task.await;
    is_current
}

#[test]
fn a_blocking_call_in_place_keeps_the_current_one() {
    let (outer, inner) = (runtime(), runtime());
    outer.block_on(async {
        let _guard = inner.enter();
        task::block_in_place(|| assert!(is_current(&inner)));
        assert!(is_current(&inner));
    });
}

/// Uses a runtime when its thread ends.
struct AtExit(Handle);

impl Drop for AtExit {
    fn drop(&mut self) {
        let _guard = self.0.enter();
        let task = self.0.spawn(async { 5 });
        assert_eq!(self.0.block_on(task).unwrap(), 5);
    }
}

thread_local! {
    static AT_EXIT: RefCell<Option<AtExit>> = const { RefCell::new(None) };
}

#[test]
fn a_thread_that_ends_may_still_block_on() {
    let runtime = runtime();
    let handle = runtime.handle().clone();
    let thread = std::thread::spawn(move || {
        // Thread-locals are dropped in the order of their first use, or in the reverse: try both.
        AT_EXIT.with(|at_exit| *at_exit.borrow_mut() = Some(AtExit(handle.clone())));
        handle.block_on(async {});
        drop(handle.enter());
    });
    thread.join().unwrap();
    let handle = runtime.handle().clone();
    let thread = std::thread::spawn(move || {
        drop(handle.enter());
        AT_EXIT.with(|at_exit| *at_exit.borrow_mut() = Some(AtExit(handle)));
    });
    thread.join().unwrap();
}

#[test]
fn outside_a_runtime_the_message_is_said_once() {
    let panics: [fn(); 2] = [|| drop(Handle::current()), || drop(tress::spawn(async {}))];
    for panic in panics {
        let payload = std::panic::catch_unwind(panic).unwrap_err();
        let message = payload
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| payload.downcast_ref::<&str>().map(|message| (*message).to_owned()))
            .unwrap();
        assert_eq!(message.matches("no tress runtime").count(), 1, "{message}");
    }
}
