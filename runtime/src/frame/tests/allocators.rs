//! Tests of frames from other allocators than the pool.

#![expect(unsafe_code, reason = "implements allocators, and uses memory that it allocates")]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::*;
use crate::primitive::sync::PlainArc;
use crate::primitive::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A frame of whichever allocator is current, filled with a pattern.
#[derive(Debug)]
struct Scoped {
    ptr: NonNull<u8>,
    layout: Layout,
    kind: Kind,
    origin: Origin,
}

// SAFETY: a frame is the only user of its memory.
unsafe impl Send for Scoped {}

impl Scoped {
    fn new(layout: Layout, kind: Kind) -> Result<Self, AllocError> {
        let (ptr, origin) = alloc_scoped(layout, kind)?;
        assert_eq!(ptr.addr().get() % layout.align(), 0, "{layout:?}");
        let frame = Self { ptr, layout, kind, origin };
        if kind == Kind::Task {
            assert_eq!(frame.word().load(Ordering::Relaxed), 0);
        }
        // SAFETY: the bytes behind the word are inside the frame.
        unsafe { frame.payload().write_bytes(0xa5, layout.size().saturating_sub(WORD)) };
        if kind == Kind::Task {
            frame.word().store(1, Ordering::Release);
        }
        Ok(frame)
    }

    fn word(&self) -> &AtomicUsize {
        // SAFETY: the first word of a task's frame is an initialised atomic.
        unsafe { self.ptr.cast().as_ref() }
    }

    fn payload(&self) -> NonNull<u8> {
        // SAFETY: every frame has a word.
        unsafe { self.ptr.add(WORD) }
    }

    /// Who made it, held as whoever polls a frame does.
    fn held_maker(&self) -> Maker {
        // SAFETY: it came from `alloc_scoped` and is not freed yet.
        unsafe { allocator_of(self.ptr, self.layout, self.origin) }
    }

    fn maker(&self) -> Option<AllocatorRef> {
        self.held_maker().get().cloned()
    }
}

impl Drop for Scoped {
    fn drop(&mut self) {
        for index in 0..self.layout.size().saturating_sub(WORD) {
            // SAFETY: the payload was written and is this frame's.
            let byte = unsafe { self.payload().add(index) };
            // SAFETY: as above.
            assert_eq!(unsafe { byte.read() }, 0xa5);
        }
        if self.kind == Kind::Task {
            self.word().store(0, Ordering::Release);
        }
        // SAFETY: it came from `alloc_scoped` with the same layout, kind and origin, and is freed once.
        unsafe { free_from(self.ptr, self.layout, self.kind, self.origin) };
    }
}

const WORD: usize = size_of::<usize>();

#[test]
fn every_layout_works_from_every_allocator() {
    let arena = || PlainArc::new(Arena::new(32 << 20).expect("there is memory"));
    let allocators: [AllocatorRef; 4] =
        [Pool.into(), (&Global).into(), arena().into(), PlainArc::new(Counting::new(Pool)).into()];
    for allocator in allocators {
        with_allocator(allocator.clone(), || {
            for kind in [Kind::Task, Kind::Raw] {
                for size in [0, 1, 16, 100, 4096, 10_000, 1 << 20] {
                    for align in [1, 8, 64, 128, 4096, 8192] {
                        let frame = Scoped::new(layout(size, align), kind).expect("there is memory");
                        assert_eq!(frame.maker().is_none(), allocator.is_pool());
                    }
                }
            }
        });
    }
}

#[test]
fn a_scan_sees_foreign_tasks() {
    let tasks: Vec<_> = with_allocator(&Global, || {
        (0..100).map(|_| Scoped::new(layout(200, 8), Kind::Task).expect("there is memory")).collect()
    });
    let mut seen = HashSet::new();
    for_each_task_slot(&mut |slot| {
        seen.insert(slot);
    });
    assert!(tasks.iter().all(|task| seen.contains(&task.ptr)));
    // What is freed leaves the list: a scan would read memory that is gone.
    drop(tasks);
    for_each_task_slot(&mut |slot| {
        // SAFETY: the first word of a task's slot is an initialised atomic while the scan runs.
        let word: &AtomicUsize = unsafe { slot.cast().as_ref() };
        word.load(Ordering::Relaxed);
    });
}

