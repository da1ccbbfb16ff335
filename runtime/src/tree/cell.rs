//! A frame with its type: header, then the future, later its output in the same place.
#![expect(unsafe_code, reason = "one allocation holds the header, the future and later the output")]

use std::alloc::Layout;
use std::future::Future;
use std::mem::{ManuallyDrop, needs_drop, offset_of};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::raw::{FrameHeader, FrameVtable, Payload, Polled, RawFrame};
use super::status::{Bounds, Phase, Status};
use super::teardown;
use crate::containment::{contain_panic, discard_payload};
use crate::frame::{self, AllocError, Origin};

/// A frame.
#[repr(C)]
struct FrameCell<F: Future> {
    header: FrameHeader,
    body: Body<F>,
}

/// What the frame holds after its header; the phase says which.
#[repr(C)]
union Body<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<Stored<F::Output>>,
}

/// An output that waits for the parent, or the panic that takes its place.
pub(super) type Stored<T> = Result<T, Payload>;

/// Makes a frame that its handle holds, from the allocator whose window is open.
#[inline(always)]
pub(super) fn allocate<F: Future>(future: F, bounds: Bounds) -> Result<RawFrame, AllocError> {
    FrameCell::<F>::allocate(future, bounds)
}

impl<F: Future> FrameCell<F> {
    const LAYOUT: Layout = Layout::new::<Self>();

    const VTABLE: FrameVtable = FrameVtable {
        poll_into: Self::poll_into,
        poll_stored: Self::poll_stored,
        take: Self::take,
        drop_future: Self::drop_future,
        store_failure: Self::store_failure,
        drop_output: Self::drop_output,
        layout: Self::LAYOUT,
        future_name: std::any::type_name::<F>,
        body_offset: offset_of!(Self, body),
        body_bytes: size_of::<F>(),
    };

    #[inline(always)]
    fn allocate(future: F, bounds: Bounds) -> Result<RawFrame, AllocError> {
        let (memory, origin) = frame::alloc_scoped(Self::LAYOUT, frame::Kind::Raw)?;
        let cell = memory.as_ptr().cast::<Self>();
        let status = Status::new(bounds).with_origin(origin);
        // SAFETY: the memory is ours and fits a cell.
        unsafe { FrameHeader::write(cell.cast(), const { &Self::VTABLE }, status) };
        // SAFETY: as above; no reference is made.
        let body = unsafe { &raw mut (*cell).body };
        // SAFETY: as above.
        unsafe { body.cast::<F>().write(future) };
        // SAFETY: the frame is held by the handle that the caller makes.
        Ok(unsafe { RawFrame::from_ptr(memory.cast()) })
    }

    /// The future's place.
    #[inline(always)]
    fn future(frame: RawFrame) -> *mut F {
        let cell = frame.as_ptr().cast::<Self>();
        // SAFETY: the frame is held and of this type; no reference is made.
        unsafe { &raw mut (*cell).body }.cast()
    }

    /// The output's place.
    #[inline(always)]
    fn output(frame: RawFrame) -> *mut Stored<F::Output> {
        Self::future(frame).cast()
    }

    /// Polls the future.
    ///
    /// # Safety
    ///
    /// The future is there, and the caller is the one who may poll it.
    #[inline(always)]
    unsafe fn poll(frame: RawFrame, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the caller says that the future is there and its own.
        let future = unsafe { &mut *Self::future(frame) };
        // SAFETY: the frame does not move and the future is dropped in place.
        let future = unsafe { Pin::new_unchecked(future) };
        future.poll(cx)
    }

    /// # Safety
    ///
    /// That of [`poll`](Self::poll), and `target` is the address of a `Poll<F::Output>` that is pending.
    unsafe fn poll_into(frame: RawFrame, cx: &mut Context<'_>, target: NonNull<()>) -> Polled {
        // SAFETY: the caller's promise.
        let poll = unsafe { Self::poll(frame, cx) };
        if poll.is_pending() {
            return Polled::Pending;
        }
        let header = frame.header();
        // Read before the phase is written: a load of a word of which a byte is still on its way would wait for it.
        let status = frame.status();
        // Without branches of its own: this is what nearly all frames are that are ready at once.
        let is_plain = header.children.get().is_none() & status.is_unlinked_and_of_pool();
        if !is_plain {
            // SAFETY: the caller's promise; the future is ready.
            unsafe { Self::end_into(frame, poll, target) };
            return Polled::Ended;
        }
        let output = OnUnwind::new(poll);
        if needs_drop::<F>() {
            frame.set_phase(Phase::Empty);
            // SAFETY: the future is there, and the phase says that it is not any more.
            unsafe { Self::drop_future(frame) };
        }
        // SAFETY: the caller's promise; what stands there is `Pending`, which needs no drop.
        unsafe { target.cast::<Poll<F::Output>>().write(output.disarm()) };
        if header.state.is_held_by_handle_only() {
            frame.retire();
            let memory = frame.as_non_null().cast();
            // SAFETY: nobody else refers to the frame; it was allocated with this layout and kind, from the pool.
            unsafe { frame::free_from(memory, Self::LAYOUT, frame::Kind::Raw, Origin::Pool) };
            Polled::Gone
        } else {
            make_inert(frame);
            Polled::Ended
        }
    }

