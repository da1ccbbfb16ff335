//! Runs tasks: the functions behind a task's table.
//!
//! Panics of the future, of its drop and of its output's drop end here.
#![expect(unsafe_code, reason = "the functions behind the task's table, where the future's type comes back")]

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::ptr::{self, NonNull};
use std::task::{Context, Poll};

use super::cell::{Stage, TaskCell};
use super::error::JoinError;
use super::header::TaskHeader;
use super::raw::RawTask;
use super::state::{Polled, ToComplete, ToEnding, ToIdle, ToRunning};
use super::waker::WakerRef;
use super::{context, ending, handover, moving, root};
use crate::containment::{contain_panic, discard_payload};
use crate::executor::{Header, Transfer};
use crate::frame::{self, Origin};
use crate::primitive::clock;
use crate::stop::{self, StopSignal};
use crate::tree::{self, Current, Entered, LeftBehind};

/// What a panic carries.
type Payload = Box<dyn Any + Send>;

/// Takes the task out of its queue and polls it.
pub(super) unsafe fn run<F: Future>(header: NonNull<Header>) -> Option<Transfer> {
    // SAFETY: the runnable that is being run keeps the frame; it becomes the right to run the task.
    let task = unsafe { RawTask::from_ptr(header.cast()) };
    match task.state().transition_to_running() {
        ToRunning::Poll(polled) if polled.origin() == Origin::Pool => {
            // SAFETY: the transition made this call the one who runs the task.
            unsafe { run_tree::<F>(task, polled) }
        }
        ToRunning::Poll(polled) => {
            // Counted, since the frame may be freed at the end of the run.
            // SAFETY: the frame is held by the right to run it, and came from there with this layout.
            let maker =
                unsafe { frame::allocator_of(task.as_ptr().cast(), TaskCell::<F>::LAYOUT, Origin::Foreign) };
            // SAFETY: as above.
            frame::within(maker.get(), || unsafe { run_tree::<F>(task, polled) })
        }
        ToRunning::Cancel => {
            // SAFETY: as above.
            unsafe { cancel_running::<F>(task.as_ptr()) };
            None
        }
    }
}

/// A runnable is dropped: the future is dropped in its stead.
pub(super) unsafe fn cancel<F: Future>(header: NonNull<Header>) {
    // SAFETY: the runnable that is being dropped keeps the frame; it becomes the right to run the task.
    let task = unsafe { RawTask::from_ptr(header.cast()) };
    task.state().transition_to_cancelling();
    // SAFETY: the transition made this call the one who runs the task.
    unsafe { cancel_running::<F>(task.as_ptr()) }
}

/// Drops the future of a task that the caller runs, after the frames below it, and completes it.
pub(super) unsafe fn cancel_running<F: Future>(task: NonNull<TaskHeader>) {
    // SAFETY: the caller runs the task.
    let task = unsafe { RawTask::from_ptr(task) };
    let current = pin!(root::current(task, TaskCell::<F>::body(task)));
    let current = current.as_ref();
    let entered = current.enter();
    // SAFETY: as above.
    let error = match unsafe { end::<F>(task, &current, None) } {
        None => JoinError::aborted(task.id()),
        Some(payload) => JoinError::panicked(task.id(), payload),
    };
    // Whoever dropped or aborted the task goes on: its joiner takes its turn in a queue.
    // SAFETY: as above.
    unsafe { store::<F>(task, Err(error)) };
    // SAFETY: as above.
    drop(unsafe { finish::<F>(task, Some(entered)) });
}

/// Ends a new task that nobody will run.
pub(super) unsafe fn refuse<F: Future>(task: RawTask) {
    task.state().transition_to_cancelling();
    // SAFETY: the transition made this call the one who runs the task.
    let error = match unsafe { drop_stage::<F>(task) } {
        Ok(()) => JoinError::refused(task.id()),
        Err(payload) => JoinError::panicked(task.id(), payload),
    };
    // SAFETY: as above.
    unsafe { store::<F>(task, Err(error)) };
    // SAFETY: as above.
    drop(unsafe { finish::<F>(task, None) });
}

