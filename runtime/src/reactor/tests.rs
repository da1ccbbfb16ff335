//! The reactor with real sources: each promise of the README that a model cannot show.

use std::future::Future;
use std::io::{self, ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::UnixStream;

use super::overflow::PURGE_INTERVAL;
use super::*;
use crate::leaf::Wait;
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);
/// Of the best of several waits for a deadline.
const LATE_AT_MOST: Duration = Duration::from_micros(400);

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
    reactor.try_lock().unwrap().wait(&mut events, Some(Instant::now() + timeout), None).unwrap();
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

fn poll_readable(registration: &Registration, waker: &Waker) -> Poll<io::Result<Ready>> {
    registration.poll_ready(&mut Context::from_waker(waker), Direction::Read)
}

/// Makes the registration forget what it starts with.
fn make_idle(registration: &Registration) {
    for direction in Direction::ALL {
        let result = registration.try_io(direction, || Err::<(), _>(ErrorKind::WouldBlock.into()));
        assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
    }
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

#[test]
fn a_short_read_spares_the_next_attempt() {
    let reactor = Reactor::new(0).unwrap();
    let (ours, registration, mut theirs) = stream(&reactor);
    settle(&reactor);
    theirs.write_all(b"hello").unwrap();
    turn(&reactor, Duration::from_secs(5));
    let mut buffer = [0; 4];
    let noop = Waker::noop();
    assert!(matches!(poll_read(&registration, &ours, noop, &mut buffer), Poll::Ready(Ok(4))));
    assert!(poll_readable(&registration, noop).is_ready(), "a full read says nothing");
    assert!(matches!(poll_read(&registration, &ours, noop, &mut buffer), Poll::Ready(Ok(1))));
    assert!(poll_readable(&registration, noop).is_pending(), "a short one does");
    let attempt = registration.try_io(Direction::Read, || -> io::Result<()> { panic!("not attempted") });
    assert_eq!(attempt.unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn the_end_of_the_stream_stays_known() {
    let reactor = Reactor::new(0).unwrap();
    let (ours, registration, mut theirs) = stream(&reactor);
    settle(&reactor);
    theirs.write_all(b"bye").unwrap();
    drop(theirs);
    turn(&reactor, Duration::from_secs(5));
    let mut buffer = [0; 8];
    let noop = Waker::noop();
    assert!(matches!(poll_read(&registration, &ours, noop, &mut buffer), Poll::Ready(Ok(3))));
    assert!(matches!(poll_read(&registration, &ours, noop, &mut buffer), Poll::Ready(Ok(0))));
    let Poll::Ready(Ok(ready)) = poll_readable(&registration, noop) else { panic!("closed is ready") };
    assert!(ready.is_read_closed());
    registration.clear_ready(ready, Direction::Read);
    assert!(poll_readable(&registration, noop).is_ready(), "closed is never cleared");
}

#[test]
fn a_waker_is_cloned_once_for_many_waits() {
    let reactor = Reactor::new(0).unwrap();
    let (ours, registration, mut theirs) = stream(&reactor);
    settle(&reactor);
    let (wakes, waker) = CountWakes::pair();
    let mut buffer = [0; 8];
    for round in 1..=10 {
        assert!(poll_read(&registration, &ours, &waker, &mut buffer).is_pending());
        assert_eq!(Arc::strong_count(&wakes), 3, "the test's, the waker's, the cell's");
        theirs.write_all(b"x").unwrap();
        turn(&reactor, Duration::from_secs(5));
        assert_eq!(wakes.count(), round);
        assert!(poll_read(&registration, &ours, &waker, &mut buffer).is_ready());
    }
    drop(registration);
    assert_eq!(Arc::strong_count(&wakes), 2, "the cell's is gone with the registration");
}

#[test]
fn a_stale_event_is_ignored() {
    let reactor = Reactor::new(0).unwrap();
    let (mut ours, registration, mut theirs) = stream(&reactor);
    settle(&reactor);
    theirs.write_all(b"x").unwrap();
    let mut events = Events::new();
    reactor.try_lock().unwrap().wait(&mut events, Some(Instant::now()), None).unwrap();
    assert!(!events.is_empty());
    registration.deregister(&mut ours).unwrap();
    drop(registration);

    let (mut next, _other) = UnixStream::pair().unwrap();
    let next = Registration::new_idle_in(&reactor, &mut next, BOTH).unwrap();
    let (wakes, waker) = CountWakes::pair();
    assert!(poll_readable(&next, &waker).is_pending());
    assert_eq!(reactor.dispatch(&mut events), 0);
    assert_eq!(wakes.count(), 0);
    assert!(poll_readable(&next, &waker).is_pending());
}

#[test]
fn slots_are_reused() {
    let reactor = Reactor::new(0).unwrap();
    for _ in 0..10 {
        let many: Vec<_> = (0..100).map(|_| stream(&reactor)).collect();
        assert_eq!(reactor.registered(), 100);
        drop(many);
        assert_eq!(reactor.registered(), 0);
    }
    assert_eq!(reactor.slab().capacity(), 192, "two chunks");
}

#[test]
fn a_source_that_cannot_be_registered_takes_no_slot() {
    let reactor = Reactor::new(0).unwrap();
    let (mut ours, _registration, _theirs) = stream(&reactor);
    assert!(Registration::new_in(&reactor, &mut ours, BOTH).is_err(), "it is registered already");
    assert_eq!(reactor.registered(), 1);
}

#[test]
fn all_waiters_of_a_direction_are_woken() {
    let reactor = Reactor::new(0).unwrap();
    let (_ours, registration, mut theirs) = stream(&reactor);
    make_idle(&registration);
    let tasks: Vec<_> = (0..5).map(|_| CountWakes::pair()).collect();
    for round in 1..=3 {
        for (_, waker) in tasks.iter().chain(&tasks) {
            assert!(poll_readable(&registration, waker).is_pending());
        }
        assert!(tasks.iter().all(|(wakes, _)| wakes.count() == round - 1), "waiting wakes nobody");
        theirs.write_all(b"x").unwrap();
        turn(&reactor, Duration::from_secs(5));
        assert!(tasks.iter().all(|(wakes, _)| wakes.count() == round), "an event wakes everybody once");
        make_idle(&registration);
    }
}

#[test]
fn the_wakers_of_dropped_waiters_do_not_pile_up() {
    let reactor = Reactor::new(0).unwrap();
    let (_ours, registration, _theirs) = stream(&reactor);
    make_idle(&registration);
    let live: Vec<_> = (0..40).map(|_| CountWakes::pair()).collect();
    let mut seen = vec![usize::MAX; live.len()];
    let start = Instant::now();
    let mut intervals = 0;
    while intervals < 5 {
        // Those alive wait again whenever they are woken.
        for ((wakes, waker), seen) in live.iter().zip(&mut seen) {
            if std::mem::replace(seen, wakes.count()) != wakes.count() {
                assert!(poll_readable(&registration, waker).is_pending());
            }
        }
        if start.elapsed() >= PURGE_INTERVAL * intervals {
            intervals += 1;
            for _ in 0..100 {
                assert!(poll_readable(&registration, &CountWakes::pair().1).is_pending());
            }
            let listed = registration.slot().overflow_len(Direction::Read);
            assert!(listed <= 240, "{listed} listed: more than the live and two intervals' dead");
        }
    }
    let woken = live.iter().map(|(wakes, _)| wakes.count()).max().unwrap();
    let most = start.elapsed().as_millis() / PURGE_INTERVAL.as_millis() + 1;
    assert!(woken as u128 <= most, "woken {woken} times: waiters wake each other");
}

#[test]
fn closing_wakes_and_fails_everything() {
    let reactor = Reactor::new(0).unwrap();
    let (mut ours, registration, _theirs) = stream(&reactor);
    make_idle(&registration);
    let tasks: Vec<_> = (0..3).map(|_| CountWakes::pair()).collect();
    for (_, waker) in &tasks {
        assert!(poll_readable(&registration, waker).is_pending());
    }
    reactor.close();
    for (wakes, waker) in &tasks {
        assert_eq!(wakes.count(), 1);
        let Poll::Ready(Err(error)) = poll_readable(&registration, waker) else { panic!("not an error") };
        assert!(error.to_string().contains("shut down"), "{error}");
        assert_eq!(Arc::strong_count(wakes), 2, "no waker is kept");
    }
    assert!(registration.try_io(Direction::Write, || Ok(())).is_err());
    registration.deregister(&mut ours).unwrap();
    let error = Registration::new_in(&reactor, &mut ours, BOTH).unwrap_err();
    assert!(error.to_string().contains("shut down"), "{error}");
    drop(registration);
    assert_eq!(reactor.registered(), 0);
}

#[test]
fn a_waker_that_panics_costs_nobody_else_an_event() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("a waker panics, on purpose");
        }
    }
    let reactor = Reactor::new(0).unwrap();
    let mut streams: Vec<_> = (0..3).map(|_| stream(&reactor)).collect();
    let (wakes, waker) = CountWakes::pair();
    for (_, registration, theirs) in &mut streams {
        make_idle(registration);
        assert!(poll_readable(registration, &Waker::from(Arc::new(Bomb))).is_pending());
        assert!(poll_readable(registration, &waker).is_pending());
        theirs.write_all(b"x").unwrap();
    }
    assert_eq!(turn(&reactor, Duration::from_secs(5)), 3);
    assert_eq!(wakes.count(), 3);
    make_idle(&streams[0].1);
    assert!(poll_readable(&streams[0].1, &waker).is_pending());
    streams[0].2.write_all(b"y").unwrap();
    turn(&reactor, Duration::from_secs(5));
    assert_eq!(wakes.count(), 4, "the cell is not wedged");
}

