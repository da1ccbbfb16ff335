//! A socket stays with the runtime that it was made in; awaiting it, and a timer, works from anywhere. Making one where no runtime is current is
//! an error.

mod support;

use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use support::{block_on_foreign, runtime, watchdog};
use tress::http::body::{Bytes, Full, Incoming};
use tress::http::{self, Request, Response, service_fn};
use tress::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tress::time::{sleep, timeout};

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

async fn ping_pong(client: TcpStream, server: TcpStream) {
    let echo = async {
        let mut buf = [0; 64];
        for _ in 0..200 {
            server.read_exact(&mut buf).await.unwrap();
            server.write_all(&buf).await.unwrap();
        }
    };
    let ask = async {
        let mut buf = [7; 64];
        for _ in 0..200 {
            client.write_all(&buf).await.unwrap();
            client.read_exact(&mut buf).await.unwrap();
        }
    };
    tress::join!(echo, ask);
}

#[test]
fn from_a_thread_without_a_runtime() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (client, server) = runtime.block_on(pair());
    block_on_foreign(ping_pong(client, server));
}

#[test]
fn from_another_runtime() {
    let _watchdog = watchdog();
    let (home, other) = (runtime(2), runtime(2));
    let (client, server) = home.block_on(pair());
    let away = other.spawn(ping_pong(client, server));
    block_on_foreign(away).unwrap();
}

#[test]
fn with_one_end_in_each_of_two_runtimes() {
    let _watchdog = watchdog();
    let (one, two) = (runtime(1), runtime(1));
    let listener = one.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    // The listener belongs to the first runtime; who accepts is in the second, and so is what is accepted.
    let accepted = two.spawn(async move { listener.accept().await.unwrap().0 });
    let client = one.block_on(TcpStream::connect(address)).unwrap();
    let server = block_on_foreign(accepted).unwrap();
    drop(one);
    // The client's runtime is gone; the server's is not.
    assert!(block_on_foreign(client.write_all(b"x")).is_err());
    assert_eq!(server.try_write(b"abc").unwrap(), 3);
    drop(client);
    assert!(matches!(two.block_on(server.read(&mut [0; 8])), Ok(0) | Err(_)));
}

#[test]
fn what_is_accepted_without_a_runtime_belongs_to_that_of_its_listener() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let connecting = thread::spawn(move || {
        // Whoever accepts waits.
        thread::sleep(Duration::from_millis(20));
        std::net::TcpStream::connect(address).unwrap()
    });
    let (server, peer) = block_on_foreign(listener.accept()).unwrap();
    let mut client = connecting.join().unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    let writing = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        client.write_all(b"hello").unwrap();
        client
    });
    let mut buf = [0; 5];
    block_on_foreign(server.read_exact(&mut buf)).unwrap();
    assert_eq!(&buf, b"hello");
    let _client = writing.join().unwrap();
    // Also in that it ends with it.
    drop(runtime);
    assert!(block_on_foreign(server.read(&mut buf)).is_err());
}

#[test]
fn making_one_without_a_runtime_is_an_error() {
    #[track_caller]
    fn is_refused<T>(result: io::Result<T>) {
        let error = result.map(drop).expect_err("there is no runtime");
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
        assert!(error.to_string().contains("runtime") && error.to_string().contains("enter"), "{error}");
    }
    let _watchdog = watchdog();
    let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = peer.local_addr().unwrap();
    is_refused(block_on_foreign(TcpListener::bind("127.0.0.1:0")));
    is_refused(block_on_foreign(TcpListener::bind("localhost:0")));
    is_refused(block_on_foreign(TcpStream::connect(address)));
    is_refused(block_on_foreign(TcpStream::connect(("localhost", address.port()))));
    is_refused(block_on_foreign(TcpSocket::new_v4().unwrap().connect(address)));
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    is_refused(socket.listen(1));
    is_refused(TcpStream::from_std(std::net::TcpStream::connect(address).unwrap()));
    is_refused(TcpListener::from_std(peer));
    is_refused(block_on_foreign(lookup_host("localhost:80")).map(drop));
    assert!(block_on_foreign(lookup_host("127.0.0.1:80")).is_ok(), "nobody has to be asked");

    // The runtime that is entered is the current one.
    let runtime = runtime(1);
    let entered = runtime.handle().enter();
    let listener = block_on_foreign(TcpListener::bind("localhost:0")).unwrap();
    drop(entered);
    let answer = service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    is_refused(block_on_foreign(async { http::serve(listener, answer).await }));
}

#[test]
fn timers_fire_without_a_runtime() {
    let _watchdog = watchdog();
    let begun = Instant::now();
    block_on_foreign(async {
        sleep(Duration::from_millis(20)).await;
        assert!(timeout(Duration::from_millis(20), std::future::pending::<()>()).await.is_err());
        let mut ticks = tress::time::interval(Duration::from_millis(5));
        for _ in 0..4 {
            ticks.tick().await;
        }
    });
    assert!(begun.elapsed() >= Duration::from_millis(55), "{:?}", begun.elapsed());
}

#[test]
fn timeouts_of_sockets_fire_without_a_runtime() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let (client, server) = runtime.block_on(pair());
    let mut buf = [0; 8];
    for _ in 0..20 {
        assert!(block_on_foreign(timeout(Duration::from_millis(2), server.read(&mut buf))).is_err());
        block_on_foreign(client.write_all(b"abc")).unwrap();
        block_on_foreign(server.read_exact(&mut buf[..3])).unwrap();
    }
}

#[test]
fn two_that_read_one_stream_get_every_byte_once() {
    const BYTES: usize = 1 << 20;
    let _watchdog = watchdog();
    let (home, other) = (runtime(2), runtime(1));
    let (client, server) = home.block_on(pair());
    let server = Arc::new(server);
    // One in its own runtime, one in another, one in none.
    let read_all = |server: Arc<TcpStream>| async move {
        let (mut buf, mut count, mut sum) = ([0; 1500], 0_usize, 0_u64);
        while let read @ 1.. = server.read(&mut buf).await.unwrap() {
            count += read;
            sum += buf[..read].iter().map(|&byte| u64::from(byte)).sum::<u64>();
        }
        (count, sum)
    };
    let readers = [home.spawn(read_all(Arc::clone(&server))), other.spawn(read_all(Arc::clone(&server)))];
    let outside = thread::spawn(move || block_on_foreign(read_all(server)));
    let data: Vec<u8> = (0..BYTES).map(|i| (i % 251) as u8).collect();
    let expected = (BYTES, data.iter().map(|&byte| u64::from(byte)).sum::<u64>());
    home.block_on(async move {
        for piece in data.chunks(4000) {
            client.write_all(piece).await.unwrap();
        }
    });
    let mut total = outside.join().unwrap();
    for reader in readers {
        let (count, sum) = block_on_foreign(reader).unwrap();
        total = (total.0 + count, total.1 + sum);
    }
    assert_eq!(total, expected);
}
