//! Affinity: a task resumes on its executor after whatever it awaits, and its locals are dropped there, however it ends.

mod support;

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{self, Arc, Condvar, mpsc};
use std::thread;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use support::{runtime, watchdog, without_panic_messages};
use tress::algorithm::{Backoff, bulk, retry_when, when_all, when_any};
use tress::executor::{
    AnyExecutor, CurrentThread, Executor, Inline, Prioritized, QueueHandle, Runnable, hop_to, launch, run_on,
};
use tress::net::{TcpListener, TcpStream};
use tress::stop::{self, StopSource, stopped};
use tress::strand::{Actor, Strand};
use tress::stream::{self, Yielder};
use tress::sync::{Mutex, mpsc as channel, oneshot};
use tress::task::{CountingScope, JoinHandle, JoinSet, lazy, scope, yield_now};
use tress::time::{sleep, timeout};
use tress::{Handle, Runtime, env};

/// A thread that runs an executor of its own, inside a runtime for sockets and timers.
struct Own {
    executor: QueueHandle,
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Own {
    fn start(handle: Handle) -> Self {
        let (tx, rx) = mpsc::channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = is_over.clone();
        let thread = thread::spawn(move || {
            let _entered = handle.enter();
            let local = CurrentThread::new();
            tx.send(local.executor()).unwrap();
            while !flag.load(Ordering::Relaxed) {
                if !local.poll_one() {
                    thread::yield_now();
                }
            }
        });
        Self { executor: rx.recv().unwrap(), is_over, thread: Some(thread) }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let joined = self.thread.take().unwrap().join();
        assert!(joined.is_ok() || thread::panicking());
    }
}

thread_local! {
    /// Whose thread this is.
    static RUNS: Cell<*const Yard> = const { Cell::new(ptr::null()) };
}

/// An executor such as a user writes: one queue, and some threads.
#[derive(Clone)]
struct Threads(Arc<Yard>);

struct Yard {
    handle: Handle,
    /// What is queued; `None` when it is over.
    queue: sync::Mutex<Option<VecDeque<Runnable>>>,
    posted: Condvar,
}

impl Threads {
    /// Calls `f` with one that has so many threads, each in the runtime, for sockets and timers.
    fn with(threads: usize, handle: &Handle, f: impl FnOnce(&Self)) {
        /// Ends it, also when `f` panics.
        struct End<'a>(&'a Yard);

        impl Drop for End<'_> {
            fn drop(&mut self) {
                let left = self.0.queue.lock().unwrap().take();
                self.0.posted.notify_all();
                drop(left);
            }
        }

        let queue = sync::Mutex::new(Some(VecDeque::new()));
        let executor = Self(Arc::new(Yard { handle: handle.clone(), queue, posted: Condvar::new() }));
        thread::scope(|scope| {
            let _end = End(&executor.0);
            for _ in 0..threads {
                scope.spawn(|| executor.0.run());
            }
            f(&executor);
        });
    }
}

impl Yard {
    fn run(&self) {
        let _entered = self.handle.enter();
        RUNS.set(self);
        while let Some(runnable) = self.next() {
            runnable.run();
        }
    }

    /// Waits for what is to be run; `None` when it is over.
    fn next(&self) -> Option<Runnable> {
        let mut queue = self.queue.lock().unwrap();
        loop {
            if let Some(runnable) = queue.as_mut()?.pop_front() {
                return Some(runnable);
            }
            queue = self.posted.wait(queue).unwrap();
        }
    }
}

impl Executor for Threads {
    fn post(&self, runnable: Runnable) {
        let mut queue = self.0.queue.lock().unwrap();
        let refused = match &mut *queue {
            Some(queue) => {
                queue.push_back(runnable);
                None
            }
            None => Some(runnable),
        };
        drop(queue);
        self.0.posted.notify_one();
        drop(refused);
    }

    fn is_current(&self) -> bool {
        ptr::eq(RUNS.get(), &*self.0)
    }

