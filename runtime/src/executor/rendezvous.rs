//! Calling a closure on an executor, and waiting for that.
#![expect(
    unsafe_code,
    reason = "a runnable of its own kind, and a closure that borrows from the stack of the thread that waits"
)]

use std::mem;
use std::ptr::{self, NonNull};

use super::{ExecutorRef, Header, Runnable, RunnableVtable, Transfer};
use crate::containment::contain_panic;
use crate::primitive::sync::atomic::{AtomicPtr, AtomicUsize};
use crate::primitive::sync::{Condvar, Mutex, PlainArc};
use crate::{context, tree};

/// What is posted.
#[repr(C)]
struct Job {
    /// First: a runnable is a pointer to it. Its state is not used.
    head: Header,
    /// Called by whoever runs the runnable, while the thread that has posted it waits.
    call: *mut (dyn FnMut() + Send),
    state: Mutex<State>,
    is_over: Condvar,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Posted,
    Called,
    Dropped,
}

// SAFETY: the closure is `Send`, and is touched by whoever runs the only runnable; the head is written by nobody.
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

static VTABLE: RunnableVtable = RunnableVtable { run, cancel };

/// Calls `f` on the executor, as if nothing were being polled there, and waits until it has returned. False if the executor has dropped
/// what it was given: then `f` has not been called.
pub(super) fn call_on(executor: ExecutorRef<'_>, f: &mut (dyn FnMut() + Send)) -> bool {
    // SAFETY: only the lifetime differs. This call does not return, nor unwind, before the job is over, and the closure is not used after that.
    let call: *mut (dyn FnMut() + Send + 'static) = unsafe { mem::transmute(ptr::from_mut(f)) };
    let head = Header {
        state: AtomicUsize::new(0),
        link: AtomicPtr::new(ptr::null_mut()),
        vtable: NonNull::from(&VTABLE),
    };
    let job =
        PlainArc::new(Job { head, call, state: Mutex::new(State::Posted), is_over: Condvar::default() });
    let raw = PlainArc::into_raw(PlainArc::clone(&job)).cast_mut();
    let header = NonNull::new(raw).expect("an `Arc` lies somewhere").cast();
    // SAFETY: it is the only one, may be run on any thread, and owns a count of the job.
    let runnable = unsafe { Runnable::from_raw(header) };
    // What this thread has queued is given to others meanwhile.
    context::suspend(|| {
        // The executor's own code may panic; the runnable is dropped then.
        contain_panic(|| executor.post(runnable));
        let mut state = job.state.lock();
        while *state == State::Posted {
            state = job.is_over.wait(&job.state, state);
        }
        *state == State::Called
    })
}

/// The job behind a runnable that is used up.
///
/// # Safety
///
/// The header is that of a job, and owned by the call.
unsafe fn job(header: NonNull<Header>) -> PlainArc<Job> {
    // SAFETY: it came from `into_raw`, and the head comes first.
    unsafe { PlainArc::from_raw(header.as_ptr().cast_const().cast::<Job>()) }
}

impl Job {
    fn end(&self, state: State) {
        *self.state.lock() = state;
        self.is_over.notify_one();
    }
}

unsafe fn run(header: NonNull<Header>) -> Option<Transfer> {
    // SAFETY: called for the runnable.
    let job = unsafe { job(header) };
    // SAFETY: whoever has posted it waits, so the closure is there, and this is the only call.
    let call = unsafe { &mut *job.call };
    tree::outside(|| contain_panic(call));
    job.end(State::Called);
    None
}

unsafe fn cancel(header: NonNull<Header>) {
    // SAFETY: called for the runnable.
    unsafe { job(header) }.end(State::Dropped);
}
