use std::collections::BTreeMap;

use super::*;
use crate::time::tests::{CountWakes, Random};

/// Declared before its wheel: a wheel that is dropped first, as when a test fails, lets go of its entries.
type Boxed = Pin<Box<Entry>>;

fn entry() -> Boxed {
    Box::pin(Entry::new())
}

/// Fires everything that is due and returns how much that was.
fn expire(wheel: &mut Wheel, now_tick: u64) -> usize {
    let mut fired = 0;
    loop {
        let mut batch = Batch::new();
        let progress = wheel.expire(now_tick, &mut batch);
        fired += batch.wake_all();
        if progress == Progress::Done {
            return fired;
        }
    }
}

/// A distance with a random magnitude: most are near, some are beyond every level.
fn distance(random: &mut Random) -> u64 {
    let bits = random.below(52);
    random.below((1 << bits) + 1)
}

/// The wheel against a sorted map: what fires, and how well `next_tick` knows it.
fn compare_with_a_map(seed: u64, operations: usize) {
    let mut random = Random::new(seed);
    let mut model: BTreeMap<(u64, u64), Boxed> = BTreeMap::new();
    let mut wheel = Wheel::new();
    let (mut now_tick, mut next_id) = (0_u64, 0);
    for _ in 0..operations {
        match random.below(8) {
            0..=3 => {
                let due_tick = (now_tick + distance(&mut random)).min(LAST_TICK);
                let mut entry = entry();
                // A late reading of the clock, or none.
                let hint = [now_tick, now_tick / 2, 0][random.below(3) as usize];
                wheel.insert(entry.as_mut(), due_tick, hint, Waker::noop().clone());
                model.insert((due_tick, next_id), entry);
                next_id += 1;
            }
            4 if !model.is_empty() => {
                let nth = random.below(model.len().min(50) as u64) as usize;
                let key = *model.keys().nth(nth).expect("it is in range");
                let mut entry = model.remove(&key).expect("it is there");
                assert!(wheel.remove(entry.as_mut()).is_some());
                assert_eq!(entry.state(), State::Idle);
                assert!(wheel.remove(entry.as_mut()).is_none());
            }
            5 => {
                // To the next tick exactly, as a worker does; nothing is due before.
                if let Some(next_tick) = wheel.next_tick().filter(|&tick| tick > now_tick) {
                    assert_eq!(expire(&mut wheel, next_tick - 1), 0);
                    now_tick = next_tick;
                }
            }
            _ => now_tick = (now_tick + distance(&mut random).min(1 << random.below(44))).min(LAST_TICK),
        }
        let earliest = model.first_key_value().map(|(key, _)| key.0);
        match (wheel.next_tick(), earliest) {
            (Some(next_tick), Some(earliest)) => assert!(next_tick <= earliest.max(wheel.elapsed)),
            (next_tick, earliest) => assert_eq!(next_tick, earliest),
        }
        if random.below(3) == 0 {
            let later = model.split_off(&(now_tick + 1, 0));
            let due = std::mem::replace(&mut model, later);
            assert_eq!(expire(&mut wheel, now_tick), due.len());
            assert!(due.values().all(|entry| entry.state() == State::Fired));
        }
    }
    assert!(model.values().all(|entry| entry.state() == State::Linked));
    assert_eq!(expire(&mut wheel, LAST_TICK), model.len());
    assert_eq!(wheel.next_tick(), None);
}

#[test]
fn fires_what_a_sorted_map_would() {
    for seed in 0..4 {
        compare_with_a_map(seed, 100_000);
    }
}

#[test]
fn next_tick_is_exact_without_cancellations() {
    let mut random = Random::new(11);
    let mut entries = BTreeMap::new();
    let mut wheel = Wheel::new();
    for id in 0..2_000 {
        let due_tick = distance(&mut random).min(LAST_TICK);
        let mut entry = entry();
        wheel.insert(entry.as_mut(), due_tick, 0, Waker::noop().clone());
        entries.insert((due_tick, id), entry);
    }
    while let Some(next_tick) = wheel.next_tick() {
        assert_eq!(Some(next_tick), entries.first_key_value().map(|(key, _)| key.0));
        let later = entries.split_off(&(next_tick + 1, 0));
        assert_eq!(expire(&mut wheel, next_tick), entries.len());
        entries = later;
    }
    assert!(entries.is_empty());
}

