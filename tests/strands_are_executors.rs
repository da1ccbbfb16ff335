//! A strand is an executor like any other: it stands on each kind, and sockets, timers, scopes, hops and hyper work on it, without leaving it.

mod support;

use std::convert::Infallible;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use hyper::{client, server};
use support::{block_on_foreign, runtime, watchdog};
use tress::executor::{
    AnyExecutor, CurrentThread, Executor, Inline, Manual, Prioritized, Runnable, launch, run_on,
};
use tress::http::body::{Bytes, Full, Incoming};
use tress::http::{Request, Response, TressExecutor, TressTimer, service_fn};
use tress::net::{TcpListener, TcpStream};
use tress::strand::{Strand, StrandCell};
use tress::task::{CountingScope, JoinSet, spawn_blocking, yield_now};
use tress::time::{interval, sleep, timeout};

/// Posts to a strand over the executor, and spawns on it. `drive` has the executor run what it has been given.
fn works(executor: impl Executor, mut drive: impl FnMut()) {
    const POSTS: usize = 10;
    let strand = Strand::new(executor.clone());
    assert!(strand == strand.clone() && strand != Strand::new(executor.clone()));
    assert!(strand.inner() == &executor);
    let seen = Arc::new(StrandCell::new(&strand, Vec::new()));
    let poster = thread::spawn({
        let (strand, seen) = (strand.clone(), Arc::clone(&seen));
        move || {
            for number in 0..POSTS {
                let seen = Arc::clone(&seen);
                match number % 3 {
                    0 => strand.post(move || seen.borrow_mut().push(number)),
                    1 => strand.defer(move || seen.borrow_mut().push(number)),
                    _ => strand.dispatch(move || seen.borrow_mut().push(number)),
                }
            }
        }
    });
    poster.join().expect("it does not panic");
    let own = strand.clone();
    let task = strand.spawn(async move {
        for _ in 0..3 {
            assert!(own.is_current());
            yield_now().await;
        }
        seen.with(mem::take)
    });
    while !task.is_finished() {
        drive();
    }
    assert!(!strand.is_current());
    assert_eq!(block_on_foreign(task).expect("it ends"), (0..POSTS).collect::<Vec<_>>());
}

/// An executor of a user's, which knows nothing but `post`: a thread with a channel.
#[derive(Clone)]
struct OwnThread(mpsc::Sender<Runnable>, thread::ThreadId);

impl OwnThread {
    fn start() -> Self {
        let (tx, rx) = mpsc::channel::<Runnable>();
        let thread = thread::spawn(move || rx.into_iter().for_each(Runnable::run));
        Self(tx, thread.thread().id())
    }
}

impl PartialEq for OwnThread {
    fn eq(&self, other: &Self) -> bool {
        self.1 == other.1
    }
}

impl Eq for OwnThread {}

impl Executor for OwnThread {
    fn post(&self, runnable: Runnable) {
        self.0.send(runnable).expect("the thread goes on");
    }

    fn is_current(&self) -> bool {
        thread::current().id() == self.1
    }
}

#[test]
fn over_each_kind_of_executor() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let pool = || runtime.handle().clone();
    let rest = || thread::sleep(Duration::from_millis(1));
    works(pool(), rest);
    works(AnyExecutor::new(pool()), rest);
    works(Strand::new(pool()), rest);
    works(Strand::new(Strand::new(pool())), rest);
    works(Prioritized::new(pool()).low(), rest);
    works(OwnThread::start(), rest);
    works(Inline, || ());
    let manual = Manual::new();
    works(manual.executor(), || assert!(manual.run_one()));
    let current = CurrentThread::new();
    works(current.executor(), || assert!(current.poll_one()));
}

/// What a task on a strand has to find after each of its awaits.
#[track_caller]
fn assert_on(strand: &Strand) {
    assert!(strand.is_current(), "it has left its strand");
}

#[test]
fn sockets_share_state_without_a_lock() {
    const CLIENTS: usize = 20;
    const ROUNDS: usize = 50;
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let strand = Strand::new(runtime.handle().clone());
    let echoed = Arc::new(StrandCell::new(&strand, 0_usize));
    let (own, bytes) = (strand.clone(), Arc::clone(&echoed));
    let (address, has_address) = mpsc::channel();
    let serving = strand.spawn(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        address.send(listener.local_addr().expect("it is bound")).expect("somebody waits");
        let mut connections = JoinSet::new();
        for _ in 0..CLIENTS {
            let (stream, _) = listener.accept().await.expect("somebody comes");
            assert_on(&own);
            let (own, bytes) = (own.clone(), Arc::clone(&bytes));
            connections.spawn(async move {
                let mut buf = [0; 64];
                loop {
                    let read = stream.read(&mut buf).await.expect("the client is there");
                    assert_on(&own);
                    if read == 0 {
                        return;
                    }
                    *bytes.borrow_mut() += read;
                    stream.write_all(&buf[..read]).await.expect("the client is there");
                    assert_on(&own);
                }
            });
        }
        while let Some(ended) = connections.join_next().await {
            ended.expect("it does not panic");
        }
    });
    let address = has_address.recv().expect("it listens");
    // Half of the clients are on the same strand.
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let asking = async move {
                let stream = TcpStream::connect(address).await.expect("it listens");
                let mut buf = [0; 64];
                for _ in 0..ROUNDS {
                    stream.write_all(&[7; 64]).await.expect("it is served");
                    stream.read_exact(&mut buf).await.expect("it is answered");
                    assert_eq!(buf, [7; 64]);
                }
            };
            if number % 2 == 0 { strand.spawn(asking) } else { runtime.spawn(asking) }
        })
        .collect();
    runtime.block_on(async {
        for client in clients {
            client.await.expect("it does not panic");
        }
        serving.await.expect("it does not panic");
    });
    let total = strand.spawn(async move { *echoed.borrow_mut() });
    assert_eq!(runtime.block_on(total).expect("it ends"), CLIENTS * ROUNDS * 64);
}

