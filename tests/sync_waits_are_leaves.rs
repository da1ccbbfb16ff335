//! The waits of `tress::sync` are leaves: a dump shows them, the budget counts them, stops end them, and one that is not let go ahead takes
//! nothing. What blocks instead is refused in a task.

mod support;

use std::future::{Future, pending, poll_fn};
use std::panic::catch_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::{FutureExt, poll};
use support::{panic_text, runtime, wait_until, watchdog};
use tress::env;
use tress::runtime::leaf::Wait;
use tress::stop::{StopSource, StopToken, stopped_as_option};
use tress::sync::broadcast::error::RecvError;
use tress::sync::{Barrier, Mutex, Notify, OnceCell, RwLock, Semaphore, broadcast, mpsc, oneshot, watch};
use tress::task::{block_in_place, coop, spawn_blocking};
use tress::trace::{self, State};

/// The line of this file that ends in a comment with this mark.
fn line_of(mark: &str) -> u32 {
    let is_marked = |line: &str| line.ends_with(&format!("// {mark}"));
    let index = include_str!("sync_waits_are_leaves.rs").lines().position(is_marked);
    u32::try_from(index.expect("there is such a mark")).unwrap() + 1
}

/// A dump of `future` in a task shows one wait, for `what`, at the line that is marked so.
fn is_shown<T: Send + 'static>(what: &str, future: impl Future<Output = T> + Send + 'static) {
    is_shown_at(what, what, future);
}

/// The same of a line with another mark. A stop ends it while it waits.
fn is_shown_at<T: Send + 'static>(mark: &str, what: &str, future: impl Future<Output = T> + Send + 'static) {
    let _watchdog = watchdog();
    let (runtime, source) = (runtime(2), StopSource::new());
    let task = runtime.spawn(until(source.token(), future));
    let mut seen = Vec::new();
    let is_waiting = || {
        let task = trace::dump(runtime.handle()).tasks.into_iter().next().expect("it waits for ever");
        let waits = task.frames.iter().flat_map(|frame| &frame.waits);
        seen = waits.map(|wait| (wait.what, wait.location.file(), wait.location.line())).collect();
        task.state == State::Idle && !seen.is_empty()
    };
    wait_until(is_waiting, what);
    assert_eq!(seen, [(what, file!(), line_of(mark))]);
    source.request_stop();
    wait_until(|| task.is_finished(), &format!("{mark} is not stopped"));
    assert!(runtime.block_on(task).unwrap().is_none(), "{mark}");
}

#[test]
fn locks_are_shown_in_dumps() {
    is_shown("mutex", async {
        let mutex = Mutex::new(());
        let _guard = mutex.lock().await;
        drop(mutex.lock().await); // mutex
    });
    is_shown("rwlock read", async {
        let lock = RwLock::new(());
        let _guard = lock.write().await;
        drop(lock.read().await); // rwlock read
    });
    is_shown("rwlock write", async {
        let lock = RwLock::new(());
        let _guard = lock.read().await;
        drop(lock.write().await); // rwlock write
    });
    is_shown("semaphore permit", async {
        drop(Arc::new(Semaphore::new(0)).acquire_owned().await); // semaphore permit
    });
    is_shown("notify", async {
        Notify::new().notified().await; // notify
    });
    is_shown("barrier", async {
        Barrier::new(2).wait().await; // barrier
    });
    is_shown("once cell", async {
        let cell = OnceCell::new();
        let mut first = pin!(cell.get_or_init(pending::<()>));
        assert!(poll!(&mut first).is_pending());
        cell.get_or_init(pending).await; // once cell
    });
}

#[test]
fn waits_for_owned_guards_are_shown_in_dumps() {
    is_shown_at("owned mutex", "mutex", async {
        let mutex = Arc::new(Mutex::new(()));
        let _guard = Arc::clone(&mutex).lock_owned().await;
        drop(mutex.lock_owned().await); // owned mutex
    });
    is_shown_at("owned rwlock read", "rwlock read", async {
        let lock = Arc::new(RwLock::new(()));
        let _guard = Arc::clone(&lock).write_owned().await;
        drop(lock.read_owned().await); // owned rwlock read
    });
    is_shown_at("owned rwlock write", "rwlock write", async {
        let lock = Arc::new(RwLock::new(()));
        let _guard = Arc::clone(&lock).read_owned().await;
        drop(lock.write_owned().await); // owned rwlock write
    });
    is_shown_at("owned semaphore permit", "semaphore permit", async {
        drop(Arc::new(Semaphore::new(1)).acquire_many_owned(2).await); // owned semaphore permit
    });
    is_shown_at("owned mpsc send", "mpsc send", async {
        let (sender, _receiver) = mpsc::channel::<()>(1);
        let _permit = sender.clone().reserve_owned().await.unwrap();
        drop(sender.reserve_owned().await); // owned mpsc send
    });
}

