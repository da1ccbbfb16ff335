//! A stop ends whatever waits in its environment, reports what has been moved, and moves nothing more.

mod leaves;
mod support;

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use leaves::poll_once;
use support::{Census, Random, runtime, stress, wait_until, watchdog};
use tress::env;
use tress::net::{TcpListener, TcpStream};
use tress::stop::{self, Outcome, StopCallback, StopSource, StopToken, StoppedAfter};
use tress::task::{JoinHandle, Lazy, lazy, lazy_borrowed, yield_now};
use tress::time::{interval, sleep, timeout};

const LONG: Duration = Duration::from_secs(3600);

/// Runs a future that this token stops.
fn until<F: Future>(token: StopToken, future: F) -> impl Future<Output = F::Output> {
    env::scope().stop(token).run(future)
}

async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, server) =
        tress::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (client.unwrap(), server.unwrap().0)
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One of everything that can wait, each waiting for what does not come.
async fn everything_that_waits() -> Vec<(&'static str, Waiting)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = std::sync::Arc::new(connection().await);
    let (reading, peeking, readable, exact) =
        (stream.clone(), stream.clone(), stream.clone(), stream.clone());
    let full = connection().await;
    while timeout(Duration::from_millis(20), full.0.write(&[0; 65536])).await.is_ok() {}
    let full = std::sync::Arc::new(full);
    let (all, writable) = (full.clone(), full.clone());
    let never = StopSource::new();
    vec![
        ("sleep", Box::pin(sleep(LONG))),
        ("lazy sleep", Box::pin(lazy(sleep(LONG)))),
        (
            "interval",
            Box::pin(async {
                let mut interval = interval(LONG);
                interval.tick().await;
                interval.tick().await;
            }),
        ),
        ("timeout", Box::pin(async { timeout(LONG, std::future::pending::<()>()).await.unwrap() })),
        ("accept", Box::pin(async move { drop(listener.accept().await) })),
        ("read", Box::pin(async move { drop(reading.0.read(&mut [0; 8]).await) })),
        ("peek", Box::pin(async move { drop(peeking.0.peek(&mut [0; 8]).await) })),
        ("readable", Box::pin(async move { drop(readable.0.readable().await) })),
        ("read_exact", Box::pin(async move { drop(exact.0.read_exact(&mut [0; 8]).await) })),
        ("write", Box::pin(async move { drop(full.0.write(&[0; 8]).await) })),
        ("write_all", Box::pin(async move { drop(all.0.write_all(&[0; 8]).await) })),
        ("writable", Box::pin(async move { drop(writable.0.writable().await) })),
        (
            "join",
            Box::pin(async move {
                let task: JoinHandle<()> = tress::spawn(std::future::pending());
                let abort = task.abort_handle();
                let _abort = AbortOnDrop(abort);
                drop(task.await);
                drop(never);
            }),
        ),
        #[cfg(unix)]
        ("ctrl_c", Box::pin(async { drop(tress::signal::ctrl_c().await) })),
    ]
}

struct AbortOnDrop(tress::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[test]
fn every_operation_that_waits_is_stopped() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for (what, waiting) in runtime.block_on(everything_that_waits()) {
        let source = StopSource::new();
        let task = runtime.spawn(until(source.token(), waiting));
        let is_waiting = || {
            let dump = tress::trace::dump(runtime.handle());
            dump.tasks.iter().any(|dumped| dumped.id == task.id() && dumped.polls > 0)
        };
        wait_until(is_waiting, what);
        assert!(!task.is_finished(), "{what} does not wait");
        source.request_stop();
        assert!(runtime.block_on(task).expect_err(what).is_stopped(), "{what}");
    }
}

#[test]
fn every_operation_that_comes_after_the_stop_is_stopped() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let source = StopSource::new();
    source.request_stop();
    for (what, waiting) in runtime.block_on(everything_that_waits()) {
        let outcome = runtime.block_on(stop::outcome(until(source.token(), waiting)));
        assert_eq!(outcome, Outcome::Stopped, "{what}");
    }
}

