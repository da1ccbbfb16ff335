//! The future that `block_on` drives, as the root of a tree of frames.
#![expect(
    unsafe_code,
    reason = "a raw waker, so that its table is known; the root is kept by references to an `Arc`"
)]

use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::thread::{self, Thread};

use crate::containment::discard_payload;
use crate::primitive::sync::PlainArc;
use crate::primitive::sync::atomic::{AtomicBool, Ordering};
use crate::stop;
use crate::tree::{self, Current, LeftBehind, RootRef, RootVtable, Tree};

/// What wakers of the future, and of the frames below it, refer to.
#[derive(Debug)]
struct Root {
    /// Values: whether the future itself has been woken since it was last polled. Set by wakers, cleared by the thread that
    /// polls; publishes what the wakers did before.
    woken: AtomicBool,
    thread: Thread,
    tree: Tree,
}

/// The thread's own reference to its root.
#[derive(Debug)]
pub(super) struct RootHandle(NonNull<Root>);

/// The future, with its place in the tree.
#[derive(Debug)]
pub(super) struct Driven<'a, F: Future> {
    root: &'a RootHandle,
    future: ManuallyDrop<F>,
}

static WAKER_VTABLE: RawWakerVTable = RawWakerVTable::new(clone_waker, wake, wake_by_ref, release_waker);

static ROOT_VTABLE: RootVtable = RootVtable {
    waker: &WAKER_VTABLE,
    is_thread_bound: true,
    id: |_| None,
    tree: |data| {
        // SAFETY: called through a root, which is held.
        NonNull::from(&unsafe { root(data) }.tree)
    },
    retain,
    release,
    polls: |_| 0,
    is_movable: |_| false,
    executor: |_| None,
    claim: |data| {
        // SAFETY: called through a root, which is held.
        unsafe { schedule(data) };
        None
    },
    schedule,
};

impl RootHandle {
    /// A root that is to be polled at once.
    pub(super) fn new() -> Self {
        let root = PlainArc::new_cyclic(|weak: &std::sync::Weak<Root>| {
            let data = NonNull::new(weak.as_ptr().cast_mut().cast()).expect("an `Arc` lies somewhere");
            // SAFETY: the tree is part of what the data points to; frames refer to the root by references that count.
            let root = unsafe { RootRef::new(data, &ROOT_VTABLE) };
            Root { woken: AtomicBool::new(true), thread: thread::current(), tree: Tree::new(root) }
        });
        let root = PlainArc::into_raw(root).cast_mut();
        Self(NonNull::new(root).expect("an `Arc` lies somewhere"))
    }

    /// Whether the future, or a frame below it, has been woken.
    pub(super) fn is_woken(&self) -> bool {
        let root = self.get();
        root.woken.load(Ordering::Relaxed) || root.tree.has_ready()
    }

    /// Whom the future, which has ended, has left behind, if that is anybody. By the root's thread.
    pub(super) fn take_outlived(&self) -> Option<LeftBehind> {
        self.get().tree.take_outlived()
    }

    fn get(&self) -> &Root {
        // SAFETY: the handle holds a reference.
        unsafe { self.0.as_ref() }
    }

    fn as_root(&self) -> RootRef {
        // SAFETY: the table is for the root's address, which is held for as long as the value is used: by this handle.
        unsafe { RootRef::new(self.0.cast(), &ROOT_VTABLE) }
    }
}

impl Drop for RootHandle {
    fn drop(&mut self) {
        // SAFETY: the handle gives up its reference.
        unsafe { release(self.0.cast()) }
    }
}

impl<'a, F: Future> Driven<'a, F> {
    pub(super) fn new(root: &'a RootHandle, future: F) -> Self {
        Self { root, future: ManuallyDrop::new(future) }
    }

