//! The reactor with real sources: each promise of the README that a model cannot show.

use std::future::Future;
use std::io::{self, ErrorKind, Read, Write};
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::UnixStream;

use super::*;
use crate::leaf::Wait;
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

#[derive(Debug, Default)]
struct CountWakes(AtomicUsize);

impl CountWakes {
    fn pair() -> (Arc<Self>, Waker) {
        let counter = Arc::new(Self::default());
        (Arc::clone(&counter), Waker::from(counter))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn stream(reactor: &Arc<Reactor>) -> (UnixStream, Registration, UnixStream) {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let registration = Registration::new_in(reactor, &mut ours, BOTH).unwrap();
    (ours, registration, theirs)
}

fn turn(reactor: &Reactor, timeout: Duration) -> usize {
    let mut events = Events::new();
    reactor.try_lock().unwrap().wait(&mut events, Some(Instant::now() + timeout)).unwrap();
    reactor.dispatch(&mut events)
}

/// Takes all events that there are.
fn settle(reactor: &Reactor) {
    while turn(reactor, Duration::ZERO) > 0 {}
}

fn poll_read(
    registration: &Registration,
    mut source: &UnixStream,
    waker: &Waker,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    let full = buffer.len();
    let mut wait = Wait::new("test read");
    registration.poll_transfer(&mut Context::from_waker(waker), Direction::Read, &mut wait, full, || {
        source.read(buffer)
    })
}

#[test]
fn an_event_wakes_the_reader() {
    let reactor = Reactor::new(0).unwrap();
    let (ours, registration, mut theirs) = stream(&reactor);
    settle(&reactor);
    let (wakes, waker) = CountWakes::pair();
    let mut buffer = [0; 8];
    assert!(poll_read(&registration, &ours, &waker, &mut buffer).is_pending());
    assert_eq!(turn(&reactor, Duration::ZERO), 0);
    theirs.write_all(b"hello").unwrap();
    assert_eq!(turn(&reactor, Duration::from_secs(5)), 1);
    assert_eq!(wakes.count(), 1);
    assert!(matches!(poll_read(&registration, &ours, &waker, &mut buffer), Poll::Ready(Ok(5))));
    assert_eq!(&buffer[..5], b"hello");
}
