//! Awaits of a future that is ready at once, in a frame of its own and without one.

use std::hint::black_box;
use std::mem::{self, MaybeUninit};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::random::Random;
use crate::clock::{Sample, Window};
use crate::peer::Rt;

/// The operation that the others wrap, called without a future. One op is one call.
pub(crate) fn lazy_call_bare<R: Rt>(runtime: &R, window: Window) -> Sample {
    repeat_in_a_task(runtime, window, || async {
        for number in 0..AWAITS_PER_BATCH {
            black_box(operation(black_box(number)));
        }
    })
}

/// An `async fn` around the operation, awaited in place. One op is one await.
pub(crate) fn lazy_call_plain<R: Rt>(runtime: &R, window: Window) -> Sample {
    repeat_in_a_task(runtime, window, || async {
        for number in 0..AWAITS_PER_BATCH {
            black_box(call(black_box(number)).await);
        }
    })
}

/// The same in a frame, which is freed before the next one is made: the best case of every allocator. One op is one await.
pub(crate) fn lazy_call_lifo<R: Rt>(runtime: &R, window: Window) -> Sample {
    repeat_in_a_task(runtime, window, || async {
        for number in 0..AWAITS_PER_BATCH {
            black_box(R::frame(call(black_box(number))).await);
        }
    })
}

/// Frames of many sizes, [`LIVE`] of them at once; each step makes one and awaits another, in random order. One op is one await.
pub(crate) fn lazy_call_mix<R: Rt>(runtime: &R, window: Window) -> Sample {
    repeat_in_a_task(runtime, window, || async {
        let mut random = Random::new(SEED);
        let mut live: Vec<R::ErasedFrame<u64>> =
            (0..LIVE).map(|_| frame_of_size::<R>(random.below(SIZES), 0)).collect();
        let steps: Vec<(usize, usize)> =
            (0..STEPS).map(|_| (random.below(LIVE), random.below(SIZES))).collect();
        for round in 0..AWAITS_PER_BATCH / STEPS as u64 {
            for &(slot, size) in &steps {
                let frame = mem::replace(&mut live[slot], frame_of_size::<R>(size, black_box(round)));
                black_box(frame.await);
            }
        }
    })
}

fn repeat_in_a_task<R: Rt, F>(runtime: &R, window: Window, batch: impl Fn() -> F) -> Sample
where
    F: Future<Output = ()> + Send + 'static,
{
    window.repeat(|| {
        runtime.block_on(async { R::spawn(batch()).await });
        AWAITS_PER_BATCH
    })
}

async fn call(number: u64) -> u64 {
    operation(number)
}

/// A few cycles that no optimiser can leave out or look into.
#[inline(never)]
fn operation(number: u64) -> u64 {
    black_box(number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)
}

/// A frame for a future of 64 bytes to 2 KiB: doublings, and halfway between them.
fn frame_of_size<R: Rt>(size: usize, number: u64) -> R::ErasedFrame<u64> {
    match size {
        0 => R::erased_frame(Padded::<56>::new(number)),
        1 => R::erased_frame(Padded::<88>::new(number)),
        2 => R::erased_frame(Padded::<120>::new(number)),
        3 => R::erased_frame(Padded::<184>::new(number)),
        4 => R::erased_frame(Padded::<248>::new(number)),
        5 => R::erased_frame(Padded::<376>::new(number)),
        6 => R::erased_frame(Padded::<504>::new(number)),
        7 => R::erased_frame(Padded::<760>::new(number)),
        8 => R::erased_frame(Padded::<1016>::new(number)),
        9 => R::erased_frame(Padded::<1528>::new(number)),
        _ => R::erased_frame(Padded::<2040>::new(number)),
    }
}

/// The same as [`call`] with room for what a larger one keeps across its awaits. An `async fn` does not fill that room when it is made,
/// and this does not fill it either.
struct Padded<const LEN_BYTES: usize> {
    number: u64,
    _room: MaybeUninit<[u8; LEN_BYTES]>,
}

impl<const LEN_BYTES: usize> Padded<LEN_BYTES> {
    fn new(number: u64) -> Self {
        Self { number, _room: MaybeUninit::uninit() }
    }
}

impl<const LEN_BYTES: usize> Future for Padded<LEN_BYTES> {
    type Output = u64;

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<u64> {
        Poll::Ready(operation(self.number ^ LEN_BYTES as u64))
    }
}

const _: () = assert!(size_of::<Padded<56>>() == 64, "the smallest future has 64 bytes");
const _: () = assert!(size_of::<Padded<2040>>() == 2048, "the largest future has 2 KiB");

const AWAITS_PER_BATCH: u64 = 64 * STEPS as u64;
const LIVE: usize = 64;
const SIZES: usize = 11;
const STEPS: usize = 4096;
const SEED: u64 = 0x5eed_1a2f;