#[test]
fn timers_fire_on_it() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let strand = Strand::new(runtime.handle().clone());
    let own = strand.clone();
    let task = strand.spawn(async move {
        let begun = Instant::now();
        sleep(Duration::from_millis(10)).await;
        assert_on(&own);
        let late = timeout(Duration::from_millis(10), std::future::pending::<()>()).await;
        assert_on(&own);
        assert!(late.is_err());
        let mut ticks = interval(Duration::from_millis(5));
        for _ in 0..3 {
            ticks.tick().await;
            assert_on(&own);
        }
        begun.elapsed()
    });
    // It is free meanwhile.
    let (tx, rx) = mpsc::channel();
    strand.post(move || tx.send(()).expect("somebody waits"));
    assert_eq!(rx.recv(), Ok(()));
    assert!(runtime.block_on(task).expect("it ends") >= Duration::from_millis(30));
}

#[test]
fn what_is_launched_may_be_stopped_and_spawns_on_it() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let strand = Strand::new(runtime.handle().clone());
    let (own, dropped_on) = (strand.clone(), Arc::new(AtomicUsize::new(0)));
    /// Counts its drop, if that is on the strand.
    struct Guard(Strand, Arc<AtomicUsize>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.1.fetch_add(usize::from(self.0.is_current()), Ordering::SeqCst);
        }
    }
    let (begun, has_begun) = mpsc::channel();
    let source = tress::stop::StopSource::new();
    let guard = Guard(strand.clone(), Arc::clone(&dropped_on));
    let task = launch(strand.clone()).name("waiter").stop(source.token()).spawn(async move {
        let _guard = guard;
        let spawned = tress::spawn(async move { own.is_current() });
        begun.send(spawned.await.expect("it ends")).expect("somebody waits");
        sleep(Duration::from_secs(600)).await;
    });
    assert_eq!(has_begun.recv(), Ok(true), "what a task on a strand spawns is on the strand");
    let dump = tress::trace::dump(runtime.handle());
    assert_eq!(dump.tasks.iter().filter_map(|task| task.name.as_deref()).collect::<Vec<_>>(), ["waiter"]);
    source.request_stop();
    assert!(runtime.block_on(task).expect_err("it is stopped").is_stopped());
    // An aborted one is dropped there, too.
    let guard = Guard(strand.clone(), Arc::clone(&dropped_on));
    let task = strand.spawn(async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    task.abort();
    assert!(runtime.block_on(task).expect_err("it is aborted").is_aborted());
    assert_eq!(dropped_on.load(Ordering::SeqCst), 2);
    // What blocks is elsewhere; who awaits it comes back.
    let own = strand.clone();
    let task = strand.spawn(async move {
        let other = own.clone();
        let elsewhere = spawn_blocking(move || !other.is_current()).await.expect("it ends");
        elsewhere && own.is_current()
    });
    assert!(runtime.block_on(task).expect("it ends"));
}

#[test]
fn scopes_keep_their_tasks_on_it() {
    const TASKS: usize = 16;
    let _watchdog = watchdog();
    let runtime = runtime(4);
    let strand = Strand::new(runtime.handle().clone());
    let sum = Arc::new(StrandCell::new(&strand, 0));
    let add = |strand: &Strand, sum: &Arc<StrandCell<usize>>| {
        let (strand, sum) = (strand.clone(), Arc::clone(sum));
        async move {
            for _ in 0..10 {
                *sum.borrow_mut() += 1;
                yield_now().await;
                assert_on(&strand);
            }
        }
    };
    let own = strand.clone();
    let task = strand.spawn(async move {
        let scoped: Result<(), Infallible> = tress::task::scope(|scope| {
            let (own, sum) = (own.clone(), Arc::clone(&sum));
            async move {
                for _ in 0..TASKS {
                    let adding = add(&own, &sum);
                    scope.spawn(async move {
                        adding.await;
                        Ok(())
                    });
                }
                Ok(())
            }
        })
        .await;
        let Ok(()) = scoped;
        let counting = CountingScope::new();
        for _ in 0..TASKS {
            drop(counting.spawn(add(&own, &sum)));
        }
        counting.join().await;
        let mut set = JoinSet::new();
        for _ in 0..TASKS {
            set.spawn(add(&own, &sum));
        }
        while let Some(ended) = set.join_next().await {
            ended.expect("it does not panic");
        }
        assert_on(&own);
        *sum.borrow_mut()
    });
    assert_eq!(runtime.block_on(task).expect("it ends"), 3 * TASKS * 10);
}

