//! Tests that memory does not stay with who does not need it.

use std::thread;
use std::time::{Duration, Instant};

use super::stress::alone;
use super::*;

/// Frames of some 30 MiB.
fn burst() -> Vec<Frame> {
    (0..50_000).map(|n| Frame::new(layout(600, 8), Kind::Task, n as u8)).collect()
}

/// In an order in which no page is freed as a whole.
fn scattered(mut frames: Vec<Frame>) -> Vec<Frame> {
    let mut random = stress::Random(1);
    for end in (1..frames.len()).rev() {
        frames.swap(end, random.below(end + 1));
    }
    frames
}

/// The slots of a class that pages have room for, in use or not: they are gone when the page is.
fn slots(stats: &Stats, size: usize) -> usize {
    let class = stats.classes().iter().find(|class| class.slot_bytes >= size).expect("there is such a class");
    class.live + class.cached
}

#[test]
fn a_burst_gives_its_pages_back() {
    if !POOLED {
        return;
    }
    let _alone = alone();
    let frames = scattered(burst());
    assert!(slots(&stats(), 600) >= 50_000);
    drop(frames);
    // What a resting worker does; other tests of this process run meanwhile.
    flush();
    let after = stats();
    assert!(slots(&after, 600) < 10_000, "{after:?}");
    trim();
    assert!(stats().spare_pages <= segment::RESIDENT_LIMIT, "{:?}", stats());
}

/// Nobody has to ask: whoever rests gives the surplus back, when it has been one for a while.
#[test]
fn a_surplus_goes_back_after_a_while() {
    if !POOLED {
        return;
    }
    let _alone = alone();
    drop(scattered(burst()));
    flush();
    assert!(stats().spare_pages > segment::RESIDENT_LIMIT, "{:?}", stats());
    let patience = Instant::now() + Duration::from_secs(30);
    while let Some(due_in) = rest() {
        assert!(Instant::now() < patience, "{:?}", stats());
        thread::sleep(due_in);
    }
    assert!(stats().spare_pages <= segment::RESIDENT_LIMIT, "{:?}", stats());
}

#[test]
fn a_retired_page_is_no_place_of_tasks() {
    if !POOLED {
        return;
    }
    let _alone = alone();
    let kept: Vec<_> = (0..100).map(|_| Frame::new(layout(400, 8), Kind::Task, 1)).collect();
    drop(scattered(burst()));
    flush();
    // Of the memory of some of the pages.
    let raw: Vec<_> = (0..5000).map(|_| Frame::new(layout(600, 8), Kind::Raw, 1)).collect();
    let mut seen = HashSet::new();
    for_each_task_slot(&mut |slot| {
        seen.insert(slot);
    });
    assert!(kept.iter().all(|task| seen.contains(&task.ptr)));
    assert!(!raw.iter().any(|raw| seen.contains(&raw.ptr)));
}

#[test]
fn an_exiting_thread_gives_its_pages_back() {
    if !POOLED {
        return;
    }
    let _alone = alone();
    for _ in 0..5 {
        // Few enough to stay in its bins.
        thread::spawn(|| {
            drop((0..60).map(|_| Frame::new(layout(3800, 8), Kind::Raw, 1)).collect::<Vec<_>>())
        })
        .join()
        .expect("frames are intact");
    }
    let after = stats();
    assert!(slots(&after, 3800) < 30, "{after:?}");
}

#[test]
fn frames_that_come_home_to_a_resting_thread_give_their_pages_back() {
    if !POOLED {
        return;
    }
    let _alone = alone();
    let frames = scattered(burst());
    thread::spawn(move || drop(frames)).join().expect("frames are intact");
    assert!(stats().remote >= 40_000);
    // Each rest looks at a bounded number of them.
    for _ in 0..10 {
        flush();
    }
    let after = stats();
    assert!(slots(&after, 600) < 10_000, "{after:?}");
}

#[test]
fn a_trimmed_thread_keeps_nothing() {
    if !POOLED {
        return;
    }
    let _alone = alone();
    thread::spawn(|| {
        let frames: Vec<_> = (0..1000).map(|_| Frame::new(layout(3700, 8), Kind::Raw, 1)).collect();
        assert!(slots(&stats(), 3700) >= 1000);
        drop(frames);
        trim();
        let after = stats();
        assert!(slots(&after, 3700) < 100, "{after:?}");
        // The memory is as good as before.
        drop((0..1000).map(|n| Frame::new(layout(3700, 8), Kind::Task, n as u8)).collect::<Vec<_>>());
    })
    .join()
    .expect("frames are intact");
}

#[test]
fn a_scan_keeps_pages_and_loses_none() {
    if !POOLED {
        return;
    }
    let _alone = alone();
    for _ in 0..20 {
        let frames = scattered(burst());
        thread::scope(|scope| {
            let scans = scope.spawn(|| {
                for _ in 0..10 {
                    let mut taken = 0;
                    for_each_task_slot(&mut |slot| {
                        #[expect(unsafe_code, reason = "looks at the words of other threads' slots")]
                        // SAFETY: the first word of a `Task` slot is an initialised atomic while the scan runs.
                        let word: &AtomicUsize = unsafe { slot.cast().as_ref() };
                        taken += usize::from(word.load(Ordering::Relaxed) == 1);
                    });
                    assert!(taken < 1_000_000);
                }
            });
            drop(frames);
            flush();
            scans.join().expect("every word can be read");
        });
        if cfg!(debug_assertions) {
            break;
        }
    }
    trim();
}
