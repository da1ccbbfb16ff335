//! A task's frame: header, then future, then output in the same place.
#![expect(unsafe_code, reason = "one allocation holds the header, the future and later the output")]

use std::alloc::Layout;
use std::future::Future;
use std::mem::offset_of;
use std::ops::Range;
use std::ptr::NonNull;

use super::error::JoinError;
use super::header::{TaskHeader, TaskVtable};
use super::raw::RawTask;
use super::{Id, harness, root};
use crate::executor::{RawExecutor, RunnableVtable};
use crate::frame::{self, Origin};
use crate::primitive::cell::UnsafeCell;
use crate::primitive::coarse;
use crate::primitive::sync::atomic::{AtomicPtr, AtomicU32};

/// A frame.
#[repr(C)]
pub(super) struct TaskCell<F: Future> {
    header: TaskHeader,
    stage: UnsafeCell<Stage<F>>,
}

/// What the frame holds after its header.
///
/// Touched by whoever runs the task until it is complete; then by the join handle if there is one.
pub(super) enum Stage<F: Future> {
    /// The task has not finished.
    Future(F),
    /// It has, and nobody has taken the result yet.
    Output(Result<F::Output, JoinError>),
    /// The result has been taken, or the future is being dropped.
    Consumed,
}

impl<F: Future> TaskCell<F> {
    pub(super) const VTABLE: TaskVtable = TaskVtable {
        runnable: RunnableVtable { run: harness::run::<F>, cancel: harness::cancel::<F> },
        cancel_running: harness::cancel_running::<F>,
        take_output: harness::take_output::<F>,
        drop_output: harness::drop_output::<F>,
        free: harness::free::<F>,
        future_name: std::any::type_name::<F>,
        is_bound: false,
        executor: None,
    };

    pub(super) const LAYOUT: Layout = Layout::new::<Self>();

    /// Makes a scheduled task with two references: its own and its join handle's. From the allocator whose window is open; if that
    /// refuses, the future is given back.
    #[inline]
    pub(super) fn allocate(future: F, executor: RawExecutor, id: Id) -> Result<RawTask, F> {
        Self::allocate_with(const { &Self::VTABLE }, future, executor, id)
    }

    /// The same with another table, which is for this type, too.
    #[inline(always)]
    pub(super) fn allocate_with(
        vtable: &'static TaskVtable,
        future: F,
        executor: RawExecutor,
        id: Id,
    ) -> Result<RawTask, F> {
        match frame::alloc_scoped(Self::LAYOUT, frame::Kind::Task) {
            Ok((memory, origin)) => {
                // SAFETY: the memory is new, and fits.
                Ok(unsafe { Self::write(memory.cast(), origin, vtable, future, executor, id) })
            }
            Err(_) => Err(future),
        }
    }

    /// The same from the pool, whatever window is open.
    pub(super) fn allocate_in_pool(future: F, executor: RawExecutor, id: Id) -> RawTask {
        let memory = frame::alloc(Self::LAYOUT, frame::Kind::Task);
        // SAFETY: the memory is new, and fits.
        unsafe { Self::write(memory.cast(), Origin::Pool, const { &Self::VTABLE }, future, executor, id) }
    }

    /// Makes a task in memory that is there for it.
    ///
    /// # Safety
    ///
    /// The memory came from `origin` for this layout, and is the caller's.
    #[inline(always)]
    #[expect(clippy::multiple_unsafe_ops_per_block, reason = "a field is named and used in one step")]
    unsafe fn write(
        memory: NonNull<Self>,
        origin: Origin,
        vtable: &'static TaskVtable,
        future: F,
        executor: RawExecutor,
        id: Id,
    ) -> RawTask {
        let vtable: NonNull<TaskVtable> = NonNull::from(vtable);
        let cell = memory.as_ptr();
        // SAFETY: the memory is ours and fits a cell. The first word is not written here: it is an atomic that the
        // pool's scan may be reading.
        let (link, table) =
            unsafe { (&raw mut (*cell).header.head.link, &raw mut (*cell).header.head.vtable) };
        // SAFETY: as above.
        unsafe { link.write(AtomicPtr::new(std::ptr::null_mut())) };
        // SAFETY: as above.
        unsafe { table.write(vtable.cast()) };
        // SAFETY: as above.
        unsafe { (&raw mut (*cell).header.executor).write(executor) };
        // SAFETY: as above.
        unsafe { (&raw mut (*cell).header.id).write(id) };
        // SAFETY: as above.
        unsafe { (&raw mut (*cell).header.join_waker).write(UnsafeCell::new(None)) };
        // SAFETY: as above.
        unsafe { (&raw mut (*cell).header.annex).write(AtomicPtr::new(std::ptr::null_mut())) };
        // SAFETY: as above.
        unsafe { (&raw mut (*cell).header.polls).write(AtomicU32::new(0)) };
        // SAFETY: as above.
        unsafe { (&raw mut (*cell).header.born).write(AtomicU32::new(coarse::now().compact())) };
        // SAFETY: as above.
        unsafe { (&raw mut (*cell).stage).write(UnsafeCell::new(Stage::Future(future))) };
        // SAFETY: the frame is initialised and has the references that `State::INITIAL` counts.
        let task = unsafe { RawTask::from_ptr(memory.cast()) };
        task.state().initialise(origin);
        task
    }

    /// The addresses of the future.
    #[inline]
    pub(super) fn body(task: RawTask) -> Range<usize> {
        let start = task.as_ptr().addr().get() + offset_of!(Self, stage);
        // Of the cell, which in a model is more than what is in it.
        start..start + size_of::<UnsafeCell<Stage<F>>>()
    }

    /// Lends the stage.
    ///
    /// # Safety
    ///
    /// The frame is alive, its future's type is `F`, and the caller is the one who may touch the stage.
    #[inline]
    pub(super) unsafe fn with_stage<R>(task: NonNull<TaskHeader>, f: impl FnOnce(*mut Stage<F>) -> R) -> R {
        // SAFETY: the caller says that the frame is alive and of this type.
        let cell = unsafe { task.cast::<Self>().as_ref() };
        cell.stage.with_mut(f)
    }

    /// Drops what is left in the frame and frees it.
    ///
    /// # Safety
    ///
    /// The last reference has been released, and the future's type is `F`.
    #[inline]
    #[expect(clippy::multiple_unsafe_ops_per_block, reason = "a field is named and used in one step")]
    pub(super) unsafe fn deallocate(task: NonNull<TaskHeader>) {
        let cell = task.cast::<Self>().as_ptr();
        // SAFETY: the caller owns the frame.
        let origin = unsafe { task.as_ref() }.state().load().origin();
        // SAFETY: the caller owns the frame. The first word stays as it is: it counts no reference, which tells the
        // pool's scan that the frame is free.
        unsafe { std::ptr::drop_in_place(&raw mut (*cell).header.join_waker) };
        // SAFETY: as above.
        unsafe { std::ptr::drop_in_place(&raw mut (*cell).stage) };
        // SAFETY: as above.
        unsafe { root::free_annex(&raw const (*cell).header.annex) };
        // SAFETY: it was allocated with this layout and kind, by this maker.
        unsafe { frame::free_from(task.cast(), Self::LAYOUT, frame::Kind::Task, origin) };
    }
}