    fn runtime(&self) -> Option<&Handle> {
        Some(&self.0.handle)
    }
}

impl PartialEq for Threads {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Threads {}

/// Counts the drops that happen on an executor.
struct Local<E: Executor>(E, Arc<AtomicUsize>);

impl<E: Executor> Drop for Local<E> {
    fn drop(&mut self) {
        self.1.fetch_add(usize::from(self.0.is_current()), Ordering::SeqCst);
    }
}

fn join<T: Send + 'static>(runtime: &Runtime, task: JoinHandle<T>) -> Result<T, tress::task::JoinError> {
    runtime.block_on(task)
}

async fn awaits_everything<E: Executor>(executor: E, pool: Handle) -> usize {
    let mut checks = 0;
    let mut check = |what: &str| {
        assert!(executor.is_current(), "after {what}");
        checks += 1;
    };
    check("its start");
    yield_now().await;
    check("yield_now");
    sleep(Duration::from_micros(100)).await;
    check("a timer");
    let _ = timeout(Duration::from_micros(100), std::future::pending::<()>()).await;
    check("a timeout");
    assert_eq!(pool.spawn(async { 3 }).await.unwrap(), 3);
    check("a task on the runtime");
    assert!(pool.spawn(async { panic!("expected") }).await.is_err());
    check("a task that has panicked");
    pool.spawn_blocking(|| thread::sleep(Duration::from_micros(100))).await.unwrap();
    check("a blocking call");
    let (tx, rx) = oneshot::channel();
    let sender = thread::spawn(move || tx.send(()).unwrap());
    rx.await.unwrap();
    check("a message of a thread");
    sender.join().unwrap();
    let (tx, mut rx) = channel::channel(1);
    pool.spawn(async move {
        for number in 0..10 {
            tx.send(number).await.unwrap();
        }
    });
    while rx.recv().await.is_some() {
        check("a message of a task");
    }
    let lock = Arc::new(Mutex::new(()));
    let other = lock.clone();
    let holder = pool.spawn(async move {
        let _held = other.lock().await;
        sleep(Duration::from_micros(200)).await;
    });
    drop(lock.lock().await);
    check("a lock");
    holder.await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = pool.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4];
        stream.read_exact(&mut buffer).await.unwrap();
        sleep(Duration::from_micros(200)).await;
        stream.write_all(&buffer).await.unwrap();
    });
    let stream = TcpStream::connect(address).await.unwrap();
    check("a connect");
    stream.write_all(b"ping").await.unwrap();
    check("a write");
    let mut buffer = [0; 4];
    stream.read_exact(&mut buffer).await.unwrap();
    check("a read");
    echo.await.unwrap();
    let frame = lazy(async {
        sleep(Duration::from_micros(50)).await;
        5
    });
    assert_eq!(frame.await, 5);
    check("a frame");
    let all = when_all((0..10_u64).map(|number| async move {
        sleep(Duration::from_micros(number)).await;
        Ok::<_, ()>(number)
    }));
    assert_eq!(all.await.unwrap().len(), 10);
    check("when_all");
    run_on(pool, yield_now()).await;
    check("run_on");
    checks
}

