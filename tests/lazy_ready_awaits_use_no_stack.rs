//! A loop that awaits frames which are ready at once takes no stack, however often it goes round; nor does one whose
//! frames wait now and then, or wait for frames of their own.

mod support;

use std::hint::black_box;

use support::{Pend, block_on_foreign, runtime, watchdog};
use tress::task::{Lazy, lazy};

const AWAITS: usize = if cfg!(debug_assertions) { 1_000_000 } else { 100_000_000 };

/// Where the stack is.
#[inline(never)]
fn stack_address() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(black_box(&here)).addr()
}

/// The part of the stack that was in use at some time.
struct Span {
    lowest: usize,
    highest: usize,
}

impl Span {
    const EMPTY: Self = Self { lowest: usize::MAX, highest: 0 };

    fn extend(&mut self, address: usize) {
        self.lowest = self.lowest.min(address);
        self.highest = self.highest.max(address);
    }

    fn bytes(&self) -> usize {
        self.highest - self.lowest
    }
}

/// Awaits one frame after the other; by how much the stack was deeper than at the beginning, and for so many after it.
async fn growth(awaits: usize, settling: usize, frame: impl Fn(usize) -> Lazy<'static, usize>) -> usize {
    let (mut beginning, mut all) = (Span::EMPTY, Span::EMPTY);
    for turn in 0..awaits {
        let address = frame(black_box(turn)).await;
        if turn < awaits / 100 + settling {
            beginning.extend(address);
        }
        all.extend(address);
    }
    all.bytes() - beginning.bytes()
}

/// A frame of which the output is where it was polled.
fn ready(turn: usize) -> Lazy<'static, usize> {
    lazy(async move {
        black_box(turn);
        stack_address()
    })
}

/// One frame in a thousand is polled twice.
fn ready_mostly(turn: usize) -> Lazy<'static, usize> {
    lazy(async move {
        Pend(usize::from(turn % 1000 == 999)).await;
        stack_address()
    })
}

/// Enough for some that were pending: after the first, the one who awaits is resumed from another place of the loop.
const SETTLING: usize = 2000;

/// A few frames, each of which awaits the next.
fn nested(turn: usize) -> Lazy<'static, usize> {
    lazy(async move { lazy(async move { ready_mostly(turn).await }).await })
}

#[test]
fn in_block_on() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    assert_eq!(runtime.block_on(growth(AWAITS, 0, ready)), 0, "the stack has grown");
    assert_eq!(runtime.block_on(growth(AWAITS / 10, SETTLING, ready_mostly)), 0, "the stack has grown");
    assert_eq!(runtime.block_on(growth(AWAITS / 10, SETTLING, nested)), 0, "the stack has grown");
}

/// There is one worker, and so one stack: this thread does not take part.
#[test]
fn in_a_task() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    for (awaits, settling, frame) in [
        (AWAITS, 0, ready as fn(usize) -> _),
        (AWAITS / 10, SETTLING, ready_mostly),
        (AWAITS / 10, SETTLING, nested),
    ] {
        let task = runtime.spawn(growth(awaits, settling, frame));
        assert_eq!(block_on_foreign(task).unwrap(), 0, "the stack has grown");
    }
}
