//! Who has a serial executor, and what others have queued meanwhile: in one word.
#![expect(unsafe_code, reason = "an intrusive list of runnables, in one word with who has it")]

use std::fmt;
use std::ptr::{self, NonNull};

use tress_runtime::executor::Runnable;
use tress_runtime::seam::Header;

use super::list::List;
use crate::primitive::atomic::{AtomicPtr, Ordering};

/// The word. Values:
///
/// | value | meaning |
/// |---|---|
/// | null | *idle*: nobody has it, and nothing is queued |
/// | [`HELD`] | somebody has it, and nothing has arrived that he has not taken |
/// | other | somebody has it; the address of what arrived last, which links to what came before it, and so on; the first links to null |
///
/// Written by whoever acquires or releases it, and by whoever pushes. What a release (`Release`) publishes: all that the holder has done, to the next
/// one's acquisition (`Acquire`). What a push (`Release`) publishes: what the pusher has done before, to whoever takes the arrivals (`Acquire`); pushes
/// after it are part of its release sequence.
pub(crate) struct Word(AtomicPtr<Header>);

/// What has become of a push.
#[must_use]
#[derive(Debug)]
pub(crate) enum Pushed {
    /// It is queued; the holder will find it.
    Queued,
    /// Nobody had it. Now the caller has, and keeps the runnable.
    Acquired(Runnable),
}

/// What has become of a release.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Released {
    /// Nobody has it.
    Idle,
    /// Something has arrived: the caller still has it.
    Kept,
}

/// Somebody has it. No header has this address.
const HELD: *mut Header = ptr::without_provenance_mut(1);

impl Word {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Whether nobody has it, as far as one can tell without having it.
    #[inline]
    pub(crate) fn looks_idle(&self) -> bool {
        self.0.load(Ordering::Relaxed).is_null()
    }

    /// Whether something has arrived, as far as one can tell.
    #[inline]
    pub(crate) fn has_arrivals(&self) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        !word.is_null() && word != HELD
    }

    /// Takes it if nobody has it.
    #[inline]
    pub(crate) fn try_acquire(&self) -> bool {
        // Acquire: see `Word`.
        self.0.compare_exchange(ptr::null_mut(), HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Queues a runnable, or takes the word.
    #[inline]
    pub(crate) fn push(&self, runnable: Runnable) -> Pushed {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if word.is_null() {
                match self.0.compare_exchange_weak(word, HELD, Ordering::Acquire, Ordering::Relaxed) {
                    Ok(_) => return Pushed::Acquired(runnable),
                    Err(now) => word = now,
                }
                continue;
            }
            let header = runnable.header();
            let link = if word == HELD { ptr::null_mut() } else { word };
            // SAFETY: whoever owns a runnable may read its head, and write its link.
            unsafe { header.as_ref() }.link.store(link, Ordering::Relaxed);
            match self.0.compare_exchange_weak(word, header.as_ptr(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => {
                    let _ = runnable.into_raw();
                    return Pushed::Queued;
                }
                Err(now) => word = now,
            }
        }
    }

    /// Appends what has arrived to the holder's list, in the order in which it came; says how much that is.
    #[inline]
    pub(crate) fn take_arrivals(&self, list: &mut List) -> u32 {
        if !self.has_arrivals() {
            return 0;
        }
        // Acquire: see `Word`.
        let last = self.0.swap(HELD, Ordering::Acquire);
        // SAFETY: pushes have given the runnables up; the chain is the caller's now.
        unsafe { list.append_reversed(NonNull::new(last).expect("only the holder makes it idle")) }
    }

    /// Gives it up, unless something has arrived.
    #[inline]
    pub(crate) fn release(&self) -> Released {
        // Release: see `Word`.
        match self.0.compare_exchange(HELD, ptr::null_mut(), Ordering::Release, Ordering::Relaxed) {
            Ok(_) => Released::Idle,
            Err(_) => Released::Kept,
        }
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.0.load(Ordering::Relaxed);
        f.write_str(match word {
            word if word.is_null() => "idle",
            HELD => "held",
            _ => "held, with arrivals",
        })
    }
}