/// Moves the output of a complete task to `target`, a `Poll<Result<F::Output, JoinError>>`.
pub(super) unsafe fn take_output<F: Future>(task: NonNull<TaskHeader>, target: NonNull<()>) {
    let target = target.cast::<Poll<Result<F::Output, JoinError>>>().as_ptr();
    let take = |stage: *mut Stage<F>| {
        // SAFETY: the caller is the join handle of a complete task: the stage is its own.
        let Stage::Output(output) = (unsafe { &mut *stage }) else {
            panic!("a JoinHandle was polled after it had given its output")
        };
        // Each kind by itself: as a whole, it would be read at once what has been written in parts, which stalls.
        let output = match output {
            // SAFETY: the output is read once, since the stage forgets it below.
            Ok(value) => Poll::Ready(Ok(unsafe { ptr::read(value) })),
            // SAFETY: as above.
            Err(error) => Poll::Ready(Err(unsafe { ptr::read(error) })),
        };
        // SAFETY: the caller passes the address of such a value, which is overwritten (its old value is `Pending`).
        unsafe { target.write(output) };
        // SAFETY: as above.
        unsafe { stage.write(Stage::Consumed) };
    };
    // SAFETY: as above.
    unsafe { TaskCell::<F>::with_stage(task, take) };
}

/// Drops the output of a complete task.
pub(super) unsafe fn drop_output<F: Future>(task: NonNull<TaskHeader>) {
    // SAFETY: the caller is the join handle of a complete task: the stage is its own.
    let task = unsafe { RawTask::from_ptr(task) };
    // A panic of an output's drop has nobody left to be told.
    // SAFETY: as above.
    if let Err(payload) = unsafe { drop_stage::<F>(task) } {
        discard_payload(payload);
    }
}

/// Frees the frame.
pub(super) unsafe fn free<F: Future>(task: NonNull<TaskHeader>) {
    // SAFETY: the caller has released the last reference.
    unsafe { TaskCell::<F>::deallocate(task) }
}

/// Runs the task's tree once: its own future if that was woken, and the frames below that were; or all of it.
#[inline]
unsafe fn run_tree<F: Future>(task: RawTask, polled: Polled) -> Option<Transfer> {
    let current = pin!(root::current(task, TaskCell::<F>::body(task)));
    let current = current.as_ref();
    let entered = current.enter();
    let mut output = Poll::Pending;
    if polled.is_special() {
        // SAFETY: the caller runs the task, whose future is not ready yet.
        output = unsafe { run_specially::<F>(task, &current, polled) };
    } else {
        // What most runs are, in line: one poll, and no frames.
        if polled.is_woken() {
            // SAFETY: as above.
            output = unsafe { poll::<F>(task) };
        }
        if output.is_pending() && tree::has_woken_frames(&current) {
            // SAFETY: as above.
            output = unsafe { run_frames::<F>(task, &current) };
        }
    }
    // Each kind by itself: moved as a whole, the output would be read at once when it has just been written in parts, which stalls.
    match output {
        // SAFETY: the caller runs the task.
        Poll::Ready(Ok(value)) => return unsafe { complete::<F>(task, entered, value) },
        // SAFETY: as above.
        Poll::Ready(Err(payload)) => return unsafe { complete_panicked::<F>(task, entered, payload) },
        Poll::Pending => {}
    }
    if current.take_stop() {
        // SAFETY: as above.
        return unsafe { run_stopped::<F>(task, entered, polled) };
    }
    suspend::<F>(task, entered, polled);
    None
}

/// Ends a run of a task that is pending.
#[inline(always)]
fn suspend<F: Future>(task: RawTask, entered: Entered<'_>, polled: Polled) {
    if !polled.is_traced() {
        // A look is the doing of whoever looks.
        task.header().count_poll();
    }
    // From the transition on, another thread may run the tree.
    drop(entered);
    after_pending::<F>(task);
}

