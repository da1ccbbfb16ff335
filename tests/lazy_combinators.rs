//! Lazies inside `join!`, `try_join!`, `select!`, sets of futures and timeouts, with timers and sockets as leaves; and
//! aborts in the middle of all of them.

mod leaves;
mod support;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::{Either, join_all, select, select_all, try_join_all};
use futures_util::stream::{FuturesOrdered, FuturesUnordered, StreamExt};
use futures_util::{FutureExt, TryFutureExt};
use leaves::{Gate, never, poll_once};
use support::{Census, Pend, Random, block_on_foreign, runtime, stress, wait_until, watchdog};
use tress::Runtime;
use tress::io::AsyncWriteExt;
use tress::net::{TcpListener, TcpStream};
use tress::task::{Lazy, lazy, lazy_borrowed, yield_now};
use tress::time::{sleep, timeout};

/// Runs in a task, in a frame of a task, in `block_on`, and in no runtime.
fn in_each_root<F>(runtime: &Runtime, make: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    runtime.block_on(runtime.spawn(make())).unwrap();
    runtime.block_on(runtime.spawn(lazy(make()))).unwrap();
    runtime.block_on(make());
    let guard = runtime.enter();
    block_on_foreign(make());
    drop(guard);
}

fn number(n: usize, pends: usize) -> Lazy<'static, usize> {
    lazy(async move {
        Pend(pends).await;
        lazy(yield_now()).await;
        n
    })
}

#[test]
fn in_join() {
    let _watchdog = watchdog();
    in_each_root(&runtime(2), || async {
        let outputs = tress::join!(number(1, 3), number(2, 0), number(3, 1));
        assert_eq!(outputs, (1, 2, 3));
        let nested = lazy(async {
            let (a, (b, c)) = tress::join!(number(1, 1), async { tress::join!(number(2, 2), number(3, 0)) });
            a + b + c
        });
        assert_eq!(nested.await, 6);
        assert_eq!(join_all((0..50).map(|n| number(n, n % 4))).await, (0..50).collect::<Vec<_>>());
        // Few enough to be kept in place, and in a box.
        assert_eq!(join_all((0..3).map(|n| number(n, n))).await, [0, 1, 2]);
    });
}

#[test]
fn in_try_join() {
    let _watchdog = watchdog();
    in_each_root(&runtime(2), || async {
        let census = Census::default();
        let ok = |n| number(n, n).map(Ok::<_, &str>);
        assert_eq!(tress::try_join!(ok(1), ok(2)), Ok((1, 2)));
        let counted = census.count();
        let waits = lazy(async move {
            let _counted = counted;
            never().await;
            Ok(0)
        });
        let fails = lazy(async {
            Pend(2).await;
            Err::<usize, _>("failed")
        });
        assert_eq!(tress::try_join!(waits, fails.map_ok(|n| n + 1), ok(3)), Err("failed"));
        assert_eq!(census.alive(), 0);
        assert_eq!(try_join_all((0..40).map(ok)).await, Ok((0..40).collect()));
        let some_fail =
            (0..40).map(|n| lazy(async move { if n == 17 { Err(n) } else { Ok(number(n, n).await) } }));
        assert_eq!(try_join_all(some_fail).await, Err(17));
    });
}

#[test]
fn in_select() {
    let _watchdog = watchdog();
    in_each_root(&runtime(2), || async {
        let census = Census::default();
        for _ in 0..10 {
            let counted = census.count();
            let loser = lazy(async move {
                let _counted = counted;
                loop {
                    lazy(yield_now()).await;
                }
            });
            tress::select! {
                () = loser.fuse() => panic!("it never ends"),
                n = number(7, 3).fuse() => assert_eq!(n, 7),
            }
            assert_eq!(census.alive(), 0);
        }
        // The loser goes on after the winner has been taken.
        match select(pin!(number(1, 0)), pin!(number(2, 10))).await {
            Either::Left((n, rest)) => assert_eq!((n, rest.await), (1, 2)),
            Either::Right((n, rest)) => assert_eq!((n, rest.await), (2, 1)),
        }
        let (first, _, rest) = select_all((0..10).map(|n| Box::pin(number(n, n)))).await;
        assert_eq!(first + join_all(rest).await.into_iter().sum::<usize>(), 45);
        // A loop over the same two.
        let (mut sum, mut ticks) = (0, 0);
        let mut work = pin!(async { number(20, 20).await + number(22, 20).await }.fuse());
        while sum == 0 {
            tress::select_biased! {
                () = lazy(yield_now()).fuse() => ticks += 1,
                n = work => sum = n,
            }
        }
        assert!(sum == 42 && ticks > 0);
    });
}

