//! The locks and channels of `tress::sync` keep their promises under contention, and when waits are dropped.

mod support;

use std::any::Any;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{FutureExt, StreamExt, poll};
use support::{Census, Counted, Pend, block_on_foreign, runtime, wait_until, watchdog};
use tress::sync::broadcast::error::RecvError;
use tress::sync::{Barrier, Mutex, Notify, OnceCell, RwLock, Semaphore, broadcast, mpsc, oneshot, watch};
use tress::task::{JoinHandle, yield_now};

/// Runs so many tasks on two workers, and gives what they return.
fn with_tasks<F, T>(tasks: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let tasks: Vec<JoinHandle<T>> = (0..tasks).map(|number| runtime.spawn(task(number))).collect();
    runtime
        .block_on(async { futures_util::future::join_all(tasks).await })
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

#[test]
fn a_mutex_is_held_by_one_at_a_time() {
    let sum = Arc::new(Mutex::new(0));
    with_tasks(64, |number| {
        let sum = Arc::clone(&sum);
        async move {
            for round in 0..200 {
                if (number + round) % 7 == 0 {
                    // One that leaves the queue, or takes the lock and gives it back.
                    drop(sum.lock().now_or_never());
                }
                let mut guard = sum.lock().await;
                let before = *guard;
                if round % 3 == 0 {
                    yield_now().await;
                }
                *guard = before + 1;
            }
        }
    });
    assert_eq!(Arc::into_inner(sum).unwrap().into_inner(), 64 * 200);
}

#[test]
fn an_rwlock_is_held_by_one_writer_or_many_readers() {
    let pair = Arc::new(RwLock::new((0, 0)));
    let (met, readers) = (Arc::new(Barrier::new(4)), Arc::new(AtomicUsize::new(0)));
    with_tasks(16, |number| {
        let (pair, met, readers) = (Arc::clone(&pair), Arc::clone(&met), Arc::clone(&readers));
        async move {
            for _ in 0..200 {
                if number < 4 {
                    let mut pair = pair.write().await;
                    pair.0 += 1;
                    yield_now().await;
                    assert_eq!(readers.load(Ordering::Relaxed), 0);
                    pair.1 += 1;
                } else {
                    let pair = pair.read().await;
                    readers.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(pair.0, pair.1);
                    yield_now().await;
                    readers.fetch_sub(1, Ordering::Relaxed);
                }
            }
            if number < 4 {
                // Once none of them writes any more, all of them read at the same time.
                met.wait().await;
                let _pair = pair.read().await;
                met.wait().await;
            }
        }
    });
    assert_eq!(Arc::into_inner(pair).unwrap().into_inner(), (800, 800));
}

/// Owned guards hold the same lock as borrowed ones, and take the same queue.
#[test]
fn owned_guards_hold_the_same_lock() {
    let (sum, pair) = (Arc::new(Mutex::new(0)), Arc::new(RwLock::new((0, 0))));
    with_tasks(32, |number| {
        let (sum, pair) = (Arc::clone(&sum), Arc::clone(&pair));
        async move {
            for round in 0..200 {
                if (number + round) % 7 == 0 {
                    // Those that leave the queue, or take the lock and give it back.
                    drop(Arc::clone(&sum).lock_owned().now_or_never());
                    drop(Arc::clone(&pair).read_owned().now_or_never());
                    drop(Arc::clone(&pair).write_owned().now_or_never());
                }
                if number % 2 == 0 {
                    let mut guard = Arc::clone(&sum).lock_owned().await;
                    let before = *guard;
                    yield_now().await;
                    *guard = before + 1;
                } else {
                    *sum.lock().await += 1;
                }
                if (number + round) % 4 == 0 {
                    let mut pair = Arc::clone(&pair).write_owned().await;
                    pair.0 += 1;
                    yield_now().await;
                    pair.1 += 1;
                } else {
                    let pair = Arc::clone(&pair).read_owned().await;
                    yield_now().await;
                    assert_eq!(pair.0, pair.1);
                }
            }
        }
    });
    assert_eq!(Arc::into_inner(sum).unwrap().into_inner(), 32 * 200);
    assert_eq!(Arc::into_inner(pair).unwrap().into_inner(), (1600, 1600));
}

/// Whether or not the `Arc` is one of a type with a size, the value goes when the last of guards and handles does.
#[test]
fn owned_guards_keep_what_they_lock() {
    let census = Census::default();
    let mutex: Arc<Mutex<dyn Any + Send>> = Arc::new(Mutex::new(census.count()));
    let weak = Arc::downgrade(&mutex);
    let guard = mutex.lock_owned().now_or_never().unwrap();
    let again = weak.upgrade().unwrap();
    assert!(Arc::clone(&again).try_lock_owned().is_err() && again.try_lock().is_err());
    drop(again);
    assert!(guard.is::<Counted>() && census.alive() == 1);
    drop(guard);
    assert!(census.alive() == 0 && weak.upgrade().is_none());

    let lock: Arc<RwLock<[Counted]>> = Arc::new(RwLock::new([census.count(), census.count()]));
    let weak = Arc::downgrade(&lock);
    let (first, second) = (Arc::clone(&lock).try_read_owned().unwrap(), Arc::clone(&lock).read_owned());
    let second = second.now_or_never().unwrap();
    assert!(Arc::clone(&lock).try_write_owned().is_err() && lock.try_write().is_err());
    drop((first, lock));
    let writer = weak.upgrade().unwrap().write_owned().now_or_never();
    assert!(writer.is_none() && second.len() == 2 && census.alive() == 2);
    // The other way round: the handle is the last.
    let lock = weak.upgrade().unwrap();
    drop(second);
    let writer = Arc::clone(&lock).write_owned().now_or_never().unwrap();
    assert!(Arc::clone(&lock).try_read_owned().is_err());
    drop(writer.downgrade());
    assert_eq!((census.alive(), Arc::strong_count(&lock)), (2, 1));
    drop(lock);
    assert_eq!(census.alive(), 0);
}

#[test]
fn an_owned_wait_that_is_dropped_keeps_nothing() {
    let (mutex, lock) = (Arc::new(Mutex::new(())), Arc::new(RwLock::new(())));
    let (guard, writer) = (Arc::clone(&mutex).try_lock_owned().unwrap(), lock.try_write().unwrap());
    block_on_foreign(async {
        let mut locks = Box::pin(Arc::clone(&mutex).lock_owned());
        let mut reads = Box::pin(Arc::clone(&lock).read_owned());
        let mut writes = Box::pin(Arc::clone(&lock).write_owned());
        let mut next = pin!(lock.read());
        assert!(poll!(&mut locks).is_pending() && poll!(&mut reads).is_pending());
        assert!(poll!(&mut writes).is_pending() && poll!(&mut next).is_pending());
        drop((guard, writer));
        // They have been given the locks by now, and give them back.
        drop(locks);
        drop((reads, writes));
        assert!(mutex.try_lock().is_ok());
        drop(next.await);
    });
    assert_eq!((Arc::strong_count(&mutex), Arc::strong_count(&lock)), (1, 1));
    assert!(lock.try_write().is_ok());
}

#[test]
fn a_semaphore_gives_no_more_than_it_has() {
    const PERMITS: usize = 6;
    let semaphore = Arc::new(Semaphore::new(PERMITS));
    let (held, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    with_tasks(40, |number| {
        let (semaphore, held, most) = (Arc::clone(&semaphore), Arc::clone(&held), Arc::clone(&most));
        async move {
            for round in 0..100 {
                let wanted = 1 + (number + round) % 3;
                // Whoever waits for many and leaves gives back what it had so far.
                drop(semaphore.acquire_many(PERMITS as u32).now_or_never());
                let mut owned = Arc::clone(&semaphore).acquire_many_owned(wanted as u32).await.unwrap();
                most.fetch_max(held.fetch_add(wanted, Ordering::Relaxed) + wanted, Ordering::Relaxed);
                yield_now().await;
                held.fetch_sub(wanted, Ordering::Relaxed);
                assert_eq!(owned.num_permits(), wanted);
                drop(owned.split(wanted));
            }
        }
    });
    let most = most.load(Ordering::Relaxed);
    assert!((2..=PERMITS).contains(&most), "{most} were held at a time");
    assert_eq!(semaphore.available_permits(), PERMITS);
    let all = semaphore.try_acquire_many(PERMITS as u32).unwrap();
    let mut waits = pin!(semaphore.acquire());
    assert!(waits.as_mut().now_or_never().is_none());
    semaphore.close();
    assert!(waits.now_or_never().unwrap().is_err());
    drop(all);
}

#[test]
fn a_notification_is_not_lost() {
    const ROUNDS: usize = 20_000;
    let ways = Arc::new([Notify::new(), Notify::new()]);
    with_tasks(2, |number| {
        let ways = Arc::clone(&ways);
        async move {
            for _ in 0..ROUNDS {
                if number == 0 {
                    ways[0].notify_one();
                    ways[1].notified().await;
                } else {
                    ways[0].notified().await;
                    ways[1].notify_one();
                }
            }
        }
    });

    let notify = Notify::new();
    block_on_foreign(async {
        // What one had been given goes to the next.
        let mut first = Box::pin(notify.notified());
        let mut second = pin!(notify.notified());
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        notify.notify_one();
        assert!(poll!(&mut second).is_pending());
        drop(first);
        assert!(poll!(&mut second).is_ready());
        // All who are there are woken, polled or not, and no permit is left.
        let (third, mut enabled) = (notify.notified(), pin!(notify.notified()));
        assert!(!enabled.as_mut().enable());
        notify.notify_waiters();
        third.await;
        enabled.await;
        assert!(notify.notified().now_or_never().is_none());
    });
}

#[test]
fn a_barrier_has_one_leader_a_round() {
    const TASKS: usize = 8;
    const ROUNDS: usize = 300;
    let (barrier, come) = (Arc::new(Barrier::new(TASKS)), Arc::new(AtomicUsize::new(0)));
    let led = with_tasks(TASKS, |_| {
        let (barrier, come) = (Arc::clone(&barrier), Arc::clone(&come));
        async move {
            let mut led = 0;
            for round in 1..=ROUNDS {
                come.fetch_add(1, Ordering::Relaxed);
                led += usize::from(barrier.wait().await.is_leader());
                assert!(come.load(Ordering::Relaxed) >= round * TASKS, "somebody has not come");
            }
            led
        }
    });
    assert_eq!(led.iter().sum::<usize>(), ROUNDS);
}

/// Who has come stays counted, as the documentation says; who was never polled has not come.
#[test]
fn a_barrier_counts_who_left() {
    let barrier = Barrier::new(2);
    drop(barrier.wait());
    assert!(barrier.wait().now_or_never().is_none());
    assert!(barrier.wait().now_or_never().unwrap().is_leader());
}

#[test]
fn a_once_cell_is_made_once() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (cell, begun) = (Arc::new(OnceCell::new()), Arc::new(AtomicUsize::new(0)));
    let make = |is_lost: bool| {
        let (cell, begun) = (Arc::clone(&cell), Arc::clone(&begun));
        async move {
            let value = cell.get_or_init(|| async {
                begun.fetch_add(1, Ordering::Relaxed);
                Pend(3).await;
                match is_lost {
                    true => pending().await,
                    false => begun.load(Ordering::Relaxed),
                }
            });
            *value.await
        }
    };
    let lost = runtime.spawn(make(true));
    wait_until(|| begun.load(Ordering::Relaxed) == 1, "the first does not begin");
    let tasks: Vec<_> = (0..64).map(|_| runtime.spawn(make(false))).collect();
    assert!(cell.set(0).unwrap_err().is_initializing_err());
    lost.abort();
    for task in tasks {
        assert_eq!(runtime.block_on(task).unwrap(), 2, "it was made by another than the second");
    }
    assert!(runtime.block_on(lost).unwrap_err().is_cancelled());
    assert_eq!(begun.load(Ordering::Relaxed), 2);

    let cell = OnceCell::new();
    assert_eq!(cell.get_or_try_init(|| async { Err(1) }).now_or_never().unwrap(), Err(1));
    let panics = AssertUnwindSafe(|| {
        cell.get_or_init(|| async { std::panic::resume_unwind(Box::new(())) }).now_or_never()
    });
    assert!(catch_unwind(panics).is_err());
    assert_eq!(cell.get_or_try_init(|| async { Ok::<_, ()>(2) }).now_or_never().unwrap(), Ok(&2));
}

#[test]
fn a_oneshot_ends_with_either_end() {
    let census = Census::default();
    with_tasks(64, |number| {
        let census = census.clone();
        async move {
            for round in 0..50 {
                let (mut sender, mut receiver) = oneshot::channel();
                let value = census.count();
                match (number + round) % 4 {
                    0 => {
                        let task = tress::spawn(async move { assert!(sender.send(value).is_ok()) });
                        drop(receiver.await.unwrap());
                        task.await.unwrap();
                    }
                    1 => {
                        let task = tress::spawn(async move { drop(sender) });
                        assert!((&mut receiver).await.is_err() && receiver.is_terminated());
                        task.await.unwrap();
                    }
                    2 => {
                        tress::spawn(async move { drop(receiver) });
                        sender.closed().await;
                        assert!(sender.send(value).is_err());
                    }
                    _ => {
                        // Sent and never received.
                        assert!(sender.send(value).is_ok());
                    }
                }
            }
        }
    });
    assert_eq!(census.alive(), 0);
}

#[test]
fn an_mpsc_channel_keeps_order_and_holds_senders_back() {
    const SENDERS: usize = 8;
    const VALUES: usize = 2_000;
    const CAPACITY: usize = 4;
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (sender, mut receiver) = mpsc::channel(CAPACITY);
    let sent = Arc::new(AtomicUsize::new(0));
    for from in 0..SENDERS {
        let (sender, sent) = (sender.clone(), Arc::clone(&sent));
        runtime.spawn(async move {
            for number in 0..VALUES {
                if number % 16 == from {
                    // A place in the queue that is given up.
                    drop(sender.reserve().now_or_never());
                }
                sender.send((from, number)).await.unwrap();
                sent.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    drop(sender);
    let received = runtime.block_on(async {
        let (mut next, mut received) = ([0; SENDERS], 0);
        let mut take = |(from, number): (usize, usize)| {
            assert_eq!(number, std::mem::replace(&mut next[from], number + 1), "from {from}");
        };
        let mut buffer = Vec::new();
        loop {
            assert!(
                sent.load(Ordering::SeqCst) <= received + CAPACITY,
                "more is sent than there is room for"
            );
            match received % 3 {
                0 if receiver.recv_many(&mut buffer, CAPACITY).await == 0 => return received,
                0 => {}
                1 => buffer.extend(receiver.recv().await),
                _ => buffer.extend(receiver.next().await),
            }
            received += buffer.len();
            buffer.drain(..).for_each(&mut take);
            if receiver.is_closed() && receiver.is_empty() {
                assert_eq!(receiver.recv().await, None);
                return received;
            }
        }
    });
    assert_eq!(received, SENDERS * VALUES);
}

#[test]
fn an_mpsc_send_that_is_dropped_drops_its_value() {
    let census = Census::default();
    let (sender, mut receiver) = mpsc::channel(1);
    block_on_foreign(async {
        sender.send(census.count()).await.unwrap();
        let mut waits = Box::pin(sender.send(census.count()));
        assert!(poll!(&mut waits).is_pending());
        drop(waits);
        assert_eq!(census.alive(), 1);
        // With a place that is reserved, the value is at hand for as long as it is not sent.
        let value = census.count();
        let mut waits = Box::pin(sender.reserve());
        assert!(poll!(&mut waits).is_pending());
        drop(waits);
        assert_eq!(census.alive(), 2);
        drop(receiver.recv().await);
        let permit = sender.clone().reserve_owned().await.unwrap();
        assert!(permit.same_channel_as_sender(&sender) && sender.capacity() == 0);
        drop(permit.send(value));
        drop(receiver.recv().await.unwrap());
        assert!(sender.clone().try_reserve_owned().is_ok() && sender.capacity() == 1);
    });
    assert_eq!(census.alive(), 0);
    drop(sender);
    assert!(receiver.recv().now_or_never().unwrap().is_none());
}

#[test]
fn a_broadcast_reaches_all_and_says_who_is_late() {
    const VALUES: usize = 1_000;
    let (sender, late) = broadcast::channel(VALUES);
    let sender = Arc::new(sender);
    with_tasks(8, |number| {
        // The last one sends, when the others have subscribed.
        let (sender, mut receiver) = (Arc::clone(&sender), late.resubscribe());
        async move {
            if number == 7 {
                for value in 0..VALUES {
                    // There is always the one that is late.
                    sender.send(value).unwrap();
                    if value % 10 == 0 {
                        yield_now().await;
                    }
                }
            } else {
                for value in 0..VALUES {
                    // What is pending and dropped loses nothing.
                    let value_now = receiver.recv().now_or_never();
                    let received = match value_now {
                        Some(received) => received,
                        None => receiver.recv().await,
                    };
                    assert_eq!(received, Ok(value));
                }
            }
        }
    });
    let mut late = late;
    let kept = VALUES.next_power_of_two();
    sender.send(VALUES).unwrap();
    (0..kept).for_each(|_| drop(sender.send(0)));
    assert_eq!(late.recv().now_or_never(), Some(Err(RecvError::Lagged(VALUES as u64 + 1))));
    assert_eq!(late.recv().now_or_never(), Some(Ok(0)));
    drop(sender);
    assert!((1..kept).all(|_| late.try_recv().is_ok()));
    assert_eq!(late.recv().now_or_never(), Some(Err(RecvError::Closed)));
}

#[test]
fn a_watch_shows_the_latest() {
    const LAST: usize = 10_000;
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (sender, receiver) = watch::channel(0);
    let watchers: Vec<_> = (0..8)
        .map(|number| {
            let mut receiver = receiver.clone();
            runtime.spawn(async move {
                let mut seen = 0;
                if number % 2 == 0 {
                    seen = *receiver.wait_for(|&value| value == LAST).await.unwrap();
                }
                while receiver.changed().await.is_ok() {
                    let _ = receiver.changed().now_or_never();
                    let value = *receiver.borrow_and_update();
                    assert!(value >= seen, "{value} came after {seen}");
                    seen = value;
                }
                seen
            })
        })
        .collect();
    runtime.block_on(async {
        for value in 1..=LAST {
            sender.send(value).unwrap();
            if value % 100 == 0 {
                yield_now().await;
            }
        }
        drop(sender);
        for watcher in watchers {
            assert_eq!(watcher.await.unwrap(), LAST);
        }
    });
    assert!(receiver.is_closed());
}

/// A thread that blocks and a task hand values to each other.
#[test]
fn threads_and_tasks_meet() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (sender, mut receiver) = mpsc::channel(2);
    let (answers, mut answered) = mpsc::channel(2);
    let task = runtime.spawn(async move {
        while let Some(number) = receiver.recv().await {
            answers.send(number * 2).await.unwrap();
        }
    });
    for number in 0..1000 {
        sender.blocking_send(number).unwrap();
        assert_eq!(answered.blocking_recv(), Some(number * 2));
    }
    drop(sender);
    runtime.block_on(task).unwrap();
}
