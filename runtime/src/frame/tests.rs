//! Tests of the pool as its users see it.

#![expect(unsafe_code, reason = "uses memory that it allocates")]

use std::alloc::Layout;
use std::cell::Cell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ptr::NonNull;
use std::sync::mpsc;
use std::thread;

use super::size_class::{MAX_BYTES, SizeClass};
use super::*;
use crate::primitive::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::primitive::sync::{Arc, Mutex, MutexGuard};

/// A slot that is filled with a pattern while it is live, so that two users of one byte show.
#[derive(Debug)]
struct Frame {
    ptr: NonNull<u8>,
    layout: Layout,
    kind: Kind,
    pattern: u8,
}

// SAFETY: a frame is the only user of its slot.
unsafe impl Send for Frame {}

impl Frame {
    fn new(layout: Layout, kind: Kind, pattern: u8) -> Self {
        let ptr = alloc(layout, kind);
        assert_eq!(ptr.addr().get() % layout.align(), 0, "{layout:?}");
        let frame = Self { ptr, layout, kind, pattern };
        if kind == Kind::Task {
            assert_eq!(frame.word().load(Ordering::Relaxed), 0);
        }
        let (start, len) = frame.payload();
        // SAFETY: the payload is inside the slot.
        unsafe { start.write_bytes(pattern, len) };
        if kind == Kind::Task {
            frame.word().store(1, Ordering::Release);
        }
        frame
    }

    fn word(&self) -> &AtomicUsize {
        // SAFETY: the first word of a `Task` slot is an initialised atomic.
        unsafe { self.ptr.cast().as_ref() }
    }

    /// The bytes behind the state word, or all.
    fn payload(&self) -> (NonNull<u8>, usize) {
        let skip = if self.kind == Kind::Task { size_of::<usize>() } else { 0 };
        // SAFETY: every slot has more than a word.
        (unsafe { self.ptr.add(skip) }, self.layout.size().saturating_sub(skip))
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let (start, len) = self.payload();
        // SAFETY: the payload was written and is this frame's.
        let bytes = unsafe { std::slice::from_raw_parts(start.as_ptr(), len) };
        assert!(bytes.iter().all(|byte| *byte == self.pattern), "somebody else wrote to {self:?}");
        if self.kind == Kind::Task {
            self.word().store(0, Ordering::Release);
        }
        // SAFETY: it came from `alloc` with the same layout and kind, and is freed once.
        unsafe { free(self.ptr, self.layout, self.kind) };
    }
}

/// Numbers that depend on the seed only (SplitMix64).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn kind(&mut self) -> Kind {
        if self.below(2) == 0 { Kind::Task } else { Kind::Raw }
    }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a small power of two")
}

/// Held by tests that look at process-wide counts.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock()
}

/// Whether frames come from pages in this build.
const POOLED: bool = cfg!(not(tress_sanitize));

#[test]
fn classes_fit_and_honour_alignment() {
    if !POOLED {
        return;
    }
    let bytes: Vec<_> =
        (0..SizeClass::COUNT).map(|index| SizeClass::from_index(index).slot_bytes()).collect();
    assert!(bytes.is_sorted());
    assert_eq!(bytes.last(), Some(&MAX_BYTES));
    for size in 0..=MAX_BYTES {
        for shift in 0..=12 {
            let class = SizeClass::of(layout(size, 1 << shift)).expect("small enough for a class");
            assert!(class.slot_bytes() >= size);
            assert!(class.alignment() >= 1 << shift);
            if shift <= 4 {
                // The smallest class that fits.
                let below = class.index().checked_sub(1).map_or(0, |index| bytes[index]);
                assert!(below < size.max(1), "{size} in {class:?}");
            }
        }
    }
    assert_eq!(SizeClass::of(layout(MAX_BYTES + 1, 1)), None);
    assert_eq!(SizeClass::of(layout(1, 2 * MAX_BYTES)), None);
}

#[test]
fn every_size_and_alignment_is_usable() {
    for kind in [Kind::Task, Kind::Raw] {
        for shift in 0..=13 {
            let sizes =
                [0, 1, 7, 8, 16, 17, 100, 128, 129, 144, 500, 513, 1000, 4095, 4096, 4097, 10_000, 1 << 20];
            let frames: Vec<_> = sizes
                .iter()
                .flat_map(|size| {
                    (0..3).map(|n| Frame::new(layout(*size, 1 << shift), kind, shift as u8 * 3 + n))
                })
                .collect();
            let distinct: HashSet<_> = frames.iter().map(|frame| frame.ptr).collect();
            assert_eq!(distinct.len(), frames.len());
        }
    }
}