/// Ends a run of a task that is pending and whose own future has raised a stop: by polling it until it is clear whether that holds.
#[cold]
#[inline(never)]
unsafe fn run_stopped<F: Future>(task: RawTask, entered: Entered<'_>, polled: Polled) -> Option<Transfer> {
    // SAFETY: the caller runs the task, whose future is not ready yet.
    match unsafe { poll_again::<F>(task, &entered.current()) } {
        // SAFETY: as above.
        Poll::Ready(Ok(value)) => unsafe { complete::<F>(task, entered, value) },
        // SAFETY: as above.
        Poll::Ready(Err(payload)) => unsafe { complete_panicked::<F>(task, entered, payload) },
        Poll::Pending => {
            // The loop of this run is over.
            tree::leave_to_next_run(&entered.current());
            suspend::<F>(task, entered, polled);
            None
        }
    }
}

/// The rest of a run: the frames that were woken, and the task's own future when one of them is done.
#[inline(never)]
unsafe fn run_frames<F: Future>(task: RawTask, current: &Current) -> Poll<Result<F::Output, Payload>> {
    let mut output = Poll::Pending;
    tree::run_frames(current, &mut || {
        // SAFETY: the caller runs the task, whose future is not ready yet.
        output = unsafe { poll::<F>(task) };
        output.is_ready()
    });
    output
}

/// A run of the tree that is measured, or that polls everything.
#[cold]
#[inline(never)]
unsafe fn run_specially<F: Future>(
    task: RawTask,
    current: &Current,
    polled: Polled,
) -> Poll<Result<F::Output, Payload>> {
    let mut output = Poll::Pending;
    let mut poll_root = || {
        // SAFETY: the caller runs the task, whose future is not ready yet.
        output = unsafe { poll::<F>(task) };
        output.is_ready()
    };
    if polled.is_traced() {
        tree::visit(current, task.future_name(), &mut poll_root);
        return output;
    }
    let start = clock::now();
    tree::run(current, polled.is_woken(), &mut poll_root);
    if let Some(annex) = task.annex() {
        annex.add_run(start, clock::now());
    }
    output
}

/// Polls the task's own future, which has raised a stop in its last poll, until it is clear whether that holds.
unsafe fn poll_again<F: Future>(task: RawTask, current: &Current) -> Poll<Result<F::Output, Payload>> {
    let mut output = Poll::Pending;
    let holds = stop::holds(&mut || {
        // SAFETY: the caller runs the task, whose future is not ready yet.
        output = unsafe { poll::<F>(task) };
        output.is_pending() && current.take_stop()
    });
    if holds { Poll::Ready(Err(Box::new(StopSignal))) } else { output }
}

/// Polls the task's own future once; its panic ends here.
#[inline(always)]
unsafe fn poll<F: Future>(task: RawTask) -> Poll<Result<F::Output, Payload>> {
    let waker = WakerRef::new(&task);
    let mut cx = Context::from_waker(&waker);
    // SAFETY: the caller runs the task.
    match catch_unwind(AssertUnwindSafe(|| unsafe { poll_future::<F>(task, &mut cx) })) {
        Ok(poll) => poll.map(Ok),
        Err(payload) => Poll::Ready(Err(payload)),
    }
}

/// Drops the future, which is ready, and completes the task.
#[inline]
unsafe fn complete<F: Future>(task: RawTask, entered: Entered<'_>, value: F::Output) -> Option<Transfer> {
    // SAFETY: the caller runs the task.
    if let Some(payload) = unsafe { end::<F>(task, &entered.current(), None) } {
        // The value is lost, and its drop is as foreign as the future's.
        contain_panic(|| drop(value));
        // SAFETY: as above.
        return unsafe { fail::<F>(task, entered, JoinError::panicked(task.id(), payload)) };
    }
    // SAFETY: as above; the stage is empty.
    unsafe { store::<F>(task, Ok(value)) };
    // SAFETY: as above.
    unsafe { finish::<F>(task, Some(entered)) }
}

