//! Tests with many threads or many frames.

#![expect(unsafe_code, reason = "looks at the words of other threads' slots")]

use std::collections::VecDeque;
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::primitive::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::primitive::sync::{Arc, Mutex, MutexGuard};

#[test]
fn heaps_of_exited_threads_are_adopted() {
    let _alone = alone();
    let before = stats();
    let mut left = Vec::new();
    for n in 0..300 {
        let kept = thread::spawn(move || {
            let mut frames: Vec<_> =
                (0..1000).map(|_| Frame::new(layout(1024, 8), Kind::Task, n as u8)).collect();
            frames.pop()
        });
        left.push(kept.join().expect("the thread allocates"));
    }
    let after = stats();
    // Without adoption: 300 heaps with 16 pages each. Other tests of this process run meanwhile.
    assert!(after.heaps < before.heaps + 100, "{before:?} {after:?}");
    assert!(after.pages < before.pages + 1000, "{before:?} {after:?}");
}

#[test]
fn a_producer_and_a_consumer_run_in_bounded_memory() {
    let _alone = alone();
    const TOTAL: usize = if POOLED { 10_000_000 } else { 100_000 };
    const CHUNK: usize = 1000;
    let before = stats();
    let (send, receive) = mpsc::sync_channel::<Vec<Frame>>(4);
    let consumer = thread::spawn(move || receive.iter().map(|frames| frames.len()).sum::<usize>());
    let mut random = Random(1);
    for _ in 0..TOTAL / CHUNK {
        let chunk =
            (0..CHUNK).map(|n| Frame::new(layout(16 + 16 * random.below(12), 8), Kind::Task, n as u8));
        send.send(chunk.collect()).expect("the consumer runs to the end");
    }
    drop(send);
    assert_eq!(consumer.join().expect("frames are intact"), TOTAL);
    let after = stats();
    // Without reuse: 17,000 pages. Other tests of this process run meanwhile.
    assert!(after.pages < before.pages + 1000, "{before:?} {after:?}");
}

#[test]
fn a_scan_may_run_while_others_allocate_and_free() {
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..3)
        .map(|seed| {
            let stop = stop.clone();
            thread::spawn(move || {
                let mut random = Random(seed);
                let mut frames = VecDeque::new();
                while !stop.load(Ordering::Relaxed) {
                    let size = if random.below(16) == 0 { 6000 } else { random.below(2000) };
                    frames.push_back(Frame::new(layout(size, 8), Kind::Task, seed as u8));
                    if frames.len() > 100 {
                        frames.swap_remove_back(random.below(100));
                    }
                }
            })
        })
        .collect();
    for _ in 0..300 {
        let mut live = 0;
        for_each_task_slot(&mut |slot| {
            // SAFETY: the first word of a `Task` slot is an initialised atomic while the scan runs.
            let word: &AtomicUsize = unsafe { slot.cast().as_ref() };
            // What the task module does: take a reference if there is one, and give it up.
            if word.load(Ordering::Relaxed) == 1
                && word.compare_exchange(1, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            {
                live += 1;
            }
        });
        assert!(live < 1_000_000);
    }
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("frames are intact");
    }
}

#[test]
fn seeded_stress() {
    let _alone = alone();
    const THREADS: usize = 4;
    let steps = if cfg!(debug_assertions) { 30_000 } else { 300_000 };
    let seed = std::env::var("TRESS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(42);
    println!("TRESS_SEED={seed}");
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| mpsc::channel::<Frame>()).unzip();
    let threads: Vec<_> = receivers
        .into_iter()
        .enumerate()
        .map(|(me, inbox)| {
            let senders = senders.clone();
            thread::spawn(move || {
                let mut random = Random(seed + me as u64);
                let mut mine = Vec::new();
                for step in 0..steps {
                    match random.below(8) {
                        0..=3 => {
                            let size =
                                if random.below(64) == 0 { random.below(20_000) } else { random.below(600) };
                            let shifts = if random.below(32) == 0 { 14 } else { 7 };
                            let align = 1 << random.below(shifts);
                            mine.push(Frame::new(layout(size, align), random.kind(), step as u8));
                        }
                        4 | 5 if !mine.is_empty() => drop(mine.swap_remove(random.below(mine.len()))),
                        6 if !mine.is_empty() => {
                            let frame = mine.swap_remove(random.below(mine.len()));
                            // A peer that is done drops it right here.
                            let _ = senders[random.below(THREADS)].send(frame);
                        }
                        _ => mine.extend(inbox.try_iter().skip(random.below(3))),
                    }
                    if random.below(1000) == 0 {
                        flush();
                    }
                }
            })
        })
        .collect();
    drop(senders);
    for thread in threads {
        thread.join().expect("frames are intact");
    }
}

/// Numbers that depend on the seed only (SplitMix64).
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn kind(&mut self) -> Kind {
        if self.below(2) == 0 { Kind::Task } else { Kind::Raw }
    }
}

/// Held by tests that look at process-wide counts, and by those that change them much.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock()
}
