//! Affinity: a task resumes on its executor after whatever it awaits, and its locals are dropped there, however it ends.

mod support;

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use support::{runtime, watchdog, without_panic_messages};
use tress::algorithm::{bulk, when_all};
use tress::executor::{CurrentThread, Executor, Inline, Prioritized, QueueHandle, launch, run_on};
use tress::net::{TcpListener, TcpStream};
use tress::stop::StopSource;
use tress::sync::{Mutex, mpsc as channel, oneshot};
use tress::task::{JoinHandle, lazy, yield_now};
use tress::time::{sleep, timeout};
use tress::{Handle, Runtime};

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

fn each_end<E: Executor>(runtime: &Runtime, executor: E) {
    let drops = Arc::new(AtomicUsize::new(0));
    let local = || Local(executor.clone(), drops.clone());

    let held = local();
    let pool = runtime.handle().clone();
    let inner = executor.clone();
    let value = launch(executor.clone()).spawn(async move {
        let _held = held;
        awaits_everything(inner, pool).await
    });
    assert_eq!(join(runtime, value).unwrap(), 25);
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
fn bulk_comes_back() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let lane = Prioritized::new(runtime.handle().clone()).low();
    let inner = lane.clone();
    let task = launch(lane).spawn(async move {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        bulk(1000, move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        })
        .await;
        assert!(inner.is_current());
        count.load(Ordering::Relaxed)
    });
    assert_eq!(join(&runtime, task).unwrap(), 1000);
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
