//! Something queued that somebody waits for.
#![expect(unsafe_code, reason = "a cell with two owners, one of whom may leave at any time")]

use std::ptr::{self, NonNull};
use std::task::{Context, Waker};

use tress_runtime::seam::{Header, RunnableVtable, contain_panic};

use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicPtr, AtomicUsize, Ordering};
use crate::primitive::spin_loop;

/// The beginning of what is queued and waited for. It has two owners: the *waiter*, a future, and the *holder*, to whom it comes with the queue.
/// Whoever of them leaves last frees it.
///
/// `repr(C)`: the head comes first, so that its address is this one's. The head's `state` is the node's word:
///
/// | bit | set by | meaning |
/// |---|---|---|
/// | [`CLAIMED`] | holder | the item is his: he runs it |
/// | [`WAKER`] | waiter, and cleared by him or by the holder | the waker is in its cell, and belongs to nobody until somebody has cleared the bit |
/// | [`TAKEN`] | holder | he has taken the waker, and will set `DONE` at once |
/// | [`DONE`] | holder | he has left: the result is the waiter's |
/// | [`REFUSED`] | holder, with `DONE` | there is no result: the item was dropped |
/// | [`CANCELLED`] | waiter | he is about to leave; if `CLAIMED` was not set before, the item is his |
/// | [`GONE`] | waiter | he has left; the holder frees it, unless he has left, too |
/// | [`LEFT`] | holder | he has left, after he found `CANCELLED`; the waiter frees it |
///
/// Each change is one read-modify-write with `AcqRel`: it publishes what its maker has done with item, result and waker to whoever makes the next one.
#[repr(C)]
pub(crate) struct Node {
    header: Header,
    /// Touched by the waiter while `WAKER` is clear, and by whoever has cleared it.
    waker: UnsafeCell<Option<Waker>>,
}

/// Whose an item is that its holder has come to.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// His: he runs it, then [finishes](Node::finish).
    Own,
    /// The waiter's, who leaves: there is nothing to run. He [leaves](Node::leave).
    Cancelled,
}

/// To whom a result goes.
#[must_use]
#[derive(Debug)]
pub(crate) enum Finished {
    /// To the waiter, who is to be woken with this.
    Delivered(Option<Waker>),
    /// To nobody: the holder drops it and frees the node.
    Gone,
}

/// What a waiter finds.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing yet; the waker is registered, or has been woken.
    Pending,
    /// The result is there: he takes it and frees the node.
    Done,
    /// The item was dropped: he frees the node.
    Refused,
}

/// What a waiter finds who leaves.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// The item was not begun, and is his: he drops it, then [gives up](Node::give_up).
    Own,
    /// The holder is at it: the waiter [gives up](Node::give_up).
    Running,
    /// As [`Progress`].
    Done,
    /// As [`Progress`].
    Refused,
}

/// Who has to free the node of a waiter who has given up.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// The holder, later.
    Holder,
    /// The waiter.
    Waiter,
    /// The waiter; and the result is there.
    WaiterWithResult,
}

impl Node {
    pub(crate) fn new(vtable: NonNull<RunnableVtable>) -> Self {
        let header = Header { state: AtomicUsize::new(0), link: AtomicPtr::new(ptr::null_mut()), vtable };
        Self { header, waker: UnsafeCell::new(None) }
    }

    fn word(&self) -> &AtomicUsize {
        &self.header.state
    }

    /// The holder has come to the item.
    pub(crate) fn claim(&self) -> Claimed {
        match self.word().fetch_or(CLAIMED, Ordering::AcqRel) & CANCELLED {
            0 => Claimed::Own,
            _ => Claimed::Cancelled,
        }
    }

    /// The holder leaves a node whose result is in place. If it goes to the waiter, the node may be gone when this returns.
    ///
    /// # Safety
    ///
    /// By the holder, once, after he has claimed the item.
    pub(crate) unsafe fn finish(&self, refused: bool) -> Finished {
        let done = if refused { DONE | REFUSED } else { DONE };
        let mut word = self.word().load(Ordering::Acquire);
        loop {
            if word & GONE != 0 {
                return Finished::Gone;
            }
            let next = if word & WAKER == 0 { word | done } else { (word & !WAKER) | TAKEN };
            match self.word().compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) if word & WAKER == 0 => return Finished::Delivered(None),
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        // SAFETY: the bit was cleared here.
        let waker = self.waker.with_mut(|waker| unsafe { (*waker).take() });
        // The node is not touched again if the waiter is there: he may free it.
        match self.word().fetch_or(done, Ordering::AcqRel) & GONE {
            0 => Finished::Delivered(waker),
            _ => {
                contain_panic(|| drop(waker));
                Finished::Gone
            }
        }
    }

    /// The holder leaves a node that was cancelled; whether he frees it.
    pub(crate) fn leave(&self) -> bool {
        self.word().fetch_or(LEFT, Ordering::AcqRel) & GONE != 0
    }

    /// Whether the holder has left.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.word().load(Ordering::Relaxed) & DONE != 0
    }

    /// The waiter looks, and has himself woken.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Progress {
        let mut word = self.word().load(Ordering::Acquire);
        loop {
            if word & DONE != 0 {
                return if word & REFUSED == 0 { Progress::Done } else { Progress::Refused };
            }
            if word & TAKEN != 0 {
                // He is about to be woken, by a waker that may be another one.
                spin_loop();
                cx.waker().wake_by_ref();
                return Progress::Pending;
            }
            if word & WAKER != 0 {
                let cleared = word & !WAKER;
                match self.word().compare_exchange_weak(word, cleared, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => word = cleared,
                    Err(now) => word = now,
                }
                continue;
            }
            self.waker.with_mut(|waker| {
                // SAFETY: the bit is clear, and this is the waiter.
                let waker = unsafe { &mut *waker };
                match waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
            });
            match self.word().compare_exchange(word, word | WAKER, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Progress::Pending,
                Err(now) => word = now,
            }
        }
    }

    /// The waiter leaves.
    pub(crate) fn cancel(&self) -> Cancelled {
        let mut word = self.word().fetch_or(CANCELLED, Ordering::AcqRel);
        let is_own = word & CLAIMED == 0;
        while word & (WAKER | DONE) == WAKER {
            match self.word().compare_exchange_weak(word, word & !WAKER, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => {
                    // SAFETY: the bit was cleared here.
                    let waker = self.waker.with_mut(|waker| unsafe { (*waker).take() });
                    contain_panic(|| drop(waker));
                    break;
                }
                Err(now) => word = now,
            }
        }
        match word & (DONE | REFUSED) {
            0 if is_own => Cancelled::Own,
            0 => Cancelled::Running,
            DONE => Cancelled::Done,
            _ => Cancelled::Refused,
        }
    }

    /// The waiter has left. If the holder has to free the node, it may be gone when this returns.
    pub(crate) fn give_up(&self) -> GivenUp {
        let word = self.word().fetch_or(GONE, Ordering::AcqRel);
        match word & (DONE | REFUSED | LEFT) {
            0 => GivenUp::Holder,
            DONE => GivenUp::WaiterWithResult,
            _ => GivenUp::Waiter,
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A model sees by that whether somebody is still at it.
        self.waker.with_mut(|_| ());
    }
}

const CLAIMED: usize = 1;
const WAKER: usize = 1 << 1;
const TAKEN: usize = 1 << 2;
const DONE: usize = 1 << 3;
const REFUSED: usize = 1 << 4;
const CANCELLED: usize = 1 << 5;
const GONE: usize = 1 << 6;
const LEFT: usize = 1 << 7;