#[test]
fn equal_ticks_fire_in_the_order_of_their_registration() {
    let mut wheel = Wheel::new();
    let mut entries: Vec<Boxed> = (0..40).map(|_| entry()).collect();
    for entry in &mut entries {
        wheel.insert(entry.as_mut(), 5000, 0, Waker::noop().clone());
    }
    let mut batch = Batch::new();
    assert_eq!(wheel.expire(5000, &mut batch), Progress::More);
    let fired = batch.wake_all();
    let (first, rest) = entries.split_at(fired);
    assert!(first.iter().all(|entry| entry.state() == State::Fired));
    assert!(rest.iter().all(|entry| entry.state() == State::Linked));
    assert_eq!(expire(&mut wheel, 5000), 40 - fired);
}

/// While a big slot is being emptied, others get the lock: what they do then must be right as well.
#[test]
fn a_cascade_may_be_interrupted_by_anything() {
    const COUNT: usize = 4 * MOVES_PER_TURN;
    let mut random = Random::new(5);
    let mut wheel = Wheel::new();
    let mut entries: Vec<(u64, Boxed)> = (0..COUNT)
        .map(|_| {
            let due_tick = 1 << 18 | random.below(1 << 12);
            let mut entry = entry();
            wheel.insert(entry.as_mut(), due_tick, 0, Waker::noop().clone());
            (due_tick, entry)
        })
        .collect();
    let now_tick = (1 << 18) + 10;
    let mut turns = 0;
    let mut fired = 0;
    loop {
        let mut batch = Batch::new();
        let progress = wheel.expire(now_tick, &mut batch);
        fired += batch.wake_all();
        if progress == Progress::Done {
            break;
        }
        turns += 1;
        assert!(wheel.next_tick().is_some_and(|tick| tick <= now_tick), "nobody sleeps now");
        let victim = random.below(entries.len() as u64) as usize;
        let (_, mut gone) = entries.swap_remove(victim);
        fired -= usize::from(gone.state() == State::Fired);
        drop(wheel.remove(gone.as_mut()));
        let mut entry = entry();
        let due_tick = now_tick - 5 + random.below(1 << 13);
        wheel.insert(entry.as_mut(), due_tick, now_tick, Waker::noop().clone());
        entries.push((due_tick, entry));
    }
    assert!(turns >= 3);
    let due = entries.iter().filter(|(due_tick, _)| *due_tick <= now_tick).count();
    assert_eq!(fired, due);
    assert_eq!(expire(&mut wheel, 1 << 20), entries.len() - due);
}

#[test]
fn closing_ends_every_entry_without_firing_it() {
    let mut wheel = Wheel::new();
    let (wakes, waker) = CountWakes::new();
    let mut entries: Vec<Boxed> = (0..100).map(|_| entry()).collect();
    for (i, entry) in entries.iter_mut().enumerate() {
        wheel.insert(entry.as_mut(), 1 << (i % 45), 0, waker.clone());
    }
    loop {
        let mut batch = Batch::new();
        let progress = wheel.close(&mut batch);
        batch.wake_all();
        if progress == Progress::Done {
            break;
        }
    }
    assert_eq!(wakes.count(), 100);
    assert!(entries.iter().all(|entry| entry.state() == State::Closed));
    assert_eq!(wheel.next_tick(), None);
}

#[test]
fn a_dropped_wheel_lets_go_of_its_entries() {
    let mut wheel = Wheel::new();
    let (wakes, waker) = CountWakes::new();
    let mut entry = entry();
    wheel.insert(entry.as_mut(), 7, 0, waker);
    drop(wheel);
    assert_eq!(entry.state(), State::Closed);
    assert_eq!(wakes.count(), 1);
}

#[test]
#[should_panic(expected = "another wheel")]
fn an_entry_is_removed_from_its_own_wheel_only() {
    let mut entry = entry();
    let (mut wheel, mut other) = (Wheel::new(), Wheel::new());
    wheel.insert(entry.as_mut(), 7, 0, Waker::noop().clone());
    let removed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| other.remove(entry.as_mut())));
    drop(wheel.remove(entry.as_mut()));
    std::panic::resume_unwind(removed.expect_err("it is elsewhere"));
}

#[test]
fn a_panic_in_a_waker_costs_nobody_else_their_wake() {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: crate::primitive::sync::Arc<Self>) {
            panic!("a waker of a test panics");
        }
    }
    let (wakes, waker) = CountWakes::new();
    let mut batch = Batch::new();
    batch.push(waker.clone());
    batch.push(Waker::from(crate::primitive::sync::Arc::new(Panics)));
    batch.push(Waker::from(crate::primitive::sync::Arc::new(Panics)));
    batch.push(waker);
    assert_eq!(batch.wake_all(), 4);
    assert_eq!(wakes.count(), 2);
}
