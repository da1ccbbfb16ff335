//! A read stops at the mark of urgent data although there is more to read, and the next one finds it.
#![cfg(target_os = "linux")]

mod watchdog;

use std::time::Duration;

use socket2::SockRef;
use tress::net::{TcpListener, TcpStream};
use tress::time::sleep;
use watchdog::watchdog;

#[tress::test]
async fn what_follows_it_is_read() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    sleep(Duration::from_millis(20)).await;
    for _ in 0..5 {
        client.write_all(b"abc").await.unwrap();
        SockRef::from(&client).send_out_of_band(b"!").unwrap();
        client.write_all(b"def").await.unwrap();
        sleep(Duration::from_millis(20)).await;
        // Larger than what is there: the read falls short.
        let mut buf = [0; 64];
        let mut received = Vec::new();
        while received.len() < 6 {
            let read = server.read(&mut buf).await.unwrap();
            received.extend_from_slice(&buf[..read]);
        }
        assert_eq!(received, b"abcdef");
    }
}
