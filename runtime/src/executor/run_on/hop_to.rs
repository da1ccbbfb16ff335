//! Going on on another executor.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::hop::{self, Hop};
use super::{PATIENCE, STUCK};
use crate::executor::{AnyExecutor, Executor};
use crate::primitive::sync::PlainArc;
use crate::{context, tree};

/// Goes on on another executor, until the [`run_on`](super::run_on()) around it has ended.
///
/// The innermost one: it moves to `executor` when this is first polled, and this is ready there, with the executor that it was on before. Everything
/// inside it is polled there from then on; what is spawned there belongs there. When it has ended, it is back where it was begun, as
/// always: whoever awaits it need not know. If it is on an equal executor already, this is ready at once, and no hop is made.
///
/// To hop without going anywhere first, there is `run_on(executor::current().unwrap(), …)`, which makes no hop by itself.
///
/// # Errors
///
/// If there is no `run_on` around it.
///
/// # Cancel safety
///
/// Once it has been polled, the move is made, also if this is dropped before it is ready: what is polled next is polled there. Of several at once,
/// in `join!`, the last one counts.
///
/// # Panics
///
/// As [`run_on`](super::run_on()), if another library's executor that is run inside a task polls this.
///
/// # Examples
///
/// ```
/// use tress::executor::{self, AnyExecutor, Prioritized, hop_to, run_on};
///
/// let runtime = tress::Runtime::new()?;
/// let lanes = Prioritized::new(runtime.handle().clone());
/// let (urgent, idle) = (lanes.high(), lanes.low());
/// let task = runtime.spawn(async move {
///     let before = executor::current();
///     run_on(urgent.clone(), async move {
///         let former = hop_to(idle.clone()).await.expect("there is a `run_on`");
///         assert_eq!(former, AnyExecutor::new(urgent));
///         assert_eq!(executor::current(), Some(AnyExecutor::new(idle)));
///     })
///     .await;
///     assert_eq!(executor::current(), before);
/// });
/// runtime.block_on(task).unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
///
/// P3552 §4.4 (`change_coroutine_scheduler`).
pub fn hop_to(executor: impl Executor) -> HopTo {
    HopTo { stage: Stage::Fresh(PlainArc::new(AnyExecutor::new(executor))), run: 0, in_vain: 0 }
}

/// The future of [`hop_to`].
#[must_use = "futures do nothing unless awaited"]
pub struct HopTo {
    stage: Stage,
    /// The task's count of polls when this was last polled on its way, and how often that has been in one and the same run.
    run: u32,
    in_vain: u32,
}

enum Stage {
    Fresh(PlainArc<AnyExecutor>),
    /// It has been said where to go.
    Leaving {
        hop: PlainArc<Hop>,
        former: PlainArc<AnyExecutor>,
        to: PlainArc<AnyExecutor>,
    },
    Done,
}

/// Why [`hop_to`] goes nowhere: there is no [`run_on`](super::run_on()) around it that could be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HopError;

impl fmt::Display for HopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`hop_to` is not inside a `run_on`, so there is nothing that could be moved")
    }
}

impl Error for HopError {}

impl Future for HopTo {
    type Output = Result<AnyExecutor, HopError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let current = hop::current();
        let to = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Fresh(to) => to,
            Stage::Leaving { hop, former, to } => match current.as_ref() {
                Some(current) if PlainArc::ptr_eq(current, &hop) => {
                    if hop.is_home() {
                        return Poll::Ready(Ok(AnyExecutor::clone(&former)));
                    }
                    // On the way of somebody else; or what polls this does not let the task go.
                    let run = tree::root_polls();
                    self.in_vain = if run == self.run { self.in_vain + 1 } else { 0 };
                    self.run = run;
                    assert!(self.in_vain < PATIENCE, "{STUCK}");
                    self.stage = Stage::Leaving { hop, former, to };
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                // It has been taken out of where it was.
                _ => to,
            },
            Stage::Done => panic!("`hop_to` was polled after it had completed"),
        };
        let Some(hop) = current else { return Poll::Ready(Err(HopError)) };
        let former = hop.executor();
        if *former != *to {
            hop.move_to(PlainArc::clone(&to));
        } else {
            context::count_hop(true);
            if hop.is_home() {
                return Poll::Ready(Ok(AnyExecutor::clone(&to)));
            }
        }
        self.stage = Stage::Leaving { hop, former, to };
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl fmt::Debug for HopTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HopTo").finish_non_exhaustive()
    }
}
