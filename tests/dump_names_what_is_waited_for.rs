//! A dump calls each operation that a task waits for by its name, in the text and in the JSON.

mod leaves;
mod raw_http;
mod support;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::future::{Future, pending, poll_fn};
use std::io::{IoSlice, IoSliceMut, Write};
use std::net::Shutdown;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hyper::rt::{self, ReadBuf};
use leaves::Gate;
use support::{runtime, wait_until, watchdog};
use tress::Runtime;
use tress::env;
use tress::http::body::{Bytes, Full, Incoming};
use tress::http::{self, Request, Response, service_fn};
use tress::io::{AsyncReadExt, AsyncWriteExt};
use tress::net::{Interest, TcpListener, TcpStream};
use tress::runtime::leaf::Wait;
use tress::runtime::reactor::{Direction, Registration, mio};
use tress::stop::{self, Outcome, StopSource};
use tress::strand::Actor;
use tress::stream::{self, StreamExt};
use tress::task::{self, lazy, spawn_blocking};
use tress::time::{interval, interval_at, sleep, sleep_until, timeout, timeout_at};
use tress::trace::{self, State};

const LONG: Duration = Duration::from_secs(600);

fn far() -> Instant {
    Instant::now() + LONG
}

/// Checks that a task that runs this future comes to wait for this, and for nothing else; that a stop ends it then, and so does an abort.
#[track_caller]
fn assert_named<F>(runtime: &Runtime, what: &'static str, make: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let source = StopSource::new();
    let task = runtime.spawn(stop::outcome(env::scope().stop(source.token()).run(make())));
    wait_until(|| is_shown(runtime, task.id(), what), what);
    source.request_stop();
    wait_until(|| task.is_finished(), &format!("{what} is not stopped"));
    assert_eq!(runtime.block_on(task).unwrap(), Outcome::Stopped, "{what}");

    assert_named_and_aborted(runtime, what, make());
}

/// The same of a wait that goes on when it is asked to stop.
#[track_caller]
fn assert_named_and_shielded<F>(runtime: &Runtime, what: &'static str, future: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let source = StopSource::new();
    let task = runtime.spawn(env::scope().stop(source.token()).run(future));
    wait_until(|| is_shown(runtime, task.id(), what), what);
    source.request_stop();
    for _ in 0..10 {
        wait_until(|| is_shown(runtime, task.id(), what), what);
    }
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
}

#[track_caller]
fn assert_named_and_aborted<F>(runtime: &Runtime, what: &'static str, future: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let task = runtime.spawn(future);
    wait_until(|| is_shown(runtime, task.id(), what), what);
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
}