/// What other tasks, other executors and algorithms have done for it.
async fn awaits_work_of_others<E: Executor>(executor: E, pool: Handle) -> usize {
    let mut checks = 0;
    let mut check = |what: &str| {
        assert!(executor.is_current(), "after {what}");
        checks += 1;
    };
    let away = pool.clone();
    run_on(executor.clone(), async move {
        hop_to(away).await.unwrap();
        yield_now().await;
    })
    .await;
    check("hop_to");
    let (place, inner) = (pool.clone(), executor.clone());
    let scoped = scope(|scope| async move {
        let elsewhere = async {
            yield_now().await;
            Ok::<_, ()>(())
        };
        scope.spawn_on(elsewhere, &place);
        // Where nothing else is said, it runs here.
        scope.spawn(async move {
            yield_now().await;
            assert!(inner.is_current());
            Ok(())
        });
        Ok(())
    });
    scoped.await.unwrap();
    check("a scope");
    let mut set = JoinSet::new();
    set.spawn_on(yield_now(), &pool);
    set.join_next().await.unwrap().unwrap();
    check("a set");
    let counting = CountingScope::new();
    counting.spawn_on(yield_now(), &pool).unwrap();
    counting.join().await;
    check("a counting scope");
    let calls = bulk(1000, |number| assert!(number < 1000));
    calls.await;
    check("bulk");
    let any = when_any([300, 100].map(|micros| async move {
        sleep(Duration::from_micros(micros)).await;
        Ok::<_, ()>(micros)
    }));
    any.await.unwrap();
    check("when_any");
    let mut attempts = 0;
    let third = retry_when(Backoff::new(Duration::from_micros(100)), || {
        attempts += 1;
        std::future::ready(if attempts == 3 { Ok(()) } else { Err(()) })
    });
    third.await.unwrap();
    check("retry_when");
    let shared = lazy(sleep(Duration::from_micros(100))).shared();
    let driver = pool.spawn(shared.clone());
    shared.await;
    check("a shared lazy");
    driver.await.unwrap();
    let mut numbers = pin!(stream::generator(|mut yielder: Yielder<u32>| async move {
        for number in 0..3 {
            sleep(Duration::from_micros(50)).await;
            yielder.emit(number).await;
        }
    }));
    while numbers.next().await.is_some() {
        check("an item");
    }
    let actor = Actor::new(0);
    let holder = actor.clone();
    let held = pool.spawn(async move {
        holder.call_async(async |_number| sleep(Duration::from_micros(200)).await).await.unwrap();
    });
    actor.call(|number| *number += 1).await.unwrap();
    check("a call");
    held.await.unwrap();
    Strand::new(pool).spawn(yield_now()).await.unwrap();
    check("a task on a strand");
    checks
}

/// Ends that are caught inside.
async fn catches_every_end<E: Executor>(executor: E, pool: Handle) -> usize {
    let mut checks = 0;
    let mut check = |what: &str| {
        assert!(executor.is_current(), "after {what}");
        checks += 1;
    };
    let panics = AssertUnwindSafe(lazy(async {
        yield_now().await;
        panic!("expected");
    }));
    assert!(FutureExt::catch_unwind(panics).await.is_err());
    check("a frame that has panicked");
    let panics = AssertUnwindSafe(run_on(pool.clone(), async {
        yield_now().await;
        panic!("expected");
    }));
    assert!(FutureExt::catch_unwind(panics).await.is_err());
    check("a panic elsewhere");
    assert!(stop::outcome(lazy(async { stopped().await })).await.is_stopped());
    check("a frame that has stopped");
    assert!(stop::outcome(run_on(pool.clone(), async { stopped().await })).await.is_stopped());
    check("a stop elsewhere");
    let source = StopSource::new();
    let token = source.token();
    let stopper = pool.spawn(async move {
        sleep(Duration::from_micros(100)).await;
        source.request_stop();
    });
    let long = env::scope().stop(token).run(sleep(Duration::from_secs(3600)));
    assert!(stop::outcome(long).await.is_stopped());
    check("a wait that was stopped by another thread");
    stopper.await.unwrap();
    checks
}