#[test]
fn a_waker_whose_clone_panics_leaves_the_cell_usable() {
    let reactor = Reactor::new(0).unwrap();
    let (_ours, registration, mut theirs) = stream(&reactor);
    make_idle(&registration);
    let unclonable = unclonable::waker();
    let result = catch_unwind(AssertUnwindSafe(|| poll_readable(&registration, &unclonable).is_pending()));
    assert!(result.is_err());
    let (wakes, waker) = CountWakes::pair();
    assert!(poll_readable(&registration, &waker).is_pending());
    assert_eq!(registration.slot().overflow_len(Direction::Read), 0, "the cell was free");
    theirs.write_all(b"x").unwrap();
    turn(&reactor, Duration::from_secs(5));
    assert_eq!(wakes.count(), 1);
}

#[test]
fn an_unpark_ends_the_current_or_the_next_wait() {
    let reactor = Reactor::new(0).unwrap();
    let start = Instant::now();
    reactor.unpark();
    assert_eq!(turn(&reactor, Duration::from_secs(30)), 0);
    thread::scope(|scope| {
        scope.spawn(|| turn(&reactor, Duration::from_secs(30)));
        thread::sleep(Duration::from_millis(20));
        reactor.unpark();
    });
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_look_leaves_the_unpark_to_the_next_wait() {
    let reactor = Reactor::new(0).unwrap();
    reactor.unpark();
    turn(&reactor, Duration::ZERO);
    turn(&reactor, Duration::ZERO);
    let start = Instant::now();
    turn(&reactor, Duration::from_secs(30));
    assert!(start.elapsed() < Duration::from_secs(20));
    let start = Instant::now();
    turn(&reactor, Duration::from_millis(20));
    assert!(start.elapsed() >= Duration::from_millis(20), "it is used up");
}

#[test]
fn only_one_at_a_time_drives() {
    let reactor = Reactor::new(0).unwrap();
    let driver = reactor.try_lock().unwrap();
    assert!(reactor.try_lock().is_none());
    drop(driver);
    assert!(reactor.try_lock().is_some());
}

/// The best says what the mechanism can do; on a busy machine most waits are late. Where even the system's own sleep is late each time, that is no
/// measurement, and is repeated.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "the selector's own precision")]
fn deadlines_are_precise() {
    let reactor = Reactor::new(0).unwrap();
    for micros in [100, 700, 1_900, 2_300, 7_450] {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let (mut late, mut sleeps) = (Vec::new(), Vec::new());
            for _ in 0..15 {
                let duration = Duration::from_micros(micros);
                let deadline = Instant::now() + duration;
                let mut events = Events::new();
                reactor.try_lock().unwrap().wait(&mut events, Some(deadline), None).unwrap();
                late.push(Instant::now().checked_duration_since(deadline).expect("not early"));
                let deadline = Instant::now() + duration;
                thread::sleep(duration);
                sleeps.push(Instant::now().saturating_duration_since(deadline));
            }
            late.sort_unstable();
            println!("{micros} us: {:?} late at best, {:?} in the median", late[0], late[7]);
            if late[0] < LATE_AT_MOST {
                break;
            }
            let is_busy = *sleeps.iter().min().expect("there are some") >= LATE_AT_MOST;
            assert!(is_busy && Instant::now() < end, "{micros} us: {late:?}");
        }
    }
}

