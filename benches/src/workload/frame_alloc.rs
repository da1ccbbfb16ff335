//! Frames, and nothing that runs in them.
#![expect(unsafe_code, reason = "uses memory that it allocates")]

use std::alloc::Layout;
use std::hint::black_box;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use crate::clock::{Sample, Stopwatch, Window, resident_len_bytes};
use crate::peer::Frames;

/// One op is one frame of a tree of calls, each of which makes its frame and frees it: 1 + 5 + 15 + 45 of them, last in, first out.
pub(crate) fn lifo<S: Frames>(source: S, window: Window) -> Sample {
    let layouts = black_box([208, 176, 144, 96]).map(layout);
    window.repeat(|| {
        for _ in 0..TREES_PER_BATCH {
            tree(source, &layouts);
        }
        (TREES_PER_BATCH * FRAMES_PER_TREE) as u64
    })
}

/// Makes a frame, does what is inside it, frees the frame.
#[inline(always)]
fn level<S: Frames>(source: S, layouts: &[Layout; 4], index: usize, inner: impl Fn()) {
    let frame = Frame::new(source, layouts[index], index);
    inner();
    frame.free(source, layouts[index]);
}

#[inline(never)]
fn tree<S: Frames>(source: S, layouts: &[Layout; 4]) {
    level(source, layouts, 0, || {
        for _ in 0..5 {
            level(source, layouts, 1, || {
                for _ in 0..3 {
                    level(source, layouts, 2, || {
                        for _ in 0..3 {
                            level(source, layouts, 3, || {
                                LEAVES.fetch_add(1, Ordering::Relaxed);
                            });
                        }
                    });
                }
            });
        }
    });
}

/// One op is one frame of random size that takes the place of a random other one.
pub(crate) fn mix<S: Frames>(source: S, window: Window) -> Sample {
    let layouts = layouts();
    let mut random = Random(1);
    let mut live: Vec<Frame> = (0..LIVE)
        .map(|_| {
            let size = random.below(SIZES);
            Frame::new(source, layouts[size], size)
        })
        .collect();
    window.repeat(|| {
        for _ in 0..FRAMES_PER_BATCH {
            let (size, place) = (random.below(SIZES), random.below(LIVE));
            let new = Frame::new(source, layouts[size], size);
            let old = std::mem::replace(&mut live[place], new);
            old.free(source, layouts[old.size()]);
        }
        FRAMES_PER_BATCH as u64
    })
}

/// One op is one frame of random size, made by one thread and freed by another.
///
/// # Errors
///
/// If resident memory grows by more than frames in flight can account for.
pub(crate) fn cross<S: Frames>(source: S, frames: usize) -> Result<Sample, String> {
    let (send, receive) = mpsc::sync_channel::<Vec<Frame>>(CHUNKS);
    let (send_empty, receive_empty) = mpsc::sync_channel::<Vec<Frame>>(CHUNKS);
    for _ in 0..CHUNKS {
        send_empty.send(Vec::with_capacity(CHUNK)).expect("both ends are here");
    }
    let consumer = std::thread::spawn(move || {
        let layouts = layouts();
        for mut chunk in receive {
            for frame in chunk.drain(..) {
                frame.free(source, layouts[frame.size()]);
            }
            // At the end nobody waits for it.
            let _ = send_empty.send(chunk);
        }
    });
    let layouts = layouts();
    let mut random = Random(1);
    let mut produce = |frames: usize| {
        for _ in 0..frames / CHUNK {
            let mut chunk = receive_empty.recv().expect("the consumer runs to the end");
            for _ in 0..CHUNK {
                let size = random.below(CROSS_SIZES);
                chunk.push(Frame::new(source, layouts[size], size));
            }
            send.send(chunk).expect("the consumer runs to the end");
        }
    };
    produce(frames / 10);
    let before_bytes = resident_len_bytes();
    let stopwatch = Stopwatch::start();
    produce(frames);
    let spent = stopwatch.spent();
    let grown_bytes = resident_len_bytes().saturating_sub(before_bytes);
    drop(send);
    consumer.join().map_err(|_panic| "the consumer panicked".to_owned())?;
    if grown_bytes > GROWTH_LIMIT_BYTES {
        return Err(format!("{frames} frames left {grown_bytes} bytes more than a tenth of them"));
    }
    Ok(Sample::per_op(spent, frames as u64))
}

/// A frame that is written when it is made and read when it is freed, as one with a future in it is.
#[derive(Debug, Clone, Copy)]
struct Frame(NonNull<Header>);

#[derive(Debug)]
#[repr(C)]
struct Header {
    size: usize,
    link: usize,
}

impl Frame {
    #[inline(always)]
    fn new<S: Frames>(source: S, layout: Layout, size: usize) -> Self {
        let frame = source.allocate(layout).cast::<Header>();
        // SAFETY: every layout has room for a header, and is aligned for it.
        unsafe { frame.write(Header { size, link: size }) };
        Self(frame)
    }

    #[inline(always)]
    fn size(self) -> usize {
        // SAFETY: the frame was written when it was made, and is not freed before this.
        let size = unsafe { &raw const (*self.0.as_ptr()).size };
        // SAFETY: as above. Not to be left out, even where the compiler knows what was written.
        unsafe { size.read_volatile() }
    }

    #[inline(always)]
    fn free<S: Frames>(self, source: S, layout: Layout) {
        let _ = self.size();
        // SAFETY: it came from this source with this layout; each frame is freed once.
        unsafe { source.free(self.0.cast(), layout) };
    }
}

// SAFETY: a frame is used by one thread at a time.
unsafe impl Send for Frame {}

/// Layouts that the compiler does not know, smallest first.
fn layouts() -> Vec<Layout> {
    (0..SIZES).map(|size| layout(black_box(MIN_BYTES + size))).collect()
}

fn layout(size_bytes: usize) -> Layout {
    Layout::from_size_align(size_bytes, 16).expect("it is small")
}

/// One multiplication a number (Knuth's generator; the high bits are good).
#[derive(Debug)]
struct Random(u64);

impl Random {
    #[inline(always)]
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (((self.0 >> 32) * end as u64) >> 32) as usize
    }
}

/// Counts the innermost calls, as the original loop does.
static LEAVES: AtomicU64 = AtomicU64::new(0);

const FRAMES_PER_TREE: usize = 1 + 5 + 15 + 45;
const TREES_PER_BATCH: usize = 10_000;
const FRAMES_PER_BATCH: usize = 100_000;
/// How many frames of `mix` live at a time.
const LIVE: usize = 1000;
const MIN_BYTES: usize = 64;
/// How many sizes there are, from [`MIN_BYTES`] on.
const SIZES: usize = 2048 - MIN_BYTES + 1;
/// How many of them `cross` uses.
const CROSS_SIZES: usize = 512 - MIN_BYTES + 1;
/// How many frames change threads at once, and how many times that may be on the way.
const CHUNK: usize = 256;
const CHUNKS: usize = 8;
/// Frames in flight are a megabyte at most.
const GROWTH_LIMIT_BYTES: u64 = 32 << 20;
