//! Loom models of the frame pool's protocols: remote frees against the owner, its exit and its heap's adoption; carving and giving back
//! against a scan.

#![expect(unsafe_code, reason = "links free slots through their own memory")]

mod arena;
mod listing;

use std::mem::{self, MaybeUninit};
use std::ptr::NonNull;

use loom::thread;

use super::carve_limit::CarveLimit;
use super::parked::Parked;
use super::remote_free::{self, Batch, RemoteList};
use super::slot::{ParcelCell, Slot};
use crate::primitive::cell::UnsafeCell;
use crate::primitive::sync::Arc;

/// How many addresses a slot of these models has room for: so few that a batch of four has two parcels.
const CAPACITY: usize = 1;

/// A slot with what its user wrote, so that loom sees a reuse that does not come after the last use.
#[repr(C)]
struct Frame {
    slot: Slot,
    /// Room for the addresses of a parcel.
    parcel: [ParcelCell; CAPACITY],
    payload: UnsafeCell<u32>,
}

/// A frame that somebody alone has.
struct Owned(NonNull<Frame>);

// SAFETY: whoever has it is its only user; loom checks that it stays so.
unsafe impl Send for Owned {}

impl Owned {
    fn new(number: u32) -> Self {
        let parcel = [(); CAPACITY].map(|()| ParcelCell::new(MaybeUninit::uninit()));
        let frame = Box::new(Frame { slot: Slot::new(), parcel, payload: UnsafeCell::new(number) });
        Self(NonNull::from(Box::leak(frame)))
    }

    /// What a last user does: it writes.
    fn last_use(&self) {
        // SAFETY: the frame exists until `reuse`.
        let frame = unsafe { self.0.as_ref() };
        // SAFETY: loom checks that nobody else is at it.
        frame.payload.with_mut(|payload| unsafe { *payload += 100 });
    }

    /// What the next user does: it may do anything. Returns what it found.
    fn reuse(slot: NonNull<Slot>) -> u32 {
        // SAFETY: every slot of these models is a leaked frame, and one that comes home is handed out once.
        let frame = unsafe { Box::from_raw(slot.cast::<Frame>().as_ptr()) };
        // SAFETY: loom checks that nobody else is at it.
        frame.payload.with_mut(|payload| unsafe { mem::replace(&mut *payload, 0) })
    }
}

/// What the protocol needs of a heap.
struct Heap {
    remote: RemoteList,
    /// What came home. The owner's.
    home: UnsafeCell<Vec<u32>>,
}

impl Heap {
    fn new() -> Self {
        Self { remote: RemoteList::new(), home: UnsafeCell::new(Vec::new()) }
    }

    /// Frees frames from another thread.
    fn free_remotely(&self, frames: Vec<Owned>) {
        let mut batch = Batch::EMPTY;
        for frame in frames {
            frame.last_use();
            // SAFETY: the frame is this thread's alone.
            unsafe { batch.add(frame.0.cast(), || CAPACITY) };
        }
        // SAFETY: the frames are the heap's, and the batch ends here.
        unsafe { self.remote.push(batch) };
    }

    /// Takes what came home. For the owner.
    fn sort(&self) {
        // Without the pool's look at `is_empty`, which only saves a swap: loom remembers one access of each object, so a pusher's
        // own load would hide this one, and loom would not try what happens when the push comes first.
        let mut next = self.remote.take();
        while let Some(parcel) = NonNull::new(next) {
            let sort_one = |slot| {
                // SAFETY: loom checks that there is one owner.
                self.home.with_mut(|home| unsafe { (*home).push(Owned::reuse(slot)) });
            };
            // SAFETY: what was taken is the owner's alone.
            next = unsafe { remote_free::open(parcel, sort_one) };
        }
    }

    /// What came home, in order of numbers. For the owner.
    fn homed(&self) -> Vec<u32> {
        // SAFETY: loom checks that there is one owner.
        let mut home = self.home.with(|home| unsafe { (*home).clone() });
        home.sort_unstable();
        home
    }
}

/// A heap that the threads of a model share by address, as the pool's do.
struct Shared(NonNull<Heap>);

// SAFETY: loom checks who uses what.
unsafe impl Send for Shared {}

impl Shared {
    fn heap(&self) -> &Heap {
        // SAFETY: the model frees it when every thread has been joined.
        unsafe { self.0.as_ref() }
    }
}

