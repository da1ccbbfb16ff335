//! Waiting to be the holder.
#![expect(unsafe_code, reason = "a hand-made runnable that stands for a turn at being the holder")]

use std::alloc::Layout;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use tress_runtime::executor::Runnable;
use tress_runtime::seam::{self, Header, RunnableVtable, Transfer};

use super::node::{Cancelled, Claimed, Finished, GivenUp, Node, Progress};
use super::{Pushed, Serial};

/// Makes whoever polls it the holder, when all that was queued before has been run.
#[derive(Debug)]
pub(crate) struct Acquire<'a> {
    serial: &'a Serial,
    /// What stands for it in the queue; owned together with the holder.
    node: Option<NonNull<Node>>,
}

/// The executor has dropped what was queued.
#[derive(Debug)]
pub(crate) struct Refused;

/// What has become of the right of a holder who has come to somebody who waits for it.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// It is the other's.
    Away,
    /// He has left: it is the holder's still.
    Kept,
}

// SAFETY: the node is shared as its word says, by any two threads.
unsafe impl Send for Acquire<'_> {}
// SAFETY: nothing can be done with a shared one.
unsafe impl Sync for Acquire<'_> {}

/// Those that wait to be the holder are known by this: a static, so that its address is one.
static TURN: RunnableVtable = RunnableVtable { run: refuse_to_run, cancel };

const LAYOUT: Layout = Layout::new::<Node>();

/// Whether the item is somebody who waits to be the holder.
#[inline]
pub(super) fn is_waiter(item: &Runnable) -> bool {
    // SAFETY: the runnable keeps its head.
    let vtable = unsafe { item.header().as_ref() }.vtable;
    vtable == NonNull::from(&TURN)
}

/// Makes the one who waits the holder, in the caller's place.
pub(super) fn give(serial: &Serial, item: Runnable) -> Given {
    let node: NonNull<Node> = item.into_raw().cast();
    // SAFETY: the holder has not left the node yet.
    let shared = unsafe { node.as_ref() };
    if shared.claim() == Claimed::Cancelled {
        // SAFETY: as above, and he leaves.
        unsafe { leave(node) };
        return Given::Kept;
    }
    // Before the other can be at work.
    serial.sleep();
    // SAFETY: claimed, and finished once.
    match unsafe { shared.finish(false) } {
        Finished::Delivered(waker) => {
            if let Some(waker) = waker {
                seam::contain_panic(|| waker.wake());
            }
            Given::Away
        }
        Finished::Gone => {
            // SAFETY: both have left.
            unsafe { free(node) };
            serial.enter();
            Given::Kept
        }
    }
}

/// # Safety
///
/// By the holder, who has found the node cancelled, and does not touch it again.
unsafe fn leave(node: NonNull<Node>) {
    // SAFETY: the node is there until the holder has left.
    if unsafe { node.as_ref() }.leave() {
        // SAFETY: both have left.
        unsafe { free(node) };
    }
}

/// # Safety
///
/// Both owners have left.
unsafe fn free(node: NonNull<Node>) {
    // SAFETY: nobody touches it any more.
    unsafe { node.drop_in_place() };
    // SAFETY: as above, and it was allocated for this layout.
    unsafe { seam::free(node.cast(), LAYOUT) };
}

/// A holder gives it away instead.
unsafe fn refuse_to_run(header: NonNull<Header>) -> Option<Transfer> {
    // SAFETY: the runnable is used up.
    unsafe { cancel(header) };
    None
}

unsafe fn cancel(header: NonNull<Header>) {
    let node: NonNull<Node> = header.cast();
    // SAFETY: the holder has not left the node yet.
    let shared = unsafe { node.as_ref() };
    if shared.claim() == Claimed::Cancelled {
        // SAFETY: as above, and he leaves.
        return unsafe { leave(node) };
    }
    // SAFETY: claimed, and finished once.
    match unsafe { shared.finish(true) } {
        Finished::Delivered(waker) => {
            if let Some(waker) = waker {
                seam::contain_panic(|| waker.wake());
            }
        }
        // SAFETY: both have left.
        Finished::Gone => unsafe { free(node) },
    }
}

impl<'a> Acquire<'a> {
    pub(crate) fn new(serial: &'a Serial) -> Self {
        Self { serial, node: None }
    }

    /// Whether it has not been queued.
    #[inline]
    pub(crate) fn is_new(&self) -> bool {
        self.node.is_none()
    }

    /// Becomes the holder at once, if it is idle.
    #[inline]
    pub(crate) fn try_at_once(&self) -> bool {
        self.is_new() && self.serial.try_acquire()
    }

    /// Becomes the holder, who is at work when this is ready. Waits for a moment before it is queued.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        let node = match self.node {
            Some(node) => node,
            None => {
                if self.serial.contend() {
                    return Poll::Ready(Ok(()));
                }
                let node = seam::alloc(LAYOUT).cast::<Node>();
                // SAFETY: the memory is new, and fits.
                unsafe { node.write(Node::new(NonNull::from(&TURN))) };
                // SAFETY: the head is the first field, and this is the only runnable of it.
                let runnable = unsafe { Runnable::from_raw(node.cast()) };
                if let Pushed::Acquired(runnable) = self.serial.push(runnable) {
                    let _ = runnable.into_raw();
                    // SAFETY: nobody has seen it.
                    unsafe { free(node) };
                    return Poll::Ready(Ok(()));
                }
                self.node = Some(node);
                node
            }
        };
        // SAFETY: the waiter has not left it yet.
        let progress = unsafe { node.as_ref() }.poll(cx);
        if progress == Progress::Pending {
            return Poll::Pending;
        }
        self.node = None;
        // SAFETY: the holder has left, and so does the waiter.
        unsafe { free(node) };
        if progress == Progress::Refused {
            return Poll::Ready(Err(Refused));
        }
        self.serial.enter();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        let Some(node) = self.node.take() else { return };
        // SAFETY: the waiter has not left it yet.
        let shared = unsafe { node.as_ref() };
        let is_given = match shared.cancel() {
            Cancelled::Done => true,
            Cancelled::Refused => false,
            Cancelled::Own | Cancelled::Running => match shared.give_up() {
                GivenUp::Holder => return,
                GivenUp::Waiter => false,
                GivenUp::WaiterWithResult => true,
            },
        };
        // SAFETY: both have left.
        unsafe { free(node) };
        if is_given {
            self.serial.enter();
            // SAFETY: it was given to this waiter, and the borrow keeps it.
            unsafe { self.serial.hand_back() };
        }
    }
}