#[test]
fn channels_are_shown_in_dumps() {
    is_shown("oneshot", async {
        let (_sender, receiver) = oneshot::channel::<()>();
        receiver.await.unwrap(); // oneshot
    });
    is_shown("oneshot closed", async {
        let (mut sender, _receiver) = oneshot::channel::<()>();
        sender.closed().await; // oneshot closed
    });
    is_shown("mpsc recv", async {
        let (_sender, mut receiver) = mpsc::channel::<()>(1);
        receiver.recv().await; // mpsc recv
    });
    is_shown("mpsc send", async {
        let (sender, _receiver) = mpsc::channel(1);
        sender.send(()).await.unwrap();
        sender.send(()).await.unwrap(); // mpsc send
    });
    is_shown("mpsc closed", async {
        let (sender, _receiver) = mpsc::unbounded_channel::<()>();
        sender.closed().await; // mpsc closed
    });
    is_shown("broadcast recv", async {
        let (_sender, mut receiver) = broadcast::channel::<()>(1);
        receiver.recv().await.unwrap(); // broadcast recv
    });
    is_shown("broadcast closed", async {
        let (sender, _receiver) = broadcast::channel::<()>(1);
        sender.closed().await; // broadcast closed
    });
    is_shown("watch change", async {
        let (_sender, mut receiver) = watch::channel(());
        receiver.changed().await.unwrap(); // watch change
    });
    is_shown("watch closed", async {
        let (sender, _receiver) = watch::channel(());
        sender.closed().await; // watch closed
    });
}

/// What makes the value of a cell is shown, rather than that its future is polled by the cell.
#[test]
fn what_a_once_cell_waits_for_is_its_own() {
    is_shown("what is its own", async {
        let cell = OnceCell::new();
        cell.get_or_init(|| async {
            let mut wait = Wait::new("what is its own"); // what is its own
            poll_fn(|cx| wait.poll(cx, |_| Poll::<()>::Pending)).await;
        })
        .await;
    });
}

/// On one worker, a task that does nothing but `operation`, which never has to wait, lets another one run.
fn lets_others_run<F: Future<Output = ()> + Send>(operation: impl Fn() -> F + Send + Sync + 'static) {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let task = runtime.spawn(async move {
        let has_run = Arc::new(AtomicBool::new(false));
        let other = Arc::clone(&has_run);
        drop(tress::spawn(async move { other.store(true, Ordering::Relaxed) }));
        let mut done = 0;
        while !has_run.load(Ordering::Relaxed) {
            assert!(done < 10_000, "it does not yield");
            operation().await;
            done += 1;
        }
    });
    wait_until(|| task.is_finished(), "it does not end");
    runtime.block_on(task).unwrap();
}

