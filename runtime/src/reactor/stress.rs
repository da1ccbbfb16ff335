//! Registrations that come and go on several threads while others dispatch.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime};

use mio::net::UnixStream;

use super::*;
use crate::leaf::Wait;
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A thread that waits, as a task would.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn seed() -> u64 {
    let seed = match std::env::var("TRESS_SEED") {
        Ok(seed) => seed.parse().expect("TRESS_SEED is a number"),
        Err(_) => SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64,
    };
    println!("TRESS_SEED={seed}");
    seed | 1
}

/// Runs `f` on a thread of its own, and ends the process if that takes too long.
fn with_watchdog(f: impl FnOnce() + Send + 'static) {
    let (done, watched) = mpsc::channel();
    let worker = thread::spawn(move || {
        f();
        done.send(()).unwrap();
    });
    if watched.recv_timeout(Duration::from_secs(120)) == Err(mpsc::RecvTimeoutError::Timeout) {
        eprintln!("stuck: a wake was lost");
        std::process::abort();
    }
    worker.join().unwrap();
}

fn read(
    registration: &Registration,
    mut source: &UnixStream,
    waker: &Waker,
    buffer: &mut [u8],
) -> Poll<usize> {
    let mut wait = Wait::new("stress read");
    let full = buffer.len();
    registration
        .poll_transfer(&mut Context::from_waker(waker), Direction::Read, &mut wait, full, || {
            source.read(buffer)
        })
        .map(Result::unwrap)
}

/// One registration's life: some messages, then an end at a random moment.
fn live(reactor: &Arc<Reactor>, random: &mut Random, waker: &Waker) {
    let (mut ours, mut theirs) = UnixStream::pair().unwrap();
    let registration =
        Registration::new_in(reactor, &mut ours, Interest::READABLE | Interest::WRITABLE).unwrap();
    let mut buffer = [0; 8];
    for _ in 0..random.below(4) {
        if random.below(2) == 0 {
            // Waits first, or at least tries to.
            assert!(read(&registration, &ours, waker, &mut buffer).is_pending());
        }
        theirs.write_all(b"12345").unwrap();
        let mut left = 5;
        while left > 0 {
            match read(&registration, &ours, waker, &mut buffer[..1 + random.below(7) as usize]) {
                Poll::Ready(read) => left -= read,
                Poll::Pending => thread::park(),
            }
        }
    }
    match random.below(4) {
        0 => drop(theirs),
        1 => theirs.write_all(b"unread").unwrap(),
        2 => drop(read(&registration, &ours, waker, &mut buffer)),
        _ => {}
    }
    if random.below(2) == 0 {
        registration.deregister(&mut ours).unwrap();
    }
}

#[test]
fn registrations_come_and_go_while_others_dispatch() {
    const THREADS: usize = 3;
    let registrations = if cfg!(tress_sanitize) { 2_000 } else { 10_000 };
    let seed = seed();
    with_watchdog(move || {
        let reactor = Reactor::new(0).unwrap();
        let done = AtomicBool::new(false);
        let left = AtomicUsize::new(registrations);
        thread::scope(|scope| {
            let dispatchers = [Duration::from_millis(5), Duration::ZERO].map(|timeout| {
                let (reactor, done) = (&reactor, &done);
                scope.spawn(move || {
                    let mut events = Events::new();
                    while !done.load(Ordering::Relaxed) {
                        if let Some(mut driver) = reactor.try_lock() {
                            driver.wait(&mut events, Some(Instant::now() + timeout), None).unwrap();
                        }
                        reactor.dispatch(&mut events);
                        thread::yield_now();
                    }
                })
            });
            let owners: Vec<_> = (1..=THREADS as u64)
                .map(|nth| {
                    let (reactor, left) = (&reactor, &left);
                    scope.spawn(move || {
                        let mut random = Random(seed.wrapping_mul(2 * nth + 1));
                        let parked = Arc::new(Parked(thread::current()));
                        let waker = Waker::from(Arc::clone(&parked));
                        while left
                            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                            .is_ok()
                        {
                            live(reactor, &mut random, &waker);
                        }
                        drop(waker);
                        parked
                    })
                })
                .collect();
            let parked: Vec<_> = owners.into_iter().map(|owner| owner.join().unwrap()).collect();
            done.store(true, Ordering::Relaxed);
            for dispatcher in dispatchers {
                dispatcher.join().unwrap();
            }
            assert_eq!(reactor.registered(), 0);
            assert!(parked.iter().all(|parked| Arc::strong_count(parked) == 1), "no waker is kept");
        });
    });
}

#[test]
fn two_threads_wait_for_one_source() {
    const MESSAGES: usize = 2_000;
    with_watchdog(|| {
        let reactor = Reactor::new(0).unwrap();
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let registration = Registration::new_in(&reactor, &mut ours, Interest::READABLE).unwrap();
        let (received, done) = (AtomicUsize::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            let readers = [(); 2].map(|()| {
                scope.spawn(|| {
                    let waker = Waker::from(Arc::new(Parked(thread::current())));
                    let mut byte = [0];
                    loop {
                        match read(&registration, &ours, &waker, &mut byte) {
                            Poll::Ready(0) => break,
                            Poll::Ready(_) => drop(received.fetch_add(1, Ordering::SeqCst)),
                            Poll::Pending => thread::park(),
                        }
                    }
                })
            });
            scope.spawn(|| {
                let mut events = Events::new();
                while !done.load(Ordering::Relaxed) {
                    let deadline = Instant::now() + Duration::from_millis(1);
                    reactor.try_lock().unwrap().wait(&mut events, Some(deadline), None).unwrap();
                    reactor.dispatch(&mut events);
                }
            });
            for message in 1..=MESSAGES {
                theirs.write_all(b"x").unwrap();
                while received.load(Ordering::SeqCst) < message {
                    thread::yield_now();
                }
            }
            drop(theirs);
            for reader in readers {
                reader.join().unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
    });
}
