//! Tests that a slot is counted in its class, once, wherever it is.

use std::thread;

use super::stress::alone;
use super::*;

/// Of a class that no other test uses but those that are alone.
const BYTES: usize = 2200;

/// How many slots of the class are in use or on their way home, and how many are free.
fn counts() -> (usize, usize) {
    let stats = stats();
    let class =
        stats.classes().iter().find(|class| class.slot_bytes >= BYTES).expect("there is such a class");
    (class.live, class.cached)
}

fn frames(count: usize) -> Vec<Frame> {
    (0..count).map(|n| Frame::new(layout(BYTES, 8), Kind::Raw, n as u8)).collect()
}

/// In its user's hands, in the warm chain, in a chain set aside, in its page, on its way home: a slot is somewhere, and its page's
/// end is its own.
#[test]
fn slots_are_counted_once_wherever_they_are() {
    if !POOLED {
        return;
    }
    let _alone = alone();
    trim();
    // Other threads' heaps have what earlier tests have left there.
    let (live, cached) = counts();
    // More than fit the chains of their bin, none of whose pages becomes free.
    const MANY: usize = 1000;
    let (kept, others) = one_of_each_page(frames(MANY));
    assert_eq!(counts(), (live + MANY, cached));
    for (freed, frame) in others.into_iter().enumerate() {
        drop(frame);
        assert_eq!(counts(), (live + MANY - freed - 1, cached + freed + 1));
    }
    // Out of the warm chain, of those set aside, and of the pages.
    let mut again = Vec::new();
    for taken in 1..=MANY - kept.len() {
        again.extend(frames(1));
        assert_eq!(counts(), (live + kept.len() + taken, cached + MANY - kept.len() - taken));
    }
    assert_eq!(counts(), (live + MANY, cached));
    // Home from another thread, at whose end none is left in its hands.
    let on_their_way = again.len();
    thread::spawn(move || drop(again)).join().expect("frames are intact");
    assert_eq!(counts(), (live + MANY, cached));
    let first = frames(1);
    let (now_live, now_cached) = counts();
    assert_eq!(now_live + now_cached, live + cached + MANY);
    assert!(now_cached > cached && now_cached < cached + on_their_way, "a bounded number has come home");
    drop((first, kept));
    trim();
    assert_eq!(counts(), (live, cached), "pages that are given back take their slots with them");
}

/// Slots of all threads that are on their way home; those of other tests' threads, too.
#[test]
fn what_has_come_home_is_not_on_its_way() {
    if !POOLED {
        return;
    }
    let _alone = alone();
    // Far more than other tests have under way.
    let sent = 100_000;
    let frames: Vec<_> = (0..sent).map(|_| Frame::new(layout(32, 8), Kind::Raw, 1)).collect();
    thread::spawn(move || drop(frames)).join().expect("frames are intact");
    let before = stats();
    assert!(before.remote >= sent, "{before:?}");
    trim();
    let after = stats();
    assert!(after.remote + sent / 2 < before.remote, "{after:?}");
}
