//! Scan × free: the one access to a frame that no reference covers.
#![expect(unsafe_code, reason = "what the word's references stand for is a cell")]

use loom::thread;

use super::super::state::State;
use crate::primitive::cell::UnsafeCell;
use crate::primitive::explore::explore;
use crate::primitive::sync::Arc;
use crate::primitive::sync::atomic::AtomicUsize;

/// A slot whose memory stays, as the frame pool promises for tasks.
struct Slot {
    word: AtomicUsize,
    content: UnsafeCell<u32>,
}

// SAFETY: loom checks who uses the content.
unsafe impl Sync for Slot {}

impl Slot {
    fn state(&self) -> &State {
        State::from_word(&self.word)
    }

    fn read(&self) -> u32 {
        // SAFETY: loom checks that nobody writes.
        self.content.with(|content| unsafe { *content })
    }

    fn write(&self, value: u32) {
        // SAFETY: loom checks that nobody else is at it.
        self.content.with_mut(|content| unsafe { *content = value });
    }

    fn make(&self, value: u32) {
        self.write(value);
        self.state().initialise(crate::frame::Origin::Pool);
    }

    /// Releases a reference; whoever releases the last one uses up the content. True if it did.
    fn release(&self) -> bool {
        let last = self.state().ref_dec();
        if last {
            self.write(0);
        }
        last
    }
}

/// A scan meets a slot that is filled, emptied and filled again: what it takes a reference to is whole, and stays.
#[test]
fn a_scan_takes_only_what_is_there() {
    explore(3, || {
        let slot = Arc::new(Slot { word: AtomicUsize::new(0), content: UnsafeCell::new(0) });
        let scans = [(); 2].map(|()| {
            let slot = slot.clone();
            thread::spawn(move || {
                if slot.state().try_ref() {
                    assert_ne!(slot.read(), 0, "an empty slot was taken");
                    return slot.release();
                }
                false
            })
        });
        slot.make(1);
        let mut frees = usize::from(slot.release()) + usize::from(slot.release());
        if frees == 1 {
            slot.make(2);
            frees += usize::from(slot.release()) + usize::from(slot.release());
            frees -= 1;
        }
        let by_scans: usize = scans.into_iter().map(|scan| usize::from(scan.join().unwrap())).sum();
        assert_eq!(frees + by_scans, 1, "each content is used up once");
    });
}