/// Says when it is dropped.
struct Watched(PlainArc<AtomicBool>);

// SAFETY: the memory is that of `Global`.
unsafe impl FrameAllocator for Watched {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        assert!(!self.0.load(Ordering::Relaxed), "the allocator is gone");
        // SAFETY: the caller's promise.
        unsafe { Global.deallocate(ptr, layout) };
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn an_allocator_lives_as_long_as_its_frames() {
    let is_gone = PlainArc::new(AtomicBool::new(false));
    let allocator = PlainArc::new(Watched(is_gone.clone()));
    let frames: Vec<_> = with_allocator(allocator, || {
        [Kind::Task, Kind::Raw].map(|kind| Scoped::new(layout(100, 8), kind).expect("there is memory")).into()
    });
    assert!(!is_gone.load(Ordering::Relaxed));
    // On another thread, and the last frame takes the allocator with it.
    thread::spawn(move || drop(frames)).join().expect("frames are intact");
    assert!(is_gone.load(Ordering::Relaxed));
}

/// Panics where it is told to.
#[derive(Default)]
struct Unreliable {
    in_allocate: AtomicBool,
    in_deallocate: AtomicBool,
    freed: AtomicUsize,
}

// SAFETY: the memory is that of `Global`; a panic keeps none.
unsafe impl FrameAllocator for Unreliable {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        assert!(!self.in_allocate.load(Ordering::Relaxed), "told to");
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { Global.deallocate(ptr, layout) };
        self.freed.fetch_add(1, Ordering::Relaxed);
        assert!(!self.in_deallocate.load(Ordering::Relaxed), "told to");
    }
}

impl Drop for Unreliable {
    fn drop(&mut self) {
        assert!(!self.in_deallocate.load(Ordering::Relaxed), "told to");
    }
}

#[test]
fn a_panicking_allocator_breaks_nothing() {
    let allocator = PlainArc::new(Unreliable::default());
    let make = |kind| with_allocator(allocator.clone(), || Scoped::new(layout(100, 8), kind));
    let frames = [Kind::Task, Kind::Raw].map(|kind| make(kind).expect("there is memory"));
    allocator.in_allocate.store(true, Ordering::Relaxed);
    catch_unwind(AssertUnwindSafe(|| make(Kind::Task))).expect_err("the allocator panics");
    // The window is closed.
    assert_eq!(Scoped::new(layout(100, 8), Kind::Raw).expect("there is memory").origin, Origin::Pool);
    allocator.in_deallocate.store(true, Ordering::Relaxed);
    drop(frames);
    assert_eq!(allocator.freed.load(Ordering::Relaxed), 2);
    // The drop of the allocator itself, in the last free.
    allocator.in_allocate.store(false, Ordering::Relaxed);
    let last = make(Kind::Task).expect("there is memory");
    drop(allocator);
    drop(last);
}

/// Who polls a frame holds its allocator for as long, and may be the last to do so.
#[test]
fn a_panicking_allocator_goes_with_whoever_holds_it() {
    let allocator = PlainArc::new(Unreliable::default());
    let frame = with_allocator(allocator.clone(), || Scoped::new(layout(100, 8), Kind::Raw))
        .expect("there is memory");
    let held = frame.held_maker();
    drop(frame);
    assert_eq!(allocator.freed.load(Ordering::Relaxed), 1);
    allocator.in_deallocate.store(true, Ordering::Relaxed);
    drop(allocator);
    drop(held);
}

/// Makes a frame each time that it is asked for one.
struct Nested;