#[test]
fn many_hop_to_it_and_take_turns() {
    const TASKS: usize = 16;
    const ROUNDS: usize = 100;
    let _watchdog = watchdog();
    let runtime = runtime(4);
    let [one, other] = [(), ()].map(|()| Strand::new(runtime.handle().clone()));
    let lists = [&one, &other].map(|strand| Arc::new(StrandCell::new(strand, Vec::new())));
    runtime.block_on(async {
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let (one, other, lists) = (one.clone(), other.clone(), lists.clone());
                tress::spawn(async move {
                    for round in 0..ROUNDS {
                        // It borrows from here.
                        let entry = (task, round);
                        run_on(one.clone(), async {
                            lists[0].borrow_mut().push(entry);
                            yield_now().await;
                            assert_on(&one);
                            run_on(other.clone(), async {
                                assert!(!one.is_current());
                                lists[1].borrow_mut().push(entry);
                            })
                            .await;
                            assert_on(&one);
                        })
                        .await;
                        assert!(!one.is_current());
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("it ends");
        }
        for (strand, list) in [(one, &lists[0]), (other, &lists[1])] {
            let list = run_on(strand, async { list.with(mem::take) }).await;
            assert_eq!(list.len(), TASKS * ROUNDS);
            for task in 0..TASKS {
                let rounds = list.iter().filter(|entry| entry.0 == task).map(|entry| entry.1);
                assert!(rounds.eq(0..ROUNDS), "each has its own in order");
            }
        }
    });
}

/// Served and asked on one strand, by hyper: its tasks are spawned by [`TressExecutor`], and count without a lock.
#[test]
fn hyper_serves_and_asks_on_it() {
    const REQUESTS: usize = 40;
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let strand = Strand::new(runtime.handle().clone());
    for is_http2 in [false, true] {
        let answered = Arc::new(StrandCell::new(&strand, 0_usize));
        let (own, count) = (strand.clone(), Arc::clone(&answered));
        let service = service_fn(move |request: Request<Incoming>| {
            assert_on(&own);
            let (own, count) = (own.clone(), Arc::clone(&count));
            async move {
                yield_now().await;
                assert_on(&own);
                *count.borrow_mut() += 1;
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(request.uri().path().to_owned()))))
            }
        });
        let own = strand.clone();
        let task = strand.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
            let address = listener.local_addr().expect("it is bound");
            let serving = tress::spawn(async move {
                let (stream, _) = listener.accept().await.expect("somebody comes");
                if is_http2 {
                    let mut http = server::conn::http2::Builder::new(TressExecutor::new());
                    http.timer(TressTimer::new()).serve_connection(stream, service).await
                } else {
                    let mut http = server::conn::http1::Builder::new();
                    http.timer(TressTimer::new()).serve_connection(stream, service).await
                }
            });
            let stream = TcpStream::connect(address).await.expect("it listens");
            if is_http2 {
                let (client, connection) =
                    client::conn::http2::handshake(TressExecutor::new(), stream).await.expect("it is served");
                let connection = tress::spawn(connection);
                let mut asking = JoinSet::new();
                for number in 0..REQUESTS {
                    let (mut client, own) = (client.clone(), own.clone());
                    asking.spawn(async move {
                        let answer = client.send_request(request(number)).await.expect("it is answered");
                        assert_on(&own);
                        assert_eq!(body(answer).await, format!("/{number}"));
                    });
                }
                drop(client);
                while let Some(ended) = asking.join_next().await {
                    ended.expect("it does not panic");
                }
                connection.await.expect("it ends").expect("it was closed in order");
            } else {
                let (mut client, connection) =
                    client::conn::http1::handshake(stream).await.expect("it is served");
                let connection = tress::spawn(connection);
                for number in 0..REQUESTS {
                    let answer = client.send_request(request(number)).await.expect("it is answered");
                    assert_on(&own);
                    assert_eq!(body(answer).await, format!("/{number}"));
                }
                drop(client);
                connection.await.expect("it ends").expect("it was closed in order");
            }
            serving.await.expect("it ends").expect("it was closed in order");
            *answered.borrow_mut()
        });
        assert_eq!(runtime.block_on(task).expect("it ends"), REQUESTS, "HTTP/2: {is_http2}");
    }
}

fn request(number: usize) -> Request<Full<Bytes>> {
    let request = Request::builder().uri(format!("http://tress.test/{number}")).header("host", "tress.test");
    request.body(Full::default()).expect("it is right")
}

async fn body(answer: Response<Incoming>) -> String {
    use http_body_util::BodyExt;
    let bytes = answer.into_body().collect().await.expect("all of it comes").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("it is text")
}
