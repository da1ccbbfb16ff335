//! A `run_on` that has been begun, and is polled by nobody now, holds nobody up and keeps nobody busy.

mod leaves;
mod support;

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::Duration;

use leaves::poll_once;
use support::{block_on_foreign, panic_text, runtime, wait_until, watchdog, without_panic_messages};
use tress::executor::{self, AnyExecutor, CurrentThread, Executor, Runnable, hop_to, run_on};
use tress::task::yield_now;
use tress::time::sleep;
use tress::{Handle, Runtime, join};

/// So many runtimes of one worker each, and their handles.
fn runtimes<const COUNT: usize>() -> ([Runtime; COUNT], [Handle; COUNT]) {
    let runtimes: [Runtime; COUNT] = std::array::from_fn(|_| runtime(1));
    let handles = std::array::from_fn(|place| runtimes[place].handle().clone());
    (runtimes, handles)
}

#[test]
fn others_have_their_turn() {
    let _watchdog = watchdog();
    let (all, [there, on]) = runtimes::<2>();
    let task = all[0].spawn(run_on(on, async move {
        join!(
            async {
                let mut aside = pin!(run_on(there.clone(), async {}));
                assert!(poll_once(aside.as_mut()).await.is_pending());
                run_on(there.clone(), yield_now()).await;
                aside.await;
            },
            yield_now()
        );
    }));
    all[0].block_on(task).unwrap();
}

#[test]
fn the_task_sleeps_while_nobody_is_woken() {
    let _watchdog = watchdog();
    let (all, [_home, a, b, x, y]) = runtimes::<5>();
    let polls = Arc::new(AtomicUsize::new(0));
    let seen = polls.clone();
    let task = all[0].spawn(async move {
        let side = |on: Handle, there: Handle| {
            run_on(on, async move {
                let mut aside = pin!(run_on(there, async {}));
                assert!(poll_once(aside.as_mut()).await.is_pending());
                sleep(Duration::from_millis(500)).await;
                aside.await;
            })
        };
        let mut both = pin!(async { join!(side(a, x), side(b, y)) });
        poll_fn(|cx| {
            seen.fetch_add(1, Ordering::Relaxed);
            both.as_mut().poll(cx).map(drop)
        })
        .await;
    });
    all[0].block_on(task).unwrap();
    // A thousand in vain, and then none.
    assert!(polls.load(Ordering::Relaxed) < 3_000, "{polls:?} polls");
}

/// A runtime, by a handle that is counted.
#[derive(Clone, Debug)]
struct Counted(Handle, Arc<()>);

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.1, &other.1)
    }
}

impl Eq for Counted {}

impl Executor for Counted {
    fn post(&self, runnable: Runnable) {
        self.0.post(runnable);
    }

    fn is_current(&self) -> bool {
        self.0.is_current()
    }
}

/// A task that went somewhere for the sake of what was taken out of it then, and that is gone, does not keep that executor while it sleeps.
#[test]
fn the_task_keeps_no_executor_for_it() {
    let _watchdog = watchdog();
    let (all, [_home, there]) = runtimes::<2>();
    let count = Arc::new(());
    let on = Counted(there, count.clone());
    let (give, given) = mpsc::channel();
    let (polled, polls) = mpsc::channel();
    let task = all[0].spawn(async move {
        let mut aside = Box::pin(run_on(on.clone(), pending::<()>()));
        assert!(poll_once(aside.as_mut()).await.is_pending());
        give.send(aside).unwrap();
        poll_fn(|_| {
            polled.send(on.is_current()).unwrap();
            Poll::<()>::Pending
        })
        .await;
    });
    let aside = given.recv().unwrap();
    assert_eq!([polls.recv(), polls.recv()], [Ok(false), Ok(true)]);
    assert!(Arc::strong_count(&count) > 2, "it is wanted there");
    drop(aside);
    // The task has one itself.
    wait_until(|| Arc::strong_count(&count) == 2, "the executor is kept");
    assert!(!task.is_finished());
    task.abort();
    assert!(all[0].block_on(task).unwrap_err().is_aborted());
    assert_eq!(Arc::strong_count(&count), 1);
}

/// What another task polls by now moves that one, and not the one that it was begun in.
#[test]
fn the_former_task_stays_where_it_is() {
    let _watchdog = watchdog();
    let (all, [home, there, other]) = runtimes::<3>();
    let task = all[0].spawn(async move {
        let mut aside = Box::pin(run_on(there, pending::<()>()));
        assert!(poll_once(aside.as_mut()).await.is_pending());
        let (polled, polls) = mpsc::channel();
        let keeper = other.spawn(poll_fn(move |cx| {
            let poll = aside.as_mut().poll(cx);
            let _ = polled.send(());
            poll
        }));
        // In the same poll as the first one.
        polls.recv().unwrap();
        yield_now().await;
        assert!(home.is_current(), "nobody wants it to be elsewhere any more");
        keeper.abort();
    });
    all[0].block_on(task).unwrap();
}

/// What ends inside a hop goes on where that is now, not where it was.
#[test]
fn it_comes_back_to_where_the_outer_one_is() {
    let _watchdog = watchdog();
    let (all, [_home, a, b, c]) = runtimes::<4>();
    let task = all[0].spawn(async move {
        run_on(a, async {
            join!(
                async {
                    run_on(b, sleep(Duration::from_millis(20))).await;
                    assert!(c.is_current());
                    assert_eq!(executor::current(), Some(AnyExecutor::new(c.clone())));
                },
                async { hop_to(c.clone()).await.unwrap() }
            )
        })
        .await;
    });
    all[0].block_on(task).unwrap();
}

/// Somebody else's executor inside a task cannot let it go: that is said, not tried for ever.
#[test]
fn in_a_foreign_executor_it_says_that_it_is_stuck() {
    let _watchdog = watchdog();
    let (all, [_home, a, b]) = runtimes::<3>();
    without_panic_messages(|| {
        let task = all[0].spawn(run_on(a.clone(), async move { block_on_foreign(hop_to(b)).is_err() }));
        assert!(panic_text(all[0].block_on(task).unwrap_err()).contains("cannot move"));
    });
    // And what runs inside it, but has nothing to do with it, is not moved, nor does it move it.
    let (_, [_, _, c]) = runtimes::<3>();
    let refused = all[0].block_on(run_on(a.clone(), async move {
        let refused = CurrentThread::new().run_until(hop_to(c)).is_err();
        yield_now().await;
        (refused, a.is_current())
    }));
    assert_eq!(refused, (true, true));
}