#[test]
fn a_future_waits_and_completes() {
    let reactor = Reactor::new(0).unwrap();
    let (ours, registration, mut theirs) = stream(&reactor);
    settle(&reactor);
    let mut buffer = [0; 16];
    let read = registration.transfer(Direction::Read, "test read", 16, || (&ours).read(&mut buffer));
    let mut read = pin!(read);
    let (wakes, waker) = CountWakes::pair();
    let mut cx = Context::from_waker(&waker);
    assert!(read.as_mut().poll(&mut cx).is_pending());
    theirs.write_all(b"hello").unwrap();
    turn(&reactor, Duration::from_secs(5));
    assert_eq!(wakes.count(), 1);
    assert!(matches!(read.as_mut().poll(&mut cx), Poll::Ready(Ok(5))));
    let mut ready = pin!(registration.ready(Direction::Write, "test write"));
    assert!(matches!(ready.as_mut().poll(&mut cx), Poll::Ready(Ok(ready)) if ready.is_writable()));
}

mod unclonable {
    //! A waker that panics when it is cloned.
    #![expect(unsafe_code, reason = "`Wake` cannot make such a waker")]

    use std::ptr;
    use std::task::{RawWaker, RawWakerVTable, Waker};

    static VTABLE: RawWakerVTable =
        RawWakerVTable::new(|_| panic!("no clone, on purpose"), |_| (), |_| (), |_| ());

    pub(super) fn waker() -> Waker {
        // SAFETY: the functions ignore their argument.
        unsafe { Waker::from_raw(RawWaker::new(ptr::null(), &VTABLE)) }
    }
}