/// Whether the task waits for this alone.
fn is_shown(runtime: &Runtime, id: task::Id, what: &str) -> bool {
    let dump = trace::dump(runtime.handle());
    let shown = dump.tasks.iter().find(|shown| shown.id == id).expect("the task has not ended");
    let mut waits = shown.frames.iter().flat_map(|frame| &frame.waits);
    let is_shown = shown.state == State::Idle
        && waits.next().is_some_and(|wait| wait.what == what)
        && waits.next().is_none();
    if is_shown {
        assert!(shown.to_string().contains(&format!("- {what} at ")), "{shown}");
        assert!(dump.to_json().contains(&format!(r#"{{"what":"{what}","location":{{"file":"#)), "{shown}");
    }
    is_shown
}

#[test]
fn of_timers() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    assert_named(&runtime, "sleep", || sleep(LONG));
    assert_named(&runtime, "sleep", || sleep_until(far()));
    assert_named(&runtime, "timeout", || async { timeout(LONG, pending()).await.unwrap() });
    assert_named(&runtime, "timeout", || async { timeout_at(far(), pending()).await.unwrap() });
    assert_named(&runtime, "interval tick", || async {
        let mut interval = interval(LONG);
        interval.tick().await;
        interval.tick().await;
    });
    assert_named(&runtime, "interval tick", || async {
        let mut interval = interval_at(far(), LONG);
        poll_fn(|cx| interval.poll_tick(cx)).await;
    });
}

#[test]
fn of_others() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    assert_named(&runtime, "task", || async { tress::spawn(pending()).await.unwrap() });
    let (end, ended) = mpsc::channel::<()>();
    let ended = Arc::new(Mutex::new(ended));
    assert_named(&runtime, "task", || {
        let ended = Arc::clone(&ended);
        async {
            spawn_blocking(move || ended.lock().unwrap().recv().unwrap_err()).await.unwrap();
        }
    });
    drop(end);
    let shared = lazy(pending::<()>()).shared();
    assert_named(&runtime, "shared lazy", || shared.clone());
    assert_named(&runtime, "shared lazy", || lazy(shared.clone()));
    let source = StopSource::new();
    let token = source.token();
    assert_named_and_shielded(&runtime, "stop request", async move { token.stop_requested().await });
}

#[test]
fn of_actors() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let actor = Actor::new(());
    let mut holder = Box::pin(actor.call_async(async |()| pending::<()>().await));
    assert!(holder.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let again = || actor.clone();
    assert_named(&runtime, "strand call", || {
        let actor = again();
        async move { actor.call(|()| ()).await.unwrap() }
    });
    assert_named(&runtime, "strand call", || {
        let actor = again();
        async move { actor.with(|()| ()).await.unwrap() }
    });
    assert_named(&runtime, "strand call", || {
        let actor = again();
        async move { actor.call_async(async |()| ()).await.unwrap() }
    });
    assert_named(&runtime, "strand call", || {
        let actor = again();
        async move { actor.call_interleaved(async |access| access.with(|()| ())).await.unwrap() }
    });
}

#[test]
fn of_groups_of_tasks() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    assert_named(&runtime, "join set", || async {
        let mut set = task::JoinSet::new();
        set.spawn(pending::<()>());
        set.join_next().await;
    });
    assert_named(&runtime, "join set", || async {
        let mut set = task::JoinSet::new();
        set.spawn(pending::<()>());
        set.join_all().await;
    });
    let counting = task::CountingScope::new();
    let aborts = counting.spawn_on(pending::<()>(), runtime.handle()).unwrap();
    assert_named(&runtime, "counting scope", || {
        let waits = counting.clone();
        async move { waits.join().await }
    });
    aborts.abort();
    assert_named_and_shielded(&runtime, "scope", async {
        let scope = task::scope(|scope| async move {
            scope.spawn(pending::<Result<(), ()>>());
            Ok(())
        });
        scope.await.unwrap();
    });
}

#[test]
fn of_chunks() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    assert_named(&runtime, "chunk", || async {
        let stream = stream::iter([1]).chain(stream::poll_fn(|_cx| Poll::Pending));
        pin!(stream::chunks_timeout(stream, 2, LONG)).next().await;
    });
}

#[cfg(unix)]
#[test]
fn of_signals() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    assert_named(&runtime, "ctrl-c", || async { tress::signal::ctrl_c().await.unwrap() });
    assert_named(&runtime, "terminate", || async { tress::signal::terminate().await.unwrap() });
}

/// A stream, and what the test has to hold at its other end.
fn connected() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (TcpStream::from_std(listener.accept().unwrap().0).unwrap(), peer)
}

/// The same of what is done with a stream whose peer neither writes nor reads.
#[track_caller]
fn assert_stream_named<F: Future<Output = ()> + Send>(
    runtime: &Runtime,
    what: &'static str,
    future: impl Fn(TcpStream) -> F + Copy + Send + 'static,
) {
    assert_named(runtime, what, || async move {
        let (stream, _peer) = connected();
        future(stream).await;
    });
}

#[test]
fn of_reads() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    assert_stream_named(&runtime, "tcp read", |stream| async move {
        drop(stream.read(&mut [0]).await);
    });
    assert_stream_named(&runtime, "tcp read", |stream| async move {
        drop(stream.read_vectored(&mut [IoSliceMut::new(&mut [0])]).await);
    });
    assert_stream_named(&runtime, "tcp read", |stream| async move {
        drop(stream.read_exact(&mut [0]).await);
    });
    assert_stream_named(&runtime, "tcp peek", |stream| async move {
        drop(stream.peek(&mut [0]).await);
    });
    // A stream counts as ready until an attempt has found that it is not.
    assert_stream_named(&runtime, "tcp readable", |stream| async move {
        while stream.readable().await.is_ok() {
            let _ = stream.try_read(&mut [0]);
        }
    });
    assert_stream_named(&runtime, "tcp readiness", |stream| async move {
        while stream.ready(Interest::READABLE).await.is_ok() {
            let _ = stream.try_read(&mut [0]);
        }
    });
}