// SAFETY: the memory is that of `Global`.
unsafe impl FrameAllocator for Nested {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        drop(Box::new(7));
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        drop(Box::new(7));
        // SAFETY: the caller's promise.
        unsafe { Global.deallocate(ptr, layout) };
    }
}

#[test]
fn an_allocator_may_use_frames_itself() {
    with_allocator(&Nested, || drop(Scoped::new(layout(100, 8), Kind::Task).expect("there is memory")));
}

#[test]
fn windows_nest_and_close() {
    let outer = PlainArc::new(Counting::new(Pool));
    let inner = PlainArc::new(Counting::new(Pool));
    let counts = || (outer.allocated(), inner.allocated());
    let make = || drop(Scoped::new(layout(10, 1), Kind::Raw).expect("there is memory"));
    with_allocator(outer.clone(), || {
        make();
        with_allocator(inner.clone(), make);
        assert_eq!(counts(), (1, 1));
        with_allocator(Pool, make);
        catch_unwind(AssertUnwindSafe(|| with_allocator(inner.clone(), || panic!("on purpose"))))
            .expect_err("it panics");
        make();
        // A window is the thread's.
        thread::scope(|scope| scope.spawn(make).join().expect("there is memory"));
        assert_eq!(counts(), (2, 1));
    });
    make();
    assert_eq!(counts(), (2, 1));
    assert_eq!((outer.live(), inner.live()), (0, 0));
}

#[test]
fn a_frame_opens_its_makers_window() {
    let counting = PlainArc::new(Counting::new(Pool));
    let frame =
        with_allocator(counting.clone(), || Scoped::new(layout(10, 1), Kind::Task)).expect("there is memory");
    let pooled = Scoped::new(layout(10, 1), Kind::Task).expect("there is memory");
    let make = || drop(Scoped::new(layout(10, 1), Kind::Raw).expect("there is memory"));
    {
        // SAFETY: the frame outlives the guard, which is dropped here, before any other.
        let _window = unsafe { enter_maker(frame.ptr, frame.layout, frame.origin) };
        make();
        assert_eq!(counting.allocated(), 2);
        // SAFETY: as above.
        let _window = unsafe { enter_maker(pooled.ptr, pooled.layout, pooled.origin) };
        make();
        assert_eq!(counting.allocated(), 2);
    }
    make();
    assert_eq!(counting.allocated(), 2);
}

#[test]
fn an_arena_is_bounded_and_comes_free() {
    let arena = PlainArc::new(Arena::new(4096).expect("there is memory"));
    with_allocator(arena.clone(), || {
        for _ in 0..3 {
            let mut frames = Vec::new();
            while let Ok(frame) = Scoped::new(layout(100, 8), Kind::Task) {
                frames.push(frame);
            }
            assert!((10..=40).contains(&frames.len()), "{} frames", frames.len());
            // Last in, first out: room for one more each time.
            frames.pop();
            frames.push(Scoped::new(layout(100, 8), Kind::Task).expect("there is room"));
            thread::spawn(move || drop(frames)).join().expect("frames are intact");
            assert_eq!(arena.used_bytes(), 0);
        }
        assert_eq!(Scoped::new(layout(5000, 8), Kind::Raw).map(drop), Err(AllocError));
        assert_eq!(Scoped::new(layout(1, 8192), Kind::Raw).map(drop), Err(AllocError));
    });
    assert_eq!(Arena::new(usize::MAX).map(drop), Err(AllocError));
}

#[test]
fn a_thread_local_destructor_may_free_foreign_frames() {
    thread_local! {
        static KEPT: Cell<Option<(Scoped, Box<u64>)>> = const { Cell::new(None) };
    }
    let counting = PlainArc::new(Counting::new(Pool));
    let kept = with_allocator(counting.clone(), || {
        (Scoped::new(layout(100, 8), Kind::Task).expect("there is memory"), Box::new(7))
    });
    thread::spawn(|| KEPT.set(Some(kept))).join().expect("the thread keeps them");
    assert_eq!((counting.allocated(), counting.live()), (2, 0));
}
