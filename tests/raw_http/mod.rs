//! A client that sends whatever bytes it is told to.
#![allow(dead_code, reason = "each test uses the part that it needs")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Connects; reads fail after a while rather than block for good.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("the timeout is not zero");
    stream
}

/// Sends the bytes and reads until the server closes (or resets) the connection.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = connect(address);
    // A server that has seen enough may close while we still write.
    let _ = stream.write_all(request);
    read_to_close(&mut stream)
}

/// Reads until the server closes (or resets) the connection.
pub(crate) fn read_to_close(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut buf = [0; 4096];
    loop {
        match stream.read(&mut buf) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&buf[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the server neither answers nor closes: {error}"),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads one response with a `content-length`.
pub(crate) fn read_response(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("the server answers");
        answer.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&answer).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.trim().parse().expect("the length is a number"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("the body comes whole");
    answer.extend_from_slice(&body);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status code of a response.
pub(crate) fn status(response: &str) -> &str {
    response.split_whitespace().nth(1).unwrap_or("none")
}