/// By the traits of `futures-io`, and by hyper's.
#[test]
fn of_reads_by_traits() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    assert_stream_named(&runtime, "tcp read", |mut stream| async move {
        drop(AsyncReadExt::read(&mut stream, &mut [0]).await);
    });
    assert_stream_named(&runtime, "tcp read", |mut stream| async move {
        drop(AsyncReadExt::read_vectored(&mut stream, &mut [IoSliceMut::new(&mut [0])]).await);
    });
    assert_stream_named(&runtime, "tcp read", |mut stream| async move {
        let mut bytes = [0];
        let mut buf = ReadBuf::new(&mut bytes);
        drop(poll_fn(|cx| rt::Read::poll_read(Pin::new(&mut stream), cx, buf.unfilled())).await);
    });
}

/// What the kernel keeps for a peer that does not read is filled by some of these.
const PIECE: &[u8] = &[0; 1 << 16];

#[test]
fn of_writes() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    assert_stream_named(
        &runtime,
        "tcp write",
        |stream| async move { while stream.write(PIECE).await.is_ok() {} },
    );
    assert_stream_named(&runtime, "tcp write", |stream| async move {
        while stream.write_vectored(&[IoSlice::new(PIECE)]).await.is_ok() {}
    });
    // A stop in the middle of it is an error; what comes next is stopped.
    assert_stream_named(&runtime, "tcp write", |stream| async move {
        while stream.write_all(PIECE).await.is_ok() {}
        drop(stream.write_all(PIECE).await);
    });
    assert_stream_named(&runtime, "tcp writable", |stream| async move {
        while stream.writable().await.is_ok() {
            let _ = stream.try_write(PIECE);
        }
    });
    assert_stream_named(&runtime, "tcp readiness", |stream| async move {
        while stream.ready(Interest::WRITABLE).await.is_ok() {
            let _ = stream.try_write(PIECE);
        }
    });
}

/// By the traits of `futures-io`, and by hyper's.
#[test]
fn of_writes_by_traits() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    assert_stream_named(&runtime, "tcp write", |mut stream| async move {
        while AsyncWriteExt::write(&mut stream, PIECE).await.is_ok() {}
    });
    assert_stream_named(&runtime, "tcp write", |mut stream| async move {
        while AsyncWriteExt::write_vectored(&mut stream, &[IoSlice::new(PIECE)]).await.is_ok() {}
    });
    assert_stream_named(&runtime, "tcp write", |mut stream| async move {
        while poll_fn(|cx| rt::Write::poll_write(Pin::new(&mut stream), cx, PIECE)).await.is_ok() {}
    });
    assert_stream_named(&runtime, "tcp write", |mut stream| async move {
        let bufs = [IoSlice::new(PIECE)];
        while poll_fn(|cx| rt::Write::poll_write_vectored(Pin::new(&mut stream), cx, &bufs)).await.is_ok() {}
    });
}

#[test]
fn of_connections() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    assert_named(&runtime, "tcp accept", || async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        drop(listener.accept().await);
    });
    assert_named(&runtime, "tcp accept", || async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        drop(poll_fn(|cx| listener.poll_accept(cx)).await);
    });
}

/// Where nobody accepts, and the kernel has no room for more connections, it leaves who comes waiting.
#[cfg(target_os = "linux")]
#[test]
fn of_connects() {
    use socket2::{Domain, Socket, Type};

    let _watchdog = watchdog();
    let runtime = runtime(2);
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    assert_named(&runtime, "tcp connect", || async move {
        let mut streams = Vec::new();
        while let Ok(stream) = TcpStream::connect(address).await {
            streams.push(stream);
        }
    });
}

