//! Connections with one request outstanding on each: the next is sent when the reply is whole.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Poller;

/// A closed loop over keep-alive connections.
pub(super) struct ClosedLoop {
    poller: Poller,
    connections: Vec<Connection>,
    request: Vec<u8>,
    reply_len_bytes: usize,
    buffer: Vec<u8>,
    is_started: bool,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    received_bytes: usize,
}

impl ClosedLoop {
    /// Opens the connections, with one round trip on each before the next, so that the listener's backlog does not overflow. Every reply
    /// has `reply_len_bytes`.
    pub(super) fn connect(
        address: SocketAddr,
        connections: usize,
        request: &[u8],
        reply_len_bytes: usize,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        let mut opened = Vec::with_capacity(connections);
        let mut reply = vec![0; reply_len_bytes];
        for token in 0..connections {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(SILENCE_LIMIT))?;
            stream.write_all(request)?;
            stream.read_exact(&mut reply)?;
            stream.set_nonblocking(true)?;
            poller.register(&stream, token)?;
            opened.push(Connection { stream, received_bytes: 0 });
        }
        let buffer = vec![0; BUFFER_LEN_BYTES];
        Ok(Self {
            poller,
            connections: opened,
            request: request.to_vec(),
            reply_len_bytes,
            buffer,
            is_started: false,
        })
    }

    /// Keeps all connections busy for this long and returns how many replies came.
    pub(super) fn run_for(&mut self, duration: Duration) -> io::Result<u64> {
        let end = Instant::now() + duration;
        if !self.is_started {
            self.is_started = true;
            for connection in &mut self.connections {
                connection.send(&self.request)?;
            }
        }
        let mut replies = 0;
        while Instant::now() < end {
            for index in 0..self.poller.wait()? {
                let connection = &mut self.connections[self.poller.token(index)];
                if connection.receive(&mut self.buffer, self.reply_len_bytes)? {
                    replies += 1;
                    connection.send(&self.request)?;
                }
            }
        }
        Ok(replies)
    }
}

impl Connection {
    /// A request is far smaller than an empty socket buffer, and the buffer is empty whenever one is sent.
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request)
    }

    /// Reads once and returns whether the reply is whole.
    fn receive(&mut self, buffer: &mut [u8], reply_len_bytes: usize) -> io::Result<bool> {
        match self.stream.read(buffer) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed a connection")),
            Ok(len) => {
                self.received_bytes += len;
                if self.received_bytes > reply_len_bytes {
                    return Err(io::Error::other("a reply is longer than the first one was"));
                }
                let is_whole = self.received_bytes == reply_len_bytes;
                if is_whole {
                    self.received_bytes = 0;
                }
                Ok(is_whole)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Sends one request on a connection of its own and returns the length of the whole reply, which must be a 200 with the plaintext.
pub(super) fn http_reply_len_bytes(address: SocketAddr, request: &[u8]) -> io::Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SILENCE_LIMIT))?;
    stream.write_all(request)?;
    let mut reply = Vec::new();
    let mut buffer = [0; 1024];
    while !reply.ends_with(crate::server::PLAINTEXT) {
        match stream.read(&mut buffer)? {
            0 => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the server closed before it answered",
                ));
            }
            len => reply.extend_from_slice(&buffer[..len]),
        }
    }
    if !reply.starts_with(b"HTTP/1.1 200 ") {
        return Err(io::Error::other("the reply is not a 200"));
    }
    Ok(reply.len())
}

const BUFFER_LEN_BYTES: usize = 4096;
const SILENCE_LIMIT: Duration = Duration::from_secs(5);