fn each_end<E: Executor>(runtime: &Runtime, executor: E) {
    let drops = Arc::new(AtomicUsize::new(0));
    let local = || Local(executor.clone(), drops.clone());

    let held = local();
    let pool = runtime.handle().clone();
    let inner = executor.clone();
    let value = launch(executor.clone()).spawn(async move {
        let _held = held;
        let leaves = awaits_everything(inner.clone(), pool.clone()).await;
        let others = awaits_work_of_others(inner.clone(), pool.clone()).await;
        (leaves, others, catches_every_end(inner, pool).await)
    });
    assert_eq!(join(runtime, value).unwrap(), (25, 13, 5));
    assert_eq!(drops.load(Ordering::SeqCst), 1, "value");

    let held = local();
    let error = launch(executor.clone()).spawn(async move {
        let _held = held;
        sleep(Duration::from_micros(50)).await;
        Err::<(), _>(7)?;
        Ok::<_, i32>(())
    });
    assert_eq!(join(runtime, error).unwrap(), Err(7));
    assert_eq!(drops.load(Ordering::SeqCst), 2, "error");

    let held = local();
    let panics = launch(executor.clone()).spawn(async move {
        let _held = held;
        sleep(Duration::from_micros(50)).await;
        panic!("expected");
    });
    assert!(join::<()>(runtime, panics).unwrap_err().is_panic());
    assert_eq!(drops.load(Ordering::SeqCst), 3, "panic");

    let held = local();
    let source = StopSource::new();
    let stopped = launch(executor.clone()).stop(source.token()).spawn(async move {
        let _held = held;
        sleep(Duration::from_secs(3600)).await;
    });
    thread::sleep(Duration::from_millis(2));
    source.request_stop();
    assert!(join(runtime, stopped).unwrap_err().is_stopped());
    assert_eq!(drops.load(Ordering::SeqCst), 4, "stop");

    let held = local();
    let aborted = launch(executor.clone()).spawn(async move {
        let _held = held;
        sleep(Duration::from_secs(3600)).await;
    });
    thread::sleep(Duration::from_millis(2));
    aborted.abort();
    assert!(join(runtime, aborted).unwrap_err().is_aborted());
    assert_eq!(drops.load(Ordering::SeqCst), 5, "abort");
}

#[test]
fn on_a_thread_of_its_own() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = runtime(2);
        let own = Own::start(runtime.handle().clone());
        for _ in 0..5 {
            each_end(&runtime, own.executor.clone());
        }
    });
}

#[test]
fn on_a_lane() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = runtime(2);
        let lanes = Prioritized::new(runtime.handle().clone());
        for lane in [lanes.high(), lanes.normal(), lanes.low()] {
            each_end(&runtime, lane);
        }
    });
}

#[test]
fn on_another_runtime() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let (own, other) = (runtime(1), runtime(2));
        each_end(&own, other.handle().clone());
    });
}

#[test]
fn on_one_that_a_user_has_written() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = runtime(2);
        for threads in [1, 3] {
            Threads::with(threads, runtime.handle(), |executor| {
                each_end(&runtime, executor.clone());
                each_end(&runtime, AnyExecutor::new(executor.clone()));
                each_end(&runtime, Strand::new(executor.clone()));
            });
        }
    });
}

#[test]
fn on_a_strand() {
    let _watchdog = watchdog();
    without_panic_messages(|| {
        let runtime = runtime(2);
        let lanes = Prioritized::new(runtime.handle().clone());
        each_end(&runtime, Strand::new(runtime.handle().clone()));
        each_end(&runtime, Strand::new(lanes.low()));
        each_end(&runtime, Strand::new(Strand::new(runtime.handle().clone())));
    });
}

#[test]
fn nothing_runs_before_it_is_polled() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let is_run = Arc::new(AtomicBool::new(false));
    let mark = || {
        let is_run = is_run.clone();
        async move { is_run.store(true, Ordering::SeqCst) }
    };
    fn unpolled<F: Future>(future: F) -> F {
        future
    }
    drop(unpolled(run_on(Inline, mark())));
    drop(unpolled(lazy(mark())));
    drop(unpolled(run_on(runtime.handle().clone(), lazy(mark()))));
    let _launch = launch(Inline).name("nobody");
    assert!(!is_run.load(Ordering::SeqCst));
    runtime.block_on(run_on(Inline, mark()));
    assert!(is_run.load(Ordering::SeqCst));
}
