//! Connections that send on a schedule, whether or not the last reply came: a stall is seen by every request that falls into it.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::{Poller, ServerProcess};
use crate::clock::Sample;
use crate::server::BURN;

/// Measures the 99th percentile, in milliseconds, of the latency of all connections and the lateness of all timers while the connection
/// number 0 makes the server burn CPU.
pub(super) fn hostage(server: &mut ServerProcess, burn: Duration) -> io::Result<Sample> {
    let mut load = Paced::connect(server.address())?;
    load.run_until(Instant::now() + WARM_UP)?;
    load.latencies.clear();
    server.reset_timers()?;
    let cpu_before = server.cpu()?;
    load.send_burn(burn)?;
    load.run_until(Instant::now() + burn + AFTER)?;
    let cpu = server.cpu()?.saturating_sub(cpu_before);
    load.give_up_outstanding();
    let requests = load.latencies.len().max(1);
    let mut all_us: Vec<u64> = load.latencies.iter().map(|latency| latency.as_micros() as u64).collect();
    all_us.extend(server.late_timers_us()?);
    all_us.sort_unstable();
    let rank = (all_us.len() * 99 / 100).min(all_us.len() - 1);
    Ok(Sample {
        value: all_us[rank] as f64 / 1e3,
        cpu_per_op_ns: cpu.as_nanos() as f64 / requests as f64,
        tail: None,
    })
}

struct Paced {
    poller: Poller,
    timer: OwnedFd,
    start: Instant,
    /// Requests sent on the schedule so far; the next goes to this number modulo the connections.
    sent: u32,
    connections: Vec<Connection>,
    latencies: Vec<Duration>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// When each unanswered request was due.
    outstanding: VecDeque<Instant>,
    received_bytes: usize,
}

impl Paced {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        let poller = Poller::new()?;
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for token in 0..CONNECTIONS {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            poller.register(&stream, token)?;
            connections.push(Connection { stream, outstanding: VecDeque::new(), received_bytes: 0 });
        }
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let gap = Timespec { tv_sec: 0, tv_nsec: i64::from(GAP.subsec_nanos()) };
        let schedule = Itimerspec { it_interval: gap, it_value: gap };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &schedule)?;
        poller.register(&timer, TIMER)?;
        Ok(Self { poller, timer, start: Instant::now(), sent: 0, connections, latencies: Vec::new() })
    }

    /// Makes the server burn on the connection number 0, outside the schedule. That connection is the culprit, and nothing of its own
    /// is measured from now on.
    fn send_burn(&mut self, burn: Duration) -> io::Result<()> {
        let millis = u32::try_from(burn.as_millis()).map_err(io::Error::other)?;
        let mut request = [BURN; REQUEST_LEN_BYTES];
        request[1..5].copy_from_slice(&millis.to_be_bytes());
        self.connections[CULPRIT].stream.write_all(&request)
    }

    fn run_until(&mut self, end: Instant) -> io::Result<()> {
        while Instant::now() < end {
            for index in 0..self.poller.wait()? {
                match self.poller.token(index) {
                    TIMER => self.send_due()?,
                    token => self.connections[token].receive(&mut self.latencies)?,
                }
            }
        }
        Ok(())
    }

    fn send_due(&mut self) -> io::Result<()> {
        let mut expirations = [0; 8];
        match rustix::io::read(&self.timer, &mut expirations) {
            Ok(_len) => {}
            Err(rustix::io::Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        loop {
            let due = self.start + GAP * self.sent;
            if due > Instant::now() {
                return Ok(());
            }
            let token = self.sent as usize % CONNECTIONS;
            self.sent += 1;
            if token != CULPRIT {
                let connection = &mut self.connections[token];
                connection.stream.write_all(&[b'e'; REQUEST_LEN_BYTES])?;
                connection.outstanding.push_back(due);
            }
        }
    }

    /// Counts what was never answered as answered now.
    fn give_up_outstanding(&mut self) {
        let now = Instant::now();
        for connection in &mut self.connections {
            self.latencies
                .extend(connection.outstanding.drain(..).map(|due| now.saturating_duration_since(due)));
        }
    }
}

impl Connection {
    fn receive(&mut self, latencies: &mut Vec<Duration>) -> io::Result<()> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed a connection"));
            }
            Ok(len) => self.received_bytes += len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        while self.received_bytes >= REQUEST_LEN_BYTES {
            self.received_bytes -= REQUEST_LEN_BYTES;
            // The culprit's own reply has no due time.
            latencies.extend(self.outstanding.pop_front().map(|due| due.elapsed()));
        }
        Ok(())
    }
}

const CONNECTIONS: usize = 64;
const CULPRIT: usize = 0;
const TIMER: usize = CONNECTIONS;
const REQUEST_LEN_BYTES: usize = 64;

/// Each connection sends every 10 ms, one after the other.
const GAP: Duration = Duration::from_nanos(10_000_000 / CONNECTIONS as u64);
const WARM_UP: Duration = Duration::from_millis(150);
const AFTER: Duration = Duration::from_millis(100);