#[test]
fn remote_frees_come_home_once_and_whole() {
    loom::model(|| {
        let heap = Arc::new(Heap::new());
        let pushers: Vec<_> = [vec![1, 2, 3, 4], vec![5]]
            .into_iter()
            .map(|numbers| {
                let frames: Vec<_> = numbers.into_iter().map(Owned::new).collect();
                let heap = heap.clone();
                thread::spawn(move || {
                    let heap = heap;
                    heap.free_remotely(frames);
                })
            })
            .collect();
        heap.sort();
        heap.sort();
        for pusher in pushers {
            pusher.join().expect("a pusher does not panic");
        }
        heap.sort();
        assert_eq!(heap.homed(), [101, 102, 103, 104, 105]);
        assert_eq!(heap.remote.pushed(), 5);
    });
}

#[test]
fn a_head_that_left_and_came_back_does_no_harm() {
    // A slot goes out and comes back while another pusher is between its load and its exchange (ABA).
    loom::model(|| {
        let heap = Arc::new(Heap::new());
        let other = {
            let (heap, frames) = (heap.clone(), vec![Owned::new(1)]);
            thread::spawn(move || heap.free_remotely(frames))
        };
        let again = {
            let (heap, frames) = (heap.clone(), vec![Owned::new(2)]);
            thread::spawn(move || heap.free_remotely(frames))
        };
        let mut taken = NonNull::new(heap.remote.take());
        while let Some(parcel) = taken {
            // The owner hands it out, and its user frees it remotely: here, for the same list.
            let free_again = |slot: NonNull<Slot>| heap.free_remotely(vec![Owned(slot.cast())]);
            // SAFETY: what was taken is the owner's alone.
            taken = NonNull::new(unsafe { remote_free::open(parcel, free_again) });
        }
        other.join().expect("a pusher does not panic");
        again.join().expect("a pusher does not panic");
        heap.sort();
        let mut numbers: Vec<_> = heap.homed().into_iter().map(|payload| payload % 100).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2]);
    });
}

#[test]
fn a_parked_heap_has_one_owner_and_loses_nothing() {
    loom::model(|| {
        let parked = Arc::new(Parked::<Heap>::new());
        let heap = NonNull::from(Box::leak(Box::new(Heap::new())));
        let pusher = {
            let (heap, frames) = (Shared(heap), vec![Owned::new(1)]);
            thread::spawn(move || {
                let heap = heap;
                heap.heap().free_remotely(frames);
            })
        };
        let exiting = {
            let (heap, parked) = (Shared(heap), parked.clone());
            thread::spawn(move || {
                let heap = heap;
                heap.heap().sort();
                parked.park(heap.0);
            })
        };
        let adopting = {
            let parked = parked.clone();
            thread::spawn(move || {
                if let Some(heap) = parked.adopt() {
                    Shared(heap).heap().sort();
                    parked.park(heap);
                }
            })
        };
        if let Some(heap) = parked.adopt() {
            Shared(heap).heap().sort();
            parked.park(heap);
        }
        for thread in [pusher, exiting, adopting] {
            thread.join().expect("no thread panics");
        }
        let adopted = parked.adopt().expect("whoever had the heap parked it");
        assert_eq!(adopted, heap);
        assert_eq!(parked.adopt(), None);
        Shared(adopted).heap().sort();
        assert_eq!(Shared(adopted).heap().homed(), [101]);
        // SAFETY: every thread has been joined.
        drop(unsafe { Box::from_raw(heap.as_ptr()) });
    });
}

#[test]
fn a_scan_sees_initialised_words_only() {
    const SLOTS: usize = 2;
    /// A page whose words are there, but not initialised in the scan's eyes before the owner wrote them.
    struct Page {
        limit: CarveLimit,
        words: [UnsafeCell<Option<usize>>; SLOTS],
    }
    // SAFETY: loom checks who uses what.
    unsafe impl Sync for Page {}
    loom::model(|| {
        let words = [UnsafeCell::new(None), UnsafeCell::new(None)];
        let page = Arc::new(Page { limit: CarveLimit::new(0), words });
        let scanner = {
            let page = page.clone();
            thread::spawn(move || {
                for word in &page.words[..page.limit.observe()] {
                    // SAFETY: loom checks that the owner does not write meanwhile.
                    let word = word.with(|word| unsafe { *word });
                    assert_eq!(word, Some(0));
                }
            })
        };
        for _ in 0..SLOTS {
            let carved = page.limit.owned();
            // SAFETY: loom checks that no scan reads meanwhile.
            page.words[carved].with_mut(|word| unsafe { *word = Some(0) });
            page.limit.raise(carved + 1);
        }
        scanner.join().expect("the scan does not panic");
    });
}
