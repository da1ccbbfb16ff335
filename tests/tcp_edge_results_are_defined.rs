//! Half-close, reset, empty buffers, refused connections, splitting: each has its defined result.

mod watchdog;

use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::time::Duration;

use tress::io::{AsyncReadExt, AsyncWriteExt};
use tress::net::{Interest, Shutdown, TcpListener, TcpSocket, TcpStream};
use tress::time::{sleep, timeout};
use watchdog::watchdog;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    (client, server)
}

#[tress::test]
async fn half_close_leaves_the_other_direction_open() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let (client, server) = pair().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut question = Vec::new();
    (&server).read_to_end(&mut question).await.unwrap();
    assert_eq!(question, b"question");
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0, "the end stays the end");
    server.write_all(b"answer").await.unwrap();
    let mut answer = [0; 6];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"answer");
}

#[tress::test]
async fn a_reset_is_an_error_for_who_waits() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let (client, server) = pair().await;
    let reader = tress::spawn(async move { server.read(&mut [0; 8]).await });
    sleep(Duration::from_millis(20)).await;
    client.set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(reader.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tress::test]
async fn empty_buffers_are_done_at_once() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let (client, _server) = pair().await;
    // Nothing has been sent: a system call would block.
    assert_eq!(client.read(&mut []).await.unwrap(), 0);
    assert_eq!(client.peek(&mut []).await.unwrap(), 0);
    assert_eq!(client.read_vectored(&mut [IoSliceMut::new(&mut [])]).await.unwrap(), 0);
    assert_eq!(client.try_read(&mut []).unwrap(), 0);
    client.read_exact(&mut []).await.unwrap();
    assert_eq!(AsyncReadExt::read(&mut &client, &mut []).await.unwrap(), 0);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.write(&[]).await.unwrap(), 0);
    assert_eq!(client.write_vectored(&[IoSlice::new(&[])]).await.unwrap(), 0);
    assert_eq!(client.try_write(&[]).unwrap(), 0);
    client.write_all(&[]).await.unwrap();
}

#[tress::test]
async fn peek_leaves_the_bytes() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let (client, server) = pair().await;
    client.write_all(b"abc").await.unwrap();
    let mut buf = [0; 3];
    assert_eq!(server.peek(&mut buf[..2]).await.unwrap(), 2);
    server.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"abc");
}

#[tress::test]
async fn vectored_transfers_fill_one_buffer_after_the_other() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let (client, server) = pair().await;
    assert_eq!(client.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"cde")]).await.unwrap(), 5);
    let (mut first, mut second) = ([0; 3], [0; 8]);
    let read =
        server.read_vectored(&mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)]).await.unwrap();
    assert_eq!((read, &first, &second[..2]), (5, b"abc", &b"de"[..]));
}

#[tress::test]
async fn try_operations_never_wait() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let (client, server) = pair().await;
    assert_eq!(server.try_read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(server.ready(Interest::WRITABLE).await.unwrap().is_writable());
    assert_eq!(client.try_write(b"abc").unwrap(), 3);
    server.readable().await.unwrap();
    assert_eq!(server.try_read(&mut [0; 8]).unwrap(), 3);
    // Until the kernel's buffers are full.
    let piece = [0; 64 * 1024];
    let error = loop {
        if let Err(error) = client.try_write(&piece) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(timeout(Duration::from_millis(20), client.writable()).await.is_err());
    let mut sink = vec![0; 1 << 20];
    while timeout(Duration::from_millis(50), server.read(&mut sink)).await.is_ok() {}
    client.writable().await.unwrap();
}

#[tress::test]
async fn large_transfers_arrive_whole_in_both_directions() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let (client, server) = pair().await;
    let data: Vec<u8> = (0..8_000_000_u32).map(|i| (i % 251) as u8).collect();
    let echo = tress::spawn(async move {
        let (read_half, write_half) = server.into_split();
        tress::io::copy(read_half, &mut { write_half }).await
    });
    let (mut read_half, write_half) = client.into_split();
    let sent = data.clone();
    let sender = tress::spawn(async move { write_half.write_all(&sent).await });
    let mut received = Vec::new();
    read_half.read_to_end(&mut received).await.unwrap();
    sender.await.unwrap().unwrap();
    assert_eq!(echo.await.unwrap().unwrap(), 8_000_000);
    assert!(received == data);
}