#[test]
fn what_comes_after_the_stop_moves_nothing() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    runtime.block_on(async {
        let (client, server) = connection().await;
        client.write_all(b"hello").await.unwrap();
        server.readable().await.unwrap();
        let source = StopSource::new();
        source.request_stop();
        let stopped = until(source.token(), async {
            let mut buf = [0; 5];
            let read = stop::outcome(server.read(&mut buf)).await;
            let exact = stop::outcome(server.read_exact(&mut [0; 5])).await;
            let written = stop::outcome(client.write(b"more")).await;
            let all = stop::outcome(client.write_all(b"more")).await;
            (read.is_stopped(), exact.is_stopped(), written.is_stopped(), all.is_stopped(), buf)
        });
        assert_eq!(stopped.await, (true, true, true, true, [0; 5]));
        drop(client);
        let mut rest = Vec::new();
        let mut buf = [0; 64];
        loop {
            match server.read(&mut buf).await.unwrap() {
                0 => break,
                read => rest.extend_from_slice(&buf[..read]),
            }
        }
        assert_eq!(rest, b"hello");
    });
}

/// By the traits, and in other ways than those above.
#[test]
fn what_comes_after_the_stop_moves_nothing_by_traits() {
    use tress::io::{AsyncReadExt, AsyncWriteExt};
    let _watchdog = watchdog();
    let runtime = runtime(1);
    runtime.block_on(async {
        let (mut client, mut server) = connection().await;
        client.write_all(b"hello").await.unwrap();
        server.readable().await.unwrap();
        let source = StopSource::new();
        source.request_stop();
        let mut buf = [0; 5];
        until(source.token(), async {
            let read = stop::outcome(server.read_vectored(&mut [IoSliceMut::new(&mut buf)])).await;
            assert!(read.is_stopped());
            assert!(stop::outcome(server.peek(&mut buf)).await.is_stopped());
            assert!(stop::outcome(AsyncReadExt::read(&mut server, &mut buf)).await.is_stopped());
            assert!(stop::outcome(AsyncReadExt::read_exact(&mut server, &mut buf)).await.is_stopped());
            let written = stop::outcome(client.write_vectored(&[IoSlice::new(b"more")])).await;
            assert!(written.is_stopped());
            assert!(stop::outcome(AsyncWriteExt::write(&mut client, b"more")).await.is_stopped());
            assert!(stop::outcome(AsyncWriteExt::write_all(&mut client, b"more")).await.is_stopped());
        })
        .await;
        assert_eq!(buf, [0; 5]);
        drop(client);
        let mut rest = Vec::new();
        AsyncReadExt::read_to_end(&mut server, &mut rest).await.unwrap();
        assert_eq!(rest, b"hello");
    });
}

#[test]
fn what_comes_after_the_stop_takes_no_connection() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let source = StopSource::new();
        source.request_stop();
        until(source.token(), async {
            assert!(stop::outcome(listener.accept()).await.is_stopped());
            assert!(stop::outcome(poll_fn(|cx| listener.poll_accept(cx))).await.is_stopped());
        })
        .await;
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

#[test]
fn bytes_that_have_been_moved_are_reported() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    runtime.block_on(async {
        let (client, server) = connection().await;
        let source = StopSource::new();
        client.write_all(b"abc").await.unwrap();
        let reading = until(source.token(), async {
            let mut buf = [0; 8];
            let result = server.read_exact(&mut buf).await;
            (result, buf)
        });
        let mut reading = pin!(reading);
        while client.peek(&mut []).await.is_err() {}
        assert!(poll_once(reading.as_mut()).await.is_pending());
        wait_until_read(&server, reading.as_mut()).await;
        source.request_stop();
        let (result, buf) = reading.await;
        assert_eq!(moved(result), 3);
        assert_eq!(&buf[..3], b"abc");

        let source = StopSource::new();
        let block = vec![7; 64 << 20];
        let writing = until(source.token(), client.write_all(&block));
        let mut writing = Box::pin(writing);
        // Until both kernels' buffers are full.
        while !matches!(timeout(Duration::from_millis(50), poll_pending(writing.as_mut())).await, Ok(())) {}
        source.request_stop();
        let written = moved(writing.as_mut().await);
        drop(writing);
        drop(client);
        let mut received = 0;
        let mut buf = vec![0; 1 << 20];
        loop {
            match server.read(&mut buf).await.unwrap() {
                0 => break,
                read => received += read,
            }
        }
        assert!(written > 0);
        assert_eq!(received, written);
    });
}

/// Polls a future for a while, which stays pending.
async fn poll_pending<F: Future>(mut future: Pin<&mut F>) {
    for _ in 0..100 {
        assert!(poll_once(future.as_mut()).await.is_pending());
        sleep(Duration::from_micros(100)).await;
    }
}

/// Polls a reading future until what has come has been read.
async fn wait_until_read<F: Future>(stream: &TcpStream, mut reading: Pin<&mut F>) {
    loop {
        assert!(poll_once(reading.as_mut()).await.is_pending());
        if timeout(Duration::from_millis(20), stream.peek(&mut [0])).await.is_err() {
            return;
        }
    }
}