/// Drops the future, which has panicked or been stopped, and completes the task.
#[cold]
unsafe fn complete_panicked<F: Future>(
    task: RawTask,
    entered: Entered<'_>,
    payload: Payload,
) -> Option<Transfer> {
    // SAFETY: the caller runs the task.
    let first = match payload.downcast::<StopSignal>() {
        // A panic of a drop says more than the stop.
        // SAFETY: as above.
        Ok(_) => unsafe { end::<F>(task, &entered.current(), None) },
        // SAFETY: as above.
        Err(payload) => unsafe { end::<F>(task, &entered.current(), Some(payload)) },
    };
    let error = match first {
        None => JoinError::stopped(task.id()),
        Some(payload) => JoinError::panicked(task.id(), payload),
    };
    // SAFETY: as above.
    unsafe { fail::<F>(task, entered, error) }
}

/// Drops the frames below the task, leaf first, and then its own future. Returns the first panic: the one that came before, or one of these
/// drops.
#[inline]
unsafe fn end<F: Future>(task: RawTask, current: &Current, before: Option<Payload>) -> Option<Payload> {
    let mut first = before;
    tree::keep_first(&mut first, tree::end(current));
    // SAFETY: the caller runs the task.
    if let Err(payload) = unsafe { drop_stage::<F>(task) } {
        tree::keep_first(&mut first, Some(payload));
    }
    first
}

/// Completes a task that has no output, and whose future is gone.
#[cold]
unsafe fn fail<F: Future>(task: RawTask, entered: Entered<'_>, error: JoinError) -> Option<Transfer> {
    // SAFETY: the caller runs the task; the stage is empty.
    unsafe { store::<F>(task, Err(error)) };
    // SAFETY: as above.
    unsafe { finish::<F>(task, Some(entered)) }
}

/// Polls the future.
#[inline]
unsafe fn poll_future<F: Future>(task: RawTask, cx: &mut Context<'_>) -> Poll<F::Output> {
    let poll = |stage: *mut Stage<F>| {
        // SAFETY: the caller runs the task, so nobody else touches the stage.
        let Stage::Future(future) = (unsafe { &mut *stage }) else {
            unreachable!("a running task has a future")
        };
        // SAFETY: the frame does not move and the future is dropped in place.
        let future = unsafe { Pin::new_unchecked(future) };
        future.poll(cx)
    };
    // SAFETY: as above.
    unsafe { TaskCell::<F>::with_stage(task.as_ptr(), poll) }
}

/// Lets go of a task whose poll was pending.
#[inline]
fn after_pending<F: Future>(task: RawTask) {
    match task.state().transition_to_idle() {
        ToIdle::Idle => {}
        ToIdle::Reschedule => moving::resubmit(task),
        ToIdle::Cancel => {
            // SAFETY: the task still counts as running, and this is where it runs.
            unsafe { cancel_running::<F>(task.as_ptr()) }
        }
    }
}

/// Drops what the stage holds, in place, and says if that panicked.
#[inline]
unsafe fn drop_stage<F: Future>(task: RawTask) -> Result<(), Payload> {
    /// Marks the stage as empty, also when the drop unwinds.
    struct Consume<F: Future>(*mut Stage<F>);

    impl<F: Future> Drop for Consume<F> {
        fn drop(&mut self) {
            // SAFETY: what stood there has been dropped, and nobody else touches the stage.
            unsafe { self.0.write(Stage::Consumed) }
        }
    }

    let drop_in_place = |stage: *mut Stage<F>| {
        let _consume = Consume(stage);
        // SAFETY: the caller says that the stage is its own; it is overwritten before anybody looks at it.
        unsafe { std::ptr::drop_in_place(stage) }
    };
    catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: as above.
        unsafe { TaskCell::<F>::with_stage(task.as_ptr(), drop_in_place) }
    }))
}

/// Puts the output into the empty stage.
#[inline]
unsafe fn store<F: Future>(task: RawTask, output: Result<F::Output, JoinError>) {
    let put = |stage: *mut Stage<F>| {
        // SAFETY: the caller runs the task, whose stage is empty.
        unsafe { stage.write(Stage::Output(output)) }
    };
    // SAFETY: as above.
    unsafe { TaskCell::<F>::with_stage(task.as_ptr(), put) };
}

