//! The list of frames that were woken, without a tree: pushes × takes × its end.
#![expect(unsafe_code, reason = "pushes frames whose list reference it has")]

use std::future::{Ready, ready};

use loom::thread;

use crate::primitive::explore::explore;
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};
use crate::task::model::Count;
use crate::tree::cell;
use crate::tree::raw::RawFrame;
use crate::tree::ready::{Chain, Pushed, ReadyList};
use crate::tree::state::ToNotified;
use crate::tree::status::Bounds;

/// A list with what its users know of it.
struct Watched {
    list: ReadyList,
    /// What is done before each wake; seen by polls only through what the wake publishes.
    signal: AtomicUsize,
    firsts: Count,
    refused: Count,
}

impl Watched {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            list: ReadyList::new(),
            signal: AtomicUsize::new(0),
            firsts: Count::new(0),
            refused: Count::new(0),
        })
    }

    /// Wakes a frame as a waker does that stays.
    fn wake(&self, frame: RawFrame) {
        self.signal.fetch_add(1, Ordering::Relaxed);
        if frame.header().state.transition_to_notified_by_ref() != ToNotified::Push {
            return;
        }
        // SAFETY: the transition gave the link and a reference to the caller.
        match unsafe { self.list.push(frame) } {
            Pushed::First => self.firsts.fetch_add(1, Ordering::Relaxed),
            Pushed::Later => 0,
            Pushed::Closed => {
                frame.release();
                self.refused.fetch_add(1, Ordering::Relaxed)
            }
        };
    }

    /// Polls what has been taken, and says how many there were; the last poll's look at the signal is left in `seen`.
    fn poll(&self, mut chain: Chain, seen: &mut usize) -> usize {
        let mut polls = 0;
        while let Some(frame) = chain.pop() {
            assert!(frame.header().state.transition_to_popped());
            *seen = self.signal.load(Ordering::Relaxed);
            frame.release();
            polls += 1;
        }
        polls
    }

    fn firsts(&self) -> usize {
        self.firsts.load(Ordering::Relaxed)
    }
}

/// A frame that is held by its handle's reference alone.
fn frame() -> RawFrame {
    cell::allocate::<Ready<()>>(ready(()), Bounds::Rootable).expect("the pool does not refuse")
}

/// Two frames are pushed while the list is taken: each comes out once, and one of the pushers is told of each list that comes out.
#[test]
fn frames_come_out_once_and_whole() {
    explore(5, || {
        let watched = Watched::new();
        let frames = [frame(), frame()];
        // The one who pushes goes first: see README.md.
        let taking = thread::spawn({
            let watched = watched.clone();
            move || [(); 2].map(|()| watched.poll(watched.list.take(), &mut 0))
        });
        let pushing = thread::spawn({
            let watched = watched.clone();
            move || watched.wake(frames[1])
        });
        watched.wake(frames[0]);
        pushing.join().unwrap();
        let [first, second] = taking.join().unwrap();
        let lists = [first, second, watched.poll(watched.list.take(), &mut 0)];
        assert_eq!(lists.iter().sum::<usize>(), 2);
        assert_eq!(watched.firsts(), lists.iter().filter(|polls| **polls > 0).count());
        frames.into_iter().for_each(RawFrame::release_handle);
    });
}

/// One frame is woken by two while the list is taken: the last poll sees what was done before either wake.
#[test]
fn the_last_poll_sees_what_every_waker_did() {
    explore(5, || {
        let watched = Watched::new();
        let frame = frame();
        let taking = thread::spawn({
            let watched = watched.clone();
            move || {
                let mut seen = 0;
                let polls = [(); 2].map(|()| watched.poll(watched.list.take(), &mut seen));
                (polls.iter().sum::<usize>(), seen)
            }
        });
        let waking = thread::spawn({
            let watched = watched.clone();
            move || watched.wake(frame)
        });
        watched.wake(frame);
        waking.join().unwrap();
        let (mut polls, mut seen) = taking.join().unwrap();
        polls += watched.poll(watched.list.take(), &mut seen);
        assert_eq!(seen, 2);
        assert!((1..=2).contains(&polls));
        frame.release_handle();
    });
}

/// Pushes × the end: each frame was taken by the end or is refused.
#[test]
fn a_closed_list_refuses_frames() {
    explore(5, || {
        let watched = Watched::new();
        let frames = [frame(), frame()];
        let closing = thread::spawn({
            let watched = watched.clone();
            move || watched.poll(watched.list.close(), &mut 0)
        });
        let pushing = thread::spawn({
            let watched = watched.clone();
            move || watched.wake(frames[1])
        });
        watched.wake(frames[0]);
        pushing.join().unwrap();
        let taken = closing.join().unwrap();
        assert_eq!(taken + watched.refused.load(Ordering::Relaxed), 2);
        frames.into_iter().for_each(RawFrame::release_handle);
    });
}
