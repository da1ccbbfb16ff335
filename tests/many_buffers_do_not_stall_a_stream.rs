//! The kernel takes a bounded number of buffers in one call. A vectored transfer that has more of them is short without
//! the socket being full or empty, and the next one must not wait for an event that never comes.

mod watchdog;

use std::io::{IoSlice, IoSliceMut};
use std::time::Duration;

use tress::net::{TcpListener, TcpStream};
use tress::time::sleep;
use watchdog::watchdog;

/// More than any system takes at once.
const BUFFERS: usize = 5000;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    // The events that report the new sockets as ready come now, and not in the middle of the test.
    sleep(Duration::from_millis(20)).await;
    (client, server)
}

#[tress::test]
async fn that_is_written_to() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let (client, server) = pair().await;
    let mut left = BUFFERS;
    while left > 0 {
        let bufs = vec![IoSlice::new(b"x"); left];
        left -= client.write_vectored(&bufs).await.unwrap();
    }
    server.read_exact(&mut [0; BUFFERS]).await.unwrap();
}

#[tress::test]
async fn that_is_read_from() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let (client, server) = pair().await;
    client.write_all(&[7; BUFFERS]).await.unwrap();
    sleep(Duration::from_millis(20)).await;
    let mut left = BUFFERS;
    while left > 0 {
        let mut bytes = vec![0; left];
        let mut bufs: Vec<_> = bytes.chunks_mut(1).map(IoSliceMut::new).collect();
        left -= server.read_vectored(&mut bufs).await.unwrap();
    }
}

#[tress::test]
async fn whose_first_buffers_are_empty() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let (client, server) = pair().await;
    let mut bufs = vec![IoSlice::new(b""); BUFFERS];
    bufs.push(IoSlice::new(b"abc"));
    assert_eq!(client.write_vectored(&bufs).await.unwrap(), 3);
    let mut bytes = [0; 3];
    let mut empty: [[u8; 0]; BUFFERS] = [[]; BUFFERS];
    let mut bufs: Vec<_> = empty.iter_mut().map(|buf| IoSliceMut::new(buf)).collect();
    bufs.push(IoSliceMut::new(&mut bytes));
    assert_eq!(server.read_vectored(&mut bufs).await.unwrap(), 3);
    assert_eq!(&bytes, b"abc");
}
