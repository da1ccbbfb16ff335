//! Short connections: connect, one byte each way, and the end of the stream.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::Poller;

/// A fixed number of short connections in flight.
pub(super) struct Connections {
    poller: Poller,
    address: SocketAddr,
    in_flight: Vec<Flight>,
}

#[derive(Debug)]
struct Flight {
    stream: TcpStream,
    has_reply: bool,
}

impl Connections {
    /// Opens the first connections.
    pub(super) fn start(address: SocketAddr) -> io::Result<Self> {
        let poller = Poller::new()?;
        let in_flight =
            (0..IN_FLIGHT).map(|token| Flight::start(&poller, address, token)).collect::<io::Result<_>>()?;
        Ok(Self { poller, address, in_flight })
    }

    /// Opens a connection for each that ends, for this long, and returns how many ended.
    pub(super) fn run_for(&mut self, duration: Duration) -> io::Result<u64> {
        let end = Instant::now() + duration;
        let mut ended = 0;
        while Instant::now() < end {
            for index in 0..self.poller.wait()? {
                let token = self.poller.token(index);
                if self.in_flight[token].has_ended()? {
                    ended += 1;
                    self.in_flight[token] = Flight::start(&self.poller, self.address, token)?;
                }
            }
        }
        Ok(ended)
    }
}

impl Flight {
    /// Connects, which does not wait on the loopback while the listener has room, and sends the byte.
    fn start(poller: &Poller, address: SocketAddr, token: usize) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nonblocking(true)?;
        // The server closes first; a reset from here spares its port the TIME_WAIT, so that ports do not run out.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        stream.write_all(b"x")?;
        poller.register(&stream, token)?;
        Ok(Self { stream, has_reply: false })
    }

    fn has_ended(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) if self.has_reply => return Ok(true),
                Ok(0) => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "a connection ended without its reply",
                    ));
                }
                Ok(_len) => self.has_reply = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}

const IN_FLIGHT: usize = 16;
