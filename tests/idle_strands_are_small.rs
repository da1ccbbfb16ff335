//! What an idle strand takes: so many may wait for something to do.
#![expect(unsafe_code, reason = "an allocator that counts, in front of the system's")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use support::{runtime, watchdog};
use tress::strand::Strand;

struct Counting;

thread_local! {
    /// How often this thread has asked for memory, and how many bytes it has that it has not given back.
    static ALLOCATED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

// SAFETY: all is done by the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let count = |allocated: &Cell<(usize, usize)>| {
            let (times, len_bytes) = allocated.get();
            allocated.set((times + 1, len_bytes.wrapping_add(layout.size())));
        };
        let _ = ALLOCATED.try_with(count);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        let count = |allocated: &Cell<(usize, usize)>| {
            let (times, len_bytes) = allocated.get();
            allocated.set((times, len_bytes.wrapping_sub(layout.size())));
        };
        let _ = ALLOCATED.try_with(count);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const STRANDS: usize = 100_000;
const MOST_BYTES: usize = 128;

#[test]
fn a_hundred_thousand_strands() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let mut strands = Vec::with_capacity(STRANDS);
    let before = ALLOCATED.get();
    strands.extend((0..STRANDS).map(|_| Strand::new(runtime.handle().clone())));
    let after = ALLOCATED.get();
    let (times, len_bytes) = (after.0 - before.0, after.1.wrapping_sub(before.1));
    println!("{} bytes each", len_bytes / STRANDS);
    assert_eq!(times, STRANDS, "one allocation each");
    assert!(len_bytes <= MOST_BYTES * STRANDS, "{} bytes each", len_bytes / STRANDS);
    // One that has a name has more.
    let named = Strand::builder(runtime.handle().clone()).name("more").build();
    assert!(ALLOCATED.get().0 - after.0 > 1);
    drop(named);
    strands.clear();
    let left = ALLOCATED.get().1.wrapping_sub(before.1);
    assert!(left <= 1_000, "{left} bytes do not go back");
}
