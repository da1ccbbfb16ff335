//! A runtime that is shut down, at whatever moment, drops each of its futures and outputs once: parked, queued, running,
//! asleep in a timer, waiting for a socket or a blocking call.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::{Census, Counted, Pend, Random, burn, runtime, stress, wait_until};
use tress::Handle;
use tress::net::{TcpListener, TcpStream};
use tress::task::{JoinHandle, spawn_blocking, yield_now};
use tress::time::sleep;

/// Lives in many ways, and spawns others that do.
async fn live(mut random: Random, counted: Counted, census: Census, depth: usize) -> Counted {
    let _counted = counted;
    for _ in 0..1 + random.below(3) {
        match random.below(10) {
            0 => std::future::pending().await,
            8 if random.once_in(4) => drop(talk(&mut random).await),
            1 => sleep(Duration::from_micros(random.below(2000) as u64)).await,
            2 => sleep(Duration::from_secs(3600)).await,
            3 => yield_now().await,
            4 => Pend(random.below(100)).await,
            5 => burn(Duration::from_micros(random.below(100) as u64)),
            6 if depth > 0 => drop(spawn(&mut random, &census, depth - 1)),
            7 if depth > 0 => drop(spawn(&mut random, &census, depth - 1).await),
            _ => {
                let (counted, output) = (census.count(), census.count());
                let pause = Duration::from_micros(random.below(300) as u64);
                let call = spawn_blocking(move || {
                    let _counted = counted;
                    std::thread::sleep(pause);
                    output
                });
                if random.once_in(2) {
                    drop(call.await);
                }
            }
        }
    }
    census.count()
}

/// Sockets that say a little, or wait for what nobody says.
async fn talk(random: &mut Random) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (client, server) = tress::try_join!(TcpStream::connect(listener.local_addr()?), async {
        Ok(listener.accept().await?.0)
    })?;
    client.write_all(b"a").await?;
    server.read_exact(&mut [0]).await?;
    match random.below(4) {
        0 => drop(server.read(&mut [0]).await?),
        1 => drop(listener.accept().await?),
        _ => {}
    }
    Ok(())
}

fn spawn(random: &mut Random, census: &Census, depth: usize) -> JoinHandle<Counted> {
    let (random, counted, census) = (random.fork(), census.count(), census.clone());
    Handle::current().spawn(live_boxed(random, counted, census, depth))
}

/// The future's type would be infinite otherwise.
fn live_boxed(
    random: Random,
    counted: Counted,
    census: Census,
    depth: usize,
) -> std::pin::Pin<Box<dyn Future<Output = Counted> + Send>> {
    Box::pin(live(random, counted, census, depth))
}

#[test]
fn at_random_moments() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let (handle, census) = (runtime.handle().clone(), Census::default());
        let mut kept = Vec::new();
        let guard = runtime.enter();
        for _ in 0..random.below(200) {
            let task = spawn(random, &census, 3);
            if random.once_in(2) {
                kept.push(task);
            }
        }
        drop(guard);
        match random.below(4) {
            0 => {}
            1 => std::thread::sleep(Duration::from_micros(random.below(1000) as u64)),
            _ => burn(Duration::from_micros(random.below(3000) as u64)),
        }
        if random.once_in(2) {
            runtime.shutdown(Duration::from_secs(60)).expect("every poll returns");
        } else {
            drop(runtime);
        }
        assert_eq!(handle.metrics().live_tasks(), 0);
        assert!(kept.iter().all(JoinHandle::is_finished));
        if random.once_in(2) {
            for task in &mut kept {
                match support::block_on_foreign(task) {
                    Ok(_output) => {}
                    Err(error) => assert!(error.is_aborted(), "{error}"),
                }
            }
        }
        drop(kept);
        assert_eq!(census.alive(), 0, "of {}", census.made());
    });
}

/// Foreign threads go on spawning and waking during the shutdown.
#[test]
fn under_fire_from_foreign_threads() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let (census, stop) = (Census::default(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let (handle, census, stop, mut random) =
                    (runtime.handle().clone(), &census, &stop, random.fork());
                scope.spawn(move || {
                    let mut tasks = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let (counted, output) = (census.count(), census.count());
                        let parks = random.once_in(2);
                        tasks.push(handle.spawn(async move {
                            let _counted = counted;
                            if parks {
                                std::future::pending::<()>().await;
                            }
                            yield_now().await;
                            output
                        }));
                        if tasks.len() > 100 {
                            let task = tasks.swap_remove(random.below(tasks.len()));
                            task.abort();
                        }
                    }
                });
            }
            burn(Duration::from_micros(random.below(2000) as u64));
            runtime.shutdown(Duration::from_secs(60)).expect("every poll returns");
            burn(Duration::from_micros(random.below(200) as u64));
            stop.store(true, Ordering::Relaxed);
        });
        census.wait_until_empty();
    });
}

/// Tasks whose drop spawns, wakes and aborts others.
#[test]
fn also_what_drops_bring_forth() {
    struct SpawnOnDrop(Census, Handle, Arc<AtomicBool>);
    impl Drop for SpawnOnDrop {
        fn drop(&mut self) {
            let (counted, ran) = (self.0.count(), Arc::clone(&self.2));
            let task = self.1.spawn(async move {
                let _counted = counted;
                ran.store(true, Ordering::Relaxed);
                std::future::pending::<()>().await;
            });
            task.abort_handle().abort();
        }
    }
    stress(|workers, random| {
        let runtime = runtime(workers);
        let (census, ran) = (Census::default(), Arc::new(AtomicBool::new(false)));
        for _ in 0..random.below(100) {
            let bomb = SpawnOnDrop(census.clone(), runtime.handle().clone(), Arc::clone(&ran));
            let counted = census.count();
            runtime.spawn(async move {
                let _held = (bomb, counted);
                std::future::pending::<()>().await;
            });
        }
        burn(Duration::from_micros(random.below(500) as u64));
        let handle = runtime.handle().clone();
        drop(runtime);
        census.wait_until_empty();
        wait_until(|| handle.metrics().live_tasks() == 0, "tasks were left");
    });
}
