//! A call: on the caller's thread if nobody else has the state, else queued.
#![expect(unsafe_code, reason = "a frame with two owners: who waits, and who runs what is queued")]

use std::alloc::Layout;
use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, ready};
use std::thread;

use tress_runtime::executor::Runnable;
use tress_runtime::leaf::Wait;
use tress_runtime::seam::{self, Header, RunnableVtable, Transfer, contain_panic};

use super::CallError;
use super::core::Core;
use super::reentrance;
use crate::primitive::UnsafeCell;
use crate::serial::Pushed;
use crate::serial::node::{Cancelled, Claimed, Finished, GivenUp, Node, Progress};

/// The future of [`Actor::call`](super::Actor::call).
#[must_use = "futures do nothing unless awaited"]
pub struct Call<'a, T: Send + 'static, F, R> {
    core: &'a Core<T>,
    stage: Stage<T, F, R>,
    wait: Wait,
}

enum Stage<T, F, R> {
    Start(F),
    Queued(NonNull<CallNode<T, F, R>>),
    Done,
}

/// How a call ends.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The state is the caller's: he runs the closure.
    Run,
    /// The closure has been run; the node has the result.
    Take,
    Fail(CallError),
}

/// A call that is queued.
///
/// `repr(C)`: the node comes first, so that its address is this one's.
#[repr(C)]
struct CallNode<T, F, R> {
    node: Node,
    /// Where the state is. There for whoever runs what is queued.
    core: NonNull<Core<T>>,
    payload: UnsafeCell<Payload<F, R>>,
}

/// Touched by whoever the node's word says.
enum Payload<F, R> {
    Closure(F),
    Output(thread::Result<R>),
    Taken,
}

// SAFETY: the closure and its result may be sent, and so may what they are called with; the node is shared as its word says.
unsafe impl<T: Send, F: Send, R: Send> Send for Call<'_, T, F, R> {}
// SAFETY: nothing can be done with a shared one.
unsafe impl<T: Send, F: Send, R: Send> Sync for Call<'_, T, F, R> {}
/// Nothing in it is pinned: a closure that waits is in a frame of its own.
impl<T: Send + 'static, F, R> Unpin for Call<'_, T, F, R> {}

impl<'a, T, F, R> Call<'a, T, F, R>
where
    T: Send + 'static,
    F: FnOnce(&mut T) -> R + Send + 'static,
    R: Send + 'static,
{
    #[inline]
    pub(super) fn new(core: &'a Core<T>, f: F, wait: Wait) -> Self {
        Self { core, stage: Stage::Start(f), wait }
    }
}

impl<T, F, R> Future for Call<'_, T, F, R>
where
    T: Send + 'static,
    F: FnOnce(&mut T) -> R + Send + 'static,
    R: Send + 'static,
{
    type Output = Result<R, CallError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { core, stage, wait } = self.get_mut();
        let step = match stage.is_done() {
            // What has been done is reported, also if the caller is to stop.
            true => wait.poll_shielded(cx, |cx| stage.poll(core, cx)),
            false => wait.poll(cx, |cx| stage.poll(core, cx)),
        };
        // The result is made here, where it is returned: one that is handed through on the stack costs as much as all of the rest.
        match (ready!(step), mem::replace(stage, Stage::Done)) {
            // SAFETY: it has just been acquired, and the caller has a handle.
            (Step::Run, Stage::Start(f)) => Poll::Ready(unsafe { core.run_as_holder(f) }),
            // SAFETY: the holder has left, and so does the waiter; there is a result.
            (Step::Take, Stage::Queued(node)) => Poll::Ready(unsafe { CallNode::take(node) }),
            (Step::Fail(error), _) => Poll::Ready(Err(error)),
            (Step::Run | Step::Take, _) => unreachable!("a step is for the stage that the call is in"),
        }
    }
}

impl<T, F, R> Stage<T, F, R> {
    /// Whether somebody has made the call.
    #[inline]
    fn is_done(&self) -> bool {
        // SAFETY: the waiter has not left.
        matches!(self, Self::Queued(node) if unsafe { node.as_ref() }.node.is_done())
    }
}

