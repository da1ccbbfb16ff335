//! While dumps are made on several threads, tasks run, wait, migrate, finish and are aborted, and runtimes shut down: every
//! task that is to complete does, and everything is dropped once.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_channel::{mpsc, oneshot};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use support::{Census, Pend, Random, runtime, stress};
use tress::Handle;
use tress::net::{TcpListener, TcpStream};
use tress::task::{Lazy, lazy, lazy_borrowed, yield_now};
use tress::time::{sleep, timeout};
use tress::trace;

/// Makes dumps on several threads until it is dropped.
struct Dumpers {
    is_over: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<usize>>,
}

impl Dumpers {
    fn start(handle: &Handle, count: usize) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let dumper = || {
            let (handle, is_over) = (handle.clone(), Arc::clone(&is_over));
            std::thread::spawn(move || {
                let mut frames = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let dump = trace::dump(&handle);
                    frames += dump.tasks.iter().map(|task| task.frames.len()).sum::<usize>();
                    assert!(dump.to_json().len() >= dump.tasks.len());
                    std::thread::sleep(Duration::from_micros(50));
                }
                frames
            })
        };
        let threads = (0..count).map(|_| dumper()).collect();
        Self { is_over, threads }
    }

    /// How many frames were seen.
    fn stop(mut self) -> usize {
        self.is_over.store(true, Ordering::Relaxed);
        self.threads.drain(..).map(|thread| thread.join().expect("dumps do not panic")).sum()
    }
}

fn micros(random: &mut Random, below: usize) -> Duration {
    Duration::from_micros(random.below(below) as u64)
}

/// Waits in some way; in every way that depends on exactly one wake. What fails, because a task was aborted, is no failure.
fn step(mut random: Random) -> Lazy<'static, ()> {
    lazy(async move {
        match random.below(10) {
            0 => yield_now().await,
            1 => Pend(random.below(5)).await,
            2 => sleep(micros(&mut random, 300)).await,
            3 => tress::spawn(step(random)).await.unwrap_or_default(),
            4 => {
                let (sender, receiver) = oneshot::channel();
                tress::spawn(async move { sender.send(()) });
                receiver.await.unwrap_or_default();
            }
            5 => {
                // Each is polled only when it was woken itself.
                let mut several: FuturesUnordered<_> =
                    (0..3).map(|_| tress::spawn(sleep(micros(&mut random, 100)))).collect();
                while let Some(done) = several.next().await {
                    done.unwrap_or_default();
                }
            }
            6 => {
                let (mut sender, mut receiver) = mpsc::channel::<Lazy<'static, ()>>(1);
                tress::spawn({
                    let random = random.fork();
                    async move { sender.try_send(step(random)) }
                });
                while let Some(received) = receiver.next().await {
                    received.await;
                }
            }
            7 => {
                let one = step(random.fork());
                let other = lazy_borrowed(async { step(random.fork()).await });
                tress::join!(one, other);
            }
            8 => {
                let _ = timeout(micros(&mut random, 100), step(random.fork())).await;
            }
            _ => {
                for _ in 0..random.below(3) {
                    step(random.fork()).await;
                }
            }
        }
    })
}

#[test]
fn of_tasks_that_wait_for_all_sorts_of_things() {
    let seen = AtomicUsize::new(0);
    stress(|workers, random| {
        let runtime = runtime(workers);
        let census = Census::default();
        let dumpers = Dumpers::start(runtime.handle(), 1 + random.below(3));
        let tasks: Vec<_> = (0..1 + random.below(200))
            .map(|_| {
                let (counted, steps) = (census.count(), step(random.fork()));
                runtime.spawn(async move {
                    steps.await;
                    drop(counted);
                })
            })
            .collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        seen.fetch_add(dumpers.stop(), Ordering::Relaxed);
        census.wait_until_empty();
    });
    assert!(seen.into_inner() > 0, "no dump has looked into a task");
}

#[test]
fn of_tasks_that_talk_over_sockets() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let dumpers = Dumpers::start(runtime.handle(), 2);
        let rounds = 1 + random.below(100);
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let clients: Vec<_> = (0..8)
                .map(|_| {
                    tress::spawn(async move {
                        let stream = TcpStream::connect(address).await.unwrap();
                        for round in 0..rounds {
                            stream.write_all(&[round as u8]).await.unwrap();
                            let mut answer = [0];
                            stream.read_exact(&mut answer).await.unwrap();
                            assert_eq!(answer, [round as u8]);
                        }
                    })
                })
                .collect();
            for _ in 0..clients.len() {
                let (stream, _) = listener.accept().await.unwrap();
                tress::spawn(async move {
                    let mut buf = [0; 16];
                    while let Ok(read @ 1..) = stream.read(&mut buf).await {
                        stream.write_all(&buf[..read]).await.unwrap();
                    }
                });
            }
            for client in clients {
                client.await.unwrap();
            }
        });
        dumpers.stop();
    });
}

#[test]
fn of_tasks_that_are_aborted() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let census = Census::default();
        let dumpers = Dumpers::start(runtime.handle(), 2);
        let tasks: Vec<_> = (0..1 + random.below(300))
            .map(|_| {
                let (counted, steps) = (census.count(), step(random.fork()));
                runtime.spawn(async move {
                    steps.await;
                    std::future::pending::<()>().await;
                    drop(counted);
                })
            })
            .collect();
        for task in &tasks {
            if random.once_in(4) {
                std::thread::yield_now();
            }
            task.abort();
        }
        runtime.block_on(async {
            for task in tasks {
                assert!(task.await.unwrap_err().is_aborted());
            }
        });
        census.wait_until_empty();
        dumpers.stop();
    });
}

#[test]
fn of_runtimes_that_shut_down() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let census = Census::default();
        let dumpers = Dumpers::start(runtime.handle(), 2);
        for _ in 0..1 + random.below(300) {
            let (counted, steps) = (census.count(), step(random.fork()));
            runtime.spawn(async move {
                steps.await;
                std::future::pending::<()>().await;
                drop(counted);
            });
        }
        std::thread::sleep(micros(random, 500));
        drop(runtime);
        census.wait_until_empty();
        dumpers.stop();
    });
}
