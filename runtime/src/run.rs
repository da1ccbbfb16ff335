//! Which stretch of a thread's work code belongs to: what serial executors know themselves by.
//!
//! A *run* is what a thread does inside one run loop, or inside one [`Runnable::run`](crate::executor::Runnable::run); code that is run inside it on the same stack
//! by another loop, or by an executor that knows nothing of it, has a run of its own. Each is named by a number that is never used
//! again. So whoever notes the number of the run that it is at work in can tell later whether it is this code that it has called.

use std::cell::Cell;
use std::ptr;

use crate::primitive::sync::PlainAtomicU64;
use crate::primitive::sync::atomic::Ordering;
use crate::primitive::thread::thread_local;

thread_local! {
    /// The number of the innermost run of this thread; 0 until somebody asks.
    static CURRENT: Cell<u64> = const { Cell::new(0) };
    /// The address of the serial executor whose item the code is, the innermost of this run; null if it is none's.
    static SERIAL: Cell<*const ()> = const { Cell::new(ptr::null()) };
    /// The numbers that this thread may use next: the first, and the end.
    static BLOCK: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// The first number that no thread has taken.
static NEXT_BLOCK: PlainAtomicU64 = PlainAtomicU64::new(FIRST);

/// Ends a run when dropped.
#[derive(Debug)]
pub(crate) struct Restore {
    number: u64,
    _serial: InSerial,
}

/// Ends an item, or a row of them, when dropped.
#[derive(Debug)]
pub struct InSerial(*const ());

impl Drop for InSerial {
    #[inline]
    fn drop(&mut self) {
        SERIAL.with(|serial| serial.set(self.0));
    }
}

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        CURRENT.with(|current| current.set(self.number));
    }
}

/// Begins a run, inside another perhaps.
#[inline]
pub(crate) fn begin() -> Restore {
    Restore { number: CURRENT.with(|current| current.replace(0)), _serial: enter_serial(ptr::null()) }
}

/// What follows are items of the serial executor at this address, until the result is dropped.
#[inline]
#[must_use]
pub fn enter_serial(serial: *const ()) -> InSerial {
    InSerial(SERIAL.with(|current| current.replace(serial)))
}

/// The address of the innermost serial executor whose item the calling code is; null if it is none's. Compared only.
#[inline]
#[must_use]
pub fn innermost_serial() -> *const () {
    SERIAL.with(Cell::get)
}

/// The number of the current run; never one that is less than [`FIRST`].
#[inline]
pub fn current() -> u64 {
    match CURRENT.with(Cell::get) {
        0 => name(),
        number => number,
    }
}

/// Whether that is the number of the current run.
#[inline]
pub fn is_current(number: u64) -> bool {
    // Whoever compares with something that no run has noted compares with less than `FIRST`; that is not to be 0.
    number != 0 && CURRENT.with(Cell::get) == number
}

#[cold]
fn name() -> u64 {
    let (first, end) = BLOCK.with(Cell::get);
    let (first, end) = match first < end {
        true => (first, end),
        false => {
            let first = NEXT_BLOCK.fetch_add(BLOCK_LEN, Ordering::Relaxed);
            (first, first + BLOCK_LEN)
        }
    };
    BLOCK.with(|block| block.set((first + 1, end)));
    CURRENT.with(|current| current.set(first));
    first
}

/// The number of the first run of all; what is less than it names none.
pub const FIRST: u64 = 2;

/// A thread takes so many numbers at a time: 2⁴⁴ times, which is for ever.
const BLOCK_LEN: u64 = 1 << 20;