#[test]
fn of_http() {
    async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        Ok(Response::new(Full::default()))
    }
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let source = StopSource::new();
    let server = async { http::serve(listener, service_fn(answer)).await };
    let server = runtime.spawn(env::scope().stop(source.token()).run(server));
    // At the beginning of a request, and in the middle of its head.
    let mut client = raw_http::connect(address);
    let is_shown = || {
        let dump = trace::dump(runtime.handle());
        let reads = dump.tasks.iter().flat_map(|task| &task.frames).flat_map(|frame| &frame.waits);
        reads.filter(|wait| wait.what == "http read").count() == 1
    };
    for part in ["", "GET / HTTP/1.1\r\n"] {
        client.write_all(part.as_bytes()).unwrap();
        wait_until(is_shown, "the connection does not wait for the client");
    }
    client.write_all(b"host: a\r\nconnection: close\r\n\r\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(raw_http::status(&raw_http::read_to_close(&mut client)), "200");

    // The server is stopped, and closes the connection that waits.
    let mut client = raw_http::connect(address);
    wait_until(is_shown, "the connection does not wait for the client");
    source.request_stop();
    assert!(runtime.block_on(server).unwrap_err().is_stopped());
    assert!(raw_http::read_to_close(&mut client).is_empty());
}

/// Leaf operations of others have the names that they are given.
#[test]
fn of_operations_of_ones_own() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    assert_named(&runtime, "a gate", || {
        let (gate, mut wait) = (Gate::default(), Wait::new("a gate"));
        poll_fn(move |cx| wait.poll(cx, |cx| gate.poll(cx)))
    });

    let listening = || {
        let mut listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let registration = Registration::new_idle(&mut listener, Interest::READABLE).unwrap();
        (listener, registration)
    };
    assert_named(&runtime, "an own accept", || async move {
        let (listener, registration) = listening();
        drop(registration.io(Direction::Read, "an own accept", || listener.accept()).await);
    });
    assert_named(&runtime, "an own transfer", || async move {
        let (listener, registration) = listening();
        let accept = || listener.accept().map(|_| 1);
        drop(registration.transfer(Direction::Read, "an own transfer", 1, accept).await);
    });
    assert_named(&runtime, "an own readiness", || async move {
        let (_listener, registration) = listening();
        drop(registration.ready(Direction::Read, "an own readiness").await);
    });
}

/// Whoever adds an operation with a name of its own is to show it here.
#[test]
fn of_every_operation_in_the_sources() {
    let mut names = BTreeSet::new();
    for package in ["runtime", "net", "strand"] {
        add_names(&Path::new(env!("CARGO_MANIFEST_DIR")).join(package).join("src"), &mut names);
    }
    assert!(names.len() >= 12, "there are more than {names:?}");
    let tests =
        concat!(include_str!("dump_names_what_is_waited_for.rs"), include_str!("sync_waits_are_leaves.rs"));
    // They wait for their turn only, or for what other workers have begun.
    let brief = ["repeat", "retry", "bulk"];
    for name in names.iter().filter(|name| !brief.contains(&name.as_str())) {
        assert!(tests.contains(&format!("\"{name}\"")), "{name}");
    }
}

/// Adds the names that are given to operations in the sources below this folder, but for their own tests and the documentation.
fn add_names(path: &Path, names: &mut BTreeSet<String>) {
    let stem = path.file_stem().expect("sources have names");
    if ["tests", "stress", "model"].iter().any(|name| stem == *name) {
        return;
    }
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            add_names(&entry.unwrap().path(), names);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let source = fs::read_to_string(path).unwrap();
        for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let name = BEGINNINGS.iter().find_map(|beginning| line.split_once(beginning));
            names.extend(name.and_then(|(_, rest)| rest.split_once('"')).map(|(name, _)| name.to_owned()));
        }
    }
}

/// What names of operations stand behind.
const BEGINNINGS: [&str; 6] = [
    "Wait::new(\"",
    "Wait::at(\"",
    "Wait::resume(\"",
    "collector::found(\"",
    "Signal::new(SIGINT, \"",
    "Signal::new(SIGTERM, \"",
];
