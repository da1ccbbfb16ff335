//! A global allocator that is the system's or mimalloc, chosen once per process.
//!
//! A program has one global allocator, and the comparison needs tokio on two of them. The choice is made by the environment variable
//! [`VARIABLE`] at the first allocation of the process, before `main`, so that no block is ever freed by the other allocator. After that
//! a call costs one relaxed load of a line that is never written again and one predicted branch: well under a nanosecond, and the same
//! for every peer.
#![expect(
    unsafe_code,
    reason = "GlobalAlloc is an unsafe trait, and the environment is read before std is up"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::CStr;
use std::sync::atomic::{AtomicU8, Ordering};

use mimalloc::MiMalloc;

/// The environment variable that chooses the allocator: `mimalloc`, or anything else (or nothing) for the system's.
pub const VARIABLE: &str = match NAME.to_str() {
    Ok(name) => name,
    Err(_) => panic!("the name is ASCII"),
};

/// The global allocator of the `peers` binary.
#[derive(Debug, Clone, Copy, Default)]
pub struct Switch;

// SAFETY: every call goes to the one allocator that `is_system` names, which never changes after the first allocation; both of them
// keep the contract of `GlobalAlloc`.
unsafe impl GlobalAlloc for Switch {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_system() {
            // SAFETY: the caller's contract is passed on unchanged.
            unsafe { System.alloc(layout) }
        } else {
            // SAFETY: as above.
            unsafe { MiMalloc.alloc(layout) }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_system() {
            // SAFETY: the caller's contract is passed on unchanged.
            unsafe { System.alloc_zeroed(layout) }
        } else {
            // SAFETY: as above.
            unsafe { MiMalloc.alloc_zeroed(layout) }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_system() {
            // SAFETY: the block came from this allocator, because the choice was made before the first allocation.
            unsafe { System.dealloc(block, layout) }
        } else {
            // SAFETY: as above.
            unsafe { MiMalloc.dealloc(block, layout) }
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_len: usize) -> *mut u8 {
        if is_system() {
            // SAFETY: the block came from this allocator, because the choice was made before the first allocation.
            unsafe { System.realloc(block, layout, new_len) }
        } else {
            // SAFETY: as above.
            unsafe { MiMalloc.realloc(block, layout, new_len) }
        }
    }
}

/// UNDECIDED until the first allocation, then SYSTEM or MIMALLOC for good. It publishes nothing else: every thread that decides reads
/// the same environment and comes to the same value.
static CHOICE: AtomicU8 = AtomicU8::new(UNDECIDED);

#[inline]
fn is_system() -> bool {
    let choice = CHOICE.load(Ordering::Relaxed);
    if choice == UNDECIDED { decide() == SYSTEM } else { choice == SYSTEM }
}

#[cold]
#[inline(never)]
fn decide() -> u8 {
    // SAFETY: the name is NUL-terminated, and nothing in this program changes the environment.
    let value = unsafe { libc::getenv(NAME.as_ptr()) };
    let choice = if value.is_null() {
        SYSTEM
    } else {
        // SAFETY: `getenv` returned a NUL-terminated string that stays put, because nothing changes the environment.
        let value = unsafe { CStr::from_ptr(value) };
        if value == c"mimalloc" { MIMALLOC } else { SYSTEM }
    };
    CHOICE.store(choice, Ordering::Relaxed);
    choice
}

const NAME: &CStr = c"TRESS_BENCH_ALLOCATOR";

const UNDECIDED: u8 = 0;
const SYSTEM: u8 = 1;
const MIMALLOC: u8 = 2;