    /// Runs the tree once: polls the future if it was woken, and the frames below it that were.
    pub(super) fn run(self: Pin<&mut Self>) -> Poll<F::Output> {
        // SAFETY: the future is not moved.
        let this = unsafe { self.get_unchecked_mut() };
        let root = this.root.get();
        let waker = this.root.waker();
        let mut cx = Context::from_waker(&waker);
        let current = std::pin::pin!(this.current());
        let current = current.as_ref();
        let _entered = current.enter();
        // Before the list of frames is looked at, so that a wake that comes later leads to another run.
        let woken = root.woken.load(Ordering::Relaxed) && root.woken.swap(false, Ordering::AcqRel);
        let mut output = Poll::Pending;
        tree::run(&current, woken, &mut || {
            let mut poll = || {
                // SAFETY: it lies where it is until it is dropped.
                output = unsafe { Pin::new_unchecked(&mut *this.future) }.poll(&mut cx);
                output.is_pending() && current.take_stop()
            };
            assert!(!(poll() && stop::holds(&mut poll)), "{STOPPED}");
            output.is_ready()
        });
        output
    }

    /// A run of the root.
    fn current(&self) -> Current {
        let start = std::ptr::from_ref(&self.future).addr();
        let tree = &raw const self.root.get().tree;
        Current::new(self.root.as_root(), start..start + size_of::<F>(), tree)
    }
}

const STOPPED: &str = "the future of `block_on` has been stopped, and there is nobody who could be told: wrap it in `stop::outcome`";

impl<F: Future> Drop for Driven<'_, F> {
    /// Drops the frames below the future, then the future.
    fn drop(&mut self) {
        let current = std::pin::pin!(self.current());
        let current = current.as_ref();
        let _entered = current.enter();
        let mut panic = tree::end(&current);
        // SAFETY: the future is dropped once.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { ManuallyDrop::drop(&mut self.future) }));
        tree::keep_first(&mut panic, dropped.err());
        match panic {
            Some(payload) if !thread::panicking() => resume_unwind(payload),
            Some(payload) => discard_payload(payload),
            None => {}
        }
    }
}

impl RootHandle {
    /// The waker of the future itself.
    fn waker(&self) -> Waker {
        // SAFETY: called with a root that this handle holds.
        let raw = unsafe { clone_waker(self.0.as_ptr().cast_const().cast()) };
        // SAFETY: the table's functions keep the contract of raw wakers, and the new reference is the waker's.
        unsafe { Waker::from_raw(raw) }
    }
}

/// # Safety
///
/// The data is that of a root, which is held for as long as the result is used.
unsafe fn root<'a>(data: NonNull<()>) -> &'a Root {
    // SAFETY: the caller's promise.
    unsafe { data.cast::<Root>().as_ref() }
}

unsafe fn retain(data: NonNull<()>) {
    // SAFETY: the data is what `Arc::into_raw` gave, and a reference is held.
    unsafe { PlainArc::increment_strong_count(data.as_ptr().cast_const().cast::<Root>()) }
}

unsafe fn release(data: NonNull<()>) {
    // SAFETY: the data is what `Arc::into_raw` gave, and the caller gives up a reference.
    unsafe { PlainArc::decrement_strong_count(data.as_ptr().cast_const().cast::<Root>()) }
}

unsafe fn schedule(data: NonNull<()>) {
    // SAFETY: called through a root, which is held.
    unsafe { root(data) }.thread.unpark();
}

/// # Safety
///
/// The data is that of a waker, or of a root that is held.
unsafe fn of_waker(data: *const ()) -> NonNull<()> {
    // SAFETY: the data is the address of a root.
    unsafe { NonNull::new_unchecked(data.cast_mut()) }
}

unsafe fn clone_waker(data: *const ()) -> RawWaker {
    // SAFETY: called through a waker.
    let root = unsafe { of_waker(data) };
    // SAFETY: the waker holds a reference.
    unsafe { retain(root) };
    RawWaker::new(data, &WAKER_VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: called through a waker.
    unsafe { wake_by_ref(data) };
    // SAFETY: called through a waker, which is used up.
    unsafe { release_waker(data) };
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: called through a waker.
    let data = unsafe { of_waker(data) };
    // SAFETY: the waker holds a reference.
    let root = unsafe { root(data) };
    if !root.woken.swap(true, Ordering::AcqRel) {
        root.thread.unpark();
    }
}

unsafe fn release_waker(data: *const ()) {
    // SAFETY: called through a waker, which is used up.
    let root = unsafe { of_waker(data) };
    // SAFETY: as above.
    unsafe { release(root) };
}
