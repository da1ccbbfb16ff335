//! The one look that somebody takes before it sleeps, or goes to work for long × a push from elsewhere: one of the two sees
//! the other.
//!
//! With nothing else around, so that every course is explored in no time, and nothing but the idle protocol's own fences
//! orders the two: what a whole worker does besides may hide that one is missing.

use loom::thread;

use super::super::idle::{Idle, Left};
use crate::primitive::deque::stand_in::bare;
use crate::primitive::deque::{Injector, Steal};
use crate::primitive::explore::explore;
use crate::primitive::sync::Arc;

struct Place {
    idle: Idle,
    injector: Injector<u32>,
}

impl Place {
    fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self { idle: Idle::new(workers), injector: bare(Injector::new) })
    }

    /// Pushes in a thread of its own, which says whether it claimed a worker.
    fn push_elsewhere(place: &Arc<Self>) -> thread::JoinHandle<bool> {
        let place = place.clone();
        thread::spawn(move || {
            place.injector.push(0);
            place.idle.claim_one().is_some()
        })
    }

    fn take(&self) -> bool {
        matches!(self.injector.steal(), Steal::Success(_))
    }
}

/// A worker that goes to sleep, having searched or not, sees the task, or is claimed for it.
#[test]
fn who_goes_to_sleep_sees_a_push_or_is_seen() {
    for searches in [false, true] {
        explore(6, move || {
            let place = Place::new(2);
            assert!(!searches || place.idle.start_searching());
            let pusher = Place::push_elsewhere(&place);
            place.idle.announce(0, searches);
            let sees = !place.injector.is_empty();
            // Asleep now, unless it sees something; if it has been claimed, it is woken.
            let claimed = pusher.join().unwrap();
            assert!(sees || claimed, "the task is left lying");
            assert_eq!(place.idle.leave(0) == Left::Claimed, claimed);
            assert_eq!(place.idle.searchers(), usize::from(claimed));
        });
    }
}

/// The last searcher finds something that keeps it for long. What a pusher left to it meanwhile, it hands on to a sleeper.
#[test]
fn who_stops_searching_sees_a_push_or_is_seen() {
    explore(6, || {
        let place = Place::new(2);
        place.idle.announce(1, false);
        assert!(place.idle.start_searching());
        place.injector.push(0);
        let pusher = Place::push_elsewhere(&place);
        assert!(place.take());
        let hands_on = place.idle.stop_searching() && !place.injector.is_empty();
        let claimed_here = hands_on && place.idle.claim_one().is_some();
        let claimed = usize::from(pusher.join().unwrap()) + usize::from(claimed_here);
        assert_eq!(claimed, 1, "the other task is left lying");
        assert!(place.take(), "it is for the sleeper");
    });
}