#[test]
fn what_need_not_wait_uses_the_budget() {
    /// A function that makes futures which share `value`.
    fn with<T: Send + Sync + 'static, F: Future<Output = ()> + Send>(
        value: T,
        operation: impl Fn(Arc<T>) -> F + Send + Sync + 'static,
    ) -> impl Fn() -> F + Send + Sync + 'static {
        let value = Arc::new(value);
        move || operation(Arc::clone(&value))
    }

    lets_others_run(with(Mutex::new(()), |mutex| async move { drop(mutex.lock().await) }));
    lets_others_run(with(RwLock::new(()), |lock| async move { drop(lock.read().await) }));
    lets_others_run(with(RwLock::new(()), |lock| async move { drop(lock.write().await) }));
    lets_others_run(with(Mutex::new(()), |mutex| async move { drop(mutex.lock_owned().await) }));
    lets_others_run(with(RwLock::new(()), |lock| async move { drop(lock.read_owned().await) }));
    lets_others_run(with(RwLock::new(()), |lock| async move { drop(lock.write_owned().await) }));
    lets_others_run(with(Semaphore::new(1), |semaphore| async move { drop(semaphore.acquire().await) }));
    lets_others_run(with(Notify::new(), |notify| async move {
        notify.notify_one();
        notify.notified().await;
    }));
    lets_others_run(with(
        Barrier::new(1),
        |barrier| async move { assert!(barrier.wait().await.is_leader()) },
    ));
    lets_others_run(with(OnceCell::new(), |cell| async move { *cell.get_or_init(|| async {}).await }));
    lets_others_run(|| async {
        let (sender, receiver) = oneshot::channel();
        sender.send(()).unwrap();
        receiver.await.unwrap();
    });
    lets_others_run(|| async {
        let (sender, mut receiver) = mpsc::channel(1);
        sender.send(()).await.unwrap();
        receiver.recv().await.unwrap();
    });
    lets_others_run(|| async {
        let (sender, mut receiver) = broadcast::channel(1);
        sender.send(()).unwrap();
        receiver.recv().await.unwrap();
    });
    lets_others_run(with(watch::Sender::new(()), |sender| async move {
        let mut receiver = sender.subscribe();
        receiver.mark_changed();
        receiver.changed().await.unwrap();
    }));
}

/// The future with this stop token; `None` if that ends it.
async fn until<F: Future>(stop: StopToken, future: F) -> Option<F::Output> {
    stopped_as_option(env::scope().stop(stop).run(future)).await
}

#[test]
fn what_may_not_go_ahead_takes_nothing() {
    let source = StopSource::new();
    source.request_stop();
    runtime(1).block_on(takes_nothing(Some(source.token())));
    runtime(1).block_on(async {
        while coop::has_budget_remaining() {
            poll_fn(|cx| coop::poll_proceed(cx).map(|unit| unit.made_progress())).await;
        }
        takes_nothing(None).await;
        assert!(!coop::has_budget_remaining());
    });
}

/// Without a budget, or with a stop that has been requested.
async fn takes_nothing(stop: Option<StopToken>) {
    let (mutex, lock) = (Arc::new(Mutex::new(())), Arc::new(RwLock::new(())));
    let semaphore = Arc::new(Semaphore::new(1));
    let (notify, barrier, cell) = (Notify::new(), Barrier::new(1), OnceCell::new());
    notify.notify_one();
    let (once, mut received_once) = oneshot::channel();
    once.send(7).unwrap();
    let (sender, mut receiver) = mpsc::channel(2);
    sender.try_send(7).unwrap();
    let (broadcast, mut heard) = broadcast::channel(1);
    broadcast.send(7).unwrap();
    let (_watched, mut watcher) = watch::channel(7);
    watcher.mark_changed();

    async fn is_refused(stop: &Option<StopToken>, future: impl Future) -> bool {
        match stop {
            Some(stop) => until(stop.clone(), future).await.is_none(),
            None => poll!(pin!(future)).is_pending(),
        }
    }
    assert!(is_refused(&stop, mutex.lock()).await && mutex.try_lock().is_ok());
    assert!(
        is_refused(&stop, lock.read()).await
            && is_refused(&stop, lock.write()).await
            && lock.try_write().is_ok()
    );
    assert!(
        is_refused(&stop, Arc::clone(&mutex).lock_owned()).await
            && is_refused(&stop, Arc::clone(&lock).read_owned()).await
            && is_refused(&stop, Arc::clone(&lock).write_owned()).await
    );
    assert!(mutex.try_lock_owned().is_ok() && lock.try_write_owned().is_ok());
    assert!(is_refused(&stop, semaphore.acquire()).await && semaphore.available_permits() == 1);
    assert!(
        is_refused(&stop, Arc::clone(&semaphore).acquire_owned()).await
            && is_refused(&stop, Arc::clone(&semaphore).acquire_many_owned(1)).await
            && semaphore.available_permits() == 1
    );
    assert!(is_refused(&stop, notify.notified()).await && pin!(notify.notified()).enable());
    assert!(is_refused(&stop, barrier.wait()).await);
    assert!(is_refused(&stop, cell.get_or_init(|| async {})).await && !cell.initialized());
    assert!(is_refused(&stop, &mut received_once).await && received_once.try_recv() == Ok(7));
    assert!(is_refused(&stop, receiver.recv()).await && receiver.len() == 1);
    assert!(
        is_refused(&stop, sender.send(8)).await
            && is_refused(&stop, sender.reserve()).await
            && is_refused(&stop, sender.clone().reserve_owned()).await
            && sender.capacity() == 1
    );
    assert!(is_refused(&stop, heard.recv()).await && heard.len() == 1);
    assert!(is_refused(&stop, watcher.changed()).await && watcher.has_changed().unwrap());
}

