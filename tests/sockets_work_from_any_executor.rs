//! A socket stays with the runtime that it was made in; awaiting it, and a timer, works from anywhere.

mod support;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use support::{block_on_foreign, runtime, watchdog};
use tress::net::{TcpListener, TcpStream};
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