#[tress::test]
async fn dropping_the_write_half_ends_the_stream_and_forgetting_does_not() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let (client, server) = pair().await;
    let (read_half, write_half) = client.into_split();
    drop(write_half);
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    drop(read_half);

    let (client, server) = pair().await;
    let (read_half, write_half) = client.into_split();
    write_half.forget();
    assert!(timeout(Duration::from_millis(50), server.read(&mut [0; 8])).await.is_err());
    drop(read_half);
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tress::test]
async fn halves_of_different_streams_are_given_back() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let (one, other) = pair().await;
    let (one_read, one_write) = one.into_split();
    let (other_read, other_write) = other.into_split();
    let error = one_read.reunite(other_write).unwrap_err();
    let one = error.0.reunite(one_write).unwrap();
    let mut other = other_read.reunite(error.1).unwrap();
    one.write_all(b"x").await.unwrap();
    // Not `other.split()`, which is that of `AsyncReadExt`.
    let (mut read_half, mut write_half) = TcpStream::split(&mut other);
    AsyncReadExt::read_exact(&mut read_half, &mut [0]).await.unwrap();
    AsyncWriteExt::close(&mut write_half).await.unwrap();
    assert_eq!(one.read(&mut [0]).await.unwrap(), 0);
}

#[tress::test]
async fn a_refused_connection_is_an_error_and_the_next_address_is_tried() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let unused = TcpSocket::new_v4().unwrap();
    unused.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let refusing = unused.local_addr().unwrap();
    assert_eq!(TcpStream::connect(refusing).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stream = TcpStream::connect(&[refusing, address][..]).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), address);
    let stream = TcpStream::connect(("localhost", address.port())).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap().port(), address.port());
    assert_eq!(TcpStream::connect("nonsense").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(TcpStream::connect(&[][..]).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tress::test]
async fn a_port_in_use_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(TcpListener::bind(address).await.unwrap_err().kind(), ErrorKind::AddrInUse);
}

#[tress::test]
async fn streams_and_listeners_go_to_std_and_back() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let listener = TcpListener::from_std(listener.into_std().unwrap()).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let client = TcpStream::from_std(client.into_std().unwrap()).unwrap();
    let (server, _) = listener.accept().await.unwrap();
    client.write_all(b"x").await.unwrap();
    assert_eq!(server.read(&mut [0; 2]).await.unwrap(), 1);
}

#[tress::test]
async fn options_are_set_and_read() {
    let (client, _server) = pair().await;
    client.set_nodelay(true).unwrap();
    assert!(client.nodelay().unwrap());
    client.set_ttl(42).unwrap();
    assert_eq!(client.ttl().unwrap(), 42);
    client.set_linger(Some(Duration::from_secs(1))).unwrap();
    assert_eq!(client.linger().unwrap(), Some(Duration::from_secs(1)));
    assert!(client.take_error().unwrap().is_none());

    let socket = TcpSocket::new_v6().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_keepalive(Some((Duration::from_secs(60), Duration::from_secs(10)))).unwrap();
    socket.set_only_v6(true).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_send_buffer_size(64 * 1024).unwrap();
    assert!(socket.reuseaddr().unwrap() && socket.keepalive().unwrap() && socket.only_v6().unwrap());
    assert!(socket.nodelay().unwrap() && socket.send_buffer_size().unwrap() >= 64 * 1024);
}

#[test]
fn sockets_need_a_runtime_and_say_so() {
    let error = TcpSocket::new_v4().unwrap().listen(1).unwrap_err();
    assert!(error.to_string().contains("runtime"), "{error}");
    let stream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = TcpListener::from_std(stream).unwrap_err();
    assert!(error.to_string().contains("runtime"), "{error}");
}