impl<T, F, R> Stage<T, F, R>
where
    T: Send + 'static,
    F: FnOnce(&mut T) -> R + Send + 'static,
    R: Send + 'static,
{
    #[inline]
    fn poll(&mut self, core: &Core<T>, cx: &mut Context<'_>) -> Poll<Step> {
        match matches!(self, Self::Start(_)) && core.serial.try_acquire() {
            true => Poll::Ready(Step::Run),
            false => self.poll_contended(core, cx),
        }
    }

    #[inline(never)]
    fn poll_contended(&mut self, core: &Core<T>, cx: &mut Context<'_>) -> Poll<Step> {
        if matches!(self, Self::Start(_))
            && let Some(step) = self.queue(core)
        {
            return Poll::Ready(step);
        }
        let Self::Queued(node) = *self else { panic!("a call was polled after it had been completed") };
        // SAFETY: the waiter has not left.
        match unsafe { node.as_ref() }.node.poll(cx) {
            Progress::Pending => Poll::Pending,
            Progress::Done => Poll::Ready(Step::Take),
            Progress::Refused => {
                *self = Self::Done;
                // SAFETY: the holder has left, and so does the waiter.
                unsafe { CallNode::free(node) };
                Poll::Ready(Step::Fail(CallError::Refused))
            }
        }
    }

    /// Waits for a moment for the state, then queues the closure, or says what else is to be done.
    fn queue(&mut self, core: &Core<T>) -> Option<Step> {
        if core.serial.is_current() || reentrance::is_inside(core) {
            return Some(Step::Fail(CallError::Reentrant));
        }
        if core.serial.contend() {
            return Some(Step::Run);
        }
        if !core.room().try_take() {
            return Some(Step::Fail(CallError::Full));
        }
        let Self::Start(f) = mem::replace(self, Self::Done) else {
            unreachable!("the caller has seen the closure")
        };
        let (call, runnable) = CallNode::new(f, core);
        if let Pushed::Acquired(runnable) = core.serial.push(runnable) {
            let _ = runnable.into_raw();
            core.room().give_back();
            // SAFETY: nobody has seen it.
            let Payload::Closure(f) = (unsafe { CallNode::payload(call) }) else {
                unreachable!("it was just put there")
            };
            // SAFETY: as above.
            unsafe { CallNode::free(call) };
            *self = Self::Start(f);
            return Some(Step::Run);
        }
        *self = Self::Queued(call);
        let mut spins = SPINS;
        while spins > 0 {
            spins -= 1;
            if self.is_done() || core.serial.is_asleep() {
                break;
            }
            crate::primitive::spin_loop();
        }
        None
    }
}

impl<T: Send + 'static, F, R> Drop for Call<'_, T, F, R> {
    #[inline]
    fn drop(&mut self) {
        if let Stage::Queued(node) = self.stage {
            // SAFETY: the waiter has not left, and does now.
            unsafe { CallNode::cancel_by_waiter(node) };
        }
    }
}

impl<T: Send + 'static, F, R> fmt::Debug for Call<'_, T, F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Start(_) => "start",
            Stage::Queued(_) => "queued",
            Stage::Done => "done",
        };
        f.debug_struct("Call").field("stage", &stage).finish_non_exhaustive()
    }
}

impl<T, F, R> CallNode<T, F, R>
where
    T: Send + 'static,
    F: FnOnce(&mut T) -> R + Send + 'static,
    R: Send + 'static,
{
    const VTABLE: RunnableVtable = RunnableVtable { run: Self::run, cancel: Self::cancel };

    fn new(f: F, core: &Core<T>) -> (NonNull<Self>, Runnable) {
        let call = seam::alloc(Self::LAYOUT).cast::<Self>();
        let node = Node::new(NonNull::from(const { &Self::VTABLE }));
        let payload = UnsafeCell::new(Payload::Closure(f));
        // SAFETY: the memory is new, and fits.
        unsafe { call.write(Self { node, core: NonNull::from(core), payload }) };
        // SAFETY: the head is the first field; what it runs may be sent; and this is the only runnable of it.
        let runnable = unsafe { Runnable::from_raw(call.cast()) };
        (call, runnable)
    }

    unsafe fn run(header: NonNull<Header>) -> Option<Transfer> {
        let call: NonNull<Self> = header.cast();
        // SAFETY: the holder has not left.
        let this = unsafe { call.as_ref() };
        // SAFETY: who runs what is queued keeps the core.
        let core = unsafe { this.core.as_ref() };
        core.room().give_back();
        if this.node.claim() == Claimed::Cancelled {
            // SAFETY: the holder leaves.
            unsafe { Self::leave(call) };
            return None;
        }
        // SAFETY: claimed.
        let Payload::Closure(f) = (unsafe { Self::payload(call) }) else {
            unreachable!("an item that nobody has claimed has its closure")
        };
        let output = match core.is_poisoned() {
            true => {
                contain_panic(|| drop(f));
                Payload::Taken
            }
            false => {
                // SAFETY: whoever runs what is queued is the holder.
                let output = catch_unwind(AssertUnwindSafe(|| unsafe { core.with_state(f) }));
                if output.is_err() {
                    core.poison();
                }
                Payload::Output(output)
            }
        };
        // SAFETY: claimed.
        this.payload.with_mut(|payload| unsafe { payload.write(output) });
        // SAFETY: claimed, and finished once; not touched again, unless it is the holder's to free.
        unsafe { Self::finish(call, false) };
        None
    }

    /// What was queued is dropped.
    unsafe fn cancel(header: NonNull<Header>) {
        let call: NonNull<Self> = header.cast();
        // SAFETY: the holder has not left.
        let this = unsafe { call.as_ref() };
        // SAFETY: who drops what is queued keeps the core.
        unsafe { this.core.as_ref() }.room().give_back();
        if this.node.claim() == Claimed::Cancelled {
            // SAFETY: the holder leaves.
            return unsafe { Self::leave(call) };
        }
        // SAFETY: claimed.
        let closure = unsafe { Self::payload(call) };
        contain_panic(|| drop(closure));
        // SAFETY: claimed, and finished once.
        unsafe { Self::finish(call, true) };
    }
}

