//! One call of `bulk`, as its participants share it.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use super::pace::{Pace, TURN};
use crate::containment::contain_panic;
use crate::primitive::clock;
use crate::primitive::sync::Mutex;

/// The items that are left, and who runs them: the caller, and its helpers.
///
/// A chunk is claimed, run and finished within one poll: a participant that goes away between polls takes nothing with it.
#[derive(Debug)]
pub(super) struct Job<F, E> {
    run: F,
    participants: usize,
    progress: Mutex<Progress<E>>,
}

#[derive(Debug)]
struct Progress<E> {
    /// What nobody has claimed. Emptied when the job stops early.
    left: Range<usize>,
    /// How many chunks are being run.
    running: usize,
    failure: Option<Failure<E>>,
    /// The caller's, while it waits for chunks that others run.
    caller: Option<Waker>,
}

/// Why a job stopped early.
#[derive(Debug)]
pub(super) enum Failure<E> {
    Error(E),
    Panic(Box<dyn Any + Send>),
}

impl<F, E> Job<F, E>
where
    F: Fn(Range<usize>) -> Result<(), E>,
{
    pub(super) fn new(run: F, items: usize, participants: usize) -> Self {
        let progress = Progress { left: 0..items, running: 0, failure: None, caller: None };
        Self { run, participants, progress: Mutex::new(progress) }
    }

    /// Runs chunks for about as long as a turn may take. False if there are none left to claim.
    pub(super) fn take_turn(&self, pace: &mut Pace) -> bool {
        let begun = clock::now();
        let mut before = begun;
        loop {
            let Some(chunk) = self.claim(*pace) else { return false };
            let len = chunk.len();
            self.finish(self.run(chunk));
            let now = clock::now();
            pace.note(len, now - before);
            if now - begun >= TURN {
                return true;
            }
            before = now;
        }
    }

    /// Calls the function. Not inlined: its loop is what counts, and gets a frame and registers of its own.
    #[inline(never)]
    fn run(&self, chunk: Range<usize>) -> Option<Failure<E>> {
        match catch_unwind(AssertUnwindSafe(|| (self.run)(chunk))) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Failure::Error(error)),
            Err(payload) => Some(Failure::Panic(payload)),
        }
    }

    fn claim(&self, pace: Pace) -> Option<Range<usize>> {
        let mut progress = self.progress.lock();
        let Range { start, end } = progress.left;
        if start == end {
            return None;
        }
        let middle = start + pace.chunk_len(end - start, self.participants);
        progress.left = middle..end;
        progress.running += 1;
        Some(start..middle)
    }

    fn finish(&self, mut failure: Option<Failure<E>>) {
        let mut progress = self.progress.lock();
        progress.running -= 1;
        if failure.is_some() {
            progress.left = 0..0;
            if progress.failure.is_none() {
                progress.failure = failure.take();
            }
        }
        let caller = if progress.is_over() { progress.caller.take() } else { None };
        drop(progress);
        if let Some(caller) = caller {
            contain_panic(|| caller.wake());
        }
        contain_panic(|| drop(failure));
    }
}

impl<F, E> Job<F, E> {
    /// Whether everything has been run, or stopped; if not, wakes the caller once it has. There is nothing left to claim.
    pub(super) fn end(&self, caller: &Waker) -> Option<Result<(), Failure<E>>> {
        let caller = caller.clone();
        let mut progress = self.progress.lock();
        let (end, former) = if progress.is_over() {
            (Some(progress.failure.take().map_or(Ok(()), Err)), Some(caller))
        } else {
            (None, progress.caller.replace(caller))
        };
        drop(progress);
        contain_panic(|| drop(former));
        end
    }

    /// Has no further chunk begun. False if none was left.
    pub(super) fn stop(&self) -> bool {
        let mut progress = self.progress.lock();
        let is_cut = !progress.left.is_empty();
        progress.left = 0..0;
        is_cut
    }

    /// As [`stop`](Self::stop), for a caller that goes away.
    pub(super) fn abandon(&self) {
        let mut progress = self.progress.lock();
        progress.left = 0..0;
        let former = progress.caller.take();
        drop(progress);
        contain_panic(|| drop(former));
    }
}

impl<E> Progress<E> {
    fn is_over(&self) -> bool {
        self.left.is_empty() && self.running == 0
    }
}
