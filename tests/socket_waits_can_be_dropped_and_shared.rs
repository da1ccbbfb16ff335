//! Dropping a pending operation consumes nothing; several tasks may wait on one socket; a shutdown and the end of the
//! runtime end the waits of others.

mod watchdog;

use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tress::Builder;
use tress::net::{Shutdown, TcpListener, TcpStream};
use tress::time::{sleep, timeout};
use watchdog::watchdog;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

#[tress::test]
async fn a_dropped_read_takes_no_bytes() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let (client, server) = pair().await;
    for sent in 0..50_u8 {
        let mut buf = [0; 8];
        {
            let mut read = pin!(server.read(&mut buf));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(read.as_mut().poll(&mut cx).is_pending());
            client.write_all(&[sent]).await.unwrap();
            // The byte is there before the operation is dropped.
        }
        server.read_exact(&mut buf[..1]).await.unwrap();
        assert_eq!(buf[0], sent);
    }
}

#[tress::test]
async fn a_dropped_accept_takes_no_connection() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for _ in 0..20 {
        assert!(timeout(Duration::from_millis(1), listener.accept()).await.is_err());
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    }
}

#[tress::test]
async fn every_task_that_accepts_gets_its_connection() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let listener = Arc::clone(&listener);
            tress::spawn(async move { listener.accept().await })
        })
        .collect();
    sleep(Duration::from_millis(20)).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(TcpStream::connect(address).await.unwrap());
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

#[tress::test]
async fn a_shutdown_ends_the_waits_of_others() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let (client, _server) = pair().await;
    let client = Arc::new(client);
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let client = Arc::clone(&client);
            tress::spawn(async move { client.read(&mut [0; 8]).await })
        })
        .collect();
    sleep(Duration::from_millis(20)).await;
    client.shutdown(Shutdown::Both).unwrap();
    for reader in readers {
        assert_eq!(reader.await.unwrap().unwrap(), 0);
    }
    assert_eq!(client.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_socket_that_outlives_its_runtime_gives_errors() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let (client, _server) = runtime.block_on(runtime.spawn(pair())).unwrap();
    let mut buf = [0; 8];
    let mut read = pin!(client.read(&mut buf));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(read.as_mut().poll(&mut cx).is_pending());
    drop(runtime);
    match read.as_mut().poll(&mut cx) {
        Poll::Ready(Err(error)) => assert!(error.to_string().contains("runtime"), "{error}"),
        other => panic!("{other:?}"),
    }
    // Awaited from another runtime it is the same.
    let other = Builder::new().worker_threads(1).build().unwrap();
    assert!(other.block_on(client.write(b"x")).is_err());
}
