//! A bare single-threaded epoll loop: no tasks, no wakers, no timers. It is the limit that a runtime can come near to.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::server::{PLAINTEXT, Service};

/// A listener and what to do with its connections.
#[derive(Debug)]
pub(crate) struct EpollServer {
    service: Service,
    listener: TcpListener,
    epoll: OwnedFd,
    connections: HashMap<u64, TcpStream>,
    next_token: u64,
    buffer: Vec<u8>,
}

impl EpollServer {
    pub(crate) fn bind(service: Service, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let next_token = LISTENER + 1;
        Ok(Self {
            service,
            listener,
            epoll,
            connections: HashMap::new(),
            next_token,
            buffer: vec![0; BUFFER_LEN_BYTES],
        })
    }

    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the process ends.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS_PER_WAIT);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_count) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept_all()?,
                    token => self.answer(token),
                }
            }
        }
    }

    fn accept_all(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _from)) => {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let token = self.next_token;
                    self.next_token += 1;
                    epoll::add(&self.epoll, &stream, EventData::new_u64(token), EventFlags::IN)?;
                    self.connections.insert(token, stream);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Answers what one readable connection sent. The loads keep at most one small request outstanding, so a read is a whole request and
    /// a write never fills the socket's buffer.
    fn answer(&mut self, token: u64) {
        let Some(mut stream) = self.connections.get(&token) else { return };
        let is_open = match stream.read(&mut self.buffer) {
            Ok(0) => false,
            Ok(len) => match self.service {
                Service::Echo | Service::Hostage => stream.write_all(&self.buffer[..len]).is_ok(),
                Service::Connections => {
                    let _gone = stream.write_all(&self.buffer[..len]);
                    false
                }
                Service::Http => {
                    !self.buffer[..len].ends_with(b"\r\n\r\n") || stream.write_all(RESPONSE).is_ok()
                }
            },
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        if !is_open {
            self.connections.remove(&token);
        }
    }
}

const LISTENER: u64 = 0;
const EVENTS_PER_WAIT: usize = 1024;
const BUFFER_LEN_BYTES: usize = 4096;

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\
    date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\nHello, World!";

const _: () = assert!(PLAINTEXT.len() == 13, "the canned response carries the plaintext");