impl<T, F, R> CallNode<T, F, R> {
    const LAYOUT: Layout = Layout::new::<Self>();

    /// Takes the payload out.
    ///
    /// # Safety
    ///
    /// It is the caller's, by the node's word.
    #[inline]
    unsafe fn payload(call: NonNull<Self>) -> Payload<F, R> {
        // SAFETY: the caller has not left.
        let this = unsafe { call.as_ref() };
        // SAFETY: the payload is the caller's.
        this.payload.with_mut(|payload| unsafe { mem::replace(&mut *payload, Payload::Taken) })
    }

    /// The result, by the waiter; the node is freed.
    ///
    /// # Safety
    ///
    /// Both have left, and there is a result.
    #[inline(always)]
    unsafe fn take(call: NonNull<Self>) -> Result<R, CallError> {
        // SAFETY: the holder has left.
        let payload = unsafe { Self::payload(call) };
        // SAFETY: both have left.
        unsafe { Self::free(call) };
        match payload {
            Payload::Output(Ok(value)) => Ok(value),
            Payload::Output(Err(payload)) => resume_unwind(payload),
            Payload::Closure(_) | Payload::Taken => Err(CallError::Poisoned),
        }
    }

    /// # Safety
    ///
    /// By the holder, once, after he has claimed the item and put the result in place.
    unsafe fn finish(call: NonNull<Self>, is_refused: bool) {
        // SAFETY: the holder has not left.
        let node = unsafe { &call.as_ref().node };
        // SAFETY: the caller's promise.
        match unsafe { node.finish(is_refused) } {
            Finished::Delivered(Some(waker)) => contain_panic(|| waker.wake()),
            Finished::Delivered(None) => {}
            Finished::Gone => {
                // SAFETY: the waiter has left, so the payload is the holder's.
                let payload = unsafe { Self::payload(call) };
                contain_panic(|| drop(payload));
                // SAFETY: both have left.
                unsafe { Self::free(call) };
            }
        }
    }

    /// # Safety
    ///
    /// By the holder, who has found the node cancelled.
    unsafe fn leave(call: NonNull<Self>) {
        // SAFETY: the holder has not left.
        if unsafe { call.as_ref() }.node.leave() {
            // SAFETY: both have left.
            unsafe { Self::free(call) };
        }
    }

    /// # Safety
    ///
    /// By the waiter, who leaves.
    #[inline(never)]
    unsafe fn cancel_by_waiter(call: NonNull<Self>) {
        // SAFETY: the waiter has not left.
        let this = unsafe { call.as_ref() };
        let given_up = match this.node.cancel() {
            Cancelled::Own => {
                // SAFETY: the item is the waiter's.
                let closure = unsafe { Self::payload(call) };
                // Whatever its drop does, the node has to be given up.
                let dropped = catch_unwind(AssertUnwindSafe(|| drop(closure)));
                // SAFETY: the waiter leaves.
                unsafe { Self::give_up(call) };
                return dropped.unwrap_or_else(|payload| resume_unwind(payload));
            }
            Cancelled::Running => this.node.give_up(),
            Cancelled::Done | Cancelled::Refused => GivenUp::WaiterWithResult,
        };
        if given_up == GivenUp::Holder {
            return;
        }
        // SAFETY: the holder has left.
        let payload = unsafe { Self::payload(call) };
        // SAFETY: both have left.
        unsafe { Self::free(call) };
        drop(payload);
    }

    /// # Safety
    ///
    /// By the waiter, who has taken the item out.
    unsafe fn give_up(call: NonNull<Self>) {
        // SAFETY: the waiter has not left.
        if unsafe { call.as_ref() }.node.give_up() != GivenUp::Holder {
            // SAFETY: both have left.
            unsafe { Self::free(call) };
        }
    }

    /// # Safety
    ///
    /// Both owners have left.
    unsafe fn free(call: NonNull<Self>) {
        // SAFETY: nobody touches it any more.
        unsafe { call.drop_in_place() };
        // SAFETY: as above, and it was allocated for this layout.
        unsafe { seam::free(call.cast(), Self::LAYOUT) };
    }
}

/// How many pauses a caller waits for what it has queued, before it lets its task sleep.
#[cfg(not(tress_loom))]
const SPINS: u32 = 128;
#[cfg(tress_loom)]
const SPINS: u32 = 0;
