//! A runtime that is shut down takes no more tasks: their futures are dropped and their handles say so. Handles and
//! wakers that are left over are harmless.

mod support;

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use support::{Census, block_on_foreign, runtime, stress, watchdog};
use tress::Handle;

#[test]
fn spawns() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle().clone();
    drop(runtime);
    let census = Census::default();
    let counted = census.count();
    let task = handle.spawn(async move {
        let _counted = counted;
        1
    });
    assert_eq!(census.alive(), 0);
    assert!(task.is_finished());
    let error = block_on_foreign(task).unwrap_err();
    assert!(error.is_refused() && error.is_cancelled() && !error.is_aborted() && !error.is_panic());
    assert!(error.to_string().contains("shut down"), "{error}");

    let counted = census.count();
    let error = block_on_foreign(handle.spawn_blocking(move || drop(counted))).unwrap_err();
    assert!(error.is_refused());
    assert_eq!(census.alive(), 0);

    let guard = handle.enter();
    assert!(block_on_foreign(tress::spawn(async {})).unwrap_err().is_refused());
    drop(guard);
    assert_eq!(handle.metrics().live_tasks(), 0);
}

#[test]
fn block_on_goes_on_without_tasks() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle().clone();
    drop(runtime);
    let refused = handle.block_on(async {
        tress::time::sleep(Duration::from_millis(2)).await;
        tress::spawn(async {}).await.unwrap_err().is_refused()
    });
    assert!(refused);
}

#[test]
fn outside_a_runtime_it_says_so() {
    assert!(std::panic::catch_unwind(|| tress::spawn(async {})).is_err());
    assert!(Handle::try_current().unwrap_err().to_string().contains("runtime"));
}

/// Wakers, abort handles and join handles are used and dropped on other threads after the end of task and runtime.
#[test]
fn leftovers_are_harmless() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
        let (mut tasks, mut aborts) = (Vec::new(), Vec::new());
        let count = 1 + random.below(50);
        for _ in 0..count {
            let (wakers, ends) = (Arc::clone(&wakers), random.once_in(2));
            let task = runtime.spawn(poll_fn(move |cx| {
                wakers.lock().unwrap().push(cx.waker().clone());
                if ends { Poll::Ready(()) } else { Poll::Pending }
            }));
            aborts.push(task.abort_handle());
            tasks.push(task);
        }
        if random.once_in(4) {
            drop(runtime.handle().clone());
        }
        let waking = std::thread::spawn({
            let (wakers, mut random) = (Arc::clone(&wakers), random.fork());
            move || {
                for _ in 0..random.below(2000) {
                    let waker = {
                        let mut wakers = wakers.lock().unwrap();
                        if wakers.is_empty() {
                            std::hint::spin_loop();
                            continue;
                        }
                        let place = random.below(wakers.len());
                        if random.once_in(2) { wakers[place].clone() } else { wakers.swap_remove(place) }
                    };
                    match random.below(3) {
                        0 => waker.wake_by_ref(),
                        1 => waker.wake(),
                        _ => drop(waker),
                    }
                }
            }
        });
        support::burn(Duration::from_micros(random.below(300) as u64));
        drop(runtime);
        for (task, abort) in tasks.into_iter().zip(aborts) {
            abort.abort();
            assert!(abort.is_finished() && task.is_finished());
            if random.once_in(2) {
                let _ = block_on_foreign(task);
            }
        }
        waking.join().unwrap();
        // Also when thread and runtime are long gone.
        for waker in wakers.lock().unwrap().drain(..) {
            waker.wake();
        }
    });
}