#[track_caller]
fn moved(result: io::Result<()>) -> usize {
    let error = result.expect_err("it was stopped");
    StoppedAfter::in_error(&error).expect("and says so").moved()
}

#[test]
fn waiting_for_the_stop_is_not_stopped_by_it() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let source = StopSource::new();
    let token = source.token();
    let task = runtime.spawn(until(source.token(), async move {
        token.stop_requested().await;
        7
    }));
    source.request_stop();
    assert_eq!(runtime.block_on(task).unwrap(), 7);
}

#[test]
fn shielded_operations_go_on() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let source = StopSource::new();
    source.request_stop();
    let farewell = until(source.token(), async {
        env::shield(async {
            lazy(sleep(Duration::from_millis(1))).await;
            sleep(Duration::from_millis(1)).await;
        })
        .await;
        let said = true;
        (said, stop::outcome(sleep(Duration::ZERO)).await)
    });
    assert_eq!(runtime.block_on(farewell), (true, Outcome::Stopped));
}

#[test]
fn the_nearest_token_counts_and_a_linked_one_follows_both() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (outer, inner) = (StopSource::new(), StopSource::new());
    outer.request_stop();
    let own =
        until(outer.token(), until(inner.token(), async { stop::outcome(sleep(Duration::ZERO)).await }));
    assert_eq!(runtime.block_on(own), Outcome::Value(()));
    let linked = StopSource::linked_to(&outer.token());
    let both = until(linked.token(), async { stop::outcome(sleep(Duration::ZERO)).await });
    assert_eq!(runtime.block_on(both), Outcome::Stopped);
}

#[test]
fn what_waits_with_wakers_of_its_own_is_stopped_too() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for children in [1, 10, 1000] {
        let source = StopSource::new();
        let census = Census::default();
        let counter = census.clone();
        let task = runtime.spawn(until(source.token(), async move {
            let waits = |number: usize| {
                let counted = counter.count();
                async move {
                    // Some of them in frames, some stopped where they are.
                    match number % 3 {
                        0 => sleep(LONG).await,
                        1 => lazy(sleep(LONG)).await,
                        _ => drop(stop::outcome(sleep(LONG)).await),
                    }
                    drop(counted);
                    number
                }
            };
            let mut all: FuturesUnordered<_> = (0..children).map(waits).collect();
            while all.next().await.is_some() {}
        }));
        wait_until(|| census.made() == children, "they all wait");
        source.request_stop();
        assert!(runtime.block_on(task).unwrap_err().is_stopped());
        assert_eq!(census.alive(), 0);
    }
}

#[test]
fn a_stop_from_inside_the_task_works() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let source = StopSource::new();
    let (token, own) = (source.token(), source);
    let task = runtime.spawn(until(token, async move {
        own.request_stop();
        sleep(LONG).await;
    }));
    assert!(runtime.block_on(task).unwrap_err().is_stopped());
}

#[test]
fn a_dump_of_stopped_tasks_loses_none() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for _ in 0..50 {
        let source = StopSource::new();
        let tasks: Vec<_> = (0..16)
            .map(|_| runtime.spawn(until(source.token(), lazy(async { lazy(sleep(LONG)).await }))))
            .collect();
        thread::scope(|scope| {
            scope.spawn(|| source.request_stop());
            scope.spawn(|| drop(tress::trace::dump(runtime.handle())));
        });
        for task in tasks {
            assert!(runtime.block_on(task).unwrap_err().is_stopped());
        }
    }
}

/// A tree of frames, joined and not, that waits here and there.
fn tree(random: &mut Random, depth: usize, census: &Census) -> Lazy<'static, usize> {
    let counted = census.count();
    let (mut left, mut right) = (random.fork(), random.fork());
    let (kind, pause) = (random.below(6), Duration::from_micros(random.next() % 2000));
    if depth == 0 {
        return lazy(async move {
            let _counted = counted;
            match kind {
                0 => sleep(LONG).await,
                1 => yield_now().await,
                2 => drop(stop::outcome(sleep(pause)).await),
                _ => sleep(pause).await,
            }
            1
        });
    }
    let census = census.clone();
    lazy(async move {
        let _counted = counted;
        let one = tree(&mut left, depth - 1, &census);
        let two = tree(&mut right, depth - 1, &census);
        match kind {
            0 => stop::outcome(one).await.value().unwrap_or(0) + two.await,
            1 => lazy_borrowed(one).await + two.await,
            2 | 3 => {
                let (one, two) = tress::join!(one, two);
                one + two
            }
            _ => one.await + two.await,
        }
    })
}