    /// Ends a future that is ready in a frame that stands in a list, has frames below it, or came from elsewhere.
    ///
    /// # Safety
    ///
    /// That of [`poll_into`](Self::poll_into); the future has just been ready with `poll`.
    #[cold]
    unsafe fn end_into(frame: RawFrame, poll: Poll<F::Output>, target: NonNull<()>) {
        if frame.header().children.get().is_some() {
            tear_down_leaked_children(frame);
        }
        let output = OnUnwind::new(poll);
        frame.set_phase(Phase::Empty);
        // SAFETY: the future is there, and the phase says that it is not any more.
        unsafe { Self::drop_future(frame) };
        // SAFETY: the caller's promise; what stands there is `Pending`, which needs no drop.
        unsafe { target.cast::<Poll<F::Output>>().write(output.disarm()) };
        make_inert(frame);
    }

    /// # Safety
    ///
    /// That of [`poll`](Self::poll).
    unsafe fn poll_stored(frame: RawFrame, cx: &mut Context<'_>) -> bool {
        // SAFETY: the caller's promise.
        let result = catch_unwind(AssertUnwindSafe(|| unsafe { Self::poll(frame, cx) }));
        let mut stored = match result {
            Ok(Poll::Pending) => return false,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(payload),
        };
        if frame.header().children.get().is_some() {
            tear_down_leaked_children(frame);
        }
        // Until the output is in place, the frame holds nothing.
        frame.set_phase(Phase::Empty);
        frame.header().state.transition_to_inert();
        // SAFETY: the future is there, and the phase says that it is not any more.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { Self::drop_future(frame) }));
        if let Err(payload) = dropped {
            // The output is lost, and its drop is as foreign as the future's.
            let lost = std::mem::replace(&mut stored, Err(payload));
            contain_panic(|| drop(lost));
        }
        // SAFETY: the place is empty, and fits an output.
        unsafe { Self::output(frame).write(stored) };
        frame.set_phase(Phase::Done);
        true
    }

    /// # Safety
    ///
    /// The output is there and the caller's, and `target` is the address of a `Stored<F::Output>`, which is overwritten.
    unsafe fn take(frame: RawFrame, target: NonNull<()>) {
        // SAFETY: the output is there; the caller takes it out.
        let stored = unsafe { Self::output(frame).read() };
        // SAFETY: the caller's promise.
        unsafe { target.cast::<Stored<F::Output>>().write(stored) };
    }

    /// # Safety
    ///
    /// The future is there and the caller's.
    unsafe fn drop_future(frame: RawFrame) {
        // SAFETY: the caller's promise.
        unsafe { std::ptr::drop_in_place(Self::future(frame)) }
    }

    /// # Safety
    ///
    /// The frame is empty, and the caller's.
    unsafe fn store_failure(frame: RawFrame, payload: Payload) {
        // SAFETY: the place is empty, and fits an output.
        unsafe { Self::output(frame).write(Err(payload)) }
    }

    /// # Safety
    ///
    /// The output is there and the caller's.
    unsafe fn drop_output(frame: RawFrame) {
        // SAFETY: the caller's promise.
        unsafe { std::ptr::drop_in_place(Self::output(frame)) }
    }
}

/// Has nobody poll a frame any more, whose future is gone.
#[cold]
fn make_inert(frame: RawFrame) {
    frame.set_phase(Phase::Empty);
    frame.header().state.transition_to_inert();
    frame.drop_env();
}

/// A future that is ready while handles in it have children can only have leaked them in place.
#[cold]
fn tear_down_leaked_children(frame: RawFrame) {
    if let Some(payload) = teardown::tear_down_all(&frame.header().children) {
        discard_payload(payload);
    }
}

/// Drops an output while a panic of its future's drop unwinds, and contains the panic of that drop.
struct OnUnwind<T>(ManuallyDrop<T>);

impl<T> OnUnwind<T> {
    #[inline(always)]
    fn new(value: T) -> Self {
        Self(ManuallyDrop::new(value))
    }

    #[inline(always)]
    fn disarm(self) -> T {
        let this = ManuallyDrop::new(self);
        // SAFETY: the value is moved out once, and not dropped, since `this` is not.
        unsafe { std::ptr::read(&raw const *this.0) }
    }
}

impl<T> Drop for OnUnwind<T> {
    #[cold]
    fn drop(&mut self) {
        contain_panic(|| {
            // SAFETY: the value is there: it is taken out by `disarm` only, after which this is not called.
            unsafe { ManuallyDrop::drop(&mut self.0) }
        });
    }
}
