//! A level-triggered epoll with tokens.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// An epoll descriptor and the events it last reported.
pub(super) struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS_PER_WAIT) })
    }

    /// Reports `token` whenever `source` is readable.
    pub(super) fn register(&self, source: impl AsFd, token: usize) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, source, EventData::new_u64(token as u64), EventFlags::IN)?)
    }

    /// Waits for events and returns how many there are. It is an error if none comes for a long time: a server that lost a request
    /// fails the sample.
    pub(super) fn wait(&mut self) -> io::Result<usize> {
        self.events.clear();
        let limit = Timespec { tv_sec: SILENCE_LIMIT.as_secs() as i64, tv_nsec: 0 };
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&limit)) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::TimedOut, "the server fell silent")),
            Ok(count) => Ok(count),
            Err(rustix::io::Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// The token of one of the events that [`wait`](Self::wait) counted.
    pub(super) fn token(&self, index: usize) -> usize {
        self.events[index].data.u64() as usize
    }
}

const EVENTS_PER_WAIT: usize = 1024;
const SILENCE_LIMIT: Duration = Duration::from_secs(5);