#[test]
fn the_slot_freed_last_is_reused_first() {
    if !POOLED {
        return;
    }
    let first = alloc(layout(128, 8), Kind::Raw);
    let second = alloc(layout(128, 8), Kind::Raw);
    for ptr in [first, second] {
        // SAFETY: it came from `alloc` with the same layout and kind, and is freed once.
        unsafe { free(ptr, layout(128, 8), Kind::Raw) };
    }
    assert_eq!(alloc(layout(120, 8), Kind::Raw), second);
    assert_eq!(alloc(layout(113, 16), Kind::Raw), first);
    for ptr in [first, second] {
        // SAFETY: as above.
        unsafe { free(ptr, layout(128, 8), Kind::Raw) };
    }
}

#[test]
fn kinds_share_no_page() {
    if !POOLED {
        return;
    }
    let page = |frame: &Frame| frame.ptr.addr().get() / page::PAGE_BYTES;
    let frames = |kind| (0..100).map(|_| Frame::new(layout(64, 8), kind, 1)).collect::<Vec<_>>();
    let (tasks, raws) = (frames(Kind::Task), frames(Kind::Raw));
    let tasks: HashSet<_> = tasks.iter().map(page).collect();
    assert!(raws.iter().all(|raw| !tasks.contains(&page(raw))));
}

#[test]
fn remote_frees_come_home() {
    if !POOLED {
        return;
    }
    let frames: Vec<_> = (0..1000).map(|n| Frame::new(layout(3000, 8), Kind::Task, n as u8)).collect();
    let before: HashSet<_> = frames.iter().map(|frame| frame.ptr).collect();
    // The thread's exit flushes what is left in its batch.
    thread::spawn(move || drop(frames)).join().expect("frames are intact");
    let after: Vec<_> = (0..1000).map(|n| Frame::new(layout(3000, 8), Kind::Task, n as u8)).collect();
    assert_eq!(after.iter().filter(|frame| before.contains(&frame.ptr)).count(), 1000);
}

#[test]
fn flush_sends_a_batch_home() {
    if !POOLED {
        return;
    }
    let frame = Frame::new(layout(2500, 8), Kind::Raw, 1);
    let ptr = frame.ptr;
    let (freed, wait) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        drop(frame);
        flush();
        freed.send(()).expect("the test waits");
        ended.recv().expect_err("the test only hangs up");
    });
    wait.recv().expect("the thread sends");
    assert_eq!(Frame::new(layout(2500, 8), Kind::Raw, 1).ptr, ptr);
    drop(end);
    thread.join().expect("the thread frees a frame");
}

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
    assert!(after.heaps - before.heaps < 100, "{before:?} {after:?}");
    assert!(after.pages - before.pages < 1000, "{before:?} {after:?}");
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
    assert!(after.pages - before.pages < 1000, "{before:?} {after:?}");
}

#[test]
fn a_scan_sees_every_live_task_slot() {
    let sizes = [0, 24, 130, 1000, 4096, 5000, 100_000];
    let tasks: Vec<_> =
        (0..500).map(|n| Frame::new(layout(sizes[n % sizes.len()], 8), Kind::Task, 1)).collect();
    let raw = Frame::new(layout(64, 8), Kind::Raw, 1);
    let mut seen = HashMap::new();
    for_each_task_slot(&mut |slot| *seen.entry(slot).or_insert(0) += 1);
    assert!(tasks.iter().all(|task| seen.contains_key(&task.ptr)));
    assert!(!seen.contains_key(&raw.ptr));
    assert!(seen.values().all(|times| *times == 1));
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
fn a_thread_may_allocate_and_free_while_it_exits() {
    /// Uses the pool in its destructor, whatever has been destroyed before.
    #[derive(Default)]
    struct Late(Cell<Option<Frame>>, Cell<Option<mpsc::Sender<Frame>>>);
    impl Drop for Late {
        fn drop(&mut self) {
            let task = Frame::new(layout(100, 8), Kind::Task, 7);
            drop(Frame::new(layout(100, 8), Kind::Raw, 8));
            drop(self.0.take());
            flush();
            if let Some(sender) = self.1.take() {
                sender.send(task).expect("the test receives");
            }
        }
    }
    thread_local! {
        static BEFORE: Late = Late::default();
        static AFTER: Late = Late::default();
    }
    let (send, receive) = mpsc::channel();
    for pool_first in [true, false] {
        let send = send.clone();
        let foreign = Frame::new(layout(200, 8), Kind::Task, 9);
        let thread = thread::spawn(move || {
            // Destructors run in the reverse order of first use, or in that order: cover both.
            BEFORE.with(|late| late.1.set(Some(send.clone())));
            if pool_first {
                BEFORE.with(|late| late.0.set(Some(Frame::new(layout(50, 8), Kind::Task, 1))));
            }
            AFTER.with(|late| {
                late.0.set(Some(foreign));
                late.1.set(Some(send));
            });
        });
        thread.join().expect("the pool works to the end");
    }
    drop(send);
    assert_eq!(receive.iter().count(), 4);
}

#[test]
fn seeded_stress() {
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