/// Completes the task, whose output is in place, and releases its own reference.
///
/// The run ends before that: from then on the task may be gone, while this thread still calls foreign code, an allocator's or a waker's.
///
/// If the joiner is a task that waits on the same executor, control can be handed to it.
#[inline]
unsafe fn finish<F: Future>(task: RawTask, entered: Option<Entered<'_>>) -> Option<Transfer> {
    context::task_completed(task.executor());
    if let Some(left) = root::take_outlived(task) {
        // SAFETY: the caller runs the task.
        unsafe { finish_after::<F>(task, entered, left) };
        return None;
    }
    let current = entered.as_ref().map(Entered::current);
    drop(entered);
    let mut outcome = task.state().transition_to_complete(false);
    if outcome == ToComplete::DropOutput {
        let entered = current.map(Current::enter);
        // SAFETY: the task is not complete yet, so the stage is still the caller's.
        unsafe { drop_unwanted::<F>(task) };
        if let Some(left) = root::take_outlived(task) {
            // SAFETY: as above.
            unsafe { finish_after::<F>(task, entered, left) };
            return None;
        }
        drop(entered);
        outcome = task.state().transition_to_complete(true);
    }
    let mut transfer = None;
    match outcome {
        ToComplete::Done => {}
        ToComplete::Free => task.free(),
        ToComplete::WakeJoiner => {
            // SAFETY: the task is complete and its join waker was set: the cell belongs to this call.
            let waker = unsafe { task.replace_join_waker(None) };
            if let Some(waker) = waker {
                // A foreign waker may panic; the worker goes on.
                contain_panic(|| transfer = handover::wake(waker, task.executor()));
            }
            task.release();
        }
        ToComplete::DropOutput => unreachable!("the output has been dropped"),
    }
    transfer
}

/// Drops an output that nobody wants. Nobody is left to be told of a panic.
///
/// # Safety
///
/// The caller runs the task, whose join handle is gone.
unsafe fn drop_unwanted<F: Future>(task: RawTask) {
    // SAFETY: the task is not complete yet, so the stage is still the caller's.
    if let Err(payload) = unsafe { drop_stage::<F>(task) } {
        discard_payload(payload);
    }
}

/// Leaves a task, whose output is in place or has been dropped, to be completed when those are gone that it must not end before. As far as its executor
/// knows, it has ended.
#[cold]
#[inline(never)]
unsafe fn finish_after<F: Future>(task: RawTask, entered: Option<Entered<'_>>, mut left: LeftBehind) {
    // An output that nobody wants is dropped here: where the task is completed, it may not even be allowed to be.
    if task.state().transition_to_ending(false) == ToEnding::DropOutput {
        // SAFETY: the handle is gone, so the stage is still the caller's.
        unsafe { drop_unwanted::<F>(task) };
        if let Some(more) = root::take_outlived(task) {
            left.groups.extend(more.groups);
            left = left.settle();
        }
        let outcome = task.state().transition_to_ending(true);
        debug_assert_eq!(outcome, ToEnding::Done);
    }
    drop(entered);
    // SAFETY: the caller runs the task, which is ending, and gives that up.
    unsafe { ending::complete_after(task, left, complete_ending) }
}

/// Completes a task that is ending. Its executor may be gone.
unsafe fn complete_ending(task: RawTask) {
    // What became of the output has been settled.
    match task.state().transition_to_complete(true) {
        ToComplete::Done => {}
        ToComplete::Free => task.free(),
        ToComplete::WakeJoiner => {
            // SAFETY: the task is complete and its join waker was set: the cell belongs to this call.
            let waker = unsafe { task.replace_join_waker(None) };
            if let Some(waker) = waker {
                // A foreign waker may panic.
                contain_panic(|| waker.wake());
            }
            task.release();
        }
        ToComplete::DropOutput => unreachable!("the output is the handle's, or gone"),
    }
}
