//! Tests of the pool as its users see it.

#![expect(unsafe_code, reason = "uses memory that it allocates")]

mod allocators;
mod counts;
mod give_back;
mod stress;

use std::alloc::Layout;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::ptr::NonNull;
use std::sync::mpsc;
use std::thread;

use super::size_class::{MAX_ALIGN, MAX_BYTES, SizeClass};
use super::*;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering};

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

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a small power of two")
}

/// Allocates until every one of these slots has come out again. What came home is handed out before new memory is, but
/// an adopted heap may hold slots of other tests.
fn assert_reused(layout: Layout, kind: Kind, mut awaited: HashSet<NonNull<u8>>) {
    let mut frames = Vec::new();
    while !awaited.is_empty() {
        assert!(frames.len() < 20_000, "{} slots are lost", awaited.len());
        let frame = Frame::new(layout, kind, 1);
        awaited.remove(&frame.ptr);
        frames.push(frame);
    }
}

/// Splits off a frame of each page, which keep the pages from being retired.
fn one_of_each_page(frames: Vec<Frame>) -> (Vec<Frame>, Vec<Frame>) {
    let mut pages = HashSet::new();
    frames.into_iter().partition(|frame| pages.insert(frame.ptr.addr().get() / page::PAGE_BYTES))
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
        for shift in 0..=MAX_ALIGN.ilog2() {
            let Some(class) = SizeClass::of(layout(size, 1 << shift)) else {
                panic!("{size} at {shift} is small enough for a class");
            };
            assert!(class.slot_bytes() >= size);
            assert!(class.alignment() >= 1 << shift);
            // The smallest class that fits.
            let below = class.index().checked_sub(1).map_or(0, |index| bytes[index]);
            assert!(below < size.max(1) || below % (1 << shift) != 0, "{size} at {shift} in {class:?}");
        }
    }
    assert_eq!(SizeClass::of(layout(MAX_BYTES + 1, 1)), None);
    assert_eq!(SizeClass::of(layout(1, 2 * MAX_ALIGN)), None);
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
    assert_eq!(alloc(layout(121, 8), Kind::Raw), second);
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
    let frames = (0..1000).map(|n| Frame::new(layout(3000, 8), Kind::Task, n as u8)).collect();
    let (kept, frames) = one_of_each_page(frames);
    let before: HashSet<_> = frames.iter().map(|frame| frame.ptr).collect();
    // The thread's exit flushes what is left in its batch.
    thread::spawn(move || drop(frames)).join().expect("frames are intact");
    assert_reused(layout(3000, 8), Kind::Task, before);
    drop(kept);
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
    assert_reused(layout(2500, 8), Kind::Raw, HashSet::from([ptr]));
    drop(end);
    thread.join().expect("the thread frees a frame");
}

#[test]
fn a_late_remote_free_goes_straight_home() {
    if !POOLED {
        return;
    }
    thread_local! {
        static BEFORE: Cell<Option<Frame>> = const { Cell::new(None) };
        static AFTER: Cell<Option<Frame>> = const { Cell::new(None) };
    }
    let frames = [(); 3].map(|()| Frame::new(layout(3500, 8), Kind::Raw, 1));
    let ptrs: HashSet<_> = frames.iter().map(|frame| frame.ptr).collect();
    thread::spawn(|| {
        let [before, now, after] = frames;
        // One of these is destroyed after the pool's own exit, whatever the order is.
        BEFORE.set(Some(before));
        drop(now);
        AFTER.set(Some(after));
    })
    .join()
    .expect("the thread frees frames");
    assert_reused(layout(3500, 8), Kind::Raw, ptrs);
}

#[test]
fn a_burst_is_reused() {
    if !POOLED {
        return;
    }
    // More than the warm chain takes, and less than what is set aside before slots return to their pages.
    let burst: Vec<_> = (0..50).map(|_| Frame::new(layout(3300, 8), Kind::Raw, 1)).collect();
    let ptrs = burst.iter().map(|frame| frame.ptr).collect();
    drop(burst);
    assert_reused(layout(3300, 8), Kind::Raw, ptrs);
}

#[test]
fn what_returned_to_its_page_is_reused() {
    if !POOLED {
        return;
    }
    let burst: Vec<_> = (0..2000).map(|_| Frame::new(layout(3300, 8), Kind::Raw, 1)).collect();
    let (kept, burst) = one_of_each_page(burst);
    let ptrs = burst.iter().map(|frame| frame.ptr).collect();
    drop(burst);
    assert_reused(layout(3300, 8), Kind::Raw, ptrs);
    drop(kept);
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