#[test]
fn in_sets() {
    let _watchdog = watchdog();
    in_each_root(&runtime(2), || async {
        let mut set: FuturesUnordered<_> = (0..100).map(|n| number(n, n % 7)).collect();
        let mut sum = 0;
        while let Some(n) = set.next().await {
            sum += n;
            if n % 10 == 9 && n < 100 {
                set.push(number(1000, 2));
            }
        }
        assert_eq!(sum, 4950 + 10_000);
        let ordered: FuturesOrdered<_> = (0..100).map(|n| number(n, (100 - n) % 9)).collect();
        assert_eq!(ordered.collect::<Vec<_>>().await, (0..100).collect::<Vec<_>>());
        // A frame that awaits a set of frames that await sets.
        let tree = lazy(async {
            let sets = (0..10).map(|n| {
                lazy(async move {
                    let set: FuturesUnordered<_> = (0..10).map(|m| number(n * 10 + m, m)).collect();
                    set.fold(0, async |sum, n| sum + n).await
                })
            });
            sets.collect::<FuturesUnordered<_>>().fold(0, async |sum, n| sum + n).await
        });
        assert_eq!(tree.await, 4950);
        // Streams that run some at a time.
        let buffered = futures_util::stream::iter((0..50).map(|n| number(n, n % 3))).buffer_unordered(5);
        assert_eq!(buffered.fold(0, async |sum, n| sum + n).await, 1225);
    });
}

#[test]
fn in_timeouts() {
    let _watchdog = watchdog();
    in_each_root(&runtime(2), || async {
        let census = Census::default();
        assert_eq!(timeout(Duration::from_secs(60), number(1, 2)).await.unwrap(), 1);
        for depth in [0, 1, 50] {
            let counted = census.count();
            let last = lazy(async move {
                let _counted = counted;
                never().await;
            });
            let waits = (0..depth).fold(last, |below, _| lazy(below));
            let start = Instant::now();
            timeout(Duration::from_millis(5), waits).await.unwrap_err();
            assert!(start.elapsed() >= Duration::from_millis(5));
            assert_eq!(census.alive(), 0);
        }
        // Inside each other; the inner one is first.
        let inner = lazy(async { timeout(Duration::from_millis(2), lazy(never())).await.is_err() });
        assert!(timeout(Duration::from_secs(60), inner).await.unwrap());
        // Many timers below one frame.
        let sleeps = (0..50).map(|n| lazy(async move { sleep(Duration::from_micros(n * 100)).await }));
        join_all(sleeps).await;
    });
}

/// A server and clients whose reads and writes are leaves of frames.
async fn echo(stream: TcpStream) -> io::Result<u64> {
    let stream = Arc::new(stream);
    lazy(async move {
        let mut bytes = 0;
        loop {
            let reader = Arc::clone(&stream);
            let chunk = lazy(async move {
                let mut buf = [0; 100];
                let read = reader.read(&mut buf).await?;
                io::Result::Ok((buf, read))
            });
            let (buf, read) = chunk.await?;
            if read == 0 {
                return Ok(bytes);
            }
            bytes += read as u64;
            let stream = &*stream;
            lazy_borrowed(async { (&mut &*stream).write_all(&buf[..read]).await }).await?;
        }
    })
    .await
}

#[test]
fn with_sockets() {
    let _watchdog = watchdog();
    in_each_root(&runtime(2), || async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let clients = 8;
        let server = lazy(async move {
            let echoes = FuturesUnordered::new();
            for _ in 0..clients {
                let (stream, _) = lazy_borrowed(listener.accept()).await.unwrap();
                echoes.push(lazy(echo(stream)));
            }
            echoes.map(Result::unwrap).fold(0, async |sum, bytes| sum + bytes).await
        });
        let client = |n: u8| {
            lazy(async move {
                let stream = TcpStream::connect(address).await.unwrap();
                for round in 0..10 {
                    let message = [n + round; 256];
                    let mut answer = [0; 256];
                    let (reader, writer) = (&stream, &stream);
                    let (written, read) = tress::join!(
                        lazy_borrowed(async { writer.write_all(&message).await }),
                        lazy_borrowed(async { reader.read_exact(&mut answer).await })
                    );
                    written.unwrap();
                    read.unwrap();
                    assert_eq!(message, answer);
                }
            })
        };
        let (bytes, _) = tress::join!(server, join_all((0..clients).map(client)));
        assert_eq!(bytes, u64::from(clients) * 2560);
    });
}