#[test]
fn a_stop_ends_who_waits_and_nobody_else() {
    let mutex = Arc::new(Mutex::new(()));
    a_stop_ends_who_waits_for(mutex.try_lock().unwrap(), || {
        let mutex = Arc::clone(&mutex);
        async move { drop(mutex.lock().await) }
    });
    let guard = Arc::clone(&mutex).try_lock_owned().unwrap();
    a_stop_ends_who_waits_for(guard, || Arc::clone(&mutex).lock_owned().map(drop));
    let lock = Arc::new(RwLock::new(()));
    let writer = Arc::clone(&lock).try_write_owned().unwrap();
    a_stop_ends_who_waits_for(writer, || Arc::clone(&lock).read_owned().map(drop));
    let reader = Arc::clone(&lock).try_read_owned().unwrap();
    a_stop_ends_who_waits_for(reader, || Arc::clone(&lock).write_owned().map(drop));
    assert_eq!((Arc::strong_count(&mutex), Arc::strong_count(&lock)), (1, 1));
}

/// The guard keeps those that `lock` makes waiting until it is dropped.
fn a_stop_ends_who_waits_for<F>(guard: impl Sized, lock: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let _watchdog = watchdog();
    let (runtime, source) = (runtime(2), StopSource::new());
    let stopped: Vec<_> = (0..10).map(|_| runtime.spawn(until(source.token(), lock()))).collect();
    let others: Vec<_> = (0..10).map(|_| runtime.spawn(until(StopToken::never(), lock()))).collect();
    let waiting = || {
        let tasks = trace::dump(runtime.handle()).tasks;
        tasks.iter().flat_map(|task| &task.frames).map(|frame| frame.waits.len()).sum::<usize>()
    };
    wait_until(|| waiting() == 20, "not all of them wait");
    source.request_stop();
    for task in stopped {
        assert_eq!(runtime.block_on(task).unwrap(), None);
    }
    drop(guard);
    for task in others {
        assert_eq!(runtime.block_on(task).unwrap(), Some(()));
    }
}

#[test]
fn blocking_is_refused_where_it_holds_up_tasks() {
    type Call = fn();
    let calls: [(&str, Call); 10] = [
        ("blocking_lock", || drop(Mutex::new(()).blocking_lock())),
        ("blocking_lock_owned", || drop(Arc::new(Mutex::new(())).blocking_lock_owned())),
        ("blocking_read", || drop(RwLock::new(()).blocking_read())),
        ("blocking_write", || drop(RwLock::new(()).blocking_write())),
        ("blocking_acquire", || drop(Semaphore::new(1).blocking_acquire())),
        ("blocking_acquire_many_owned", || drop(Arc::new(Semaphore::new(2)).blocking_acquire_many_owned(2))),
        ("blocking_send", || {
            let (sender, _receiver) = mpsc::channel(1);
            assert_eq!(sender.blocking_send(1), Ok(()));
        }),
        ("blocking_recv", || {
            let (_, mut receiver) = mpsc::unbounded_channel::<u8>();
            assert_eq!(receiver.blocking_recv(), None);
        }),
        ("blocking_recv", || {
            let (_, receiver) = oneshot::channel::<u8>();
            assert!(receiver.blocking_recv().is_err());
        }),
        ("blocking_recv", || {
            let (_, mut receiver) = broadcast::channel::<u8>(1);
            assert_eq!(receiver.blocking_recv(), Err(RecvError::Closed));
        }),
    ];
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for (name, call) in calls {
        let task = runtime.spawn(async move { call() });
        let text = panic_text(runtime.block_on(task).unwrap_err());
        assert!(text.contains(&format!("`{name}`")) && text.contains("block_in_place"), "{text}");
        assert!(catch_unwind(|| runtime.block_on(async { call() })).is_err());
        // Where it is allowed.
        call();
        runtime.block_on(runtime.spawn(async move { block_in_place(call) })).unwrap();
        runtime.block_on(runtime.spawn(async move { spawn_blocking(call).await.unwrap() })).unwrap();
    }
}