#[test]
fn trees_that_are_stopped_at_any_moment_end() {
    stress(|workers, random| {
        let runtime = runtime(workers);
        let census = Census::default();
        let server = StopSource::new();
        let mut tasks = Vec::new();
        let mut sources = Vec::new();
        for _ in 0..32 {
            let source = StopSource::linked_to(&server.token());
            let depth = random.below(6);
            tasks.push(runtime.spawn(until(source.token(), tree(random, depth, &census))));
            sources.push((source, Duration::from_micros(random.next() % 1500)));
        }
        let last = Duration::from_micros(random.next() % 3000);
        thread::scope(|scope| {
            for (source, after) in &sources {
                if random.once_in(3) {
                    scope.spawn(|| {
                        thread::sleep(*after);
                        source.request_stop();
                    });
                }
            }
            thread::sleep(last);
            server.request_stop();
        });
        for task in tasks {
            if let Err(error) = runtime.block_on(task) {
                assert!(error.is_stopped(), "{error}");
            }
        }
        census.wait_until_empty();
    });
}

#[test]
fn a_stopped_future_may_still_be_ready() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let source = StopSource::new();
    source.request_stop();
    let raced = until(source.token(), async {
        let mut asleep = pin!(sleep(LONG));
        std::future::poll_fn(|cx| {
            assert_eq!(asleep.as_mut().poll(cx), Poll::Pending);
            Poll::Ready(7)
        })
        .await
    });
    assert_eq!(runtime.block_on(runtime.spawn(raced)).unwrap(), 7);
}

#[test]
fn a_deadline_stops_what_waits_and_keeps_to_outer_stops() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let soon = || Instant::now() + Duration::from_millis(20);
    // In the future itself, in a frame that is polled directly, and below a child with wakers of its own.
    let begun = Instant::now();
    let three = env::scope().deadline(soon()).run(async {
        let mut all: FuturesUnordered<_> = [stop::outcome(sleep(LONG))].into_iter().collect();
        let (own, framed, child) =
            tress::join!(stop::outcome(sleep(LONG)), stop::outcome(lazy(sleep(LONG))), all.next());
        (own.is_stopped(), framed.is_stopped(), child)
    });
    assert_eq!(runtime.block_on(three), (true, true, Some(Outcome::Stopped)));
    assert!(begun.elapsed() >= Duration::from_millis(20));
    // One that is met does nothing.
    assert_eq!(runtime.block_on(env::scope().deadline(soon()).run(async { 7 })), 7);
    // Of two, the earlier one counts, whichever was said first.
    for deadlines in [[soon(), Instant::now() + LONG], [Instant::now() + LONG, soon()]] {
        let scope = deadlines.into_iter().fold(env::scope(), env::Scope::deadline);
        assert_eq!(runtime.block_on(stop::outcome(scope.run(sleep(LONG)))), Outcome::Stopped);
    }
    // One that is over already stops the first wait.
    let late = env::scope().deadline(Instant::now()).run(async { sleep(LONG).await });
    assert_eq!(runtime.block_on(stop::outcome(late)), Outcome::Stopped);
    // Its token is a deadline for whatever has it: a callback, a source that is linked to it, a task.
    let (told, called) = std::sync::mpsc::channel();
    let scoped = env::scope().deadline(soon()).run(async move {
        let token = env::current().stop_token();
        let mut callback = std::pin::pin!(StopCallback::new(move || told.send(()).unwrap()));
        callback.as_mut().register(&token);
        let child = StopSource::linked_to(&token);
        let task = tress::spawn(env::scope().stop(token).run(sleep(LONG)));
        env::shield(task).await.unwrap_err().is_stopped() && child.token().is_stop_requested()
    });
    assert!(runtime.block_on(scoped));
    called.recv().unwrap();
    // What stops whoever awaits it stops it, too; and so does its own token.
    for own in [false, true] {
        let source = StopSource::new();
        let scope = env::scope().deadline(Instant::now() + LONG);
        let scope = if own { scope.stop(source.token()) } else { scope };
        let token = if own { StopToken::never() } else { source.token() };
        let task = runtime.spawn(until(token, scope.run(sleep(LONG))));
        source.request_stop();
        assert!(runtime.block_on(task).unwrap_err().is_stopped());
    }
}