/// A read that loses a select, or runs out of time, takes nothing with it.
#[test]
fn with_sockets_that_are_given_up() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let task = runtime.spawn(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let server = Arc::new(server);
        let read = || {
            let server = Arc::clone(&server);
            lazy(async move {
                let mut buf = [0; 16];
                let read = lazy(async move { server.read(&mut buf).await.map(|read| buf[..read].to_vec()) });
                read.await
            })
        };
        for round in 0..20_u8 {
            timeout(Duration::from_millis(1), read()).await.unwrap_err();
            tress::select_biased! {
                _ = read().fuse() => panic!("nothing was written"),
                () = yield_now().fuse() => {}
            }
            let waiting = tress::spawn(read());
            yield_now().await;
            waiting.abort();
            assert!(waiting.await.unwrap_err().is_aborted());
            client.write_all(&[round; 3]).await.unwrap();
            assert_eq!(read().await.unwrap(), [round; 3]);
        }
        drop(client);
        assert!(read().await.unwrap().is_empty());
    });
    runtime.block_on(task).unwrap();
}

/// Aborted at some time: everything is dropped, and what was not aborted goes on.
#[test]
fn until_they_are_aborted() {
    stress(|workers, random| {
        let (runtime, census) = (runtime(workers), Census::default());
        let tasks: Vec<_> =
            (0..50).map(|_| runtime.spawn(anything(4, random.fork(), census.clone()))).collect();
        for task in tasks {
            if random.once_in(2) {
                if random.once_in(2) {
                    thread::sleep(Duration::from_micros(random.below(300) as u64));
                }
                task.abort();
                if let Err(error) = runtime.block_on(task) {
                    assert!(error.is_aborted());
                }
            } else {
                runtime.block_on(task).unwrap();
            }
        }
        // Tasks of those that were aborted go on by themselves.
        census.wait_until_empty();
    });
}

/// One combinator below the other.
fn anything(depth: usize, mut random: Random, census: Census) -> Lazy<'static, ()> {
    lazy(async move {
        let _counted = census.count();
        if depth == 0 {
            match random.below(4) {
                0 => Pend(random.below(10)).await,
                1 => sleep(Duration::from_micros(random.below(1000) as u64)).await,
                2 => yield_now().await,
                _ => {}
            }
            return;
        }
        let (one, two) = (random.fork(), random.fork());
        let below = |random| anything(depth - 1, random, census.clone());
        match random.below(7) {
            0 => _ = tress::join!(below(one), below(two)),
            1 => {
                tress::select! {
                    () = below(one).fuse() => {}
                    () = below(two).fuse() => {}
                }
            }
            2 => {
                let set: FuturesUnordered<_> = [one, two].into_iter().map(below).collect();
                set.collect::<Vec<()>>().await;
            }
            3 => drop(timeout(Duration::from_micros(random.below(1000) as u64), below(one)).await),
            4 => {
                let census = &census;
                lazy_borrowed(async move { anything(depth - 1, one, census.clone()).await }).await;
            }
            5 => tress::spawn(below(one)).await.unwrap(),
            _ => below(one).shared().await,
        }
    })
}

/// A gate that many wait for, in frames of many tasks.
#[test]
fn with_many_waiters() {
    let _watchdog = watchdog();
    let (runtime, gate) = (runtime(4), Gate::default());
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let gate = gate.clone();
            runtime.spawn(async move {
                let waits = |n| lazy(gate.passed().map(move |()| n));
                let (a, b) = tress::join!(waits(n), lazy(waits(n)));
                let mut boxed = Box::pin(waits(n));
                assert!(poll_once(boxed.as_mut()).await.is_ready());
                a + b
            })
        })
        .collect();
    wait_until(|| gate.polls() >= 200, "not all have come");
    gate.open();
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(runtime.block_on(task).unwrap(), 2 * n);
    }
}
